"""Whole feeds, as shops write them: pairs of files in `data/feeds`, the body and what a catalog makes of it.

`reading` in the expected file holds what the configuration of the feed says; a body that is no feed has an `error`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feeds import take_in

from feedd import intake
from feedd.errors import FormatError
from feedd.formats import FORMATS
from feedd.reading import Reading
from feedd.store.database import Database
from feedd.store.migrate import migrate
from feedd.store.read import read_items, read_rejects

CASES = Path(__file__).parent / "data" / "feeds"


def bodies() -> list[Path]:
    return sorted(path for path in CASES.iterdir() if ".expected" not in path.suffixes)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Database]:
    database = intake.Place(state_dir=str(tmp_path)).open_catalog()
    migrate(database)
    yield database
    database.close()


def outcome(catalog: Database, folder: Path, body: bytes, reading: Reading) -> Any:
    """What a body comes to: items, warnings by item, rejects by position, and how many identical repeats."""
    record = take_in(catalog, folder, body, reading=reading)
    assert record.counts is not None
    items = list(read_items(catalog, limit=1000))
    return {
        "items": [item.fields for item in items],
        "warnings": {
            item.id: [f"{w.pointer} {w.rule}" for w in item.warnings]
            for item in items
            if item.warnings
        },
        "rejects": [
            [reject.position, reject.item_id, *(f"{p.pointer} {p.rule}" for p in reject.problems)]
            for reject in read_rejects(catalog, limit=1000)
        ],
        "duplicates": record.counts.duplicates,
    }


@pytest.mark.parametrize("path", bodies(), ids=lambda path: path.name)
def test_a_feed_gives_the_expected_items(path: Path, catalog: Database, tmp_path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text("utf-8"))
    reading = Reading(**{"schema": "item", **expected.pop("reading", {})})
    if "error" in expected:
        with pytest.raises(FormatError) as caught:
            take_in(catalog, tmp_path, path.read_bytes(), reading=reading)
        assert caught.value.code == expected["error"]
        assert caught.value.hint
    else:
        assert outcome(catalog, tmp_path, path.read_bytes(), reading) == expected


def test_every_body_has_its_own_expected_file_and_every_format_a_body() -> None:
    assert len({path.stem for path in bodies()}) == len(bodies())
    assert {path.stem for path in bodies()} == {
        path.name.removesuffix(".expected.json") for path in CASES.glob("*.expected.json")
    }
    assert {path.suffix[1:] for path in bodies()} == set(FORMATS)
