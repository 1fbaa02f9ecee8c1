"""Which properties the events of a metric have: from the newest of them, and from packed columns for those that are rarer.

The newest `NEWEST` events are read whole. A property that none of them has is found by its column, if it has one in any stretch: the
column's different texts tell its kind. So what nothing but an older, unpacked event has is not found.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, text

from feedd.people.inference import Property, Seen
from feedd.store.columns import PROPERTY, codes_of, unpacked
from feedd.store.database import Database
from feedd.store.people_tables import EVENT_COLUMNS

NEWEST = 1_000  # events
MOST_BYTES = 16 * 1024 * 1024  # of their properties
MOST_PROPERTIES = 1_000  # of a metric
_AT_ONCE = 50
_DIGEST_BYTES = 13
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_NEWEST = text(
    "SELECT events.properties FROM (SELECT id, at FROM events WHERE metric_id = :metric "
    "ORDER BY at DESC, id DESC LIMIT :limit) AS chosen JOIN events ON events.id = chosen.id "
    "ORDER BY chosen.at DESC, chosen.id DESC"
)


def read_properties(database: Database, metric: int) -> list[Property]:
    """The properties of a metric's events, by name; `metric` is the number of its row."""
    seen = Seen(MOST_PROPERTIES)
    with database.snapshot(by_key=True) as connection:
        _see_newest(connection, metric, seen)
        _see_columns(connection, metric, seen)
    return seen.properties()


def property_id(metric_uid: str, name: str) -> str:
    """The id of a property: that of its metric, and a digest of its name, of which `metric_of` gives the metric again."""
    digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()
    return metric_uid + digest


def metric_of(given: str) -> str:
    """The id of the metric that a property's id begins with; "" where it is none."""
    return given[: -2 * _DIGEST_BYTES]


def _see_newest(connection: Connection, metric: int, seen: Seen) -> None:
    left = MOST_BYTES
    bound = {"metric": metric, "limit": NEWEST}
    with connection.execute(_NEWEST, bound, execution_options={"yield_per": _AT_ONCE}) as rows:
        for (properties,) in rows:
            seen.add(_decode(properties))
            left -= len(properties)
            if left < 0:
                return


def _see_columns(connection: Connection, metric: int, seen: Seen) -> None:
    newest = func.max(EVENT_COLUMNS.c.first_id)
    named = (
        select(EVENT_COLUMNS.c.name, newest)
        .where(EVENT_COLUMNS.c.metric_id == metric)
        .group_by(EVENT_COLUMNS.c.name)
        .order_by(newest.desc(), EVENT_COLUMNS.c.name)
    )
    found = connection.execute(named).all()
    for name, first in found[: 2 * MOST_PROPERTIES]:
        if name.startswith(PROPERTY) and name.removeprefix(PROPERTY) not in seen:
            _see_column(connection, (first, metric, name), seen)


def _see_column(connection: Connection, key: Sequence[Any], seen: Seen) -> None:
    columns = (EVENT_COLUMNS.c.first_id, EVENT_COLUMNS.c.metric_id, EVENT_COLUMNS.c.name)
    where = [column == value for column, value in zip(columns, key, strict=True)]
    packed = unpacked(connection.execute(select(EVENT_COLUMNS.c.packed).where(*where)).scalar_one())
    name = str(key[2]).removeprefix(PROPERTY)
    if packed.kind:
        coded = codes_of(packed)
        seen.add_texts(name, coded.texts, is_list=len(coded.extra) > 0)
