"""Dates in the letters of others: `strftime`, word processors, Java and JavaScript. Pure."""

import re
from collections.abc import Collection, Iterator

from feedd.templates.spelling.draft import STRING, Draft, Finding

DATES = {
    "a": "D", "A": "l", "b": "M", "B": "F", "d": "d", "e": "j", "-d": "j", "m": "m", "-m": "n", "y": "y", "Y": "Y",
    "H": "H", "I": "h", "-I": "g", "l": "g", "M": "i", "S": "s", "p": "A", "P": "a", "Z": "T", "z": "O", "j": "z",
    "D": "m/d/y", "F": "Y-m-d", "T": "H:i:s", "R": "H:i", "%": "%",
}  # fmt: skip
"""Signs of `strftime`, and what Django's dates are written with."""

DOUBLED = {
    "yyyy": "Y", "YYYY": "Y", "yy": "y", "YY": "y", "MMMM": "F", "MMM": "M", "MM": "m", "dddd": "l", "EEEE": "l", "ddd": "D",
    "EEE": "D", "dd": "d", "DD": "d", "HH": "H", "hh": "h", "ss": "s", "SS": "s", "tt": "A",
}  # fmt: skip
"""Runs of letters that word processors, Java and JavaScript write dates with, in Django's letters."""

DATE = re.compile(r"\|\s*date:([\"'])(\x1a*)\1")
TEXT_DATE = re.compile(
    rf"\b((today|event|person)\b(?:\.\w+)*(?:\s*\|\s*lookup:{STRING})*)\s*\|\s*(date)\s*:"
)
"""A date of what can only be a text."""
STRFTIME = re.compile(r"%(-?[A-Za-z%])")
_DOUBLED = re.compile(r"yy|YY|MM|mm|dd|DD|HH|hh|ss|EE")
_NOW = re.compile(r"\{\{\s*(now|'\x1a{3}'|\"\x1a{3}\")\s*\|\s*date:")
_NOW_TAG = re.compile(r"\{%\s*now\s+([\"'])(\x1a*)\1")
_LETTERS = "dates are written with Django's letters: Y-m-d, d.m.Y, F j"


def is_foreign(form: str) -> bool:
    """Whether a format is in other letters than Django's: in those of `strftime`, or doubled as in `dd.MM.yyyy`."""
    return bool(STRFTIME.search(form) or _DOUBLED.search(re.sub(r"\\.", "", form)))


def django_date(form: str) -> str:
    """A format of `strftime`, or of doubled letters, in Django's letters."""
    if STRFTIME.search(form):
        return STRFTIME.sub(lambda sign: DATES.get(sign[1], sign[1]), form)
    if not is_foreign(form):
        return form
    hours = re.search("[Hh]", form)
    moment = re.search("YYYY|MMM", form)  # of moment.js, where D is the day of the month

    def right(found: re.Match[str]) -> str:
        run = found[0]
        if run in ("mm", "m"):
            return "i" if hours and hours.start() < found.start() else "m" if run == "mm" else run
        if run == "D":
            return "j" if moment else run
        if run == "M":
            return "n" if re.search(r"[/.-]M|M[/.-]", form) else run
        return DOUBLED.get(run, run)

    return re.sub(r"\\.|([A-Za-z])\1*", right, form)


def doubtful(draft: Draft, given: Collection[str]) -> Iterator[Finding]:
    """Dates that are blank, or shown in other letters than meant. `given` are names that the template gives."""
    now = _NOW.match(draft.masked)
    first = DATE.search(draft.masked)
    if now and draft.text[slice(*now.span(1))].strip("\"'") == "now":
        right = django_date(draft.text[slice(*first.span(2))]) if first else "F j, Y"
        yield Finding(
            draft.places[now.start(1)], len(now[1]), "now is not known as a value: a tag tells the time",
            f'write {{% now "{right}" %}}', "warning",
        )  # fmt: skip
        return
    if tag := _NOW_TAG.match(draft.masked):
        form = draft.text[slice(*tag.span(2))]
        if is_foreign(form):
            at = draft.places[tag.start(2)]
            yield Finding(
                at, len(form), _LETTERS, f'write {{% now "{django_date(form)}" %}}', "warning"
            )
    of_text = {
        found.start(3)
        for found in TEXT_DATE.finditer(draft.masked)
        if found[2] == "today" or found[2] not in given
    }
    for found in DATE.finditer(draft.masked):
        form = draft.text[slice(*found.span(2))]
        name = found.start() + found[0].index("date")
        read = "|format_date_string" if name in of_text else ""
        if is_foreign(form):
            at = draft.places[found.start(2)]
            yield Finding(
                at, len(form), _LETTERS, f'write {read}|date:"{django_date(form)}"', "warning"
            )
        elif read:
            yield Finding(
                draft.places[name], 4, "a date that stands in a text is blank here until it is read",
                f"write {read}|date:{draft.text[found.start(1):found.end()]}", "warning",
            )  # fmt: skip
