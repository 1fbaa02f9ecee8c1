"""Templates as shops write them, each beside what it gives: `NAME.html` with `NAME.json` and `NAME.expected.html`, or `NAME.problems.txt`."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from templating import LINKS, NOW

from feedd.templates.check import problems
from feedd.templates.engine import compiled
from feedd.templates.message import Message, Rendering
from feedd.templates.wire import Account, AskItem, Limits, Question

DATA = Path(__file__).parent / "data" / "templates"
SOUND = sorted(path.name.removesuffix(".expected.html") for path in DATA.glob("*.expected.html"))
BROKEN = sorted(path.name.removesuffix(".problems.txt") for path in DATA.glob("*.problems.txt"))


def rendered(name: str) -> str:
    given = json.loads((DATA / f"{name}.json").read_text())

    def answer(question: Question) -> Any:
        assert isinstance(question, AskItem)
        return given["items"].get(question.item)

    message = Message(
        account=Account(organization="Example Shop"),
        now=datetime.fromisoformat(NOW).replace(tzinfo=ZoneInfo("UTC")),
        answer=answer,
        limits=Limits(),
        links=LINKS,
        preview_text=given.get("preview_text", ""),
    )
    source = (DATA / f"{name}.html").read_text()
    return str(compiled(source).render(Rendering(given["values"], message)))


def explained(name: str) -> str:
    found = problems((DATA / f"{name}.html").read_text())
    lines = (
        f"{p.line}:{p.column} +{p.length} {p.severity}: {p.message}\n    {p.hint}\n" for p in found
    )
    return "".join(lines)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_template_gives_what_its_author_means(name: str) -> None:
    assert rendered(name) == (DATA / f"{name}.expected.html").read_text()
    assert problems((DATA / f"{name}.html").read_text()) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_explained(name: str) -> None:
    assert explained(name) == (DATA / f"{name}.problems.txt").read_text()


def test_every_template_has_its_pair() -> None:
    names = {path.name.split(".")[0] for path in DATA.glob("*.html")}
    assert names == {*SOUND, *BROKEN}
