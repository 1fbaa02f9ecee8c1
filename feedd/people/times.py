"""When something happened, in Unix seconds. Pure."""

import re
from datetime import datetime
from typing import Any

from feedd.coerce.dates import date
from feedd.coerce.outcome import Noted
from feedd.people.limits import PayloadProblem

FIRST_S = 631_152_000  # 1990-01-01T00:00:00Z
AHEAD_S = 366 * 86_400  # a year
_DIGITS = re.compile(r"\d{9,20}(?:\.\d{1,20})?", re.ASCII)  # eight are a date
# what JavaScript's Date says more than others: `Tue Sep 30 2014 13:34:08 GMT+0200 (Central European Summer Time)`
_OF_DATE = re.compile(r"^[A-Z][a-z]{2} (?=[A-Z][a-z]{2} \d)|GMT(?=[+-]\d)|\s*\([^()]*\)$")
_MILLISECONDS_FROM = 100_000_000_000  # in seconds that is the year 5138
_HINT = "Write Unix seconds (1767225600) or 2026-01-01T00:00:00Z."


def event_time(value: Any, now_s: float, pointer: str = "/time") -> int:
    """The second in which something happened; now where nothing is said.

    `value` is Unix seconds, as a number or as text, or a date in any usual spelling, which is UTC unless it says its zone; a
    date without a time is its midnight. Fractions of a second are cut off.

    Raises:
        PayloadProblem: it cannot be read, lies before 1990 or more than a year after now, or is in milliseconds.
    """
    if value is None:
        return int(now_s)
    kind = type(value)
    if kind is str:
        value = value.strip()
        if not value:
            return int(now_s)
        seconds = float(value) if _DIGITS.fullmatch(value) else _spelled(value, pointer)
    elif kind is int or kind is float:
        seconds = value
    else:
        raise PayloadProblem(pointer, "is not a time", code="invalid_time", hint=_HINT)
    if FIRST_S <= seconds <= now_s + AHEAD_S:
        return int(seconds)
    raise _out_of_range(seconds, pointer)


def _spelled(text: str, pointer: str) -> float:
    found = date(_OF_DATE.sub("", text))
    if type(found) is Noted:
        found = found.value
    if type(found) is not str:
        raise PayloadProblem(pointer, "cannot be read as a time", code="invalid_time", hint=_HINT)
    # before 1970 a fraction is cut towards the past, which is out of range anyway
    return datetime.fromisoformat(found).timestamp()


def _out_of_range(seconds: float, pointer: str) -> PayloadProblem:
    if seconds != seconds:
        message = "cannot be read"
    elif seconds < FIRST_S:
        message = "lies before 1990"
    elif seconds >= _MILLISECONDS_FROM:
        message = "is in milliseconds, or lies far ahead"
    else:
        message = "lies more than a year ahead"
    return PayloadProblem(pointer, message, code="invalid_time", hint=_HINT)
