"""Numbers of a metric over time, as a body asks for them (`POST /api/metric-aggregates`)."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Response
from msgspec import Struct
from msgspec.structs import replace

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import BodyError, json_body
from feedd.api.cursors import pack, unpack
from feedd.api.filters import Condition, Filterable, FilterError, Word, parse_filter, times
from feedd.api.people_metrics import find_metric
from feedd.api.resources import Resource, ResourceType
from feedd.errors import NotFound, UsageError
from feedd.people.aggregation import Answer, Interval, Measure, Question
from feedd.people.documents import Time
from feedd.people.intervals import check_years, zone_of
from feedd.people.spans import Span, span_of
from feedd.store.columns import texts_of

router = APIRouter(tags=["metrics"])
_AT = "/data/attributes"
_KIND = "metric-aggregate"
_MOST_S = 366 * 86_400
_DEFAULT_PAGE, _MOST_PAGE = 500, 10_000
MOST_FILTER_LENGTH, MOST_CONDITIONS = 100_000, 100  # of all members of the filter together
_MEASURES = {"count": Measure.COUNT, "sum_value": Measure.SUM, "unique": Measure.UNIQUE}
_RETURNED = ("id", "dates", "data")
_BOUNDS = ("greater-or-equal", "greater-than", "less-than", "less-or-equal")


class Row(Struct, frozen=True, kw_only=True):
    """The numbers of one group: by measurement, one for each date. `dimensions` are what its events share."""

    dimensions: list[str]
    measurements: dict[str, list[float]]


class AggregateAttributes(Struct, frozen=True, kw_only=True):
    """When the intervals begin, in UTC, and the numbers in them."""

    dates: list[Time]
    data: list[Row]


class _Query(Struct, forbid_unknown_fields=True):
    metric_id: str
    measurements: list[Literal["count", "sum_value", "unique"]]
    filter: str | list[str]  # a text is a list of one
    interval: Literal["hour", "day", "week", "month"] | None = "day"
    page_size: int | None = _DEFAULT_PAGE
    page_cursor: str | None = None
    by: list[str] | None = None
    return_fields: list[str] | None = None
    timezone: str | None = "UTC"
    sort: str | None = None


class _QueryData(Struct):
    type: Literal["metric-aggregate"]
    attributes: _Query


class AggregateQuery(Struct):
    """`{"data": {"type": "metric-aggregate", "attributes": {"metric_id", "measurements", "filter", …}}}`"""

    data: _QueryData


# an answer is not kept: its link is that of the metric
AGGREGATE = ResourceType(
    name=_KIND, path="metrics", attributes=AggregateAttributes, scope="metrics"
)
ONE_AGGREGATE = Asking(AGGREGATE)
EXAMPLE = {
    "data": {
        "type": "metric-aggregate",
        "attributes": {
            "metric_id": "AbC123",
            "measurements": ["count", "sum_value"],
            "filter": [
                "greater-or-equal(datetime,2026-01-01T00:00:00)",
                "less-than(datetime,2026-02-01T00:00:00)",
                'equals(Brand,"Mugs & Co")',
            ],
            "interval": "day",
            "by": ["ItemNames"],
            "timezone": "Europe/Oslo",
            "sort": "-count",
        },
    }
}


@router.post(
    "/metric-aggregates",
    summary="Numbers of a metric over time",
    **ONE_AGGREGATE.route(body=(AggregateQuery, EXAMPLE)),
)
def query_aggregates(
    app: TheApp,
    asked: Annotated[Asked, Depends(ONE_AGGREGATE)],
    query: Annotated[AggregateQuery, Depends(json_body(AggregateQuery))],
) -> Response:
    """Exact counts, sums of values and numbers of different people, by hour, day, week or month, and by what events share."""
    wanted = query.data.attributes
    question, digest = _question(wanted), _digest(wanted)
    if wanted.page_cursor:
        with _placed("page_cursor"):
            (skip,) = unpack(
                wanted.page_cursor,
                _KIND,
                digest,
                tuple[Number],
                name="page_cursor",
                found_in="meta.page_cursor",
            )
        question = replace(question, skip=skip)
    with _placed("metric_id"):
        metric = find_metric(app, wanted.metric_id)
    with _placed("by"):
        answer = app.persons.aggregates.answer(replace(question, metric=metric.number))
    meta = {}
    if answer.left_out:
        meta["page_cursor"] = pack(_KIND, [question.skip + question.limit], digest)
    return asked.one(Resource(AGGREGATE, metric.id, _attributes(answer, wanted)), meta=meta)


@contextlib.contextmanager
def _placed(name: str) -> Iterator[None]:
    """Have what is wrong with what was asked point at the attribute where it was."""
    try:
        yield
    except UsageError as error:
        code = "invalid" if isinstance(error, NotFound) else error.code
        raise BodyError(
            error.message, code=code, hint=error.hint, pointer=f"{_AT}/{name}"
        ) from error


def _question(wanted: _Query) -> Question:
    """What is asked of the store, but for the metric. Raises UsageError."""
    by = tuple(dict.fromkeys(wanted.by or ()))
    measures = tuple(dict.fromkeys(_MEASURES[each] for each in wanted.measurements))
    if not measures:
        raise _wrong("measurements", "is empty", f"Choose from {', '.join(_MEASURES)}.")
    size = _DEFAULT_PAGE if wanted.page_size is None else wanted.page_size
    if not 1 <= size <= _MOST_PAGE:
        raise _wrong("page_size", f"is not from 1 to {_MOST_PAGE:,}", "Read more pages.")
    with _placed("timezone"):
        zone = zone_of(wanted.timezone or "UTC")
    with _placed("filter"):
        texts = [wanted.filter] if isinstance(wanted.filter, str) else wanted.filter
        conditions = _conditions(texts, zone)
    span = _span(conditions)
    sort, ascending = _sort(wanted, by)
    return Question(
        metric=0,
        measures=measures,
        interval=Interval(wanted.interval or "day"),
        zone=zone.key,
        since=span.since,
        before=span.before,
        by=by,
        among=tuple(
            (each.field, tuple(each.value if isinstance(each.value, list) else [each.value]))
            for each in conditions
            if each.field != "datetime"
        ),
        sort=sort,
        ascending=ascending,
        limit=size,
    )


def _conditions(filters: Sequence[str], zone: ZoneInfo) -> list[Condition]:
    """What events must have. Raises UsageError, also where it is so much that to look at each event would take for ever."""
    if sum(len(text) + 1 for text in filters) > MOST_FILTER_LENGTH:
        raise FilterError(f"the filter is longer than {MOST_FILTER_LENGTH:,} characters")
    found = [each for text in filters for each in parse_filter(text, _Fields(zone))]
    if len(found) > MOST_CONDITIONS:
        raise FilterError(
            f"the filter has {len(found):,} conditions; {MOST_CONDITIONS} are the most",
            hint='Several values of a property can be one: any(Size,["S","M"]).',
        )
    return found


def _span(conditions: Sequence[Condition]) -> Span:
    """From when to when: at most a year, as documented at
    https://developers.klaviyo.com/en/reference/query_metric_aggregates ."""
    span = span_of((each.operator, each.value) for each in conditions if each.field == "datetime")
    hint = 'Write ["greater-or-equal(datetime,2026-01-01)", "less-than(datetime,2026-02-01)"].'
    if span.since is None or span.before is None:
        raise _wrong("filter", "does not say from when to when", hint)
    if span.is_empty():
        raise _wrong("filter", "leaves no time", hint)
    if span.before - span.since > _MOST_S:
        raise _wrong("filter", "spans more than a year", "Ask for one year after the other.")
    with _placed("filter"):
        check_years(span.since, span.before)
    return span


def _sort(wanted: _Query, by: Sequence[str]) -> tuple[Measure | str | None, bool]:
    """What groups are sorted by, and whether the least come first."""
    if not wanted.sort:
        return None, False
    name = wanted.sort.removeprefix("-")
    if name not in (*wanted.measurements, *by):
        known = ", ".join([*wanted.measurements, *by])
        raise _wrong("sort", f"names {name[:100]!r}", f"Supported: {known}, each also with -.")
    sort = _MEASURES[name] if name in wanted.measurements else name
    return sort, not wanted.sort.startswith("-")


class _Fields(Mapping[str, Filterable]):
    """What can be filtered: the time, and every property by its name."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._time = times(*_BOUNDS, zone=zone)

    def __getitem__(self, name: str) -> Filterable:
        return self._time if name == "datetime" else _PROPERTY

    def __iter__(self) -> Iterator[str]:
        return iter(("datetime", "PROPERTY"))

    def __len__(self) -> int:
        return 2


def _text_of(word: Word) -> str:
    """A value as values are compared: 5 is 5.0, and "5"."""
    if not word.quoted:
        with contextlib.suppress(msgspec.DecodeError):
            return "".join(texts_of(msgspec.json.decode(word.text)))
    return word.text


_PROPERTY = Filterable(("equals", "any"), _text_of, '"text"')


def _digest(wanted: _Query) -> str:
    """What a cursor is for: all that was asked but for the pages."""
    asked = msgspec.json.encode(replace(wanted, page_size=None, page_cursor=None))
    return hashlib.blake2s(asked, digest_size=6).hexdigest()


def _attributes(answer: Answer, wanted: _Query) -> dict[str, Any]:
    """The answer as attributes; `return_fields` chooses among them, and among measurements."""
    chosen = frozenset(wanted.return_fields or ())
    known = (*_RETURNED, *_MEASURES)
    if unknown := sorted(chosen.difference(known)):
        raise _wrong(
            "return_fields", f"names {unknown[0][:100]!r}", f"Supported: {', '.join(known)}."
        )
    names = list(dict.fromkeys(wanted.measurements))
    if chosen.intersection(_MEASURES):
        names = [name for name in names if name in chosen]
    found = AggregateAttributes(
        dates=[each.astimezone(UTC).isoformat(timespec="seconds") for each in answer.dates],
        data=[
            Row(
                dimensions=list(group.dimensions),
                measurements={name: group.values[_MEASURES[name]] for name in names},
            )
            for group in answer.groups
        ],
    )
    told = chosen.intersection(_RETURNED) or frozenset(_RETURNED)
    return {name: getattr(found, name) for name in ("dates", "data") if name in told}


def _wrong(name: str, problem: str, hint: str) -> BodyError:
    return BodyError(f"{name} {problem}", hint=hint, pointer=f"{_AT}/{name}")
