"""A stored body is read again under another configuration: what comes of it is what a fetch of it would give."""

import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from feeds import item, live, open_rejects, stream
from forked import forker
from hypothesis import given
from hypothesis import strategies as st
from shops import ITEM, Shop
from test_ingest_laws import BODIES, FEW, body_of, fresh

from feedd import intake
from feedd.reading import Reading
from feedd.store.feeds import break_leases, read_feed

READINGS = (
    ITEM,
    Reading(schema="item", currency="EUR"),
    Reading(schema="item", fields={"title": "price"}),
    Reading(schema="item", fields={"id": "title"}),
    Reading(schema="item", fields={"brand": "title"}),
)


@pytest.fixture
def shop(place: intake.Place, tmp_path: Path) -> Iterator[Shop]:
    catalog = place.open_catalog()
    yield Shop(catalog, tmp_path / "shop")
    catalog.close()


def products(*numbers: int, **fields: Any) -> bytes:
    return json.dumps([item(str(n), **fields) for n in numbers]).encode()


def test_a_body_that_was_taken_in_is_kept_and_read_again(shop: Shop) -> None:
    shop.sync(products(1, 2, cost=5))
    assert shop.kept() == [products(1, 2, cost=5)]
    before = read_feed(shop.catalog, "shop")
    record = shop.replay(Reading(schema="item", fields={"price": "cost"}))
    assert (record.trigger, record.status, record.counts and record.counts.updated) == (
        "replay", "applied", 2,
    )  # fmt: skip
    assert [row[3] for row in stream(shop.catalog, since=2)] == [
        {"cost": (5, None), "price": (None, 5)}
    ] * 2
    after = read_feed(shop.catalog, "shop")
    assert (after.last_sync_at, after.body_digest) == (before.last_sync_at, before.body_digest)
    assert after.config_digest != before.config_digest
    assert shop.kept() == [products(1, 2, cost=5)]


def test_rejects_become_items_once_the_mapping_fits(shop: Shop) -> None:
    record = shop.sync(b'[{"id": "a", "label": "Mug"}, {"id": "b", "label": "Bowl"}]')
    assert record.counts is not None
    assert record.counts.rejected == 2
    record = shop.replay(Reading(schema="item", fields={"title": "label"}))
    assert record.counts is not None
    assert (record.counts.added, record.counts.rejected) == (2, 0)
    assert open_rejects(shop.catalog) == []


def test_after_a_replay_the_same_body_is_unchanged_when_it_is_fetched(shop: Shop) -> None:
    euros = Reading(schema="item", currency="EUR")
    body = products(1, 2, price=5)
    shop.sync(body)
    shop.replay(euros)
    assert shop.sync(body, reading=euros).status == "unchanged"


def test_an_unchanged_file_is_not_copied_unless_its_body_is_to_be_kept(shop: Shop) -> None:
    body = products(1, 2)
    shop.sync(body, keep=False)
    assert shop.kept() == []
    assert shop.sync(body, keep=True).status == "unchanged"
    assert shop.kept() == [body]
    (kept,) = shop.folder.glob("bodies/*/*")
    before = kept.stat().st_ino
    assert shop.sync(body, keep=True).status == "unchanged"
    assert kept.stat().st_ino == before
    euros = Reading(schema="item", currency="EUR")
    assert shop.sync(body, reading=euros).status == "applied"
    assert shop.sync(products(2, 1), reading=euros).status == "applied"
    assert shop.kept() == [products(2, 1)]


def test_a_replay_of_a_held_body_keeps_the_protection(shop: Shop) -> None:
    shop.sync(products(*range(20)))
    assert shop.sync(products(1, 2, 3)).status == "held"
    assert shop.kept() == [products(1, 2, 3)]
    euros = Reading(schema="item", currency="EUR")
    record = shop.replay(euros)
    assert record.counts is not None
    assert (record.status, record.counts.held_removals) == ("held", 17)
    assert len(live(shop.catalog)) == 20
    assert read_feed(shop.catalog, "shop").body_digest is None
    record = shop.replay(euros, accept=True)
    assert record.counts is not None
    assert (record.status, record.counts.removed) == ("applied", 17)
    assert set(live(shop.catalog)) == {"1", "2", "3"}
    assert shop.sync(products(1, 2, 3), reading=euros).status == "unchanged"


def test_a_body_that_failed_is_not_kept(shop: Shop) -> None:
    shop.sync(products(1, 2))
    assert shop.sync(b'[{"id": "1"').status == "failed"
    assert shop.kept() == [products(1, 2)]
    assert not list((shop.folder / "spool").iterdir())
    assert shop.replay(Reading(schema="item", currency="EUR")).status == "applied"


def test_a_replay_that_fails_leaves_the_catalog_and_its_body(shop: Shop) -> None:
    shop.sync(products(1, 2))
    record = shop.replay(Reading(schema="item", items="nothing.here"))
    assert record.status == "failed"
    assert set(live(shop.catalog)) == {"1", "2"}
    assert shop.replay().status == "applied"


def test_where_no_body_is_kept_a_replay_says_so(shop: Shop) -> None:
    shop.sync(products(1), keep=False)
    assert shop.kept() == []
    record = shop.replay()
    assert record.error is not None
    assert (record.status, record.error.code) == ("failed", "no_body")
    assert set(live(shop.catalog)) == {"1"}


def test_a_body_that_was_lost_is_kept_again_when_it_comes_unchanged(shop: Shop) -> None:
    shop.sync(products(1), keep=False)
    assert shop.sync(products(1)).status == "unchanged"
    assert shop.kept() == [products(1)]


def test_a_feed_that_did_not_change_needs_no_replay_and_one_changes_nothing(shop: Shop) -> None:
    shop.sync(products(1, 2))
    record = shop.replay()
    assert record.counts is not None
    assert (record.counts.unchanged, record.counts.updated) == (2, 0)
    assert len(stream(shop.catalog)) == 2


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@FEW
@given(
    bodies=BODIES,
    first=st.sampled_from(READINGS),
    second=st.sampled_from(READINGS),
    accept=st.booleans(),
)
def test_a_replay_does_what_a_sync_of_the_same_body_would(
    folder: Path,
    bodies: list[list[str]],
    first: Reading,
    second: Reading,
    accept: bool,
) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    replayed, fetched = Shop(fresh(folder), place / "r"), Shop(fresh(folder), place / "f")
    for shop in (replayed, fetched):
        for records in bodies:
            shop.sync(body_of(records), reading=first)
    one = replayed.replay(second, accept=accept)
    other = fetched.sync(reading=second, accept=accept)
    if other.status == "unchanged":  # the same configuration: there was nothing to do
        assert one.counts is not None
        assert not one.counts.added + one.counts.updated + one.counts.removed + one.counts.restored
    else:
        assert (one.status, one.counts, one.error) == (other.status, other.counts, other.error)
        assert replayed.state() == fetched.state()
    assert live(replayed.catalog) == live(fetched.catalog)
    assert stream(replayed.catalog) == stream(fetched.catalog)
    assert sorted(open_rejects(replayed.catalog), key=str) == sorted(
        open_rejects(fetched.catalog), key=str
    )
    replayed.catalog.close()
    fetched.catalog.close()


@FEW
@given(body=BODIES)
def test_reading_twice_is_reading_once_where_ids_and_titles_stay(
    folder: Path, body: list[list[str]]
) -> None:
    """A catalog that was read with one configuration and then another is the one that the other alone gives."""
    place = Path(tempfile.mkdtemp(dir=folder))
    twice, once = Shop(fresh(folder), place / "t"), Shop(fresh(folder), place / "o")
    records = body_of([record for part in body for record in part])
    other = Reading(schema="item", currency="EUR", fields={"brand": "title"})
    twice.sync(records)
    assert twice.replay(other).status == once.sync(records, reading=other).status
    assert live(twice.catalog) == live(once.catalog)
    assert sorted(open_rejects(twice.catalog), key=str) == sorted(
        open_rejects(once.catalog), key=str
    )
    twice.catalog.close()
    once.catalog.close()


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from feedd import ingest, intake
from feedd.reading import Reading
from shops import Shop
place = intake.Place(state_dir={state!r}, url={url!r})
shop = Shop.__new__(Shop)
shop.catalog, shop.folder = place.open_catalog(), Path({folder!r})
shop.bodies = ingest.Bodies(shop.folder / "bodies")
print("ready", flush=True)
sys.stdin.readline()
print(shop.replay(Reading(schema="item", fields={{"brand": "title"}})).status, flush=True)
"""


def test_kill_9_during_a_replay_leaves_the_old_reading_or_the_new_one(
    place: intake.Place, tmp_path: Path
) -> None:
    shop = Shop(place.open_catalog(), tmp_path / "shop")
    count = 3_000
    body = products(*range(count))
    branded = Reading(schema="item", fields={"brand": "title"})
    script = CHILD.format(
        tests=str(Path(__file__).parent),
        state=place.state_dir,
        url=place.url,
        folder=str(shop.folder),
    )
    interrupted, whole_s = 0, 0.0
    for kill in range(6):
        shop.sync(body)  # as it was at first
        changes = len(stream(shop.catalog))
        child = forker().script(script, SQLITE_TMPDIR=str(tmp_path))
        assert child.stdout.readline() == "ready\n"
        began = time.monotonic()
        child.stdin.write("\n")
        if kill:
            time.sleep(whole_s * kill / 6)
            child.kill()
        child.communicate()
        if not kill:
            whole_s = time.monotonic() - began
        brands = {fields.get("brand") for fields in live(shop.catalog).values()}
        assert brands in ({None}, {"Mug"})
        if brands == {None}:
            interrupted += 1
            assert len(stream(shop.catalog)) == changes
        break_leases(shop.catalog, "test", datetime.now(UTC))
        assert shop.kept() == [body]
    assert interrupted, "no kill came before the end of its replay"
    assert shop.replay(branded).status == "applied"
    assert {fields["brand"] for fields in live(shop.catalog).values()} == {"Mug"}
    shop.catalog.close()
