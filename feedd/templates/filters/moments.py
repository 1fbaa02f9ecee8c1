"""Filters of dates. Events say moments as text, so a text is read first: `format_date_string` gives what `date` formats.

A moment that was read from a text is shown as the text had it, in the zone that stands in it, as Klaviyo shows it.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.template import Library

from feedd.coerce.dates import date as read_date
from feedd.coerce.outcome import Noted, Refused
from feedd.templates.bounded import needs_message, number_of, text_of, whole_number
from feedd.templates.message import Message
from feedd.templates.moments import AsWritten

register = Library()

_SHORTEST_ISO = len("2026-03-31")
_MAX_DAYS = 3_000_000  # more than there are days
_AMERICAN = "%m-%d-%Y"
# how a text that says a moment may begin, the more usual of two that both fit first
_WEEKDAYS = ("", "%a, ", "%A, ", "%a ", "%A ")
_NUMBERS = (
    "%Y-%m-%d", "%m-%d-%Y", "%m/%d/%Y", "%-m/%-d/%Y", "%m/%d/%y", "%-m/%-d/%y", "%d.%m.%Y", "%-d.%-m.%Y", "%Y/%m/%d",
    "%Y.%m.%d", "%Y%m%d",
)  # fmt: skip
_NAMES = (
    "%b %-d, %Y", "%b %d, %Y", "%B %-d, %Y", "%B %d, %Y", "%b. %-d, %Y", "%b %-d %Y", "%B %-d %Y", "%d %b %Y", "%-d %b %Y",
    "%-d %B %Y", "%d %B %Y", "%d-%b-%Y", "%-d-%b-%Y",
)  # fmt: skip
_BEGINNINGS = (*_NUMBERS, *(weekday + names for weekday in _WEEKDAYS for names in _NAMES))
_FIRST_YEAR = 1000  # that is written with four digits
# a zone in the text may have the day before or after the one that it is in UTC
_SHIFTS = tuple(map(timedelta, (0, -1, 1)))


def moment_of(value: Any) -> datetime | None:
    """The moment that a value is or says; without a zone where it has none; None where it says none."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    text = text_of(value).strip() if isinstance(value, str | int | float) else ""
    if not text or isinstance(value, bool):
        return None
    try:
        if len(text) >= _SHORTEST_ISO and text[4:5] == "-":
            return datetime.fromisoformat(text)
        return datetime.strptime(text, _AMERICAN)  # noqa: DTZ007 it has none
    except ValueError:
        found = read_date(text)
    if isinstance(found, Noted):
        found = found.value
    return None if found is None or isinstance(found, Refused) else datetime.fromisoformat(found)


@register.filter
def format_date_string(value: Any) -> Any:
    """The moment that a text says, for `date` to format; blank where it says none."""
    moment = moment_of(value)
    if moment is None or moment is value:
        return moment or ""
    return AsWritten.combine(moment.date(), moment.timetz())


register.filters["datetime_from_string"] = format_date_string


@register.filter
def days_later(value: Any, arg: Any) -> Any:
    """The moment so many days later. A text gives a text, written the same way where that can be read again; else an ISO one."""
    days = number_of(arg)
    moment = moment_of(value)
    if days is None or moment is None or abs(days) > _MAX_DAYS:
        return ""
    later = moment + timedelta(days=whole_number(arg, 0))
    if not isinstance(value, str):
        return later if isinstance(value, datetime) else later.date()
    return _respelled(value.strip(), moment, later - moment) or _iso(value, later)


def _respelled(text: str, moment: datetime, distance: timedelta) -> str | None:
    """The text with another day in it; None where its own is not found. What follows, a time and a zone, stays."""
    if min(moment.year, (moment + distance).year) < _FIRST_YEAR:
        return None
    for shift in _SHIFTS:
        day = moment.date() + shift
        for beginning in _BEGINNINGS:
            written = day.strftime(beginning)
            rest = text[len(written) :]
            if text.startswith(written) and not rest[:1].isdigit():
                return (day + distance).strftime(beginning) + rest
    return None


def _iso(text: str, moment: datetime) -> str:
    return moment.isoformat() if ":" in text or moment.time() != time() else str(moment.date())


@register.filter
@needs_message
def weeks_since(value: Any, arg: Any = None, *, message: Message) -> Any:
    """How many whole weeks have passed since a moment: until now, or until the moment in the argument."""
    since = moment_of(value)
    until = message.now if arg is None else moment_of(arg)
    if since is None or until is None:
        return ""
    passed = _in_utc(until) - _in_utc(since)
    return int(passed / timedelta(weeks=1))


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
