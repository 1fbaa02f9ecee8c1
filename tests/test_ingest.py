"""A body becomes a catalog and a stream of changes, on both databases."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from feeds import READING, item, live, open_rejects, stream, take_in

from feedd import intake
from feedd.bodies import Bodies
from feedd.errors import FetchError, FormatError, StoreError, SyncStopped, UsageError
from feedd.fetch import FetchRequest
from feedd.fetch.files import IN_PLACE_BYTES
from feedd.identity import identity_of
from feedd.ingest import Feed, known_body
from feedd.model import SyncStatus
from feedd.reconcile import BATCH_BYTES
from feedd.store.ahead import BYTES, Ahead
from feedd.store.commit import Body
from feedd.store.database import Database
from feedd.store.feeds import (
    LEASE,
    FeedState,
    Origin,
    begin_sync,
    break_leases,
    forget_fingerprints,
    read_feed,
)
from feedd.store.read import read_items, read_sync


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    database = place.open_catalog()
    yield database
    database.close()


def test_a_first_body_adds_its_items(catalog: Database, tmp_path: Path) -> None:
    record = take_in(catalog, tmp_path, [item("a", price="9.50 EUR"), item("b")])
    assert record.status is SyncStatus.APPLIED
    assert record.counts is not None
    assert (record.counts.added, record.counts.unchanged) == (2, 0)
    assert live(catalog) == {
        "a": {"id": "a", "title": "Mug", "price": 9.5, "currency": "EUR"},
        "b": {"id": "b", "title": "Mug"},
    }
    assert stream(catalog) == [(1, "a", "added", {}), (2, "b", "added", {})]


def test_large_items_do_not_wait_for_many_of_them(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, written = Ahead.insert, list[int]()

    def insert_noted(self: Ahead, at: datetime) -> None:
        written.append(sum(len(row[2]) for row in self._rows))
        insert(self, at)

    monkeypatch.setattr(Ahead, "insert", insert_noted)
    take_in(catalog, tmp_path, [item(str(n), description="x" * 10**6) for n in range(25)])
    assert len(live(catalog)) == 25
    assert sum(written) > 25 * 10**6
    assert max(written) < BYTES + 2 * BATCH_BYTES


def test_changes_are_told_field_by_field(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a", price=10, color="red"), item("b")])
    record = take_in(catalog, tmp_path, [item("a", price=12), item("b"), item("c")])
    assert record.counts is not None
    assert (record.counts.added, record.counts.updated, record.counts.unchanged) == (1, 1, 1)
    assert stream(catalog, since=2) == [
        (3, "a", "updated", {"color": ("red", None), "price": (10, 12)}),
        (4, "c", "added", {}),
    ]


def test_removed_items_are_marked_and_come_back_restored(catalog: Database, tmp_path: Path) -> None:
    ten = [item(str(n)) for n in range(10)]
    take_in(catalog, tmp_path, ten)
    record = take_in(catalog, tmp_path, ten[1:])
    assert record.counts is not None
    assert record.counts.removed == 1
    assert "0" not in live(catalog)
    assert [i.id for i in read_items(catalog, removed=True)] == ["0"]
    take_in(catalog, tmp_path, [item("0", price=5), *ten[1:]])
    assert stream(catalog, since=10) == [
        (11, "0", "removed", {}),
        (12, "0", "restored", {"price": (None, 5)}),
    ]


def test_order_and_key_order_change_nothing(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, b'[{"id":"a","title":"x"},{"id":"b","title":"y"}]')
    record = take_in(catalog, tmp_path, b'[{"title":"y", "id":"b"},{"id":"a","title":"x"}]')
    assert record.counts is not None
    assert (record.counts.unchanged, record.counts.updated) == (2, 0)
    assert len(stream(catalog)) == 2


def test_a_feed_that_shrinks_is_held_until_a_person_agrees(
    catalog: Database, tmp_path: Path
) -> None:
    twenty = [item(str(n)) for n in range(20)]
    take_in(catalog, tmp_path, twenty)
    held = take_in(catalog, tmp_path, [item("0", price=3), *twenty[1:10]])
    assert held.status is SyncStatus.HELD
    assert held.counts is not None
    assert (held.counts.held_removals, held.counts.removed, held.counts.updated) == (10, 0, 1)
    assert len(live(catalog)) == 20
    state = read_feed(catalog, "shop")
    assert (state.held_removals, state.body_digest, state.etag) == (10, None, None)
    again = take_in(catalog, tmp_path, [item("0", price=3), *twenty[1:10]])
    assert again.status is SyncStatus.HELD
    done = take_in(catalog, tmp_path, [item("0", price=3), *twenty[1:10]], accept_removals=True)
    assert done.status is SyncStatus.APPLIED
    assert done.counts is not None
    assert done.counts.removed == 10
    assert read_feed(catalog, "shop").held_removals == 0


def test_what_is_accepted_is_what_was_shown(catalog: Database, tmp_path: Path) -> None:
    twenty = [item(str(n)) for n in range(20)]
    take_in(catalog, tmp_path, twenty)
    take_in(catalog, tmp_path, twenty[:10])
    record = take_in(catalog, tmp_path, twenty[:2], accept_removals=True)
    assert record.counts is not None
    assert (record.counts.removed, record.counts.held_removals) == (10, 8)
    assert set(live(catalog)) == {str(n) for n in range(10)}


def test_what_is_left_after_accepting_is_judged_by_itself(
    catalog: Database, tmp_path: Path
) -> None:
    take_in(catalog, tmp_path, [item(str(n)) for n in range(10)])
    assert take_in(catalog, tmp_path, [item(str(n)) for n in range(4)]).status == "held"
    record = take_in(catalog, tmp_path, [], accept_removals=True)
    assert record.counts is not None
    assert (record.status, record.counts.removed, record.counts.held_removals) == ("held", 6, 4)
    assert set(live(catalog)) == {"0", "1", "2", "3"}


def test_one_record_repeated_many_times_is_no_cliff(catalog: Database, tmp_path: Path) -> None:
    """Each search for a free reject, or a known repeat, goes on where the last one ended: else this takes minutes."""
    for repeated in ({"title": "no id"}, item("0", title="another")):
        many = [item("0"), *[repeated] * 30_000]
        take_in(catalog, tmp_path, many, feed="many")
        record = take_in(catalog, tmp_path, [*many, item("1", title=str(repeated))], feed="many")
        assert record.counts is not None
        assert record.counts.rejected == 30_000
        assert record.counts.unchanged + record.counts.updated == 1


def test_an_empty_feed_is_always_held(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a"), item("b")])
    record = take_in(catalog, tmp_path, [])
    assert record.status is SyncStatus.HELD
    assert set(live(catalog)) == {"a", "b"}


def test_of_several_records_with_one_id_the_first_wins(catalog: Database, tmp_path: Path) -> None:
    record = take_in(
        catalog, tmp_path, [item("a", "One"), item("a", "One"), item("a", "Two"), item("b")]
    )
    assert record.counts is not None
    assert (record.counts.added, record.counts.duplicates, record.counts.rejected) == (2, 1, 1)
    assert live(catalog)["a"]["title"] == "One"
    assert open_rejects(catalog) == [(3, "a", "duplicate_id")]


def test_a_reject_keeps_the_item_that_is_stored(catalog: Database, tmp_path: Path) -> None:
    ten = [item(str(n)) for n in range(10)]
    take_in(catalog, tmp_path, ten)
    record = take_in(catalog, tmp_path, [{"id": "0", "price": 4}, *ten[1:]])
    assert record.counts is not None
    assert (record.counts.rejected, record.counts.removed) == (1, 0)
    assert "0" in live(catalog)
    assert open_rejects(catalog) == [(1, "0", "title_missing")]
    record = take_in(catalog, tmp_path, [*ten[1:], {"id": "0", "price": 4}])
    assert record.counts is not None
    assert record.counts.rejected == 1
    assert open_rejects(catalog) == [(10, "0", "title_missing")]
    assert "0" in live(catalog)
    take_in(catalog, tmp_path, ten)
    assert open_rejects(catalog) == []


def test_equal_broken_records_are_rejects_each(catalog: Database, tmp_path: Path) -> None:
    for _ in range(2):
        record = take_in(catalog, tmp_path, [{"title": "x"}, {"title": "x"}, item("a")])
        assert record.counts is not None
        assert record.counts.rejected == 2
    record = take_in(catalog, tmp_path, [{"title": "x"}, {"title": "x"}, {"title": "x"}, item("a")])
    assert record.counts is not None
    assert record.counts.rejected == 3


def test_warnings_are_counted_while_they_are_open(catalog: Database, tmp_path: Path) -> None:
    ten = [item(str(n)) for n in range(9)]
    take_in(catalog, tmp_path, [item("w", price="free"), *ten])
    assert read_feed(catalog, "shop").warnings == 1
    record = take_in(catalog, tmp_path, [*ten, item("w", price="free")])
    assert record.counts is not None
    assert record.counts.warnings == 1
    take_in(catalog, tmp_path, ten)
    assert read_feed(catalog, "shop").warnings == 0


def test_a_truncated_body_leaves_the_catalog_alone(catalog: Database, tmp_path: Path) -> None:
    take_in(catalog, tmp_path, [item("a"), item("b")])
    with pytest.raises(FormatError):
        take_in(catalog, tmp_path, b'[{"id":"a","title":"Mug"},{"id":"b"')
    assert set(live(catalog)) == {"a", "b"}
    assert len(stream(catalog)) == 2


def test_a_changed_mapping_is_applied_to_a_body_seen_before(
    catalog: Database, tmp_path: Path
) -> None:
    body = [{"id": "a", "title": "Mug", "cost": 3}]
    take_in(catalog, tmp_path, body)
    other = msgspec.structs.replace(READING, fields={"price": "cost"})
    record = take_in(catalog, tmp_path, body, reading=other)
    assert record.counts is not None
    assert record.counts.updated == 1
    assert live(catalog)["a"]["price"] == 3


def test_every_rejected_record_says_so(catalog: Database, tmp_path: Path) -> None:
    record = take_in(catalog, tmp_path, [{"sku": 1}, {"sku": 2}])
    assert record.status is SyncStatus.APPLIED
    assert record.error is not None
    assert record.error.code == "all_rejected"


def test_two_feeds_share_one_stream_without_gaps(catalog: Database, tmp_path: Path) -> None:
    for price in range(4):
        take_in(catalog, tmp_path, [item("a", price=price)], feed="one")
        take_in(catalog, tmp_path, [item("a", price=price), item("b", price=price)], feed="two")
    assert [seq for seq, *_ in stream(catalog)] == list(range(1, 13))


def test_a_lease_keeps_a_second_worker_out_until_it_runs_out(catalog: Database) -> None:
    now = datetime.now(UTC)
    begin_sync(catalog, "shop", trigger="resync", holder="one", now=now)
    with pytest.raises(UsageError, match="already"):
        begin_sync(catalog, "shop", trigger="resync", holder="two", now=now)
    later = now + LEASE + timedelta(seconds=1)
    assert begin_sync(catalog, "shop", trigger="resync", holder="two", now=later).epoch == 2


def test_a_holder_takes_over_from_itself_and_ends_what_it_left(catalog: Database) -> None:
    now = datetime.now(UTC)
    left = begin_sync(catalog, "shop", trigger="schedule", holder="one", now=now)
    taken = begin_sync(catalog, "shop", trigger="resync", holder="one", now=now)
    assert taken.epoch == left.epoch + 1
    record = read_sync(catalog, left.sync_id)
    assert (record.status, record.error and record.error.code) == ("failed", "interrupted")
    assert read_sync(catalog, taken.sync_id).status is SyncStatus.RUNNING


def test_a_worker_that_lost_its_lease_cannot_commit(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(catalog, tmp_path, [item("a")])
    commit = intake.commit_sync

    def paused(*args: object, **values: object) -> object:
        late = datetime.now(UTC) + LEASE * 2
        begin_sync(catalog, "shop", trigger="resync", holder="other", now=late)
        return commit(*args, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "commit_sync", paused)
    with pytest.raises(SyncStopped, match="another worker"):
        take_in(catalog, tmp_path, [item("a", price=1)])
    assert len(stream(catalog)) == 1
    assert "price" not in live(catalog)["a"]


def test_the_leases_of_a_dead_holder_can_be_broken(catalog: Database) -> None:
    now = datetime.now(UTC)
    lease = begin_sync(catalog, "shop", trigger="resync", holder="dead", now=now)
    assert break_leases(catalog, "dead", now) == ["shop"]
    record = read_sync(catalog, lease.sync_id)
    assert record.status is SyncStatus.FAILED
    assert record.error is not None
    assert record.error.code == "interrupted"
    begin_sync(catalog, "shop", trigger="resync", holder="alive", now=now)


def test_forgetting_fingerprints_changes_nothing_that_can_be_seen(
    catalog: Database, tmp_path: Path
) -> None:
    body = [item("a"), item("b", price="?"), {"id": "c"}, item("a", "Other")]
    take_in(catalog, tmp_path, body)
    before = live(catalog), stream(catalog), open_rejects(catalog)
    forget_fingerprints(catalog, "shop")
    take_in(catalog, tmp_path, body)
    assert (live(catalog), stream(catalog), open_rejects(catalog)) == before


@pytest.mark.parametrize(
    ("sound", "broken", "rule"),
    [
        (b"<p><id>%d</id><title>Tea</title></p>", b"<p><id>0</id><title>AT&T</title></p>", "not_well_formed"),
        (b"<p><id>%d</id><title>Tea</title></p>", b"<p><id>0</id><title>caf\xe9</title></p>", "bad_encoding"),
        (b'{"id": "%d", "title": "Tea"}', b'{"id": "0", "title": "caf\xe9"}', "bad_encoding"),
        (b'{"id": "%d", "title": "Tea"}', b'{"id": "0", "title": "Tea", "price": NaN}', "not_a_number"),
        (b'{"id": "%d", "title": "Tea"}', b'{"id": "0", "title": "a", "title": "b"}', "duplicate_member"),
    ],
)  # fmt: skip
def test_a_record_that_breaks_keeps_its_item(
    catalog: Database, tmp_path: Path, sound: bytes, broken: bytes, rule: str
) -> None:
    def body(first: bytes) -> bytes:
        records = [first, *(sound % n for n in range(1, 10))]
        xml = sound.startswith(b"<")
        return b"<all>%b</all>" % b"".join(records) if xml else b"[%b]" % b",".join(records)

    take_in(catalog, tmp_path, body(sound % 0))
    record = take_in(catalog, tmp_path, body(broken))
    assert record.counts is not None
    assert (record.counts.removed, record.counts.rejected, record.counts.unchanged) == (0, 1, 9)
    assert open_rejects(catalog) == [(1, "0", rule)]
    assert set(live(catalog)) == {str(n) for n in range(10)}
    take_in(catalog, tmp_path, body(broken) + b"\n")
    assert "0" in live(catalog)
    take_in(catalog, tmp_path, body(sound % 0))
    assert open_rejects(catalog) == []


def test_a_record_that_shows_a_broken_body_fails_the_sync_and_is_named(
    catalog: Database, tmp_path: Path
) -> None:
    more = b"x" * 60_000  # what stands in the first pieces of a body is followed tag by tag
    records = [b"<p><id>%d</id><title>Tea</title><x>%b</x></p>" % (n, more) for n in range(9)]
    take_in(catalog, tmp_path, b"<all>%b</all>" % b"".join(records))
    before = live(catalog), stream(catalog)
    records[2] = b"<p><id>2</id><title>Mint</title></p>"
    records[6] = b"<p><id>6</id><title>Tea</p>"
    records[7] = b"<p><id>7</id><title>Mint</title></p>"
    with pytest.raises(FormatError, match=r"record 7 .* mismatched tag .*<id>6<"):
        take_in(catalog, tmp_path, b"<all>%b</all>" % b"".join(records))
    assert (live(catalog), stream(catalog)) == before


def test_a_salvaged_id_is_one_that_was_written(catalog: Database, tmp_path: Path) -> None:
    take_in(
        catalog,
        tmp_path,
        b"<all><p><id>A&T</id><title>x</title></p><p><id>AT</id><title>x</title></p></all>",
    )
    assert open_rejects(catalog) == [(1, None, "not_well_formed")]


@pytest.mark.parametrize(
    "how", ["before it is read", "while it is read", "gone", "a pipe", "a folder"]
)
def test_a_file_that_changes_after_its_digest_leaves_the_catalog_alone(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    take_in(catalog, tmp_path, [item("1")])
    path = tmp_path / "shop.body"
    path.write_bytes(json.dumps([item("2")]).encode())
    with path.open("rb") as stream:
        identity = identity_of(stream.fileno())
    if how == "before it is read":
        path.write_bytes(b'[{"id": "3", "title": "Mug"}]')
    elif how == "gone":
        path.unlink()
    elif how == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        slices = intake._Opened.slices

        def written_meanwhile(body: Any) -> Any:
            yield from slices(body)
            path.write_bytes(b'[{"id": "4"')

        monkeypatch.setattr(intake._Opened, "slices", written_meanwhile)
    lease = begin_sync(catalog, "shop", trigger="resync", holder="test", now=datetime.now(UTC))
    body = Body(digest=b"x", size_bytes=1, config_digest=b"", fetch_digest=b"", origin=Origin())
    job = intake.Job(
        lease=lease, reading=READING, path=str(path), body=body, accepted=None, began_s=0, identity=identity
    )  # fmt: skip
    with pytest.raises(FetchError) as raised:
        intake.read_body(job, catalog, lambda _: None)
    assert raised.value.code == "file_changed"
    assert live(catalog).keys() == {"1"}


def test_a_database_that_another_feedd_has_upgraded_is_left_alone(
    catalog: Database, tmp_path: Path
) -> None:
    take_in(catalog, tmp_path, [item("1")])
    with catalog.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'catalog9999'")
    with pytest.raises(StoreError, match="catalog9999 by another feedd"):
        take_in(catalog, tmp_path, [item("2")])
    assert live(catalog).keys() == {"1"}


def test_a_body_without_a_digest_gets_one_while_it_is_read(
    catalog: Database, tmp_path: Path
) -> None:
    path = tmp_path / "shop.body"
    path.write_bytes(json.dumps([item(str(n), "x" * 100_000) for n in range(50)]).encode())
    lease = begin_sync(catalog, "shop", trigger="resync", holder="test", now=datetime.now(UTC))
    body = Body(digest=b"", size_bytes=1, config_digest=b"", fetch_digest=b"", origin=Origin())
    job = intake.Job(
        lease=lease, reading=READING, path=str(path), body=body, accepted=None, began_s=0
    )
    intake.read_body(job, catalog, lambda _: None)
    assert read_feed(catalog, "shop").body_digest == hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize(
    ("url", "size", "known"),
    [
        ("file:///feeds/shop.json", IN_PLACE_BYTES, True),
        ("FILE:///feeds/shop.json", IN_PLACE_BYTES, True),
        ("file:///feeds/shop.json", IN_PLACE_BYTES - 1, False),
        ("https://shop.example/shop.json", IN_PLACE_BYTES, False),
    ],
)
def test_a_body_that_is_not_kept_is_known_where_it_would_not_be_kept_anyway(
    tmp_path: Path, url: str, size: int, known: bool
) -> None:
    feed = Feed(name="shop", request=FetchRequest(url=url), reading=READING)
    origin = Origin(size_bytes=size)
    state = FeedState(name="shop", body_digest=b"body", config_digest=b"read", read_from=origin)
    assert (known_body(feed, state, Bodies(tmp_path), b"read") is not None) is known
