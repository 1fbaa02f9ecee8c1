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

register = Library()

_SHORTEST_ISO = len("2026-03-31")
_MAX_DAYS = 3_000_000  # more than there are days
_AMERICAN = "%m-%d-%Y"
_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", _AMERICAN, "%m/%d/%Y")


class _AsWritten(datetime):
    """A moment that is not moved to the account's zone when it is shown."""

    convert_to_local_time = False


def _as_written(moment: datetime) -> datetime:
    return _AsWritten.combine(moment.date(), moment.timetz())


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
    return _as_written(moment)


register.filters["datetime_from_string"] = format_date_string


@register.filter
def days_later(value: Any, arg: Any) -> Any:
    """The moment so many days later. A text gives a text, written the same way."""
    days = number_of(arg)
    moment = moment_of(value)
    if days is None or moment is None or abs(days) > _MAX_DAYS:
        return ""
    later = moment + timedelta(days=whole_number(arg, 0))
    if not isinstance(value, str):
        return later if isinstance(value, datetime) else later.date()
    for form in _FORMATS:
        if moment.strftime(form) == value.strip():
            return later.strftime(form)
    return later.isoformat()


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
