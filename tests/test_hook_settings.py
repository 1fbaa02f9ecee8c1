"""[webhooks.NAME] and [alerts] become settings, or every problem with its place and what to write instead."""

from pathlib import Path
from typing import Any

import pytest
from receivers import new_secret

from feedd.checks import address_problem
from feedd.errors import ConfigError
from feedd.settings import AlertSettings, Secret, Settings, load, secret_values
from feedd.settings.hook_keys import EVENTS, Patience

SECRET = new_secret()
FEED = '[feeds.shop]\nurl = "https://shop.example/feed.xml"\n'
HOOK = '[webhooks.erp]\nurl = "https://erp.example/hook"\nsecret = { env = "S" }\n'


def settings_of(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "feedd.toml"
    path.write_text(FEED + text)
    return load(
        path,
        environ={"S": SECRET, "T": new_secret()} | environ,
        cwd=folder,
        check_address=address_problem,
    )


def problems_of(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_of(folder, text, **environ)
    assert all(problem.line for problem in caught.value.problems)
    return [f"{p.key}: {p.message}. {p.hint}" for p in caught.value.problems]


def test_the_least_is_an_address_and_a_secret(tmp_path: Path) -> None:
    (webhook,) = settings_of(tmp_path, HOOK).webhooks.values()
    assert (webhook.name, webhook.url) == ("erp", "https://erp.example/hook")
    assert [secret.reveal() for secret in webhook.secrets] == [SECRET]
    assert webhook.events == ("changes", "syncs", "alerts")
    assert (webhook.feeds, webhook.kinds, webhook.fields, webhook.since) == ((), (), (), None)
    assert SECRET not in repr(webhook)


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = (
        HOOK.replace('{ env = "S" }', '[{ env = "S" }, { env = "T" }]')
        + f"""
events = {list(EVENTS)!r}
enabled = false
feeds = ["shop"]
kinds = ["added", "removed"]
fields = ["price", "title"]
headers = {{ X-Api-Key = {{ env = "T" }}, X-Shop = "one" }}
timeout = "5s"
since = 0
allow_private = ["10.0.0.0/8"]
""".replace("'", '"')
    )
    (webhook,) = settings_of(tmp_path, text).webhooks.values()
    assert len(webhook.secrets) == 2
    assert (webhook.enabled, webhook.since, webhook.timeout_s) == (False, 0, 5.0)
    assert webhook.kinds == ("added", "removed")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('feeds = ["nope"]', "there is no feed 'nope'. Configured feeds: shop."),
        ('events = ["change"]', 'Did you mean "changes"?'),
        ("events = []", "is an empty list"),
        ('kinds = ["changed"]', "is not one of its values"),
        ('headers = { webhook-id = "x" }', "feedd sets this header itself"),
        ('headers = { User-Agent = "x" }', "feedd sets this header itself"),
        ('headers = { X-Api-Key = "x" }', "in plain text"),
        ('timeout = "2m"', "at most 30 s"),
        ("since = -1", "is no number of a change"),
        ('since = "now"', "is text, not a number"),
        ('evnts = ["changes"]', "Did you mean events?"),
    ],
)
def test_a_wrong_key_of_a_webhook(tmp_path: Path, line: str, says: str) -> None:
    (problem,) = problems_of(tmp_path, HOOK + line + "\n")
    assert says in problem


@pytest.mark.parametrize(
    ("url", "more", "says"),
    [
        ("http://erp.example/hook", "", "anybody on the way can read"),
        ("http://127.0.0.1:8000/", "", "http:// is for networks of your own"),
        ("https://127.0.0.1:8000/", "", 'allow_private = ["127.0.0.0/8"]'),
        ("http://10.1.2.3/", 'allow_private = ["127.0.0.0/8"]', 'allow_private = ["10.1.2.3"]'),
        ("file:///tmp/hook", "", "is no address that can be sent to"),
        ("ftp://erp.example/", "", "does not fetch"),
        ("https://user:pw@erp.example/", "", "holds a user name or password"),
    ],
)
def test_a_wrong_address(tmp_path: Path, url: str, more: str, says: str) -> None:
    (problem,) = problems_of(tmp_path, HOOK.replace("https://erp.example/hook", url) + more)
    assert says in problem


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ('"whsec_in_the_file"', "stands here in plain text"),
        ("[]", "is an empty list"),
        ('{ env = "NOWHERE" }', "is not set"),
        ('{ env = "SHORT" }', "holds 6 bytes; 24 to 64 are right. Make one: echo"),
        ('[{ env = "S" }, { env = "PLAIN" }]', "does not begin with whsec_"),
    ],
)
def test_a_wrong_secret(tmp_path: Path, secret: str, says: str) -> None:
    text = HOOK.replace('{ env = "S" }', secret)
    (problem,) = problems_of(tmp_path, text, SHORT="whsec_c2VjcmV0", PLAIN="canary-plain")
    assert says in problem
    assert "canary" not in problem
    assert "c2VjcmV0" not in problem


def test_what_is_missing_is_said_at_once(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "[webhooks.erp]\n[webhooks.Erp]\nurl = 5\n[alerts]\nafter = 0\n")
    for says in (
        "has no url",
        "has no secret",
        "'Erp' cannot be the name",
        "not a number of failures",
    ):
        assert any(says in problem for problem in found), (says, found)


def test_webhooks_stand_in_the_main_file(tmp_path: Path) -> None:
    (tmp_path / "feeds.d").mkdir()
    (tmp_path / "feeds.d" / "hook.toml").write_text(HOOK)
    (problem,) = problems_of(tmp_path, "")
    assert "only feeds and web feeds may stand in a drop-in file" in problem


def test_the_feeds_of_drop_ins_are_known(tmp_path: Path) -> None:
    (tmp_path / "feeds.d").mkdir()
    (tmp_path / "feeds.d" / "more.toml").write_text(FEED.replace("shop]", "more]"))
    (webhook,) = settings_of(tmp_path, HOOK + 'feeds = ["more"]\n').webhooks.values()
    assert webhook.feeds == ("more",)


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("after = 5", "after", Patience(failures=5)),
        ('after = "2h"', "after", Patience(seconds=7200.0)),
        ('stale_after = "6h"', "stale_after_s", 21_600.0),
        ('repeat = "0s"', "repeat_s", 0.0),
        ('command = ["/bin/true", "a b"]', "command", ("/bin/true", "a b")),
    ],
)
def test_alerts_can_be_set(tmp_path: Path, line: str, field: str, expected: Any) -> None:
    found = settings_of(tmp_path, f"[alerts]\n{line}\n").alerts
    assert getattr(found, field) == expected
    assert settings_of(tmp_path, "").alerts == AlertSettings()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('command = ["page-me"]', "the whole path of a program"),
        ('command = "page-me"', "is text, not a list"),
        ("after = true", "is not a length of time"),
        ("every = 5", "there is no such key"),
    ],
)
def test_a_wrong_key_of_alerts(tmp_path: Path, line: str, says: str) -> None:
    (problem,) = problems_of(tmp_path, f"[alerts]\n{line}\n")
    assert says in problem


def test_every_secret_is_known_to_the_log(tmp_path: Path) -> None:
    text = HOOK.replace('"https://erp.example/hook"', '{ env = "U" }')
    text += 'headers = { X-Api-Key = { env = "K" } }\n'
    found = settings_of(tmp_path, text, U="https://erp.example/hook/secret-path", K="canary-key")
    assert {SECRET, "https://erp.example/hook/secret-path", "canary-key"} <= set(
        secret_values(found)
    )


def test_without_secrets_nothing_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "feedd.toml"
    path.write_text(FEED + HOOK)
    (webhook,) = load(path, environ={}, cwd=tmp_path, with_secrets=False).webhooks.values()
    assert webhook.secrets == (Secret(None, "env S"),)
