"""The page of tags and filters has all that there are, and each of its examples gives what it says."""

import json
import re
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from templating import shown

from feedd.rendering import Recipient, Renderer, Source
from feedd.rendering.lookups import Lookups
from feedd.templates.library import build
from feedd.templates.tags.absent import ABSENT
from feedd.templates.wire import Account

PAGE = (Path(__file__).parent.parent / "docs" / "template-reference.md").read_text()
CELLS = re.compile(r"(?<!\\)\|")
SETTING = re.compile(r'(\w+) = "(.+)"')


class Row(NamedTuple):
    heads: list[str]
    example: str
    result: str = ""


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in CELLS.split(line.strip("|"))]


def code(cell: str) -> str:
    return cell[1:-1] if cell.startswith("`") else cell


def rows(head: str) -> list[Row]:
    """The rows of all tables whose first column is called so."""
    found = []
    for table in re.findall(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        for line in table.splitlines():
            first, *others = cells(line)
            found.append(Row(re.findall(r"`([^`]+)`", first), *map(code, others[-2:])))
    return found


def names(head: str) -> list[str]:
    return [name for row in rows(head) for name in row.heads]


def values() -> dict[str, object]:
    block = re.search(r"```json\n(.+?)```", PAGE, re.DOTALL)
    assert block is not None
    found: dict[str, object] = json.loads(block[1])
    return found


VALUES = values()
EXAMPLES = [row for head in ("Tag", "Filter") for row in rows(head) if row.example]


def same(found: str) -> str:
    return " ".join(found.split())


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: row.example)
def test_an_example_gives_what_is_said(row: Row) -> None:
    assert same(shown(row.example, VALUES, preview_text="New mugs")) == same(row.result)


@pytest.mark.parametrize("row", rows("Setting"), ids=lambda row: f"{row.heads[0]} {row.example}")
def test_an_example_follows_the_accounts_settings(row: Row) -> None:
    setting = SETTING.fullmatch(row.heads[0])
    assert setting is not None
    assert same(shown(row.example, VALUES, **{setting[1]: setting[2]})) == same(row.result)


@pytest.mark.parametrize("locale", ["de-DE", "xx-XX"])
def test_a_worker_that_can_open_no_file_has_all_that_the_examples_need(locale: str) -> None:
    account = Account(locale=locale, timezone="America/St_Johns")
    sources = [row.example for row in EXAMPLES]
    with closing(Renderer(lambda: account, Lookups())) as renderer:
        for source in sources:
            renderer.render(Source(html=source), Recipient(values=json.dumps(VALUES).encode()))


def test_every_filter_has_its_row_and_every_row_its_filter() -> None:
    assert sorted(names("Filter")) == sorted(build().filters)


def test_every_tag_has_its_row_and_every_row_its_tag() -> None:
    assert sorted(names("Tag")) == sorted(set(build().tags) - ABSENT)


def test_every_tag_that_does_not_exist_has_its_row() -> None:
    assert sorted(names("Tags")) == sorted(ABSENT)


def test_every_filter_and_tag_has_an_example() -> None:
    alone = {name for row in rows("Filter") + rows("Tag") if not row.example for name in row.heads}
    assert not alone - {"catalog", "items", "changes"}
    assert len(EXAMPLES) > 150
