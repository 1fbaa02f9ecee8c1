"""feedd webhook, beside a daemon and without one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import running, shop, wait_for, write_config
from receivers import Receiver, hook, receiver
from servers import feed_server
from test_cli import DOCS, Shell

from feedd.model import Delivery, WebhookView


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiver() as made:
        monkeypatch.setenv("HOOK_SECRET", made.secret)
        yield made


@pytest.fixture(params=["daemon", "alone"])
def shell(request: pytest.FixtureRequest, sink: Receiver, tmp_path: Path) -> Iterator[Shell]:
    """A webhook that was disabled by 410, with one dead message; then its receiver accepts again."""
    with feed_server() as server:
        server.bodies["/shop.json"] = json.dumps([{"id": "a", "title": "Mug"}]).encode()
        config = write_config(tmp_path, {"shop": shop(server)})
        lines = [f"{key} = {_toml(value)}" for key, value in hook(sink).items()]
        with config.open("a") as file:
            file.write("\n".join(["[webhooks.erp]", 'events = ["changes"]', *lines, ""]))
        sink.answer = lambda _path, _message: 410
        made = Shell(config)
        with running(config) as daemon:
            path = "/api/webhooks/erp"
            wait_for(lambda: daemon.get(path)["data"]["attributes"]["status"] == "disabled")
            sink.answer = lambda _path, _message: 200
            if request.param == "alone":
                daemon.stop()
            yield made


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {_toml(v)}' for k, v in value.items())} }}"
    return json.dumps(value)


def test_what_was_not_delivered_is_seen_and_sent_again(shell: Shell, sink: Receiver) -> None:
    (view,) = shell.lines("webhook", "list")
    assert list(view) == list(WebhookView.__struct_fields__)
    assert (view["status"], view["dead"], view["behind"]) == ("disabled", 1, 0)
    assert sink.secret not in json.dumps(view)
    shown = shell("webhook", "list")
    assert "410 Gone" in shown
    assert "feedd webhook test erp" in shown
    (dead,) = shell.lines("webhook", "dead", "erp")
    assert list(dead) == list(Delivery.__struct_fields__)
    assert (dead["first_seq"], dead["last_seq"], dead["http_status"]) == (1, 1, 410)
    assert "catalog.changes" in shell("webhook", "dead")
    assert "No messages wait" in shell("webhook", "dead", "--waiting")
    assert shell.lines("webhook", "replay", "erp", "--dead") == [{"webhook": "erp", "again": 1}]
    documented = DOCS.read_text()
    for name in (*view, *dead, "again", "delivered", "http_status", "reason"):
        assert f'"{name}"' in documented, f"docs/cli.md does not name {name}"
    assert sink.seqs() in ([], [1])  # sent by a daemon, not by the command


def test_a_test_says_how_it_went(shell: Shell, sink: Receiver) -> None:
    assert "Delivered: erp answered 200." in shell("webhook", "test", "erp")
    assert sink.told("feedd.test") == [{"webhook": "erp", "message": "feedd can reach you"}]
    assert shell.lines("webhook", "list")[0]["status"] == "ok"
    sink.answer = lambda _path, _message: 503
    assert "the receiver answered 503" in shell.failing(1, "webhook", "test", "erp")
    (trial,) = [
        json.loads(shell.run("webhook", "test", "erp", "--json").stdout),
    ]
    assert trial == {
        "webhook": "erp",
        "delivered": False,
        "http_status": 503,
        "reason": "the receiver answered 503",
    }


def test_messages_are_given_up(shell: Shell) -> None:
    (dead,) = shell.lines("webhook", "dead")
    assert "Deleted the message" in shell("webhook", "drop", str(dead["id"]))
    assert "No messages are dead" in shell("webhook", "dead", "erp")
    assert "no message" in shell.failing(2, "webhook", "drop", str(dead["id"]))


def test_what_cannot_be_done_is_said(shell: Shell) -> None:
    for words, says in (
        (("test", "crm"), "no webhook 'crm'"),
        (("dead", "crm"), "no webhook 'crm'"),
        (("replay", "crm", "--dead"), "no webhook 'crm'"),
        (("replay", "erp"), "say what to tell again"),
        (("replay", "erp", "1", "--dead"), "say what to tell again"),
        (("replay", "erp", "--since", "99"), "nothing after 99"),
        (("replay", "erp", "99"), "no dead message 99"),
    ):
        assert says in shell.failing(2, "webhook", *words), words


def test_without_webhooks_the_list_says_how_to_have_one(tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {}))
    with running(shell.config):
        assert "[webhooks.NAME]" in shell("webhook", "list")
        assert shell.lines("webhook", "list") == []
        assert "no webhook '$nobody'" in shell.failing(2, "webhook", "replay", "$nobody", "--dead")
        assert "No messages are dead" in shell("webhook", "dead", "$command")
