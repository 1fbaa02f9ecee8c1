"""Cron expressions as crontab(5) has them, and time zones, checked and read. Pure.

Five fields: minute, hour, day of month, month, day of week. Lists, ranges, steps and English names; weekdays are 0 to
7, where 0 and 7 are Sunday; `@hourly` and its like stand for whole expressions.
"""

import re
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_EXAMPLE = '"*/15 * * * *" is every quarter of an hour, "30 6 * * mon-fri" 6:30 on working days'
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MOST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,3}))?")


class Cron(NamedTuple):
    """The times that an expression names. `weekdays` are 0 (Sunday) to 6; `days` and `weekdays` are None for all.

    `either`: a day of one kind is enough. crontab means so where both kinds are restricted and neither begins with *.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    either: bool


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),
)


@lru_cache(maxsize=10_000)
def parse_cron(text: str) -> Cron:
    """The times that an expression names.

    Raises:
        ValueError: it is no expression, or its time never comes; says what to write.
    """
    words = text.lower().split()
    if len(words) == 1 and words[0].startswith("@"):
        if words[0] not in ALIASES:
            raise ValueError(f"{text!r} is not known; the names are {', '.join(ALIASES)}")
        words = ALIASES[words[0]].split()
    if len(words) != 5:
        raise ValueError(
            f"{text!r} has {len(words)} fields, not five: minute, hour, day of month, month,"
            f" day of week; {_EXAMPLE}"
        )
    minutes, hours, days, months, weekdays = (
        _values(word, field) for word, field in zip(words, _FIELDS, strict=True)
    )
    cron = Cron(
        minutes,
        hours,
        None if words[2] == "*" else days,
        months,
        None if words[4] == "*" else frozenset(day % 7 for day in weekdays),
        either=not (words[2].startswith("*") or words[4].startswith("*")),
    )
    if cron.days is not None and not cron.either:
        longest = max(_MOST_DAYS[month - 1] for month in months)
        if min(cron.days) > longest:
            raise ValueError(
                f"{text!r} never comes: these months have at most {longest} days; name another day or month"
            )
    return cron


def check_cron(text: str, timezone: str) -> str | None:
    """What is wrong with an expression or its time zone, or None."""
    try:
        parse_cron(text)
        find_timezone(timezone)
    except ValueError as error:
        return str(error)
    return None


def find_timezone(name: str) -> tzinfo:
    """The time zone of an IANA name such as `Europe/Berlin`.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "UTC":  # known with no time zone database at all
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f'{name!r} is not a time zone; write one such as "Europe/Berlin" or "UTC"'
        ) from error


def _values(word: str, field: _Field) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a {field.name}; {_EXAMPLE}")
        star, first_word, last_word, step_word = match.groups()
        step = int(step_word or 1)
        if step == 0:
            raise ValueError(f"the step of {part!r} is 0; write 1 or more")
        if star:
            most = 6 if field.name == "day of week" else field.most
            found.update(range(field.least, most + 1, step))
            continue
        first = _value(first_word, field)
        last = _value(last_word, field) if last_word else (field.most if step_word else first)
        if last < first and field.names is _WEEKDAYS and last_word in _WEEKDAYS:
            last += 7  # fri-mon goes over the week's end
        if last < first:
            raise ValueError(f"{part!r} runs backwards; write the lower {field.name} first")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _value(word: str, field: _Field) -> int:
    if word in field.names:
        return field.names.index(word) + field.least
    if not word.isdecimal() or not field.least <= int(word) <= field.most:
        names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise ValueError(
            f"{word!r} is not a {field.name}; it is {field.least} to {field.most}{names}"
        )
    return int(word)
