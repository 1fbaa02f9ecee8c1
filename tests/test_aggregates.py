"""What is counted is what is there, whatever of it is packed."""

import itertools
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from people_rows import Row, add_events, fill, merge, open_people
from sqlalchemy import delete

from feedd.errors import UsageError
from feedd.intake import Place
from feedd.people import counting
from feedd.people.aggregation import Answer, Interval, Measure, Question
from feedd.people.intervals import borders
from feedd.store import columns
from feedd.store.aggregates import Aggregates
from feedd.store.chunks import STRETCH, drop_chunks
from feedd.store.database import Database
from feedd.store.packing import pack_next
from feedd.store.people_metrics import Activity, read_activity
from feedd.store.people_tables import EVENT_CHUNKS, EVENT_COLUMNS, EVENTS, MERGES, METRICS, PROFILES

ALL = (Measure.COUNT, Measure.UNIQUE, Measure.SUM)
ZONES = ("UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe")
START = int(datetime.fromisoformat("2026-03-27T00:00Z").timestamp())
DAY = 86_400


@pytest.fixture
def people(place: Place) -> Iterator[Database]:
    database = open_people(place)
    yield database
    database.close()


def pack_all(database: Database) -> int:
    return len(list(itertools.takewhile(bool, (pack_next(database) for _ in itertools.count()))))


def seal(database: Database, number: int) -> None:
    """One more event of another metric far behind, so that all stretches before it are full."""
    add_events(database, [Row(number=number, profile=1, metric=2, at=START)])


# plain counting, for comparison


def texts(value: Any) -> list[str]:
    if isinstance(value, list):
        found = [
            text
            for element in value
            for text in texts(element)
            if text and not isinstance(element, list)
        ]
        return list(dict.fromkeys(found)) or [""]
    if value is None or isinstance(value, dict):
        return [""]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, float):
        return [str(int(value)) if value == int(value) else str(value)]
    return [str(value)]


def amount(row: Row, summed: str | None) -> Fraction:
    if summed is None:
        return Fraction(row.value or 0)
    found = texts((row.properties or {}).get(summed))
    return sum(Fraction(float(text)) for text in found if text[-1:].isdecimal()) + Fraction(0)


def plain(rows: list[Row], question: Question, into: dict[int, int]) -> Answer:
    def person(number: int) -> int:
        while number in into:
            number = into[number]
        return number

    of_metric = [row for row in rows if row.metric == question.metric]
    since = (
        min((row.at for row in of_metric), default=0) if question.since is None else question.since
    )
    last = max((row.at for row in of_metric), default=-1) + 1
    before = last if question.before is None else question.before
    zone = ZoneInfo(question.zone)
    known = of_metric or None not in (question.since, question.before)
    edges = borders(since, before, question.interval, zone) if known else [0]
    chosen = [
        row
        for row in of_metric
        if since <= row.at < before
        and all(text in texts((row.properties or {}).get(name)) for name, text in question.where)
        and all(
            {*some} & {*texts((row.properties or {}).get(name))} for name, some in question.among
        )
    ]
    cells: dict[tuple[str, ...], list[list[Row]]] = {}
    if not question.by:
        cells[()] = [[] for _ in edges[:-1]]
    for row in chosen:
        place = max(n for n, edge in enumerate(edges) if edge <= row.at)
        for group in itertools.product(
            *(texts((row.properties or {}).get(name)) for name in question.by)
        ):
            cells.setdefault(group, [[] for _ in edges[:-1]])[place].append(row)

    def measured(some: list[Row]) -> dict[Measure, float]:
        return {
            Measure.COUNT: len(some),
            Measure.UNIQUE: len({person(row.profile) for row in some}),
            Measure.SUM: float(sum(amount(row, question.summed) for row in some)),
        }

    def only(found: dict[Measure, float]) -> dict[Measure, float]:
        return {measure: found[measure] for measure in question.measures}

    groups = [
        counting.Group(
            dimensions=group,
            values={m: [measured(some)[m] for some in row] for m in question.measures},
            totals=only(measured([each for some in row for each in some])),
        )
        for group, row in cells.items()
    ]
    sort = question.sort or question.measures[0]
    groups.sort(key=lambda group: group.dimensions)
    if isinstance(sort, Measure):
        groups.sort(key=lambda group: group.totals[sort], reverse=not question.ascending)
    else:
        place = question.by.index(sort)
        groups.sort(key=lambda group: group.dimensions[place], reverse=not question.ascending)
    end = question.skip + question.limit
    return Answer(
        dates=[datetime.fromtimestamp(edge, zone) for edge in edges[:-1]],
        groups=groups[question.skip : end],
        totals=only(measured(chosen)),
        left_out=max(len(groups) - end, 0),
    )


VALUES = st.one_of(
    st.sampled_from(
        ["red", "blue", "", "5", "true", None, 5, 5.0, 2.5, True, False, {"a": 1}, -0.0, 0.1]
    ),
    st.lists(
        st.sampled_from(["red", "blue", "red", 5, 0.1, 2.3, True, None, ["x"], {}]), max_size=3
    ),
)
SOME_ROWS = st.lists(
    st.builds(
        lambda **given: given,
        stretch=st.integers(0, 3),
        profile=st.integers(1, 6),
        metric=st.sampled_from([1, 1, 3]),
        at=st.integers(START, START + 4 * DAY),
        value=st.sampled_from([None, 0.25, 10, -2.5, 0.1, 19.99, -0.3, 1e16, -1e16, 1e300, 5e-324]),
        properties=st.dictionaries(st.sampled_from(["colour", "size", "\0"]), VALUES),
    ),
    max_size=25,
)
QUESTIONS = st.builds(
    Question,
    metric=st.just(1),
    measures=st.permutations(ALL).flatmap(lambda m: st.integers(1, 3).map(lambda n: tuple(m[:n]))),
    interval=st.sampled_from(list(Interval)),
    zone=st.sampled_from(ZONES),
    since=st.one_of(st.none(), st.integers(START - DAY, START + 3 * DAY)),
    before=st.one_of(st.none(), st.integers(START, START + 5 * DAY)),
    by=st.sampled_from([(), ("colour",), ("colour", "size"), ("size", "colour", "\0")]),
    where=st.sampled_from(
        [(), (("size", "5"),), (("colour", "red"), ("size", "")), (("colour", "none"),)]
    ),
    summed=st.sampled_from([None, None, "size", "\0"]),
    among=st.sampled_from([(), (("size", ("5", "blue", "")),), (("colour", ()),)]),
    ascending=st.booleans(),
    skip=st.sampled_from([0, 0, 2]),
    limit=st.sampled_from([1, 3, 500]),
).flatmap(
    lambda question: st.sampled_from([None, *question.measures, *question.by]).map(
        lambda sort: replace(question, sort=sort)
    )
)


def clear(database: Database) -> None:
    with database.transaction() as connection:
        for table in (EVENTS, EVENT_CHUNKS, EVENT_COLUMNS, MERGES, METRICS, PROFILES):
            connection.execute(delete(table))


@given(
    some=SOME_ROWS,
    questions=st.lists(QUESTIONS, min_size=1, max_size=6),
    merges=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=4),
    late=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=3),
    dropped=st.sets(st.integers(0, 3)),
)
@settings(max_examples=25)
def test_counts_are_those_of_the_rows(
    people: Database,
    some: list[dict[str, Any]],
    questions: list[Question],
    merges: list[tuple[int, int]],
    late: list[tuple[int, int]],
    dropped: set[int],
) -> None:
    clear(people)
    some.sort(key=lambda given: given["stretch"])
    rows = [
        Row(number=n + 1 + given.pop("stretch") * STRETCH, **given)
        for n, given in enumerate({**given} for given in some)
    ]
    fill(people, rows, profiles=6, metrics=3)
    into: dict[int, int] = {}
    aggregates = Aggregates(people)  # it learns of later merges by itself

    def merge_all(pairs: list[tuple[int, int]]) -> None:
        for source, target in pairs:
            if source != target and source not in into and target not in into:
                merge(people, source, target)
                into[source] = target

    merge_all(merges)
    seal(people, 3 * STRETCH)
    pack_all(people)
    with people.transaction() as connection:
        drop_chunks(connection, [stretch * STRETCH + 3 for stretch in dropped])
    for question in questions:
        assert aggregates.answer(question) == plain(rows, question, into)
    merge_all(late)
    for question in questions:
        assert aggregates.answer(question) == plain(rows, question, into)
    of_metric = {m: [row.at for row in rows if row.metric == m] for m in (1, 3)}
    now = START + 4 * DAY
    found = read_activity(people, now)
    assert {m: found[m] for m in (1, 3) if m in found} == {
        m: Activity(len(at), sum(each >= now - DAY for each in at), len(at), max(at))
        for m, at in of_metric.items()
        if at
    }


def shop(count: int = 40, **more: Any) -> list[Row]:
    return [
        Row(
            number=n + 1,
            profile=n % 4 + 1,
            metric=1,
            at=START + n * 3_600,
            value=n / 2,
            properties={"order": f"A{n % 13}", "tags": ["x", f"t{n % 3}"], **more},
        )
        for n in range(count)
    ]


def packed_shop(people: Database, rows: list[Row]) -> Aggregates:
    fill(people, rows, profiles=4, metrics=2)
    seal(people, 2 * STRETCH)
    assert pack_all(people) == 2
    return Aggregates(people)


BY_ORDER = Question(
    metric=1, measures=ALL, by=("order",), interval=Interval.DAY, zone="UTC", limit=5
)


def test_events_are_not_read_where_columns_are_packed(people: Database) -> None:
    rows = shop()
    aggregates = packed_shop(people, rows)
    expected = plain(rows, BY_ORDER, {})
    assert aggregates.answer(BY_ORDER) == expected
    with people.transaction() as connection:  # which only the columns know by now
        connection.execute(EVENTS.update().where(EVENTS.c.id == 3).values(metric_id=2))
    assert aggregates.answer(BY_ORDER) == expected
    with people.transaction() as connection:
        drop_chunks(connection, [3])
    assert aggregates.answer(BY_ORDER).totals[Measure.COUNT] == len(rows) - 1
    assert pack_all(people) == 1
    assert aggregates.answer(BY_ORDER).totals[Measure.COUNT] == len(rows) - 1


@pytest.mark.parametrize(
    ("bound", "most", "packed"),
    [
        ("MOST_TEXTS", 5, {".tags", ".extra", ".longest"}),
        ("MOST_TEXT_BYTES", 1, {".extra", ".longest"}),
        ("MOST_NAME_BYTES", 4, {".tags"}),
        ("MOST_PROPERTIES", 1, {".order"}),
        ("MOST_BYTES", 8, {".extra", ".longest"}),
    ],
)
def test_a_property_that_is_not_worth_a_column_is_read_from_the_events(
    people: Database, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, packed: set[str]
) -> None:
    monkeypatch.setattr(columns, bound, most)
    rows = shop(extra="e", longest="l")
    aggregates = packed_shop(people, rows)
    of_metric = EVENT_COLUMNS.select().where(EVENT_COLUMNS.c.metric_id == 1)
    with people.connect() as connection:
        stored = connection.execute(of_metric).all()
    there = {row.name for row in stored if columns.unpacked(row.packed).kind}
    assert there == {"at", "profile", "value"} | packed
    for by in (("order",), ("order", "longest"), ("tags",), ("extra",)):
        question = Question(metric=1, measures=ALL, by=by, where=(("longest", "l"),))
        assert aggregates.answer(question) == plain(rows, question, {})


def test_more_groups_than_fit_are_counted_in_two_goes(
    people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = shop()
    aggregates = packed_shop(people, rows)
    monkeypatch.setattr(
        counting, "MOST_CELLS", 13
    )  # two days of 13 orders do not fit, those of five do
    monkeypatch.setattr("feedd.store.aggregates.MOST_CELLS", 12)
    for measure in ALL:
        question = Question(metric=1, measures=ALL, by=("order",), sort=measure, limit=5)
        found = aggregates.answer(question)
        assert found == plain(rows, question, {})
        assert (len(found.groups), found.left_out) == (5, 8)


def test_sums_that_do_not_fit_are_counted_in_two_goes_or_refused(
    people: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row._replace(value=row.number / 10) for row in shop()]
    fill(people, rows, profiles=4, metrics=2)
    question = Question(metric=1, measures=(Measure.SUM,), by=("order",), limit=5)
    expected = plain(rows, question, {})
    aggregates = Aggregates(people)
    monkeypatch.setattr(counting, "MOST_SUMMED", 100)  # of tenths, each cell has three
    assert aggregates.answer(question) == expected
    with people.transaction() as connection:
        connection.execute(EVENTS.update().where(EVENTS.c.id == 7).values(value=1e300))
    with pytest.raises(UsageError, match="too many to tell"):
        aggregates.answer(question)


def test_a_question_that_cannot_be_answered_says_why(people: Database) -> None:
    fill(people, shop(), profiles=4, metrics=2)
    aggregates = Aggregates(people)
    for wrong, message in (
        (Question(metric=1, by=tuple("abcdef")), "no more than 5 properties"),
        (Question(metric=1, measures=()), "at least one measure"),
        (Question(metric=1, sort=Measure.SUM), "not by sum"),
        (Question(metric=1, zone="Mars/Olympus"), "no time zone"),
        (Question(metric=1, limit=1_000_000, interval=Interval.HOUR), "too many to tell"),
    ):
        with pytest.raises(UsageError, match=message):
            aggregates.answer(wrong)


def test_too_many_groups_are_refused(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_GROUPS", 12)
    fill(people, shop(), profiles=4, metrics=2)
    with pytest.raises(UsageError, match="more than 12 groups"):
        Aggregates(people).answer(BY_ORDER)
