"""Moments as templates have them, and how they are shown where no filter says how."""

from datetime import date, datetime, time
from typing import Any

from babel.dates import format_date, format_time, get_datetime_format
from django.utils.formats import localize
from django.utils.timezone import template_localtime

from feedd.templates.locales import locale_of


class Moment(datetime):
    """A moment that is an ISO text in the account's zone where a list or dict that has it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(localtime(self).isoformat())


class AsWritten(Moment):
    """One that is not moved to the account's zone, but stays as a text said it."""

    __slots__ = ()
    convert_to_local_time = False


def localtime(moment: Any) -> Any:
    """A moment in the account's zone; as it is where it has none, or the zone has no such year."""
    try:
        return template_localtime(moment)
    except OverflowError:
        return moment


def shown(moment: date | time, locale: str) -> str:
    """A moment as the account's language has it: English as Django writes it, others as Unicode's CLDR has them."""
    moment = localtime(moment)
    found = locale_of(locale)
    if found.language == "en":
        return str(localize(moment, use_l10n=True))
    if isinstance(moment, time):
        return format_time(moment, "short", locale=found)
    day = format_date(moment, "long", locale=found)
    if not isinstance(moment, datetime):
        return day
    both = str(get_datetime_format("medium", locale=found)).replace("'", "")
    return both.format(format_time(moment, "short", locale=found), day)
