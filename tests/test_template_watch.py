"""The daemon's look at the directory of templates: what it logs, and that nothing stops it."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from daemons import wait_for

from feedd import logs
from feedd.app import App
from feedd.errors import Overloaded, StoreError
from feedd.settings import Settings, TemplateSettings
from feedd.stored_templates import StoredTemplates
from feedd.template_watch import TemplateWatch
from feedd.templates.wire import Known, Problem


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level
    logs.configure(stream, "info")
    yield stream
    root.handlers = [each for each in root.handlers if getattr(each, "stream", None) is not stream]
    root.setLevel(level)
    structlog.reset_defaults()


class Shop:
    """An App whose templates are watched; a source with the word BROKEN in it is, and `busy` checks are refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "templates"
        self.folder.mkdir()
        (self.folder / "README.md").touch()
        settings = Settings(
            state_dir=folder / "state",
            socket=folder / "s",
            templates=TemplateSettings(directory=self.folder),
        )
        (folder / "state").mkdir()
        self.app = App(settings)
        self.busy = 0
        self.checked: list[str] = []
        self.app.templates = StoredTemplates(
            lambda: self.app.settings, self.app.people, self.check, daemon="a"
        )
        self.watch = TemplateWatch(self.app, poll_s=0.01)

    def check(self, source: str, known: Known) -> list[Problem]:
        self.checked.append(source)
        if self.busy:
            self.busy -= 1
            raise Overloaded
        problem = Problem(line=1, column=2, message="is broken", hint="Mend it.")
        return [problem] if "BROKEN" in source else []


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.watch.stop()
    made.app.close()


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [{k: v for k, v in each.items() if k not in ("timestamp", "logger")} for each in found]


def test_what_happens_to_files_is_logged(shop: Shop, log: io.StringIO) -> None:
    (shop.folder / "a.html").write_text("x")
    shop.watch.start()
    wait_for(lambda: shop.checked)
    shop.busy = 2
    (shop.folder / "a.html").write_text("BROKEN")
    wait_for(lambda: "template.broken" in log.getvalue())
    (shop.folder / "a.html").write_bytes(b"\xff")
    wait_for(lambda: "template.refused" in log.getvalue())
    (shop.folder / "a.html").unlink()
    wait_for(lambda: len(lines(log)) == 7)
    (shop.folder / "README.md").unlink()
    shop.folder.rmdir()
    wait_for(lambda: "templates.error" in log.getvalue())
    busy = {
        "level": "error",
        "event": "store.error",
        "error": "too much is waiting to be written. Nothing of this was taken: send it again.",
    }
    assert lines(log) == [
        {"level": "info", "event": "templates.read", "added": 1, "changed": 0, "removed": 0},
        {"level": "info", "event": "templates.read", "added": 0, "changed": 1, "removed": 0},
        busy,
        busy,
        {
            "level": "warning",
            "event": "template.broken",
            "file": "a.html",
            "problem": "line 1, column 2: is broken",
            "hint": "Mend it.",
        },
        {
            "level": "warning",
            "event": "template.refused",
            "file": "a.html",
            "reason": "is not UTF-8 text, see line 1",
        },
        {"level": "info", "event": "templates.read", "added": 0, "changed": 0, "removed": 1},
        {
            "level": "error",
            "event": "templates.error",
            "error": f"the directory {shop.folder} cannot be read: No such file or directory",
        },
    ]


def test_neither_a_database_nor_a_bug_ends_it(
    shop: Shop, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [StoreError("the disk is full"), RuntimeError("a bug")]
    refresh = shop.app.templates.refresh

    def failing() -> Any:
        if errors:
            raise errors.pop(0)
        return refresh()

    monkeypatch.setattr(shop.app.templates, "refresh", failing)
    (shop.folder / "a.html").write_text("x")
    shop.watch.start()
    wait_for(lambda: "templates.read" in log.getvalue())
    events = [(each["event"], each.get("error")) for each in lines(log)]
    assert events[:2] == [("store.error", "the disk is full"), ("templates.error", None)]
