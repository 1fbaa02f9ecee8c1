"""A dry run tells what a sync would do, and leaves no trace."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from feeds import open_rejects, stream
from hypothesis import given
from hypothesis import strategies as st
from shops import ITEM, Shop
from test_ingest_laws import BODIES, FEW, body_of, fresh
from test_replay import READINGS, products

from feedd import ingest, intake
from feedd.dryrun import dry_run
from feedd.fetch import Fetcher, FetchRequest
from feedd.model import DryRunLine, Progress, SyncRecord
from feedd.reading import Reading
from feedd.store.database import Database
from feedd.store.feeds import read_held
from feedd.store.tables import catalog_metadata


def rehearse(
    shop: Shop,
    body: bytes | None = None,
    *,
    reading: Reading = ITEM,
    replay: bool = False,
    accept: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> list[DryRunLine]:
    path = shop.folder / "shop.json"
    if body is not None:
        path.write_bytes(body)
    request = FetchRequest(url=path.as_uri(), file_roots=(str(shop.folder),))
    report = shop.folder / "report"
    dry_run(
        ingest.Feed(name="shop", request=request, reading=reading),
        report,
        catalog=shop.catalog,
        fetcher=Fetcher(user_agent="test"),
        spool_dir=shop.folder / "spool",
        bodies=shop.bodies,
        read=lambda job, report, _stop: intake.read_body(job, shop.catalog, report),
        replay=replay,
        accepted=read_held(shop.catalog, "shop") if accept else None,
        on_progress=on_progress,
    )
    return [msgspec.json.decode(line, type=DryRunLine) for line in report.read_bytes().splitlines()]


def told(lines: list[DryRunLine]) -> list[tuple[str, str, dict[str, Any]]]:
    """The changes of a dry run, as `stream` gives those of a sync."""
    return [
        (
            line.change.item,
            str(line.change.kind),
            msgspec.json.decode(line.change.fields, type=dict[str, tuple[Any, Any]]),
        )
        for line in lines
        if line.change is not None
    ]


def rejected(lines: list[DryRunLine]) -> list[Any]:
    return [
        (line.reject.position, line.reject.item_id, line.reject.problems[0].rule)
        for line in lines
        if line.reject is not None
    ]


def outcome(lines: list[DryRunLine]) -> SyncRecord:
    assert lines[-1].sync is not None
    return lines[-1].sync


def everything(catalog: Database) -> dict[str, Any]:
    """Every row of every table."""
    with catalog.connect() as connection:
        return {
            table.name: sorted(map(str, connection.execute(table.select()).all()))
            for table in catalog_metadata.sorted_tables
        }


@pytest.fixture
def shop(place: intake.Place, tmp_path: Path) -> Iterator[Shop]:
    catalog = place.open_catalog()
    yield Shop(catalog, tmp_path / "shop")
    catalog.close()


def test_a_first_sync_is_told_and_the_feed_stays_unknown(shop: Shop) -> None:
    before = everything(shop.catalog)
    lines = rehearse(shop, products(1, 2))
    assert told(lines) == [("1", "added", {}), ("2", "added", {})]
    assert [line.change.title for line in lines if line.change] == ["Mug", "Mug"]
    assert outcome(lines).status == "applied"
    assert everything(shop.catalog) == before
    assert not before["feeds"]
    assert not shop.kept()
    assert not list((shop.folder / "spool").iterdir())


def test_the_stored_body_is_told_to_be_unchanged(shop: Shop) -> None:
    shop.sync(products(1, 2))
    lines = rehearse(shop)
    assert (len(lines), outcome(lines).status) == (1, "unchanged")


def test_what_would_be_held_is_told_and_what_accepting_would_do(shop: Shop) -> None:
    shop.sync(products(*range(20)))
    lines = rehearse(shop, products(1, 2, 3))
    counts = outcome(lines).counts
    assert counts is not None
    assert (outcome(lines).status, counts.held_removals, told(lines)) == ("held", 17, [])
    shop.sync()
    before = everything(shop.catalog)
    lines = rehearse(shop, accept=True)
    assert (outcome(lines).status, len(told(lines))) == ("applied", 17)
    assert everything(shop.catalog) == before


def test_a_feed_that_would_fail_is_told(shop: Shop) -> None:
    shop.sync(products(1, 2))
    before = everything(shop.catalog)
    record = outcome(rehearse(shop, b'[{"id": "1"'))
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "truncated")
    (shop.folder / "shop.json").unlink()
    record = outcome(rehearse(shop))
    assert record.error is not None
    assert record.error.code == "file_missing"
    assert everything(shop.catalog) == before
    assert shop.kept() == [products(1, 2)]


def test_a_changed_mapping_is_tried_on_the_stored_body(shop: Shop) -> None:
    shop.sync(products(1, 2, cost=5))
    (shop.folder / "shop.json").unlink()
    before = everything(shop.catalog)
    lines = rehearse(shop, replay=True, reading=Reading(schema="item", fields={"price": "cost"}))
    assert [fields for _, _, fields in told(lines)] == [{"cost": (5, None), "price": (None, 5)}] * 2
    assert everything(shop.catalog) == before


def test_a_sync_of_the_same_feed_goes_on_beside_it(shop: Shop) -> None:
    """The dry run compares with the catalog of one moment, although another one is committed meanwhile."""
    shop.sync(products(1, 2, 3, price=1))
    (shop.folder / "shop.json").write_bytes(products(1, 2, 3, price=2))
    synced: list[str] = []

    def meanwhile(progress: Progress) -> None:
        if progress.stage == "store" and not synced:
            synced.append(str(shop.sync().status))

    lines = rehearse(shop, on_progress=meanwhile)
    assert synced == ["applied"]
    assert [fields for _, _, fields in told(lines)] == [{"price": (1, 2)}] * 3
    assert outcome(rehearse(shop)).status == "unchanged"


def test_many_changes_are_told_in_several_pages(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedd.store.report.PAGE", 3)
    shop.sync(products(*range(20)))
    body = products(*range(4, 30), price=3)
    lines = rehearse(shop, body)
    shop.sync(body)
    assert told(lines) == [row[1:] for row in stream(shop.catalog, since=20)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@FEW
@given(
    bodies=BODIES,
    readings=st.tuples(st.sampled_from(READINGS), st.sampled_from(READINGS)),
    accept=st.booleans(),
    replay=st.booleans(),
)
def test_a_dry_run_tells_what_the_sync_then_does(
    folder: Path,
    bodies: list[list[str]],
    readings: tuple[Reading, Reading],
    accept: bool,
    replay: bool,
) -> None:
    shop = Shop(fresh(folder), Path(tempfile.mkdtemp(dir=folder)) / "shop")
    for records in bodies[:-1]:
        shop.sync(body_of(records), reading=readings[0])
    replay = replay and len(bodies) > 1
    body = None if replay else body_of(bodies[-1])
    seq, before = len(stream(shop.catalog)), everything(shop.catalog)
    lines = rehearse(shop, body, reading=readings[1], accept=accept, replay=replay)
    assert everything(shop.catalog) == before
    record = shop.sync(body, reading=readings[1], accept=accept, replay=replay)
    ended = outcome(lines)
    assert (ended.status, ended.counts, ended.error) == (
        record.status, record.counts, record.error,
    )  # fmt: skip
    assert told(lines) == [row[1:] for row in stream(shop.catalog, since=seq)]
    if record.status != "unchanged":
        assert sorted(rejected(lines), key=str) == sorted(open_rejects(shop.catalog), key=str)
    shop.catalog.close()


def test_a_body_that_a_sync_replaces_meanwhile_is_missed_and_no_bug(shop: Shop) -> None:
    shop.sync(products(1, 2))
    report = shop.folder / "report"

    def read(job: intake.Job, on_progress: intake.OnProgress, _stop: ingest.Stop) -> None:
        shop.sync(products(1, 2, 3))
        intake.read_body(job, shop.catalog, on_progress)

    dry_run(
        ingest.Feed(name="shop", request=FetchRequest(url="file:///none"), reading=ITEM),
        report,
        catalog=shop.catalog,
        fetcher=Fetcher(user_agent="test"),
        spool_dir=shop.folder / "spool",
        bodies=shop.bodies,
        read=read,
        replay=True,
    )
    last = msgspec.json.decode(report.read_bytes().splitlines()[-1], type=DryRunLine)
    assert last.sync is not None
    assert last.sync.error is not None
    assert (last.sync.status, last.sync.error.code) == ("failed", "no_body")
