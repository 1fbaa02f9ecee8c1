"""What the log shows, and what it must never show."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from feedd import logs, redaction
from feedd.model import Counts, ErrorInfo, SyncRecord, SyncStatus

NOW = datetime(2026, 3, 10, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("feedd")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    secrets = redaction._secrets
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    redaction._secrets = secrets
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    made = io.StringIO()
    logs.configure(made, "info")
    return made


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_stream_that_is_no_terminal_gets_json_lines(stream: io.StringIO):
    logs.get_logger().info(logs.SYNC_DONE, feed="shop", added=3, title="שלום")
    (line,) = lines(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["event"] == "sync.done"
    assert (line["feed"], line["added"], line["title"]) == ("shop", 3, "שלום")
    moment = datetime.fromisoformat(line["timestamp"])
    assert moment.utcoffset() is not None
    assert abs((moment - datetime.now(UTC)).total_seconds()) < 60


def test_a_terminal_gets_lines_for_people():
    stream = Terminal()
    logs.configure(stream, "info")
    logs.get_logger().info(logs.SYNC_DONE, feed="shop")
    assert "sync.done" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_json_can_be_asked_for_on_a_terminal():
    stream = Terminal()
    logs.configure(stream, "info", json=True)
    logs.get_logger().info(logs.SYNC_DONE, feed="shop")
    assert lines(stream)[0]["feed"] == "shop"


def test_levels_hold_and_can_be_changed(stream: io.StringIO):
    log = logs.get_logger("api")
    log.debug("one.two")
    logs.set_level("debug")
    log.debug("three.four")
    logs.set_level("error")
    log.warning("five.six")
    assert [line["event"] for line in lines(stream)] == ["three.four"]


def test_configuring_again_writes_to_the_new_stream_only(stream: io.StringIO):
    second = io.StringIO()
    logs.configure(second, "info")
    logs.get_logger().info("one.two")
    assert not stream.getvalue()
    assert len(lines(second)) == 1


def test_libraries_are_heard_from_warning_on_in_the_same_form(stream: io.StringIO):
    logs.set_level("debug")
    logging.getLogger("httpx").info("GET https://shop.example")
    logging.getLogger("uvicorn.error").warning("slow: %s", "https://u:p@shop.example/x?token=abc")
    (line,) = lines(stream)
    assert line["logger"] == "uvicorn.error"
    assert line["event"] == "slow: https://shop.example/x?token=***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://shop.example/p.xml", "https://shop.example/p.xml"),
        ("https://shop.example/p?token=abc", "https://shop.example/p?token=***"),
        ("https://shop.example?a=1&b=&c", "https://shop.example?a=***&b=***&***"),
        ("https://user:pa@ss@shop.example/p", "https://shop.example/p"),
        ("https://shop.example/@user", "https://shop.example/@user"),
        ("https://shop.example/p#access_token=abc", "https://shop.example/p#***"),
        ("postgresql://u:p@db/feedd?password=x", "postgresql://db/feedd?password=***"),
        ("https://shop.example/p?", "https://shop.example/p?"),
    ],
)
def test_urls_lose_what_may_be_secret(url: str, shown: str):
    assert redaction.redact_url(url) == shown
    assert redaction.redact_text(f"see <{url}> and '{url}'") == f"see <{shown}> and '{shown}'"


def test_keys_that_name_secrets_are_masked_wherever_they_are(stream: io.StringIO):
    logs.get_logger().info(
        "one.two",
        password="aaa1",
        nested={"api_key": "aaa2", "list": [{"Authorization": "aaa3"}]},
        access_token="aaa4",
        client_secret="aaa5",
        token=None,
        key="shop",
    )
    assert "aaa" not in stream.getvalue()
    assert (lines(stream)[0]["key"], lines(stream)[0]["token"]) == ("shop", None)


def test_registered_secrets_are_masked_wherever_they_occur(stream: io.StringIO):
    redaction.register_secrets(["s3cr/et value", "", "ab"])
    try:
        raise ValueError("refused: s3cr/et value")
    except ValueError as error:
        logs.get_logger().error(
            "about s3cr/et value", deep=["x", ("s3cr/et value",)], exc_info=error
        )
    logging.getLogger("httpx").warning("GET http://h/s3cr%2Fet%20value/ab")
    assert "s3cr" not in stream.getvalue()
    assert lines(stream)[1]["event"] == "GET http://h/***/ab"


@pytest.mark.parametrize("pretty", [False, True])
def test_an_exception_shows_no_values_of_variables(pretty: bool):
    stream = Terminal() if pretty else io.StringIO()
    logs.configure(stream, "info")

    def fail(unseen: str) -> None:
        raise ValueError("what is wrong")

    try:
        fail("HIDDEN".lower())
    except ValueError:
        logs.get_logger().exception(logs.SYNC_ERROR)
    assert "what is wrong" in stream.getvalue()
    assert "hidden" not in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 1


@pytest.mark.parametrize("pretty", [False, True])
def test_nobody_can_forge_a_line(pretty: bool):
    stream = Terminal() if pretty else io.StringIO()
    logs.configure(stream, "info", json=not pretty)
    forged = "x\r\n\u20282026-01-01 forged\x1b[2J\u202e"
    logs.get_logger().info("one.two", value=forged, nested=[forged], **{forged: 1})
    logging.getLogger("httpx").warning("%s", forged)
    assert len(stream.getvalue().rstrip("\n").splitlines()) == 2
    assert "\x1b[2J" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


def test_the_lines_of_an_exception_are_set_off_on_a_terminal():
    stream = Terminal()
    logs.configure(stream, "info")
    try:
        raise ValueError("x\nforged")
    except ValueError as error:
        logs.get_logger().error("one.two", exc_info=error)
    assert all(line.startswith("    ") for line in stream.getvalue().splitlines()[1:])


@given(st.dictionaries(st.text(max_size=8), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
), max_size=4))  # fmt: skip
def test_whatever_is_logged_is_one_line_of_json(values: dict[str, Any]):
    stream = io.StringIO()
    logs.configure(stream, "info")
    logs.get_logger().info("one.two", value=values)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    json.loads(line, parse_constant=pytest.fail)


def test_the_line_of_a_sync_says_what_it_did():
    record = SyncRecord(
        id=7, feed="shop", trigger="schedule", status=SyncStatus.APPLIED, started_at=NOW, finished_at=NOW,
        duration_s=1.23456, size_bytes=100, counts=Counts(added=2, rejected=1), error=None,
    )  # fmt: skip
    line = logs.sync_line("shop", record)
    assert line["status"] == "applied"
    assert (line["sync"], line["added"], line["rejected"], line["removed"]) == (7, 2, 1, 0)
    assert line["duration_s"] == 1.235
    assert "error" not in line


def test_the_line_of_a_failed_sync_says_why():
    record = SyncRecord(
        id=8, feed="shop", trigger="resync", status=SyncStatus.FAILED, started_at=NOW, finished_at=None,
        duration_s=None, size_bytes=None, counts=None,
        error=ErrorInfo(code="http_status", message="the server answered 500", hint="Try later."),
    )  # fmt: skip
    assert logs.sync_line("shop", record) == {
        "feed": "shop", "status": "failed", "trigger": "resync", "sync": 8,
        "code": "http_status", "error": "the server answered 500", "hint": "Try later.",
    }  # fmt: skip


def test_a_stream_that_cannot_write_hebrew_still_gets_the_line():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True)
    logs.configure(stream, "info")
    logs.get_logger().info("one.two", title="שלום")
    assert json.loads(raw.getvalue())["title"] == "שלום"
