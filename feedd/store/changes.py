"""The change stream, a page at a time.

The order of the stream is that of (`first_seq`, `ordinal`), which lie in two tables: PostgreSQL cannot follow it, and would sort
all that a large sync has changed for every page of it. So a page is read by windows: the syncs come first, which say
how many changes each has, then the changes of as many numbers as the page has places left, with the items that they are about.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, func, select, text

from feedd.errors import TooOld
from feedd.model import Change, ChangeKind, StreamState
from feedd.store.database import Database, among, among_value
from feedd.store.feeds import stream_of
from feedd.store.item_ids import keys_of
from feedd.store.tables import CHANGES, FEEDS, ITEMS, KINDS, SYNCS

MOST_SEQ = 2**62
MOST_NUMBERS = 20_000  # in a window: what one statement looks at
_SCANNED = 2_000  # numbers in the first window of a scan
_KIND = {KINDS.index(kind): kind for kind in ChangeKind}
_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode
_SEQ = SYNCS.c.first_seq + CHANGES.c.ordinal
_KEYS_SQLITE = "json_each(changes.fields) AS touched"
# `json`, not `jsonb`, which refuses some texts and numbers that items may hold; no text of its own has NUL
_KEYS_POSTGRES = (
    r"json_object_keys(CAST(replace(changes.fields, '\u0000', '\u0001') AS JSON)) AS touched (key)"
)
# the limit first, so that no more items are looked up than the page has places, whatever is known of the tables
_WINDOW = """
SELECT part.seq, part.sync_id, part.kind, part.fields, items.item_id FROM (
  SELECT syncs.first_seq + changes.ordinal AS seq, changes.sync_id, changes.item, changes.kind, changes.fields
  FROM syncs JOIN changes ON changes.sync_id = syncs.id
  WHERE {condition} AND changes.ordinal >= :low - syncs.first_seq AND changes.ordinal <= :high - syncs.first_seq
  ORDER BY syncs.first_seq {order}, changes.ordinal {order} LIMIT :limit
) AS part JOIN items ON items.id = part.item ORDER BY part.seq {order}
"""


# no items: who looks through a window of the stream looks few of them up
_TOUCHES = """
SELECT syncs.first_seq + changes.ordinal AS seq, changes.sync_id, changes.item, changes.kind, changes.fields
FROM syncs JOIN changes ON changes.sync_id = syncs.id
WHERE {condition} AND changes.ordinal >= :low - syncs.first_seq AND changes.ordinal <= :high - syncs.first_seq
ORDER BY syncs.first_seq {order}, changes.ordinal {order}
"""


class Touch(NamedTuple):
    """A change of an item that is known by its key; `fields` is JSON, as `Change.fields`."""

    seq: int
    key: int
    kind: ChangeKind
    fields: str
    at: datetime


class _Span(NamedTuple):
    """The numbers that one sync has of a part of the stream, both ends with it."""

    sync: int
    feed: str
    at: datetime
    first_seq: int
    low: int
    high: int


class _Wanted(NamedTuple):
    """Which changes: those of these kinds, and that touch one of these fields; None asks nothing."""

    kinds: Sequence[ChangeKind] | None
    fields: Sequence[str] | None


def read_changes(
    database: Database,
    *,
    since: int = 0,
    limit: int = 100,
    feeds: Sequence[str] | None = None,
    kinds: Sequence[ChangeKind] | None = None,
    items: Sequence[str] | None = None,
    fields: Sequence[str] | None = None,
    sync: int | None = None,
    descending: bool = False,
    before: int | None = None,
) -> list[Change]:
    """Changes with a number above `since` (and below `before`), in the order of the stream.

    0 is the beginning, whatever number that has. `fields` leaves the changes that touch one of these fields.

    Raises:
        TooOld: changes after `since` are no longer kept.
    """
    with database.snapshot(by_key=True) as connection:
        since = start_of(stream_of(connection), since)
        top = MOST_SEQ if before is None else before
        wanted = _Wanted(kinds, fields)
        if items is not None:
            return _changes_of_items(
                connection, items, since, top, limit, feeds, sync, wanted, descending
            )
        spans = _spans(connection, since, top, limit, feeds, sync, descending)
        found: list[Change] = []
        for window in _windows(spans, limit, descending):
            found += _changes_in(connection, window, wanted, limit - len(found), descending)
            if len(found) == limit:
                break
        return found


def scan(
    connection: Connection,
    *,
    after: int,
    through: int,
    feeds: Sequence[str],
    kinds: Sequence[ChangeKind] | None = None,
    fields: Sequence[str] | None = None,
    descending: bool = True,
) -> Iterator[Touch]:
    """The changes with a number above `after` and up to `through`, however many, read some thousands at a time."""
    wanted = _Wanted(kinds, fields)
    spans = _spans(connection, after, through + 1, _SCANNED, feeds, None, descending)
    for window in _windows(spans, _SCANNED, descending):
        by_sync = {span.sync: span for span in window}
        for seq, sync, key, kind, changed in _rows_in(
            connection, _TOUCHES, window, wanted, descending
        ):
            yield Touch(seq, key, _KIND[kind], changed, by_sync[sync].at)


def start_of(stream: StreamState, since: int) -> int:
    """The number that reading begins after; 0 asks for all there is.

    Raises:
        TooOld: changes between that number and the oldest one have been deleted.
    """
    if since == 0:
        return stream.oldest_seq - 1
    if since < stream.oldest_seq - 1:
        raise TooOld(f"changes after {since}", stream.oldest_seq)
    return since


def change_of(row: Any) -> Change:
    """A row of `change_rows` as a change."""
    return Change(
        seq=row.seq,
        feed=row.feed,
        item=row.item_id,
        kind=_KIND[row.kind],
        fields=_decode_changes(row.fields),
        sync=row.sync,
        at=row.at,
    )


def change_rows() -> Select[Any]:
    """The rows of all changes, as `change_of` takes them."""
    return (
        select(
            _SEQ.label("seq"),
            FEEDS.c.name.label("feed"),
            ITEMS.c.item_id,
            CHANGES.c.kind,
            CHANGES.c.fields,
            SYNCS.c.id.label("sync"),
            SYNCS.c.finished_at.label("at"),
        )
        .select_from(SYNCS.join(CHANGES, CHANGES.c.sync_id == SYNCS.c.id))
        .join(FEEDS, FEEDS.c.id == SYNCS.c.feed_id)
        .join(ITEMS, ITEMS.c.id == CHANGES.c.item)
    )


def _spans(
    connection: Connection,
    since: int,
    top: int,
    limit: int,
    feeds: Sequence[str] | None,
    sync: int | None,
    descending: bool,
) -> Iterator[_Span]:
    """What the syncs have of the numbers between `since` and `top`, so many syncs at a time."""
    columns = SYNCS.c.id, SYNCS.c.first_seq, SYNCS.c.change_count, SYNCS.c.finished_at, FEEDS.c.name
    query = select(*columns).join(FEEDS, FEEDS.c.id == SYNCS.c.feed_id)
    if feeds is not None:
        query = query.where(FEEDS.c.name.in_(feeds))
    if sync is not None:
        query = query.where(SYNCS.c.id == sync)
    order = SYNCS.c.first_seq.desc() if descending else SYNCS.c.first_seq
    query = query.order_by(order).limit(limit)
    # the search begins at the sync that the part begins in
    first = select(func.max(SYNCS.c.first_seq)).where(SYNCS.c.first_seq <= since + 1)
    between = (
        SYNCS.c.first_seq >= func.coalesce(first.scalar_subquery(), 0),
        SYNCS.c.first_seq < top,
    )
    while True:
        rows = connection.execute(query.where(*between)).all()
        for row in rows:
            low = max(row.first_seq, since + 1)
            high = min(row.first_seq + row.change_count, top) - 1
            if low <= high:
                yield _Span(row.id, row.name, row.finished_at, row.first_seq, low, high)
        if len(rows) < limit:
            return
        last = rows[-1].first_seq
        if descending:
            between = between[0], SYNCS.c.first_seq < last
        else:
            between = SYNCS.c.first_seq > last, between[1]


def _windows(spans: Iterator[_Span], size: int, descending: bool) -> Iterator[list[_Span]]:
    """The same spans a window at a time: first one of `size` numbers, then ever larger ones."""
    size = min(size, MOST_NUMBERS)
    window, room = [], size
    for span in spans:
        rest: _Span | None = span
        while rest is not None:
            part, rest = _cut(rest, room, descending)
            window.append(part)
            room -= part.high - part.low + 1
            if room == 0:
                yield window
                size = min(2 * size, MOST_NUMBERS)
                window, room = [], size
    if window:
        yield window


def _cut(span: _Span, numbers: int, descending: bool) -> tuple[_Span, _Span | None]:
    """The first numbers of a span in the order that it is read in, and what is left."""
    if span.high - span.low < numbers:
        return span, None
    if descending:
        border = span.high - numbers
        return span._replace(low=border + 1), span._replace(high=border)
    border = span.low + numbers
    return span._replace(high=border - 1), span._replace(low=border)


def _changes_in(
    connection: Connection, window: Sequence[_Span], wanted: _Wanted, limit: int, descending: bool
) -> list[Change]:
    """The first of the changes in a window that are wanted."""
    spans = {span.sync: span for span in window}
    return [
        Change(
            seq=seq,
            feed=spans[sync].feed,
            item=item_id,
            kind=_KIND[kind],
            fields=_decode_changes(fields),
            sync=sync,
            at=spans[sync].at,
        )
        for seq, sync, kind, fields, item_id in _rows_in(
            connection, _WINDOW, window, wanted, descending, limit=limit
        )
    ]


def _rows_in(
    connection: Connection,
    statement: str,
    window: Sequence[_Span],
    wanted: _Wanted,
    descending: bool,
    **more: int,
) -> Sequence[Any]:
    """The rows that a statement has of a window."""
    condition, values = _conditions(connection, wanted)
    query = statement.format(
        condition=" AND ".join([among(connection, "syncs.id", "syncs"), *condition]),
        order="DESC" if descending else "ASC",
    )
    values |= {
        "syncs": among_value(connection, [span.sync for span in window]),
        "low": min(span.low for span in window),
        "high": max(span.high for span in window),
    }
    return connection.execute(text(query), values | more).all()


def _conditions(connection: Connection, wanted: _Wanted) -> tuple[list[str], dict[str, Any]]:
    """What changes are to be, as conditions and their values."""
    found, values = [], {}
    if wanted.kinds is not None:
        found.append(among(connection, "changes.kind", "kinds"))
        values["kinds"] = among_value(connection, [KINDS.index(kind) for kind in wanted.kinds])
    if wanted.fields is not None:
        keys = _KEYS_SQLITE if connection.dialect.name == "sqlite" else _KEYS_POSTGRES
        found.append(
            f"EXISTS (SELECT 1 FROM {keys} WHERE {among(connection, 'touched.key', 'fields')})"  # noqa: S608
        )
        values["fields"] = among_value(connection, list(wanted.fields))
    return found, values


def _changes_of_items(
    connection: Connection,
    items: Sequence[str],
    since: int,
    top: int,
    limit: int,
    feeds: Sequence[str] | None,
    sync: int | None,
    wanted: _Wanted,
    descending: bool,
) -> list[Change]:
    """Changes of items that are named: few, so they are found by the items, and sorted."""
    keys = connection.execute(keys_of(items, feeds)).scalars().all()
    query = change_rows().where(CHANGES.c.item.in_(keys), since < _SEQ, top > _SEQ)
    if sync is not None:
        query = query.where(SYNCS.c.id == sync)
    conditions, values = _conditions(connection, wanted)
    query = query.where(*[text(condition) for condition in conditions])
    order = [SYNCS.c.first_seq, CHANGES.c.ordinal]
    query = query.order_by(*[column.desc() if descending else column for column in order])
    return [change_of(row) for row in connection.execute(query.limit(limit), values)]
