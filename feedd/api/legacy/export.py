"""The v1 export of a metric: its parameters as a question, and the answer."""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from feedd.api.legacy.calls import Call, written
from feedd.api.legacy.parameters import structured
from feedd.errors import UsageError
from feedd.people.aggregation import Interval, Measure, Question
from feedd.store.columns import texts_of

MOST_DAYS = 31
MOST_SEGMENTS = 1_000
ALL = "$all_time"  # the only segment where nothing is asked `by`
PARAMETERS = (
    (
        "start_date",
        "string",
        "The first day, `2026-01-13`, or Unix seconds; with `end_date`. A month ago where both are left out",
    ),
    ("end_date", "string", f"The last day, or Unix seconds; at most {MOST_DAYS} days later"),
    ("unit", "string", "`day`, `week` or `month`"),
    ("measurement", "string", '`count`, `unique`, `value`, or `["sum","Property"]`'),
    ("where", "string", 'What events must have: `[["Property","=","value"]]`; not with `by`'),
    ("by", "string", "The property whose values make segments"),
    ("count", "integer", f"How many segments, {MOST_SEGMENTS} at most; those with the most first"),
)
_MEASURES = {"count": Measure.COUNT, "unique": Measure.UNIQUE, "value": Measure.SUM}
_SECONDS = re.compile(r"\d{9,11}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def asked_for(call: Call, metric: int) -> Question:
    """What an export asks of the metric of that number. Raises UsageError."""
    since, before = _span(call.text("start_date"), call.text("end_date"), datetime.now(UTC))
    measure, summed = _measure(call.text("measurement") or "count")
    by, where = call.text("by"), call.text("where")
    if by is not None and where is not None:
        raise UsageError("where and by are both given", hint="Send one of them.")
    return Question(
        metric=metric,
        measures=(measure,),
        interval=Interval(call.choice("unit", ("day", "week", "month"))),
        since=int(since.timestamp()),
        before=int(before.timestamp()),
        by=() if by is None else (by,),
        where=() if where is None else (_condition(where),),
        summed=summed,
        limit=call.count("count", default=25, most=MOST_SEGMENTS),
    )


def results_of(call: Call, question: Question) -> list[dict[str, Any]]:
    """The answer to a question, a segment each."""
    (measure,) = question.measures
    found = call.app.persons.aggregates.answer(question)
    return [
        {
            "segment": group.dimensions[0] if group.dimensions else ALL,
            "data": [
                {"date": written(begin), "values": [value]}
                for begin, value in zip(found.dates, group.values[measure], strict=True)
            ],
        }
        for group in found.groups
    ]


def _span(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """From when to when; the second one is not with it. Raises UsageError."""
    if (start is None) != (end is None):
        raise UsageError("start_date and end_date belong together", hint="Send both, or neither.")
    if start is None or end is None:
        return _midnight(_month_before(now.date())), _midnight(now.date()) + timedelta(days=1)
    since, before = _moment("start_date", start), _moment("end_date", end)
    if since > before:
        raise UsageError("end_date lies before start_date")
    if before - since > timedelta(days=MOST_DAYS):
        raise UsageError(
            f"end_date lies more than {MOST_DAYS} days after start_date",
            hint="Ask for one month after the other.",
        )
    return since, before + timedelta(days=1) if _DATE.fullmatch(end) else before


def _moment(name: str, text: str) -> datetime:
    if _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    try:
        if _DATE.fullmatch(text) and not text.startswith("9999"):  # whose last day has no next one
            return _midnight(date.fromisoformat(text))
    except ValueError:  # the 30th of February
        pass
    raise UsageError(f"{name} cannot be read", hint="Write 2026-01-13, or Unix seconds.")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _month_before(day: date) -> date:
    year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _measure(text: str) -> tuple[Measure, str | None]:
    """What is measured, and the property that is added up. Raises UsageError."""
    if text in _MEASURES:
        return _MEASURES[text], None
    found = structured(text, None) if text.startswith("[") else None
    if isinstance(found, list) and len(found) == 1 and found[0] in list(_MEASURES):
        return _MEASURES[found[0]], None
    if isinstance(found, list) and len(found) == 2 and found[0] == "sum" and found[1]:
        return Measure.SUM, str(found[1])
    raise UsageError(
        "measurement is none",
        hint='It is count, unique, value, or a sum of a property: ["sum","ItemCount"].',
    )


def _condition(text: str) -> tuple[str, str]:
    """The name and the text of the one condition in `where`. Raises UsageError."""
    found = structured(text, None)
    if isinstance(found, list) and len(found) > 1 and isinstance(found[0], list):
        raise UsageError("where has more than one condition", hint="One is the most.")
    condition = found[0] if isinstance(found, list) and len(found) == 1 else None
    if not (isinstance(condition, list) and len(condition) == 3 and isinstance(condition[0], str)):
        raise UsageError("where cannot be read", hint='Write [["Property","=","value"]].')
    name, operator, value = condition
    if operator != "=":
        raise UsageError("where has an operator that is not supported", hint='"=" is the only one.')
    texts = texts_of(value) or ("",)
    if len(texts) > 1 or isinstance(value, list | dict):
        raise UsageError("where compares with more than one value", hint="One is the most.")
    return name, texts[0]
