"""A message is shown as it would be sent: by the command, with a daemon and without, and over HTTP."""

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forked import forker

from feedd.app import build
from feedd.cli.browsing import confined
from feedd.errors import UsageError
from feedd.people.values import Identifiers
from feedd.previews import Preview
from feedd.rendering import values
from feedd.settings.account_keys import AccountSettings, AddressSettings


def run(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "given.html").write_text(given)
    return forker().run(
        ["--state-dir", str(folder / "state"), *arguments], dict(os.environ), folder
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shop")
    who = "jane.doe@example.com"
    for command in (
        ("track", "Viewed Product", who, "-p", "Name=Mug"),
        ("profile", "set", who, "first_name=Jane", "city=Oslo"),
    ):
        done = run(made, *command)
        assert done.returncode == 0, done.stderr
    return made


MAIL = "Hello {{ first_name }} of {{ person.City }}: {{ event.Name }} {{ event.none }}!"


def test_a_stored_person_and_their_newest_event_are_seen(folder: Path) -> None:
    done = run(
        folder, "render", "given.html", "--profile", "jane.doe@example.com", "--event", "Viewed Product",
        "--subject", "For {{ full_name }}", given=MAIL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Hello Jane of Oslo: Mug !\n"
    assert "subject: For Jane\n" in done.stderr


def test_what_is_made_up_wins(folder: Path) -> None:
    (folder / "event.json").write_text('{"Name": "Cup"}')
    (folder / "context.json").write_text('{"first_name": "John", "person": {"City": "Bergen"}}')
    done = run(
        folder,
        "render",
        "given.html",
        "--event",
        "@event.json",
        "--context",
        "context.json",
        given=MAIL,
    )
    assert done.stdout == "Hello John of Bergen: Cup !\n"


def test_a_made_up_event_is_as_it_is_sent(folder: Path) -> None:
    (folder / "event.json").write_text('{"$value": 7, "$extra": {"items": [{"name": "Cup"}]}}')
    mail = "{{ event.extra.items.0.name }} {{ event.value }} {{ event|lookup:'$value' }}"
    done = run(folder, "render", "given.html", "--event", "@event.json", given=mail)
    assert done.stdout == "Cup 7 7\n"


def test_what_cannot_be_meant_is_told_beside_the_message(folder: Path) -> None:
    (folder / "slips.html").write_text(
        "Hello\n{{ first_name }\n{{ frist_name }}" + "{{ evnet }}" * 5
    )
    done = run(folder, "render", "slips.html", "--subject", "{{ frist_name }}")
    assert (done.returncode, done.stdout) == (0, "Hello\n{{ first_name }\n")
    _, _, first, hint, second, *_, more = done.stderr.splitlines()
    assert first.startswith("slips.html:2:1: warning: the tag is not closed")
    assert hint.strip() == "write {{ first_name }}"
    assert second.startswith("slips.html:3:4: warning: frist_name is not known")
    assert more == "… and 3 more warnings: `feedd template check` tells all."
    told = json.loads(
        run(folder, "render", "given.html", "--json", given="{{ frist_name }}").stdout
    )
    assert [(each["line"], each["severity"]) for each in told["warnings"]] == [(1, "warning")]
    fine = run(folder, "render", "given.html", given="{{ first_name }}")
    assert "warning" not in fine.stderr


def test_a_wrong_template_is_told_with_its_place(folder: Path) -> None:
    (folder / "wrong.html").write_text("fine\n  {{ first_name|nothing_like_it }}\n")
    done = run(folder, "render", "wrong.html")
    assert done.returncode == 1
    assert done.stdout == ""
    first, line, caret, *_ = done.stderr.splitlines()
    assert first.startswith("wrong.html:2:")
    assert line == "      {{ first_name|nothing_like_it }}"
    assert caret.strip() == "^"


def test_all_of_it_as_json(folder: Path) -> None:
    words = ["--state-dir", "state", "render", "-", "--json", "--now", "2026-01-31T12:00Z"]
    done = subprocess.run(
        [sys.executable, "-m", "feedd", *words],
        cwd=folder,
        input="{% now 'Y' %}",
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = json.loads(done.stdout)
    assert found["status"] == "rendered"
    assert found["html"] == "2026"
    assert found["now"] == "2026-01-31T12:00:00Z"
    assert found["position"]["seq"] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["render", "no-such-template"], "no-such-template"),
        (["render", "mails/none.html"], "there is no file mails/none.html"),
        (["render", "."], "is a directory"),
        (["render", "nul.html"], "nul.html holds a NUL character in line 2"),
        (["render", "given.html", "--profile", "nobody@example.com"], "nobody@example.com"),
        (["render", "given.html", "--event", "Never Heard Of"], "Never Heard Of"),
        (["render", "given.html", "--context", "wrong.txt"], "is no JSON object"),
    ],
)
def test_what_is_not_there_is_told(folder: Path, arguments: list[str], told: str) -> None:
    (folder / "wrong.txt").write_text("[1]")
    (folder / "nul.html").write_text("a\n\0")
    done = run(folder, *arguments, given="x")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_text_of_a_file_lies_beside_it(folder: Path) -> None:
    (folder / "both.html").write_text("<b>html</b>")
    (folder / "both.txt").write_text("text of {{ 1 }}")
    assert run(folder, "render", "both.html", "--text").stdout == "text of 1\n"
    assert run(folder, "render", "both.html").stdout == "<b>html</b>\n"


def test_a_template_is_found_beside_a_directory_and_by_its_path(folder: Path) -> None:
    mails = folder / "mails" / "deep"
    mails.mkdir(parents=True)
    (mails / "cart.html").write_text("cart")
    (folder / "feedd.toml").write_text('[templates]\ndirectory = "mails"\n')
    (folder / "deep" / "cart").mkdir(parents=True)
    for name in ("deep/cart", "deep/cart.html"):
        done = run(folder, "--config", "feedd.toml", "render", name)
        assert done.stdout == "cart\n", done.stderr
    (folder / "feedd.toml").unlink()


def test_a_time_without_a_zone_is_one_of_the_account(folder: Path) -> None:
    (folder / "oslo.toml").write_text('[account]\ntimezone = "Europe/Oslo"\n')
    for given, shown in (
        ("2026-12-24", "2026-12-24T00:00:00+01:00"),
        ("2026-12-24T00:00Z", "2026-12-24T01:00:00+01:00"),
    ):
        done = run(
            folder,
            "--config",
            "oslo.toml",
            "render",
            "given.html",
            "--now",
            given,
            given="{% now 'c' %}",
        )
        assert done.stdout == f"{shown}\n"


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("more", [[], ["--text"], ["--json"]])
def test_a_message_is_opened_in_a_browser(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], opens: bool
) -> None:
    programs = folder / f"bin-{opens}{len(more)}"
    programs.mkdir(exist_ok=True)
    opener = programs / "xdg-open"
    opener.write_text(f'#!/bin/sh\ncp "$1" "{folder}/opened"; echo noise >&2; exit {1 - opens}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("TMPDIR", str(folder))
    done = run(
        folder, "render", "given.html", "--open", *more, given="<!DOCTYPE html><p>1 &lt; 2</p>"
    )
    page = (folder / "opened").read_text()
    assert "noise" not in done.stderr
    assert ("<pre" in page) is ("--text" in more)
    assert "1 &lt; 2" in page
    assert page.startswith('<!DOCTYPE html><meta charset="utf-8"><meta http-equiv=')
    assert (json.loads(done.stdout)["status"] if "--json" in more else done.stdout) in (
        "",
        "rendered",
    )
    assert done.returncode == (0 if opens else 1)
    assert ("no browser can be opened here" in done.stderr) is not opens


@pytest.mark.parametrize(
    ("begin", "rest"),
    [
        ("", "<p>x"),
        ("", "x<!doctype html>"),
        ("", "\xa0<!doctype html><script>"),
        ("<!doctype html>", "<html><head><script>"),
        (' \n<?xml version="1.0"?><!-- <a> --><!DOCTYPE html PUBLIC "x">', "<html>"),
        # a browser sees these comments end sooner
        ("", "<!--><script>a</script><!doctype html>-->"),
        ("", "<!-- --!><script>a</script><!doctype html> -->"),
        ("", "<!-- <!doctype html>"),
    ],
)
def test_nothing_that_runs_stands_before_the_policy(begin: str, rest: str) -> None:
    page = confined(begin + rest)
    assert page.startswith(f"{begin}<meta charset=")
    assert page.endswith(f"'none'\">{rest}")


def test_the_names_of_a_person_are_klaviyos(folder: Path) -> None:
    from feedd.settings import load

    app = build(load(state_dir=folder / "state", environ={}, cwd=folder))
    try:
        profile = app.persons.find(Identifiers(email="jane.doe@example.com"))
        person = values.person_of(profile)
        shown = app.previews.render(
            Preview(html="{{ person|lookup:'$city' }}", profile=Identifiers(profile=profile.id))
        )
    finally:
        app.close()
    assert person["KlaviyoID"] == profile.id
    assert person["City"] == person["city"] == person["$city"] == "Oslo"
    assert person["full_name"] == "Jane"
    assert shown.status in ("rendered", "failed")


@pytest.mark.parametrize("year", [1, 1899, 9000, 9999])
def test_there_is_time_before_and_after_a_message(folder: Path, year: int) -> None:
    from feedd.settings import load

    app = build(load(state_dir=folder / "state", environ={}, cwd=folder))
    now = datetime(year, 12, 31, 23, tzinfo=UTC)
    with closing(app), pytest.raises(UsageError, match=r"no message is sent at .* 1900 to 8999"):
        app.previews.render(Preview(html="{% now 'r' %}", now=now))


def test_the_organization_is_the_accounts() -> None:
    account = AccountSettings(
        organization="Example Shop",
        website="https://shop.example",
        address=AddressSettings(address1="1 Main Street", city="Boston", region="MA", zip="02110"),
    )
    assert values.organization_of(account) == {
        "name": "Example Shop",
        "url": "https://shop.example",
        "full_address": "1 Main Street, Boston, MA 02110",
        "street_address": "1 Main Street",
        "city": "Boston",
        "region": "MA",
        "zip_code": "02110",
    }
