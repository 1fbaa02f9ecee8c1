"""`feedd templates`, with a daemon that keeps an eye on the directory, and without one."""

from pathlib import Path
from typing import Any

from daemons import Running, running, wait_for, write_config
from test_cli import Shell

BROKEN = "{% if a %}\n{% elsif b %}{% endif %}"


def shell_in(folder: Path) -> Shell:
    config = write_config(folder, {})
    config.write_text(f'{config.read_text()}[templates]\ndirectory = "mails"\nprocesses = 1\n')
    return Shell(config)


def create(daemon: Running, name: str) -> str:
    attributes = {"name": name, "editor_type": "CODE", "html": "x"}
    body = {"data": {"type": "template", "attributes": attributes}}
    status, document = daemon.request("POST", "/api/templates", body)
    assert status == 201, document
    return str(document["data"]["id"])


def test_templates_are_listed_with_what_is_wrong(tmp_path: Path) -> None:
    shell = shell_in(tmp_path)
    (tmp_path / "state").mkdir()
    mails = tmp_path / "mails"
    assert (
        shell("templates") == f"the directory {mails} cannot be read: No such file or directory.\n"
    )
    mails.mkdir()
    assert f"No templates: there is no *.html below {mails}" in shell("templates")
    (mails / "flows").mkdir(parents=True)
    (mails / "b.html").write_text("Hi {{ first_name }}")
    (mails / "flows" / "a.html").write_text(BROKEN)
    (mails / "latin.html").write_bytes(b"\xff")
    (mails / "z.html").write_text("{{ a }, {{ b }")
    (mails / "old.htm").write_text("x")
    told = shell("templates")
    assert [line.split()[0] for line in told.splitlines()] == [
        "template",
        "b",
        "flows/a",
        "z",
        "2",
        "latin.html",
        "old.htm",
    ]
    assert "line 2, column" in told
    assert "warning: line 1, column 1: " in told
    assert "(2 warnings)" in told
    assert "2 files of the directory cannot be used:\n  latin.html is not UTF-8 text" in told
    assert "old.htm is no template: the names of templates end in .html" in told
    alone = shell.lines("templates")
    with running(shell.config) as daemon:
        wait_for(lambda: "template.broken" in daemon.log_path.read_text())
        assert shell.lines("templates") == alone
        made = create(daemon, "c")
        (mails / "b.html").write_text("Hello {{ first_name }}")

        def html() -> Any:
            path = f"/api/templates/{alone[0]['id']}"
            return daemon.get(path)["data"]["attributes"]["html"]

        wait_for(lambda: html() == "Hello {{ first_name }}")
        listed = {each["name"]: each for each in shell.lines("templates") if "name" in each}
        assert list(listed) == ["b", "c", "flows/a", "z"]
        assert (listed["c"]["id"], listed["c"]["file"]) == (made, None)
        assert listed["flows/a"]["problem"].startswith("line 2, column ")
        assert listed["flows/a"]["warning"] is None
        assert listed["z"]["warning"].startswith("line 1, column 1: ")
        events = {line["event"]: line for line in daemon.log()}
        assert events["template.broken"]["file"] == "flows/a.html"
        refused = {each["file"] for each in daemon.log() if each["event"] == "template.refused"}
        assert refused == {"latin.html", "old.htm"}
        assert events["templates.read"]["changed"] == 1
        mails.rename(tmp_path / "elsewhere")
        wait_for(lambda: "cannot be read" in shell("templates"))
        assert "what was read before stays" in shell("templates")
        assert "flows/a" in shell("templates")
