"""What webhooks are told, judged by the specification's own library."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import new_secret
from standardwebhooks import Webhook, WebhookVerificationError

from feedd.messages import (
    COMMAND_PAUSES_S,
    MOST_BYTES,
    MOST_CHANGES,
    BadSecret,
    changes_message,
    event_message,
    gap_message,
    is_due,
    is_wanted,
    pause_after,
    restart_message,
    secret_key,
    signed_headers,
    sync_message,
)
from feedd.model import Change, ChangeKind, Counts, ErrorInfo, SyncRecord, SyncStatus

AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def change(seq: int, **more: Any) -> Change:
    values: dict[str, Any] = {
        "feed": "shop",
        "item": str(seq),
        "kind": ChangeKind.UPDATED,
        "fields": {"price": (1, 2)},
        "sync": 7,
        "at": AT,
    }
    return Change(seq=seq, **(values | more))


@given(st.text(), st.lists(st.builds(new_secret), min_size=1, max_size=3))
def test_signatures_are_those_of_the_specification(text: str, secrets: list[str]) -> None:
    body = event_message("test_1", "feedd.test", AT, {"message": text}).body
    now = int(datetime.now(UTC).timestamp())
    headers = signed_headers("test_1", body, secrets=secrets, at=now)
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    for secret in secrets:
        assert Webhook(secret).verify(body, headers)["data"] == {"message": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body + " ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body, headers | {"webhook-id": "test_2"})


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("c2VjcmV0" * 4, "does not begin"),
        ("whsec_", "holds 0 bytes"),
        ("whsec_c2VjcmV0", "holds 6 bytes"),
        ("whsec_" + "c2VjcmV0" * 20, "holds 120 bytes"),
        ("whsec_not base64 at all, but long enough", "is not base64"),
    ],
)
def test_a_wrong_secret_is_said_without_it(secret: str, says: str) -> None:
    with pytest.raises(BadSecret, match=says) as caught:
        secret_key(secret)
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret == "whsec_"


def test_tries_go_on_for_75_hours() -> None:
    pauses = [pause_after(tries, chance=0.0) for tries in range(1, 11)]
    assert pauses[-1] is None
    assert pauses[:3] == [5, 300, 1800]
    total = sum(pause for pause in pauses if pause is not None)
    assert 75 * 3600 <= total <= 76 * 3600
    assert pauses[:-1] == sorted(pause for pause in pauses if pause is not None)


@pytest.mark.parametrize(
    ("tries", "asked", "chance", "expected"),
    [
        (1, None, 1.0, 5.5),
        (1, 60.0, 0.5, 60.0),
        (3, 60.0, 0.0, 1800),
        (2, 9e9, 0.0, 86_400),
        (10, 60.0, 0.0, None),
    ],
)
def test_a_longer_retry_after_is_obeyed(
    tries: int, asked: float | None, chance: float, expected: float | None
) -> None:
    assert pause_after(tries, retry_after_s=asked, chance=chance) == expected


def test_the_command_is_tried_a_few_times() -> None:
    assert pause_after(3, pauses=COMMAND_PAUSES_S, chance=0.0) == 900
    assert pause_after(4, pauses=COMMAND_PAUSES_S, chance=0.0) is None


def test_many_changes_are_one_message_of_bounded_size() -> None:
    changes = [change(seq) for seq in range(1, 501)]
    message = changes_message("s", 0, changes)
    told = json.loads(message.body)
    assert told["type"] == "catalog.changes"
    assert told["timestamp"] == "2026-05-04T10:00:00Z"
    assert told["data"]["stream"] == "s"
    assert len(told["data"]["changes"]) == MOST_CHANGES
    assert (message.first_seq, message.last_seq) == (1, 100)
    assert message.id == "changes_s_1-100"
    assert told["data"]["changes"][0] == {
        "seq": 1,
        "feed": "shop",
        "item": "1",
        "kind": "updated",
        "fields": {"price": [1, 2]},
        "sync": 7,
        "at": "2026-05-04T10:00:00Z",
    }


_sizes = st.lists(st.integers(1, 30_000), min_size=1, max_size=30)


@given(_sizes)
def test_messages_are_small_and_tell_every_change_once(sizes: list[int]) -> None:
    changes = [
        change(seq, fields={"description": (None, "x" * size)})
        for seq, size in enumerate(sizes, start=1)
    ]
    told: list[int] = []
    while len(told) < len(changes):
        message = changes_message("s", 0, changes[len(told) :])
        assert len(message.body.encode()) < MOST_BYTES
        told += [c["seq"] for c in json.loads(message.body)["data"]["changes"]]
        assert message.last_seq == told[-1]
    assert told == list(range(1, len(changes) + 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"description": ("a" * 30_000, "b" * 30_000), "price": (1, 2)},
        {"\x00" * 9_000: (1, None), "price": (1, 2)},
        {str(n) * 50: (1, n) for n in range(1_000)},
    ],
    ids=["long value", "long name", "many fields"],
)
def test_a_change_that_is_too_large_says_where_it_is(fields: dict[str, Any]) -> None:
    message = changes_message("s", 0, [change(41, fields=fields, item="\u202e" * 9_000)])
    assert len(message.body.encode()) < MOST_BYTES
    (told,) = json.loads(message.body)["data"]["changes"]
    assert (told["seq"], told["cut"], told["fields"]) == (41, True, {})
    assert set(told["changed"]) <= set(fields)
    assert told["item"] is None  # too long itself
    query = dict(parse_qsl(urlsplit(told["href"]).query))
    assert query == {"filter": "greater-than(seq,40)", "page[size]": "1"}


def test_ids_are_those_of_what_is_told() -> None:
    changes = [change(1), change(2)]
    assert changes_message("s", 0, changes) == changes_message("s", 0, changes)
    ids = {
        changes_message("s", 0, changes).id,
        changes_message("s", 0, changes[:1]).id,
        changes_message("other", 0, changes).id,
        changes_message("s", 1, changes).id,  # a replay
        gap_message("s", 0, first_seq=1, last_seq=2, now=AT).id,
        restart_message("s", "other", last_seq=2, now=AT).id,
    }
    assert len(ids) == 6
    assert not any("." in message_id for message_id in ids)  # it separates what is signed


def test_the_outcome_of_a_sync_is_told_with_its_counts() -> None:
    record = SyncRecord(
        id=12,
        feed="shop",
        trigger="schedule",
        status=SyncStatus.FAILED,
        started_at=AT,
        finished_at=AT,
        duration_s=1.5,
        size_bytes=None,
        counts=Counts(rejected=2),
        error=ErrorInfo(code="timeout", message="the server did not answer in time"),
    )
    message = sync_message("s", record)
    told = json.loads(message.body)
    assert (message.id, told["type"]) == ("sync_s_12", "sync.finished")
    assert told["data"]["error"]["code"] == "timeout"
    assert (told["data"]["status"], told["data"]["rejected"]) == ("failed", 2)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"feeds": ("shop",)}, True),
        ({"feeds": ("outlet",)}, False),
        ({"kinds": ("added",)}, False),
        ({"kinds": ("added", "updated")}, True),
        ({"fields": ("price",)}, True),
        ({"fields": ("title",)}, False),
        ({"fields": ("title", "price"), "feeds": ("outlet",)}, False),
    ],
)
def test_a_webhook_is_told_what_it_wants(wanted: dict[str, Any], expected: bool) -> None:
    none: dict[str, Any] = {"feeds": (), "kinds": (), "fields": ()}
    assert is_wanted(change(1), **(none | wanted)) is expected


def test_fields_leave_the_other_kinds_alone() -> None:
    removed = change(1, kind=ChangeKind.REMOVED, fields={})
    assert is_wanted(removed, feeds=(), kinds=(), fields=("price",))


@pytest.mark.parametrize(
    ("in_s", "due"),
    [(-1, True), (0, True), (1, False), (24 * 3600 * 1.1, False), (2 * 24 * 3600, True)],
)
def test_a_message_is_due_at_its_time_or_when_that_is_none(in_s: float, due: bool) -> None:
    now = datetime(2026, 5, 4, tzinfo=UTC)
    assert is_due(now + timedelta(seconds=in_s), now) is due
