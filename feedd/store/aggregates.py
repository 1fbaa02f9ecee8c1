"""Events are counted: from packed columns where they are, and from the events themselves where not.

Everything is read from one snapshot, a stretch of ids at a time, so that no event is counted twice or left out while others are
recorded, packed or dropped.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import Connection, TextClause, func, select, text

from feedd.errors import UsageError
from feedd.people.aggregation import Answer, Interval, Measure, Question
from feedd.people.counting import MOST_CELLS, Counter, Piece
from feedd.people.intervals import borders, zone_of
from feedd.people.sums import TooManyCells
from feedd.store.chunks import STRETCH, ready_chunks
from feedd.store.columns import (
    AT,
    PROFILE,
    PROPERTY,
    VALUE,
    Builder,
    Coded,
    Packed,
    codes_of,
    floats_of,
    integers_of,
    may_have_column,
    unpacked,
)
from feedd.store.database import Database
from feedd.store.merged import Merged, mapped
from feedd.store.people_tables import EVENT_COLUMNS, EVENTS, PROFILES

ROWS_AT_ONCE = 500  # in memory, with their properties
MOST_PROPERTIES = 5  # in a question
_NONE = Coded([""], np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint16))


class Aggregates:
    """Answers questions about the events of a database. Keep one: it knows who was merged with whom. For any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merged = Merged()

    def answer(self, question: Question) -> Answer:
        """Count events; exactly, whatever is packed.

        Raises:
            UsageError: the zone is none, or there would be too many intervals, groups or properties.
            StoreError: the database cannot be used.
        """
        _refuse_wrong(question)
        zone = zone_of(question.zone)
        with self._database.snapshot(by_key=True) as connection:
            since, before = _span(connection, question)
            edges = borders(since, before, question.interval, zone)
            if question.limit * (len(edges) - 1) > MOST_CELLS:
                raise _too_many(question, len(edges) - 1)
            profiles = (connection.execute(select(func.max(PROFILES.c.id))).scalar() or 0) + 1
            reader = _Reader(connection, question, self._merged)
            with contextlib.suppress(TooManyCells):
                return reader.count(Counter(question, edges, profiles)).answer(zone)
            with contextlib.suppress(TooManyCells):
                together = msgspec.structs.replace(question, interval=Interval.ALL)
                whole = reader.count(Counter(together, [edges[0], before], profiles)).answer(zone)
                most = [group.dimensions for group in whole.groups]
                told = msgspec.structs.replace(question, skip=0)
                found = reader.count(Counter(told, edges, profiles, only=most)).answer(zone)
                return msgspec.structs.replace(found, left_out=whole.left_out)
            raise _too_many(question, len(edges) - 1)  # sums of values that lie very far apart


def _too_many(question: Question, intervals: int) -> UsageError:
    return UsageError(
        f"{question.limit:,} groups of {intervals:,} intervals are too many to tell",
        code="too_many_groups",
        hint="Ask for fewer groups or for a longer interval",
    )


def _refuse_wrong(question: Question) -> None:
    if len(question.properties()) > MOST_PROPERTIES:
        raise UsageError(
            f"no more than {MOST_PROPERTIES} properties can be asked for at once",
            code="too_many_properties",
        )
    if not question.measures or question.limit < 1:
        raise UsageError("nothing is asked for: choose at least one measure and one group")
    if question.sort is not None and question.sort not in (*question.measures, *question.by):
        raise UsageError(f"groups can be sorted by what is asked for, not by {question.sort}")


def _span(connection: Connection, question: Question) -> tuple[int, int]:
    """From when to when events are counted: of what was left open, where the metric's events are."""
    of_metric = EVENTS.c.metric_id == question.metric
    since, before = question.since, question.before
    if since is None:
        since = connection.execute(select(func.min(EVENTS.c.at)).where(of_metric)).scalar()
    if before is None:
        last = connection.execute(select(func.max(EVENTS.c.at)).where(of_metric)).scalar()
        before = None if last is None else last + 1
    if since is None or before is None:
        return 0, 0
    return since, before


class _Wants(NamedTuple):
    """Which columns a question needs."""

    profile: bool
    value: bool
    properties: tuple[str, ...]


class _Reader:
    """The events of a metric, a piece at a time."""

    def __init__(self, connection: Connection, question: Question, merged: Merged) -> None:
        sums = Measure.SUM in question.measures and question.summed is None
        self._connection = connection
        self._metric = question.metric
        self._wants = _Wants(Measure.UNIQUE in question.measures, sums, question.properties())
        self._into = merged.read(connection) if self._wants.profile else None
        self._columns = _columns_statement(question.metric, self._wants)
        self._rows = _rows_statement(self._wants)
        self._decode = _decoder(self._wants.properties)

    def count(self, counter: Counter) -> Counter:
        """Have it count all there is."""
        with contextlib.closing(self._pieces()) as pieces:
            for piece in pieces:
                profile = None if piece.profile is None else mapped(self._into, piece.profile)
                counter.add(piece._replace(profile=profile))
        return counter

    def _pieces(self) -> Generator[Piece, None, None]:
        ends = [
            self._connection.execute(select(f(EVENTS.c.id))).scalar() for f in (func.min, func.max)
        ]
        if ends[0] is None or ends[1] is None:
            return
        low, end = ends[0], ends[1] + 1
        for first in ready_chunks(self._connection):
            if low < first:
                yield from self._events(low, first)
            if first + STRETCH > low:
                yield from self._chunk(first)
                low = first + STRETCH
        yield from self._events(low, end)

    def _chunk(self, first: int) -> Iterator[Piece]:
        rows = self._connection.execute(self._columns, {"first_id": first}).all()
        found = {name: unpacked(packed) for name, packed in rows}
        if AT in found:
            piece = self._piece(found)
            if piece is None:
                yield from self._events(first, first + STRETCH)
            else:
                yield piece

    def _piece(self, found: dict[str, Packed]) -> Piece | None:
        """Packed columns as a piece; None if a property that is asked for is not packed."""
        at = integers_of(found[AT])
        properties = {}
        for name in self._wants.properties:
            packed = found.get(PROPERTY + name)
            if packed is None:
                if found[AT].more:
                    return None
                properties[name] = _NONE._replace(codes=np.zeros(len(at), dtype=np.uint8))
            elif not packed.kind:
                return None
            else:
                properties[name] = codes_of(packed)
        value = floats_of(found[VALUE]) if VALUE in found else None
        profile = integers_of(found[PROFILE]) if self._wants.profile else None
        return Piece(at, profile, value, properties)

    def _events(self, low: int, end: int) -> Iterator[Piece]:
        """Events that are not packed, from an id up to another one."""
        if low >= end:
            return
        size = ROWS_AT_ONCE if self._wants.properties else 10 * ROWS_AT_ONCE
        bound = {"metric": self._metric, "low": low, "end": end}
        options = {"yield_per": size}
        with self._connection.execute(self._rows, bound, execution_options=options) as rows:
            for some in rows.partitions(size):
                yield self._piece_of_rows(some)

    def _piece_of_rows(self, rows: Sequence[Any]) -> Piece:
        at, profile, value, *properties = zip(*rows, strict=True)
        coded: dict[str, Coded] = {}
        if properties:
            builder = Builder()
            for written in properties[0]:
                builder.add(0, 0, None, self._decode(written))
            coded = {name: builder.coded(name) or _NONE for name in self._wants.properties}
        return Piece(
            np.array(at, dtype=np.int64),
            np.array(profile, dtype=np.int64),
            np.array(value, dtype=np.float64),  # NaN where there is none
            coded,
        )


def _columns_statement(metric: int, wants: _Wants) -> Any:
    names = [AT, *(PROPERTY + name for name in wants.properties if may_have_column(name))]
    names += [PROFILE] if wants.profile else []
    names += [VALUE] if wants.value else []
    return select(EVENT_COLUMNS.c.name, EVENT_COLUMNS.c.packed).where(
        EVENT_COLUMNS.c.first_id == text(":first_id"),
        EVENT_COLUMNS.c.metric_id == metric,
        EVENT_COLUMNS.c.name.in_(names),
    )


def _rows_statement(wants: _Wants) -> TextClause:
    properties = ", properties" if wants.properties else ""
    # not by the index of the metric: neighbours of the table lie together, its events do not
    return text(
        f"SELECT at, profile_id, value{properties} FROM events "  # noqa: S608 our own names
        "WHERE id >= :low AND id < :end AND metric_id + 0 = :metric ORDER BY id"
    )


def _decoder(names: Sequence[str]) -> Any:
    """What reads these properties of a JSON object, and skips the others."""
    fields: list[Any] = [
        (f"property_{place}", Any, msgspec.field(name=name, default=None))
        for place, name in enumerate(names)
    ]
    try:
        decode = msgspec.json.Decoder(msgspec.defstruct("Wanted", fields)).decode
    except ValueError:  # a name that would have to be escaped
        return msgspec.json.Decoder(dict[str, Any]).decode

    def wanted(properties: str) -> dict[str, Any]:
        return dict(zip(names, msgspec.structs.astuple(decode(properties)), strict=True))

    return wanted
