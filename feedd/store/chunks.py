"""Which stretches of 65,536 events have their columns packed.

They are a cache: whoever reads events copes with any that is missing, and whoever changes one says so here, in the same transaction.
Packing is done in `store.packing`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from feedd.store import cursors
from feedd.store.cursors import Cursor
from feedd.store.people_tables import CURSORS, EVENT_CHUNKS, EVENT_COLUMNS, EVENTS

STRETCH_BITS = 16
STRETCH = 1 << STRETCH_BITS  # event ids
_AT_ONCE = 500  # in a statement
_DELETED = (
    "events.deleted"  # the cursor that keeps the number of the newest event, if that was deleted
)
_ENDS = select(
    select(func.max(EVENTS.c.id)).scalar_subquery(),
    select(func.max(EVENT_CHUNKS.c.first_id)).scalar_subquery(),
    select(CURSORS.c.seq).where(CURSORS.c.name == _DELETED).scalar_subquery(),
)

_SPAN = select(
    select(func.min(EVENTS.c.id)).scalar_subquery(),
    select(func.max(EVENTS.c.id)).scalar_subquery(),
)


def first_of(event_id: int) -> int:
    """The first id of an event's stretch."""
    return event_id >> STRETCH_BITS << STRETCH_BITS


def drop_chunks(connection: Connection, event_ids: Sequence[int]) -> None:
    """Drop the columns of these events: call it in the transaction that changes or deletes them. They are packed again.

    A stretch that is being packed meanwhile is not taken either.
    """
    stretches = sorted({first_of(number) for number in event_ids})
    for start in range(0, len(stretches), _AT_ONCE):
        for table in (
            EVENT_CHUNKS,
            EVENT_COLUMNS,
        ):  # in this order: the row is what others wait for
            some = table.c.first_id.in_(stretches[start : start + _AT_ONCE])
            connection.execute(delete(table).where(some))


def next_event_number(connection: Connection) -> int:
    """The number that the next event gets: one that no event had, and in no packed stretch, even if its last ones were deleted."""
    newest, packed, deleted = connection.execute(_ENDS).one()
    return max(newest or 0, deleted or 0, -1 if packed is None else packed + STRETCH - 1) + 1


def keep_numbers(connection: Connection, event_ids: Sequence[int], now: datetime) -> None:
    """Have the numbers of these events, which are deleted in this transaction, given to no other.

    Whoever follows events in the order of their numbers would miss the other one.
    """
    last = max(event_ids)
    if last >= next_event_number(connection):
        cursors.put(connection, Cursor(name=_DELETED, stream_id="", seq=last), now)


def ready_chunks(connection: Connection) -> list[int]:
    """The first ids of the stretches whose columns are there, in order."""
    query = select(EVENT_CHUNKS.c.first_id).where(EVENT_CHUNKS.c.last_id > 0)
    return list(connection.execute(query.order_by(EVENT_CHUNKS.c.first_id)).scalars())


def next_full(connection: Connection) -> int | None:
    """The first id of the first stretch that gets no more events and is not packed."""
    oldest, newest = connection.execute(_SPAN).one()
    if oldest is None:
        return None
    ready = set(ready_chunks(connection))
    starts = range(first_of(oldest), newest - STRETCH + 2, STRETCH)
    return next((first for first in starts if first not in ready), None)
