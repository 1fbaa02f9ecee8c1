"""Profiles, events and files of them on the command line, beside a daemon and without one."""

import csv
import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemons import running, wait_for, write_config
from test_cli import Shell, Terminal

JANE = "jane.doe@example.com"


@pytest.fixture(params=["daemon", "alone"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(write_config(tmp_path, {}))
    if request.param == "alone":
        yield made
        return
    with running(made.config):
        yield made


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    return Shell(write_config(tmp_path, {}))


def profile(shell: Shell, *who: str) -> dict[str, Any]:
    (found,) = shell.lines("profile", "show", *who)
    return dict(found)


def lines_of(path: Path, *objects: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in objects))
    return str(path)


def test_a_person_is_made_and_changed(shell: Shell) -> None:
    made = shell.lines(
        "profile", "set", JANE, "first_name=Jane", "points:=12", 'tags:=["a","b"]', "zip=0123"
    )
    assert made[0]["created"]
    shell("profile", "set", JANE, "--append", "tags=c", "--unappend", "tags=a", "--unset", "points")
    shell("profile", "set", JANE, "--phone", "+1 415 555 0123", "--external-id", "C-1")
    for who in (
        [JANE],
        ["+14155550123"],
        ["external:C-1"],
        ["--external-id", "C-1"],
        [made[0]["id"].lower()],
    ):
        found = profile(shell, *who)
        assert found["id"] == made[0]["id"]
    assert found["properties"] == {"$first_name": "Jane", "tags": ["b", "c"], "$zip": "0123"}
    assert found["external_id"] == "C-1"
    shell("profile", "set", "external:C-1", "--email", "new@example.com", "--unset", "phone_number")
    found = profile(shell, "new@example.com")
    assert (found["id"], found["phone_number"]) == (made[0]["id"], None)
    assert JANE in shell.failing(2, "profile", "show", JANE)
    shown = shell("profile", "show", "new@example.com")
    assert "Jane  new@example.com" in shown
    assert "No events." in shown


@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_an_identifier_of_another_is_not_taken(shell: Shell) -> None:
    shell("profile", "set", JANE, "a=1")
    shell("profile", "set", "joe@example.com", "a=2")
    assert "profile merge" in shell.failing(2, "profile", "set", "joe@example.com", "--email", JANE)
    assert profile(shell, "joe@example.com")["properties"] == {"a": "2"}
    shell("profile", "set", JANE, "--phone", "+14155550123")
    told = shell.failing(2, "profile", "set", "new@example.com", "b=1", "--phone", "+14155550123")
    assert "+14155550123 is another profile's" in told
    assert profile(shell, JANE)["phone_number"] == "+14155550123"
    assert profile(shell, "new@example.com")["properties"] == {"b": "1"}


def test_what_somebody_did_is_recorded_once_and_shown(shell: Shell) -> None:
    order = ("track", "Placed Order", JANE, "-p", "OrderId=7", "-p", "Items:=3", "--value", "29.9")
    (first,) = shell.lines(*order, "--unique-id", "7", "--time", "2026-01-01T10:00:00Z")
    assert first == {"metric": "Placed Order", "recorded": True, "created": True}
    assert "not again" in shell(*order, "--unique-id", "7")
    shell("track", "Viewed Product", "anonymous:b-1", "-p", "ProductID=M-1", "--once")
    assert "not again" in shell("track", "Viewed Product", "anonymous:b-1", "--once")
    shell("identify", JANE, "anonymous:b-1", "city=Oslo")
    found = profile(shell, JANE)
    assert found["anonymous_ids"] == ["b-1"]
    assert found["properties"] == {"$city": "Oslo"}
    viewed, ordered = found["events"]
    assert (viewed["metric"], viewed["properties"]) == ("Viewed Product", {"ProductID": "M-1"})
    assert ordered["properties"] == {"OrderId": "7", "Items": 3}
    assert (ordered["value"], ordered["at"]) == (29.9, "2026-01-01T10:00:00Z")
    shown = shell("profile", "show", JANE, "--metric", "Placed Order", "--since", "2026-01-01")
    assert "OrderId 7, Items 3" in shown
    assert "Viewed" not in shown


def test_metrics_are_listed_and_their_events_are_told(shell: Shell) -> None:
    shell("track", "Placed Order", JANE, "--time", "2026-01-01")
    shell("track", "Placed Order", JANE)
    shell("track", "Viewed Product", "joe@example.com")
    viewed, ordered = sorted(shell.lines("metrics"), key=lambda m: str(m["name"]), reverse=True)
    assert (ordered["name"], ordered["events"], ordered["day"]) == ("Placed Order", 2, 1)
    assert (viewed["events"], viewed["week"]) == (1, 1)
    assert shell.lines("metrics") == shell.lines("metrics", "list")
    events = shell.lines("metrics", "timeline")
    assert [each["person"] for each in events][-1] == JANE
    assert len(shell.lines("metrics", "timeline", "Placed Order", "--limit", "1")) == 1
    assert JANE in shell("metrics", "timeline", ordered["id"])
    assert "no metric 'Oops'" in shell.failing(2, "metrics", "timeline", "Oops")


def test_the_timeline_is_followed_over_a_restart_of_the_daemon(tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {}))
    with running(shell.config) as daemon:
        shell("track", "Placed Order", JANE)
        follower = subprocess.Popen(
            shell.command("metrics", "timeline", "--follow", "--json"),
            stdout=subprocess.PIPE,
            text=True,
            env=shell.env,
        )
        try:
            assert follower.stdout is not None
            assert json.loads(follower.stdout.readline())["metric"] == "Placed Order"
            daemon.stop()
            daemon.start()
            shell("track", "Viewed Product", JANE)
            assert json.loads(follower.stdout.readline())["metric"] == "Viewed Product"
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 0
        finally:
            follower.kill()
            follower.communicate()


def test_profiles_are_merged_and_deleted_when_that_is_confirmed(shell: Shell) -> None:
    shell("track", "Placed Order", JANE, "-p", "Name=Jane")
    shell("profile", "set", JANE, "first_name=Jane", "plan=gold")
    shell("profile", "set", "external:C-1", "plan=free")
    assert "--yes" in shell.failing(2, "profile", "merge", JANE, "external:C-1")
    (done,) = shell.lines("profile", "merge", JANE, "external:C-1", "--yes")
    assert done["properties"] == {"plan": "free", "$first_name": "Jane"}
    assert len(done["merged"]) == 1
    assert profile(shell, done["merged"][0])["id"] == done["id"]
    assert "the same profile" in shell.failing(2, "profile", "merge", JANE, "external:C-1", "--yes")
    terminal = Terminal(shell.command("profile", "delete", JANE))
    terminal.read_until(b"[y/N]")
    terminal.type(b"n\n")
    assert terminal.end() == 1
    assert "names nobody" not in terminal.shown.decode()
    assert "is deleted" in shell("profile", "delete", JANE, "--yes")
    shell.failing(2, "profile", "show", JANE)
    (event,) = shell.lines("metrics", "timeline")
    assert event["person"] is None
    assert event["properties"] == {"Name": "redacted"}


REFUSED = (
    (["profile", "show"], "say who"),
    (["profile", "show", "jane"], "external:jane"),
    (["profile", "show", "0171 2345678"], "with its country"),
    (["profile", "show", JANE, "--since", "soon"], "cannot be read"),
    (["profile", "set", JANE], "nothing to set"),
    (["profile", "set", JANE, "a"], "name=value"),
    (["profile", "set", JANE, "a:=x"], "no JSON"),
    (["profile", "set", JANE, "email=x"], "--email"),
    (["profile", "set", "01JQZX3M8N4T5V6W7X8Y9ZABCD", "a=1"], "nobody"),
    (["profile", "merge", JANE], "two profiles"),
    (["profile", "import", "/nowhere.csv"], "cannot read"),
    (["track"], "say what was done"),
    (["track", "A"], "say who"),
    (["track", "A", JANE, "joe@example.com"], "two people"),
    (["track", "A", JANE, "--time", "1980-01-01"], "1990"),
    (["track", "A", "--import", "x"], "Name no event"),
    (["identify", "a=1"], "say who"),
    (["metrics", "chart", "A", "--last", "2999-01-01"], "ahead"),
    (["metrics", "chart", "A", "--last", "30x"], "Write 7d, 12h or"),
    (["identify", JANE, "email=new@example.com"], "feedd profile set WHO"),
    (["profile", "show", "01JQZX3M8N4T5V6W7X8Y9ZABCD"], "nobody with feedd's id"),
)


def test_what_an_import_would_refuse_cannot_be_set(alone: Shell) -> None:
    for words in (
        [f"a:={'[' * 65}{']' * 65}"],
        ["a=" + "x" * 102_401],
        ["--append", "a=" + "x" * 102_401],
    ):
        assert "a" in alone.failing(2, "profile", "set", JANE, *words)
    assert "nobody" in alone.failing(2, "profile", "show", JANE)


def test_words_that_make_no_sense_are_refused(alone: Shell) -> None:
    for words, says in REFUSED:
        assert says in " ".join(alone.failing(2, *words).split()), words


def test_a_file_of_profiles_is_taken_in(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "\ufeffEmail Address,First Name,Points,Tags,Phone\r\n"
        f'{JANE},Jane,12,"[""a"",""b""]",\r\n'
        "joe,Joe,1,,\r\n"
        'ann@example.com,"Ann,1,,\r\n'
        "kim@example.com,Kim,,,+14155550123\r\n",
        encoding="utf-8",
    )
    done = shell.run("profile", "import", str(path), "--json")
    assert done.returncode == 1
    assert "line 3, Email Address: 'joe'" in done.stderr
    assert "line 4: 'ann@example.com" in done.stderr
    assert "never closed" in done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["profiles_created"], told["bad_rows"]) == (4, 2, 2)
    assert told["errors"] == f"{path}.errors.csv"
    with Path(told["errors"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["column"]) for row in rows] == [("3", "Email Address"), ("4", "")]
    found = profile(shell, JANE)
    assert found["properties"] == {"$first_name": "Jane", "Points": 12, "Tags": ["a", "b"]}
    again = shell.run("profile", "import", str(path))
    assert (again.returncode, again.stdout) == (0, "")
    assert "--again" in again.stderr
    again = shell.run("profile", "import", str(path), "--json")
    assert (again.returncode, json.loads(again.stdout)["resumed_after"]) == (1, 4)
    path.write_text("Email,First Name,Points\n" + f"{JANE},,13\n")
    shell("profile", "import", str(path))
    assert profile(shell, JANE)["properties"] == found["properties"] | {"Points": 13}


def test_an_export_is_imported_without_loss(shell: Shell, tmp_path: Path) -> None:
    own = {
        "Email": "mine",
        "n": "5",
        "m": 5,
        "x": 1e300,
        "f": "=1+1",
        "big": 2**70,
        "o": {"a": [1]},
    }
    lines_of(
        tmp_path / "in.jsonl",
        {"email": JANE, "external_id": "007", "properties": own | {"$zip": "0123", "$title": "-"}},
        {"anonymous_ids": ["b-1", "2"], "properties": {"n": ""}},
    )
    shell("profile", "import", str(tmp_path / "in.jsonl"))
    long = {"long": "x" * 90_000, "longer": "y" * 100_000}
    for name, value in long.items():
        shell("profile", "set", JANE, f"{name}={value}")
    before = shell.lines("profile", "export", "-", "--as", "jsonl")
    assert before[0]["properties"] == own | {"$zip": "0123", "$title": "-"} | long
    for name in ("out.csv", "out.jsonl"):
        shell("profile", "export", str(tmp_path / name))
        other = tmp_path / name.replace(".", "-")
        other.mkdir()
        elsewhere = Shell(write_config(other, {}))
        elsewhere("profile", "import", str(tmp_path / name))
        after = elsewhere.lines("profile", "export", "-", "--as", "jsonl")
        for one, same in zip(before, after, strict=True):
            for field in ("email", "external_id", "anonymous_ids", "properties"):
                assert json.dumps(one[field], sort_keys=True) == json.dumps(
                    same[field], sort_keys=True
                )
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r")]
    assert (tmp_path / "out.csv").stat().st_mode & 0o077 == 0


def test_rows_are_taken_where_what_was_wrong_cannot_be_written(
    alone: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"Email\njoe\n{JANE}\n")
    Path(f"{path}.errors.csv").mkdir()
    done = alone.run("profile", "import", str(path))
    assert done.returncode == 1
    assert "--errors PATH" in done.stderr
    assert "1 profile made" in done.stdout
    elsewhere = tmp_path / "wrong.csv"
    alone.failing(1, "profile", "import", str(path), "--again", "--errors", str(elsewhere))
    assert "joe" in elsewhere.read_text()


def test_events_of_a_file_are_recorded_and_their_repeats_are_not(
    shell: Shell, tmp_path: Path
) -> None:
    path = lines_of(
        tmp_path / "events.jsonl",
        {"event": "Placed Order", "email": JANE, "time": 1767225600, "unique_id": "1", "value": 5},
        {"event": "Placed Order", "email": JANE, "time": 1767225601, "unique_id": "1"},
        {
            "token": "x",
            "event": "Viewed Product",
            "customer_properties": {"$email": JANE, "$city": "Oslo"},
            "properties": {"$value": 2, "Big": 2**70},
            "time": 1767225602,
        },
        {"event": "Viewed Product", "time": 5},
    )
    done = shell.run("track", "--import", path, "--json")
    assert done.returncode == 1
    assert "line 4, time:" in done.stderr
    told = json.loads(done.stdout)
    assert (told["events"], told["duplicates"], told["bad_rows"]) == (2, 1, 1)
    found = profile(shell, JANE)
    assert found["properties"] == {"$city": "Oslo"}
    assert found["events"][0]["properties"] == {"$value": 2, "Big": 2**70}
    assert found["events"][0]["source"] == "import"


@pytest.mark.parametrize("shell", ["daemon"], indirect=True)
def test_what_is_piped_in_is_taken_and_cannot_be_resumed(shell: Shell, tmp_path: Path) -> None:
    for words, text in (
        (("profile", "import", "-"), f"Email;City\n{JANE};Oslo\n"),
        (("track", "--import", "-"), json.dumps({"event": "A", "email": JANE}) + "\n"),
    ):
        done = subprocess.run(
            shell.command(*words), input=text, capture_output=True, text=True, env=shell.env
        )
        assert done.returncode == 0, done.stderr
        assert "cannot be resumed" in done.stderr
    found = profile(shell, JANE)
    assert (found["properties"], len(found["events"])) == ({"$city": "Oslo"}, 1)
    assert {path.name for path in tmp_path.iterdir()} <= {"feedd.toml", "state", "daemon.log"}


STRANGE = (
    (b"", "empty"),
    (b"Name,City\nAnn,Oslo\n", "no column says who"),
    (b'[{"email": "a@example.com"}]', "jq"),
    ("Email\n".encode("utf-16"), "UTF-16"),
    (b"\x1f\x8b0", "compressed"),
    (b"PK\x03\x04", "spreadsheet"),
    (b'"Email\n', "first row"),
)


def test_a_file_that_is_something_else_is_refused(alone: Shell, tmp_path: Path) -> None:
    path = tmp_path / "people"
    for content, says in STRANGE:
        path.write_bytes(content)
        assert says in alone.failing(2, "profile", "import", str(path))


def test_an_import_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path, rows = tmp_path / "events.jsonl", 45_000  # some commits
    shell = Shell(write_config(tmp_path, {}))
    with path.open("w") as out:
        for number in range(rows):
            who = "nobody" if number % 1_000 == 7 else f"p{number % 500}@example.com"
            event = {"event": "A", "email": who, "time": 1767225600, "unique_id": str(number)}
            out.write(json.dumps(event) + "\n")
    process = subprocess.Popen(
        shell.command("track", "--import", str(path)), stderr=subprocess.DEVNULL, env=shell.env
    )
    wait_for(lambda: imported(tmp_path) >= 2_000)
    process.kill()
    process.wait()
    assert 2_000 <= imported(tmp_path) < rows
    done = shell.run("track", "--import", str(path), "--json")
    assert done.returncode == 1
    assert "Goes on after" in done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["events"], told["duplicates"]) == (rows, rows - 45, 0)
    assert told["profiles_created"] == 500
    with Path(told["errors"]).open(newline="") as file:
        assert [row["line"] for row in csv.DictReader(file)] == [
            str(number * 1_000 + 8) for number in range(45)
        ]


def imported(folder: Path) -> int:
    """How many rows an import has behind it, as is stored."""
    try:
        with sqlite3.connect(f"file:{folder}/state/people.db?mode=ro", uri=True) as database:
            return int(database.execute("SELECT rows FROM imports").fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0
    finally:
        if "database" in locals():
            database.close()


def test_a_long_import_shows_how_far_it_is(tmp_path: Path) -> None:
    shell = Shell(write_config(tmp_path, {}))
    path = tmp_path / "people.csv"
    emails = (f"p{n}@example.com,{n}\n" for n in range(20_000))
    path.write_text("Email,Points\n" + "".join(emails))
    terminal = Terminal(shell.command("profile", "import", str(path)))
    assert terminal.end() == 0
    shown = terminal.shown.decode()
    assert "rows" in shown
    assert "/s" in shown
    assert "20,000 profiles made" in shown


@pytest.mark.parametrize("shell", ["alone"], indirect=True)
def test_a_metric_is_drawn_over_time(shell: Shell, tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "events.jsonl",
        *(
            {
                "event": "Placed Order",
                "email": f"p{n % 2}@example.com",
                "time": f"2026-01-0{1 + n % 3}T12:00:00Z",
                "unique_id": str(n),
                "value": n / 10,
                "properties": {"Kind": "Mug" if n else "Vase"},
            }
            for n in range(4)
        ),
    )
    shell("track", "--import", path)
    words = ("metrics", "chart", "Placed Order", "--last", "2026-01-01", "--timezone", "UTC")
    days = [each["number"] for each in shell.lines(*words)]
    assert days[:4] == [2, 1, 1, 0]
    assert [each["number"] for each in shell.lines(*words, "--by", "month")][:2] == [4, 0]
    assert [each["number"] for each in shell.lines(*words, "--measure", "sum")][:3] == [
        0.3,
        0.1,
        0.2,
    ]
    by_kind = shell.lines(*words, "--property", "Kind")
    assert [each["number"] for each in by_kind if each["value"] == "Mug"][:3] == [1, 1, 1]
    shown = shell(*words)
    assert "Placed Order: 4 events\n2026-01-01 Thu  2\n2026-01-02 Fri  1\n" in shown
    summed = shell(*words, "--measure", "sum")
    assert (
        "Placed Order: 0.60 sum of values\n2026-01-01 Thu  0.30\n2026-01-02 Fri  0.10\n" in summed
    )
    assert "Sun  0.00\n" in summed
    assert re.search(r"^Mug +3$", shell(*words, "--property", "Kind"), re.MULTILINE)
    assert "no time zone" in shell.failing(2, *words[:-1], "Mars/X")
    terminal = Terminal(shell.command(*words))
    assert terminal.end() == 0
    assert "█" in terminal.shown.decode()
