"""Webhooks as their receivers have them: a real daemon, real receivers, signatures checked by another library."""

import ast
import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemons import Running, running, shop, wait_for, write_config
from receivers import Receiver, hook, new_secret, receiver
from servers import FeedServer, feed_server
from standardwebhooks import Webhook
from test_cli import Shell

from feedd.messages import event_message, signed_headers


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        made.bodies["/shop.json"] = body(3)
        yield made


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver() as made:
        monkeypatch.setenv("HOOK_SECRET", made.secret)
        yield made


def body(count: int, **fields: Any) -> bytes:
    return json.dumps([{"id": str(n), "title": "Mug", **fields} for n in range(count)]).encode()


def config(
    folder: Path, server: FeedServer, webhooks: dict[str, dict[str, Any]], more: str = ""
) -> Path:
    path = write_config(folder, {"shop": shop(server)})
    lines = [more]
    for name, values in webhooks.items():
        lines.append(f"[webhooks.{name}]")
        lines += [f"{key} = {toml(value)}" for key, value in values.items()]
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n")
    return path


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"[{', '.join(toml(each) for each in value)}]"
    return json.dumps(value)


def webhook(daemon: Running, name: str = "erp") -> dict[str, Any]:
    attributes: dict[str, Any] = daemon.get(f"/api/webhooks/{name}")["data"]["attributes"]
    return attributes


def post(daemon: Running, kind: str, **attributes: Any) -> tuple[int, Any]:
    body = {"data": {"type": kind, "attributes": attributes}}
    return daemon.request("POST", f"/api/{kind}s", body)


def test_changes_and_outcomes_are_told_signed(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    with running(config(tmp_path, server, {"erp": hook(sink)})) as daemon:
        wait_for(lambda: sink.seqs() == [1, 2, 3] and sink.told("sync.finished"))
        server.bodies["/shop.json"] = body(3, price=5)
        daemon.resync()
        wait_for(lambda: len(sink.seqs()) == 6)
        told = sink.told("catalog.changes")[1]
        assert told["changes"][0] == daemon.changes()[3]
        assert (told["first_seq"], told["last_seq"]) == (4, 6)
        wait_for(lambda: len(sink.told("sync.finished")) == 2)
        outcome = sink.told("sync.finished")[1]
        assert (outcome["feed"], outcome["status"], outcome["updated"]) == ("shop", "applied", 3)
        daemon.resync()  # unchanged: not asked for
        server.answers["/shop.json"] = (404, {}, b"")
        daemon.resync()
        wait_for(lambda: len(sink.told("sync.finished")) == 3)
        failed = sink.told("sync.finished")[2]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "http_status")
        wait_for(lambda: webhook(daemon)["waiting"] == 0)
        assert webhook(daemon)["status"] == "ok"
        assert webhook(daemon)["behind"] == 0
    headers = sink.headers[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("feedd/")
    assert len({message_id for message_id, *_ in sink.received}) == len(sink.received) == 5


def test_a_kill_loses_nothing_and_repeats_under_the_same_id(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    count = 1_500
    server.bodies["/shop.json"] = body(count)
    with running(config(tmp_path, server, {"erp": hook(sink, events=["changes"])})) as daemon:
        for kill in range(4):
            wait_for(lambda kill=kill: len(set(sink.seqs())) > kill * 250, 40)
            daemon.stop(signal.SIGKILL)
            daemon.start()
        wait_for(lambda: len(set(sink.seqs())) == count, 40)
        wait_for(lambda: webhook(daemon)["waiting"] == 0)
    bodies: dict[str, bytes] = {}
    for (message_id, _, _), content in zip(sink.received, sink.bodies, strict=True):
        assert bodies.setdefault(message_id, content) == content
    first_times = list(dict.fromkeys(sink.seqs()))
    assert first_times == list(range(1, count + 1))
    by_id = {message_id: message["data"]["changes"] for message_id, _, message in sink.received}
    assert sum(len(changes) for changes in by_id.values()) == count


def test_a_failing_receiver_delays_nobody_else(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    with receiver(sink.secret) as hanging:
        hanging.go.clear()
        webhooks = {"slow": hook(hanging, timeout="20s"), "erp": hook(sink)}
        with running(config(tmp_path, server, webhooks)) as daemon:
            wait_for(lambda: sink.seqs() == [1, 2, 3], 10)
            for price in range(3):
                server.bodies["/shop.json"] = body(3, price=price)
                assert daemon.resync()["status"] == "applied"
            wait_for(lambda: len(sink.seqs()) == 12, 10)
            assert daemon.stop(signal.SIGTERM) == 0  # in time, whatever hangs
            hanging.go.set()


def test_what_failed_is_tried_again_in_order(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    sink.answer = lambda _path, _message: 500 if len(sink.received) < 1 else 200
    with running(config(tmp_path, server, {"erp": hook(sink, events=["changes"])})) as daemon:
        wait_for(lambda: webhook(daemon)["status"] == "failing")
        assert webhook(daemon)["error"] == "the receiver answered 500"
        server.bodies["/shop.json"] = body(3, price=1)
        daemon.resync()
        wait_for(lambda: sink.seqs() == [1, 2, 3, 4, 5, 6], 20)
        assert sink.received[0][0] == sink.received[1][0]
        (line,) = [line for line in daemon.log() if line["event"] == "webhook.failed"]
        assert (line["webhook"], line["tries"]) == ("erp", 1)


def test_410_disables_and_a_replay_enables(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    gone = True
    sink.answer = lambda _path, _message: 410 if gone else 200
    with running(config(tmp_path, server, {"erp": hook(sink, events=["changes"])})) as daemon:
        wait_for(lambda: webhook(daemon)["status"] == "disabled")
        server.bodies["/shop.json"] = body(3, price=1)
        daemon.resync()
        (dead,) = daemon.get('/api/webhook-deliveries?filter=equals(status,"dead")')["data"]
        assert dead["attributes"]["http_status"] == 410
        assert len(sink.received) == 1
        gone = False
        status, document = post(daemon, "webhook-replay", webhook="erp", dead=True)
        assert (status, document["data"]["attributes"]["again"]) == (202, 1)
        wait_for(lambda: sorted(sink.seqs()) == [1, 2, 3, 4, 5, 6])
        wait_for(lambda: webhook(daemon)["status"] == "ok" and webhook(daemon)["dead"] == 0)
        assert sink.received[0][0] in {message_id for message_id, *_ in sink.received[1:]}


def test_replay_since_tells_again_under_new_ids(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    with running(config(tmp_path, server, {"erp": hook(sink, events=["changes"])})) as daemon:
        wait_for(lambda: sink.seqs() == [1, 2, 3])
        assert post(daemon, "webhook-replay", webhook="erp", since=1)[0] == 202
        wait_for(lambda: sink.seqs() == [1, 2, 3, 2, 3])
        assert len({message_id for message_id, *_ in sink.received}) == 2
        for wrong in ({"since": 9}, {}, {"since": 1, "dead": True}):
            assert post(daemon, "webhook-replay", webhook="erp", **wrong)[0] == 400
        assert post(daemon, "webhook-replay", webhook="nobody", dead=True)[0] == 404
        assert post(daemon, "webhook-replay", webhook="erp", delivery=77)[0] == 404


def test_after_a_restore_the_new_history_is_said(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    path = config(tmp_path, server, {"erp": hook(sink, events=["changes"])})
    backup = str(tmp_path / "backup")
    with running(path) as daemon:
        wait_for(lambda: sink.seqs() == [1, 2, 3])
        shell = Shell(path)
        shell("backup", backup)
        server.bodies["/shop.json"] = body(3, price=1)
        daemon.resync()
        wait_for(lambda: sink.seqs() == [1, 2, 3, 4, 5, 6])
        daemon.stop()
        shell("restore", "--yes", backup)
        daemon.start()
        wait_for(lambda: sink.told("stream.restarted"))
        server.bodies["/shop.json"] = body(3, price=2)
        daemon.resync()
        wait_for(lambda: len(sink.seqs()) >= 9)
    old, new = sink.told("catalog.changes")[0]["stream"], sink.told("catalog.changes")[-1]["stream"]
    (restart,) = sink.told("stream.restarted")
    assert (restart["previous_stream"], restart["stream"]) == (old, new)
    assert len({message_id for message_id, *_ in sink.received}) == len(sink.received)


def test_the_documented_receiver_verifies(sink: Receiver) -> None:
    page = (Path(__file__).parent.parent / "docs" / "webhooks.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    used = ast.parse(example)
    names = {
        name
        for node in ast.walk(used)
        if isinstance(node, ast.ImportFrom)
        for name in [alias.name for alias in node.names]
        if node.module == "standardwebhooks"
    }
    assert names == {"Webhook", "WebhookVerificationError"}
    message = event_message("test_1", "feedd.test", datetime.now(UTC), {})
    at = int(datetime.now(UTC).timestamp())
    headers = signed_headers(message.id, message.body, secrets=[sink.secret], at=at)
    verify = next(
        node for node in ast.walk(used) if isinstance(node, ast.Attribute) and node.attr == "verify"
    )
    assert ast.unparse(verify) == "webhook.verify"
    assert getattr(Webhook(sink.secret), verify.attr)(message.body.encode(), headers)


def test_secrets_show_nowhere(
    server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, canary = new_secret(), new_secret(), "canary-7f3a9"
    monkeypatch.setenv("HOOK_SECRET", old)
    monkeypatch.setenv("NEW_SECRET", new)
    monkeypatch.setenv("HOOK_KEY", canary)
    with receiver(new) as sink:  # the second of two signatures
        monkeypatch.setenv("HOOK_URL", sink.url("/hook/canary-path-55?k=canary-query-66"))
        sink.answer = lambda _path, _message: 500
        webhooks = {
            "erp": hook(
                sink,
                url={"env": "HOOK_URL"},
                secret=[{"env": "HOOK_SECRET"}, {"env": "NEW_SECRET"}],
                headers={"X-Api-Key": {"env": "HOOK_KEY"}},
            )
        }
        with running(config(tmp_path, server, webhooks)) as daemon:
            wait_for(lambda: webhook(daemon)["status"] == "failing")
            status, tried = post(daemon, "webhook-test", webhook="erp")
            assert (status, tried["data"]["attributes"]["http_status"]) == (201, 500)
            shown = json.dumps(
                [
                    daemon.get("/api/webhooks"),
                    daemon.get("/api/webhook-deliveries"),
                    daemon.get("/openapi.json"),
                    tried,
                ]
            )
            wait_for(lambda: any(line["event"] == "webhook.failed" for line in daemon.log()))
            log = daemon.log_path.read_text()
        assert sink.headers[0]["X-Api-Key"] == canary
        for hidden in (old, new, canary, "canary-path", "canary-query", old[6:], new[6:]):
            assert hidden not in shown
            assert hidden not in log
            for path in (tmp_path / "state").rglob("*.db*"):
                assert hidden.encode() not in path.read_bytes()


def test_alerts_are_told_once_and_survive_a_restart(
    server: FeedServer, sink: Receiver, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    script = tmp_path / "page-me"
    script.write_text(
        f'#!/bin/sh\n(echo "$1|$FEEDD_EVENT|$FEEDD_FEED|${{HOOK_SECRET:-none}}"; cat) >> {calls}\n'
    )
    script.chmod(0o755)
    alerts = f'[alerts]\nafter = 2\ncommand = ["{script}", "--urgent"]\n'
    path = config(tmp_path, server, {"erp": hook(sink, events=["alerts"])}, alerts)
    with running(path) as daemon:
        wait_for(lambda: daemon.feed()["status"] == "applied")
        server.answers["/shop.json"] = (404, {}, b"")
        daemon.resync()
        daemon.resync()
        daemon.resync()
        wait_for(lambda: sink.accepted)
        daemon.stop()
        daemon.start()
        del server.answers["/shop.json"]
        daemon.resync()
        wait_for(lambda: len(sink.accepted) == 2)
        wait_for(lambda: calls.exists() and calls.read_text().count("--urgent") == 2)
    assert [message["type"] for message in sink.accepted] == ["feed.failing", "feed.recovered"]
    data = sink.accepted[0]["data"]
    assert (data["feed"], data["alert"], data["failures"]) == ("shop", "failing", 2)
    assert data["error"]["code"] == "http_status"
    lines = calls.read_text().splitlines()
    assert lines[0] == "--urgent|feed.failing|shop|none"  # the feeds' secrets are not inherited
    assert json.loads(lines[1]) == sink.accepted[0]
    assert os.environ["HOOK_SECRET"]
