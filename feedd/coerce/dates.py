"""The coercion to dates. Pure.

Everything becomes an RFC 3339 string in UTC, such as `2026-03-31T21:00:00Z`. A time without a zone is UTC; a date
without a time is its midnight in UTC.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from feedd.coerce.outcome import Note, Noted, Refused, holds_nothing, scalar_text

_FIRST_UNIX_S, _LAST_UNIX_S = (
    10**8,
    10**10,
)  # 1973 to 2286; smaller numbers are more likely years or days

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_TIME = (
    r"(?:,?\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>[AaPp][Mm])?)?"
)
_ZONE = r"(?:\s*(?P<zone>Z|UTC|UT|GMT|[ECMP][SD]T|[+-]\d{2}:?\d{2}))?"
_AMERICAN_HOURS = {"E": -5, "C": -6, "M": -7, "P": -8}  # RFC 2822, 4.3; one more in summer
_SPELLINGS = tuple(
    re.compile(date + _TIME + _ZONE, re.ASCII)
    for date in (
        # RFC 2822, weekday optional, then the American way round.
        r"(?:[A-Za-z]{3,9},?\s+)?(?P<day>\d{1,2})[\s-]+(?P<name>[A-Za-z]{3,9})\.?,?[\s-]+(?P<year>\d{4})",
        r"(?:[A-Za-z]{3,9},\s+)?(?P<name>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2}),?\s+(?P<year>\d{4})",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
    )
)
_SLASHES = re.compile(
    r"(?P<first>\d{1,2})/(?P<second_part>\d{1,2})/(?P<year>\d{4}|\d{2})" + _TIME + _ZONE, re.ASCII
)
_ISO_BASIC = re.compile(r"(?:19|20)\d{6}(?:T\d{4,6}.*)?", re.ASCII)
_ZERO = "0000-00-00"  # how MySQL writes that there is none
_ISO_TAIL = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$)|\s*(?:UTC|GMT|UT)$")
_UNIX = re.compile(r"(\d{9,10}|\d{12,13})(\.\d{1,9})?", re.ASCII)

_REFUSED = Refused(
    "date_not_understood", "Write the date as 2026-03-31 or 2026-03-31T18:00:00+02:00."
)
_AMBIGUOUS = Note("ambiguous_date", "Read as month/day/year; write 2026-03-31 to be certain.")


def date(value: Any) -> Any:
    """A moment as an RFC 3339 string in UTC, from ISO 8601, RFC 2822, unix seconds and other usual spellings."""
    if type(value) is bool:
        return _REFUSED
    found = scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else _REFUSED
    found = found.strip()
    if not found or found.startswith(_ZERO):
        return None
    try:
        moment, notes = _moment(found)
        written = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return _REFUSED
    return Noted(written, notes) if notes else written


def _moment(found: str) -> tuple[datetime, tuple[Note, ...]]:
    """The moment and what to say about it. Raises ValueError or OverflowError where it is none."""
    if len(found) > 60:
        raise ValueError(found[:60])
    if _UNIX.fullmatch(found):
        return _unix(float(found)), ()
    if found[:4].isdecimal() and found[4:5] == "-":
        return _in_utc(datetime.fromisoformat(_ISO_TAIL.sub(_zone_text, found))), ()
    if match := _SLASHES.fullmatch(found):
        return _slashed(match)
    for spelling in _SPELLINGS:
        if match := spelling.fullmatch(found):
            parts = match.groupdict()
            month = (
                int(parts["month"])
                if parts.get("month")
                else _MONTHS.get(parts["name"][:3].lower(), 0)
            )
            return _built(match, int(parts["year"]), month, int(parts["day"])), ()
    if _ISO_BASIC.fullmatch(found):
        return _in_utc(datetime.fromisoformat(found)), ()
    raise ValueError(found)


def _zone_text(match: re.Match[str]) -> str:
    return "+00:00" if match[0].strip() else ""


def _unix(seconds: float) -> datetime:
    if seconds >= _LAST_UNIX_S:
        seconds /= 1000
    if not _FIRST_UNIX_S <= seconds < _LAST_UNIX_S:
        raise ValueError(seconds)
    return datetime.fromtimestamp(seconds, UTC)


def _slashed(match: re.Match[str]) -> tuple[datetime, tuple[Note, ...]]:
    """Month/day/year, as the American custom is, unless the first number can only be a day."""
    first, second = int(match["first"]), int(match["second_part"])
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year >= 69 else 2000  # POSIX
    month, day = (second, first) if first > 12 else (first, second)
    notes = (_AMBIGUOUS,) if first <= 12 and second <= 12 and first != second else ()
    return _built(match, year, month, day), notes


def _built(match: re.Match[str], year: int, month: int, day: int) -> datetime:
    hour = int(match["hour"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    minute, second = int(match["minute"] or 0), int(match["second"] or 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=_zone(match["zone"]))


def _zone(found: str | None) -> timezone:
    if found is None or found in ("Z", "UTC", "UT", "GMT"):
        return UTC
    if found[0] in _AMERICAN_HOURS:
        return timezone(timedelta(hours=_AMERICAN_HOURS[found[0]] + (found[1] == "D")))
    digits = found[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if found[0] == "-" else offset)


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
