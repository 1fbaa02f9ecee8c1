"""`feedd template check`: every problem of every file, for people and for programs."""

import json
import os
import subprocess
from pathlib import Path

from forked import forker

from feedd.cli.pointing import pointed

FIELDS = ["file", "line", "column", "length", "severity", "message", "hint"]


def check(
    folder: Path, *words: str, configured: str = "", **variables: str
) -> "subprocess.CompletedProcess[str]":
    config = folder / "feedd.toml"
    config.write_text(configured)
    env = os.environ | {"NO_COLOR": "1", "PYTHONWARNINGS": "error"} | variables
    return forker().run(["--config", str(config), "template", "check", *words], env)


def test_every_file_of_a_directory_is_looked_at(tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    (mails / "deep").mkdir(parents=True)
    (mails / "a.html").write_text("fine {{ first_name }}")
    (mails / "b.html").write_text(
        "<p>\n\tHi {{ first_name | default: 'there' }}</p>\n{{ frist_name }}"
    )
    (mails / "deep" / "c.txt").write_text("{% if a %}")
    (mails / "deep" / "d.txt").write_bytes(b"caf\xe9")
    (mails / "notes.md").write_text("{% if a %}")
    done = check(tmp_path, str(mails))
    assert done.returncode == 1
    assert done.stderr == "4 templates checked: 3 errors and 1 warning in 3 files.\n"
    assert done.stdout.splitlines()[:4] == [
        f"{mails}/b.html:2:29: error: no space may stand after the colon of a filter",
        "    2 |  Hi {{ first_name | default: 'there' }}</p>",
        "      |                             ^",
        "      = write {{ first_name | default:'there' }}",
    ]
    assert f"{mails}/deep/c.txt:1:1: error: the {{% if %}}" in done.stdout
    assert "not UTF-8" in done.stdout
    assert "notes.md" not in done.stdout


def test_programs_get_an_object_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{{ frist_name }}{{ a.b() }}")
    done = check(tmp_path, str(tmp_path / "a.html"), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(each) for each in told] == [FIELDS, FIELDS]
    assert [(each["column"], each["severity"]) for each in told] == [(4, "warning"), (20, "error")]


def test_warnings_alone_are_a_success(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{{ frist_name }}")
    assert check(tmp_path, str(tmp_path)).returncode == 0
    (tmp_path / "a.html").write_text("{{ first_name }}")
    done = check(tmp_path, str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 template checked: no problems.\n"


CONFIGURED = """
[feeds.shop]
url = "https://shop.example/shop.json"
[feeds.outlet]
url = "https://shop.example/outlet.json"
catalog = "bargains"
[web_feeds.news]
url = "https://news.example/feed.json"
every = "1h"
"""


def test_names_that_are_not_configured_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '{% items "shop" as a %}{% items "bargains" as b %}{% changes "outlte" as c %}{{ feeds.nwes }}'
    )
    done = check(tmp_path, str(tmp_path / "a.html"), "--json", configured=CONFIGURED)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["hint"] for each in told] == [
        'did you mean outlet? write "outlet"',
        "did you mean feeds.news?",
    ]


def test_more_problems_than_are_told_are_not_all(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{{ a b }}" * 300)
    done = check(tmp_path, str(tmp_path))
    assert done.stderr.splitlines()[1] == "There are more: of a template, the first 200 are told."


def test_what_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert "no file" in check(tmp_path, str(tmp_path / "none.html")).stderr
    assert check(tmp_path, str(tmp_path / "none.html")).returncode == 2
    done = check(tmp_path, str(tmp_path))
    assert done.returncode == 2
    assert "*.html" in done.stderr


def test_a_terminal_gets_colours_and_no_commands_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("\x1b[2J{{ a | b: 'c' }}")
    done = check(tmp_path, str(tmp_path / "a.html"), NO_COLOR="", FORCE_COLOR="1")
    assert "\x1b[1;31m" in done.stdout
    assert "\x1b[2J" not in done.stdout


def test_hostile_files_end_too(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{{" * 50_000)
    (tmp_path / "b.html").write_text("x" * (2 * 1024 * 1024))
    (tmp_path / "c.html").write_text("{{ a | b: 'c' }}")
    os.mkfifo(tmp_path / "d.html")
    done = check(tmp_path, str(tmp_path))
    assert done.returncode == 1
    for name in "abcd":
        assert f"{name}.html:1:" in done.stdout, done.stdout


def test_the_mark_stands_below_what_is_meant() -> None:
    for line, column in (
        ("日本 {{ a }}", 7),
        ("e\u0301{{ a }}", 6),
        ("\t{{ a }}", 5),
        ("\x1b{{ a }}", 5),
    ):
        shown, marks = pointed(line, column)
        wide = shown.replace("日本", "xxxx").replace("e\u0301", "e")
        assert wide[marks.index("^")] == "a"
    long = "x" * 500 + "{{ a }}" + "y" * 500
    shown, marks = pointed(long, 504)
    assert len(shown) < 130
    assert shown[marks.index("^")] == "a"
    assert pointed("", 1) == ("", "^")
