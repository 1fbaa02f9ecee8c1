"""Counts events a piece at a time, in memory that grows with what is found and not with what is read. Pure.

A cell is one interval of one group.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from feedd.errors import UsageError
from feedd.people.aggregation import Answer, Group, Measure, Question
from feedd.people.distinct import People
from feedd.people.sums import Sums, TooManyCells

MOST_CELLS = 1 << 23
MOST_SUMMED = 1 << 25  # integers of sums, of which a cell has some
MOST_GROUPS = 200_000
_SMALL = 1 << 20

Array = np.ndarray[Any, np.dtype[Any]]


class Property(Protocol):
    """A property of a piece: see `store.columns.Coded`."""

    @property
    def texts(self) -> list[str]: ...
    @property
    def codes(self) -> Array: ...
    @property
    def extra(self) -> Array: ...


class Piece(NamedTuple):
    """Some events. `profile` and `value` are None where nobody asks; a `value` is NaN where there is none."""

    at: Array
    profile: Array | None
    value: Array | None
    properties: Mapping[str, Property]


class Counter:
    """What one question comes to. `only` are the groups that are counted by intervals; None takes all.

    The numbers of profiles are below `profiles`, as far as is known.
    """

    def __init__(
        self,
        question: Question,
        borders: Sequence[int],
        profiles: int,
        only: Sequence[tuple[str, ...]] | None = None,
    ) -> None:
        self._question = question
        self._borders = np.array(borders, dtype=np.int64)
        self._intervals = len(borders) - 1
        self._since = borders[0] if question.since is None else max(question.since, borders[0])
        asked = (*((name, (text,)) for name, text in question.where), *question.among)
        self._required = [(name, frozenset(texts)) for name, texts in asked]
        self._only = only is not None
        self._groups = {group: number for number, group in enumerate(only or ())}
        measures = question.measures
        self._count = np.zeros(0, dtype=np.int64) if Measure.COUNT in measures else None
        self._sums = Sums(0, MOST_SUMMED) if Measure.SUM in measures else None
        self._people = People(profiles) if Measure.UNIQUE in measures else None
        self._all_count, self._all_people = 0, People(profiles)
        self._all_sum = Sums(1, MOST_SUMMED)
        self._grow()

    def add(self, piece: Piece) -> None:
        """Count some more events.

        Raises:
            TooManyCells: see there.
            UsageError: there are too many groups to tell them apart.
        """
        interval = np.searchsorted(self._borders, piece.at, side="right") - 1
        kept = (piece.at >= self._since) & (interval < self._intervals)
        for name, texts in self._required:
            kept &= _having(piece.properties[name], texts, len(piece.at))
        rows = np.flatnonzero(kept)
        if not len(rows):
            return
        self._count_all(piece, rows)
        if self._question.by:
            rows, group = self._grouped(piece, rows)
            self._grow()
            cells = group * self._intervals + interval[rows]
        else:
            cells = interval[rows]
        if self._count is not None:
            np.add.at(self._count, cells, 1)
        if self._sums is not None:
            self._add_amounts(self._sums, piece, rows, cells)
        if self._people is not None and piece.profile is not None:
            self._people.add(cells, piece.profile[rows])

    def answer(self, zone: ZoneInfo) -> Answer:
        """What was counted, with the groups that have the most."""
        asked = self._question
        totals = self._totals()
        names = list(self._groups) if asked.by else [()]
        order = _ordered(names, asked, totals)
        end = asked.skip + asked.limit
        told = order[asked.skip : end]
        values = self._values(told)
        return Answer(
            dates=[datetime.fromtimestamp(int(start), zone) for start in self._borders[:-1]],
            groups=[
                Group(
                    dimensions=names[n],
                    values={measure: found[place].tolist() for measure, found in values.items()},
                    totals={measure: found[n].item() for measure, found in totals.items()},
                )
                for place, n in enumerate(told)
            ],
            totals=self._all_totals(),
            left_out=max(len(names) - end, 0),
        )

    def _count_all(self, piece: Piece, rows: Array) -> None:
        if not self._question.by:
            return  # the only group says it
        self._all_count += len(rows)
        if self._sums is not None:
            self._add_amounts(self._all_sum, piece, rows, np.zeros(len(rows), dtype=np.int64))
        if self._people is not None and piece.profile is not None:
            self._all_people.add(np.zeros(len(rows), dtype=np.int64), piece.profile[rows])

    def _add_amounts(self, sums: Sums, piece: Piece, rows: Array, cells: Array) -> None:
        """Add to cells what the events in those rows have."""
        if self._question.summed is not None:
            found = piece.properties[self._question.summed]
            numbers = np.array([_number_of(text) for text in found.texts], dtype=np.float64)
            _, again, codes = _expanded(found, rows, len(piece.at))
            sums.add(cells[again], numbers[codes])
        elif piece.value is not None:
            sums.add(cells, piece.value[rows])

    def _all_totals(self) -> dict[Measure, float]:
        if not self._question.by:
            return {measure: found[0].item() for measure, found in self._totals().items()}
        found = {
            Measure.COUNT: self._all_count,
            Measure.UNIQUE: int(self._all_people.counts(1)[0]),
            Measure.SUM: self._all_sum.together(1, 1).item(),
        }
        return {measure: found[measure] for measure in self._question.measures}

    def _grouped(self, piece: Piece, rows: Array) -> tuple[Array, Array]:
        """Rows, each as often as it has groups, and the numbers of these."""
        places = np.zeros(len(rows), dtype=np.int64)
        groups: list[tuple[str, ...]] = [()]
        for name in self._question.by:
            texts = piece.properties[name].texts
            rows, again, codes = _expanded(piece.properties[name], rows, len(piece.at))
            there, places = _numbered(places[again] * len(texts) + codes)
            groups = [(*groups[n // len(texts)], texts[n % len(texts)]) for n in there.tolist()]
        numbers = np.array([self._number(group) for group in groups], dtype=np.int64)
        found = numbers[places]
        wanted = found >= 0
        return (rows, found) if wanted.all() else (rows[wanted], found[wanted])

    def _number(self, group: tuple[str, ...]) -> int:
        known = self._groups.get(group)
        if known is not None:
            return known
        if self._only:
            return -1
        if len(self._groups) >= MOST_GROUPS:
            raise UsageError(
                f"{' and '.join(self._question.by)} make more than {MOST_GROUPS:,} groups",
                code="too_many_groups",
                hint="Choose a property with fewer values, or fewer events",
            )
        return self._groups.setdefault(group, len(self._groups))

    def _grow(self) -> None:
        wanted = max(len(self._groups), 1) * self._intervals
        if wanted > MOST_CELLS:
            raise TooManyCells
        room = min(2 * wanted, MOST_CELLS)
        if self._count is not None and len(self._count) < wanted:
            more = np.zeros(room - len(self._count), dtype=np.int64)
            self._count = np.concatenate([self._count, more])
        if self._sums is not None and self._sums.size < wanted:
            self._sums.grow(room)

    def _values(self, groups: Sequence[int]) -> dict[Measure, Array]:
        """The numbers of some groups, a row each."""
        starts = np.array(groups, dtype=np.int64) * self._intervals
        cells = starts[:, np.newaxis] + np.arange(self._intervals)
        found: dict[Measure, Array] = {}
        if self._count is not None:
            found[Measure.COUNT] = self._count[cells]
        if self._sums is not None:
            found[Measure.SUM] = self._sums.rounded(cells)
        if self._people is not None:
            size = max(len(self._groups), 1) * self._intervals
            found[Measure.UNIQUE] = self._people.counts(size)[cells]
        return {measure: found[measure] for measure in self._question.measures}

    def _totals(self) -> dict[Measure, Array]:
        """The numbers of all groups, of the whole time."""
        groups = len(self._groups) if self._question.by else 1
        shape = groups, self._intervals
        found: dict[Measure, Array] = {}
        if self._count is not None:
            cells = self._count[: groups * self._intervals]
            found[Measure.COUNT] = cells.reshape(shape).sum(axis=1)
        if self._sums is not None:
            found[Measure.SUM] = self._sums.together(*shape)
        if self._people is not None:
            people, several = self._people, self._intervals > 1
            found[Measure.UNIQUE] = (
                people.counts_together(*shape) if several else people.counts(groups)
            )
        return {measure: found[measure] for measure in self._question.measures}


def _numbered(keys: Array) -> tuple[Array, Array]:
    """The different keys in their order, and the place of each key among them. None is negative."""
    if len(keys) and keys.max() > _SMALL:
        return np.unique(keys, return_inverse=True)
    there = np.bincount(keys) > 0  # which takes no sorting
    return np.flatnonzero(there), (np.cumsum(there) - 1)[keys]


def _ordered(
    names: Sequence[tuple[str, ...]], asked: Question, totals: Mapping[Measure, Array]
) -> list[int]:
    """The numbers of groups as they are told; those that are the same by what is asked are in the order of their texts."""
    sort = asked.sort or asked.measures[0]
    key: Callable[[int], Any]
    if isinstance(sort, Measure):
        found = totals[sort].tolist()
        key = found.__getitem__
    else:
        place = asked.by.index(sort)
        key = lambda n: names[n][place]  # noqa: E731
    by_name = sorted(range(len(names)), key=names.__getitem__)
    return sorted(by_name, key=key, reverse=not asked.ascending)


def _having(found: Property, texts: frozenset[str], count: int) -> Array:
    """Which of the events have one of those texts."""
    codes = [code for code, text in enumerate(found.texts) if text in texts]
    if not codes:
        return np.zeros(count, dtype=bool)
    same = found.codes == codes[0] if len(codes) == 1 else np.isin(found.codes, codes)
    having: Array = same[:count]
    having[found.extra[same[count:]]] = True
    return having


def _number_of(text: str) -> float:
    """The number that a text is; 0 where it is none."""
    try:
        number = float(text) if "_" not in text else 0.0
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _expanded(found: Property, rows: Array, count: int) -> tuple[Array, Array, Array]:
    """Rows, each as often as it has values of a property; their places in the rows given; the codes of the values."""
    codes = found.codes[rows].astype(np.int64)
    if not len(found.extra):
        return rows, np.arange(len(rows)), codes
    order = np.argsort(found.extra, kind="stable")
    extra = found.extra[order].astype(np.int64)
    more = found.codes[count:][order].astype(np.int64)
    first = np.searchsorted(extra, rows, side="left")
    many = np.searchsorted(extra, rows, side="right") - first
    again = np.repeat(np.arange(len(rows)), many)
    offset = np.arange(len(again)) - np.repeat(np.cumsum(many) - many, many)
    places = np.concatenate([np.arange(len(rows)), again])
    return rows[places], places, np.concatenate([codes, more[first[again] + offset]])
