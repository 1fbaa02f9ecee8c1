"""Django's own filters, where they could grow, look where they should not, or ask the clock: as Django's, with a bound.

Each has Django's result for whatever stays within the bounds; what `bounded.kept` does for every filter is not repeated.
"""

import re
from datetime import date, datetime
from typing import Any

from django.template import Library, VariableDoesNotExist, defaultfilters

from feedd.templates.bounded import (
    check_count,
    check_length,
    check_written,
    kept,
    needs_message,
    number_of,
    text_of,
    too_large_a_number,
)
from feedd.templates.message import Message
from feedd.templates.variables import part

register = Library()

# of a text: each writes out whatever it is given
TEXT_FILTERS = (
    "addslashes", "capfirst", "center", "cut", "escape", "escapejs", "force_escape", "iriencode", "linebreaks",
    "linebreaksbr", "linenumbers", "ljust", "lower", "make_list", "phone2numeric", "rjust", "safe", "slugify",
    "striptags", "title", "truncatechars", "truncatechars_html", "truncatewords", "truncatewords_html", "upper",
    "urlencode", "urlize", "urlizetrunc", "wordcount", "wordwrap",
)  # fmt: skip
OTHER_FILTERS = (
    "date", "default", "default_if_none", "divisibleby", "filesizeformat", "first", "get_digit", "last", "length",
    "pluralize", "slice", "time", "yesno",
)  # fmt: skip

_MAX_DECIMALS = 1000
_MAX_FORMAT = 100
_django = defaultfilters.register.filters


for _name in TEXT_FILTERS:
    register.filters[_name] = kept(_django[_name], takes_text=True)
for _name in OTHER_FILTERS:
    register.filters[_name] = _django[_name]


def _padded(name: str) -> None:
    """Register a filter that fills a text up to a width, which may be as wide as a value may be."""
    function = register.filters[name]

    def padded(value: Any, arg: Any) -> Any:
        check_length(int(arg))
        return function(value, arg)

    register.filter(name, padded, is_safe=True)


for _name in ("center", "ljust", "rjust"):
    _padded(_name)


@register.filter(is_safe=False)
def add(value: Any, arg: Any) -> Any:
    """Numbers added up, without their decimals; texts and lists put together."""
    if isinstance(value, str | list | tuple) and isinstance(arg, str | list | tuple):
        (check_length if isinstance(value, str) else check_count)(len(value) + len(arg))
    return _django["add"](value, arg)


@register.filter(is_safe=True)
def floatformat(text: Any, arg: Any = -1) -> Any:
    """A number with so many decimals, written as the account writes numbers."""
    places = re.search(r"\d+", str(arg)[:20])
    if places and int(places[0]) > _MAX_DECIMALS:
        raise too_large_a_number()
    check_written(text)
    return _django["floatformat"](text, arg)


@register.filter(is_safe=True)
def stringformat(value: Any, arg: Any) -> Any:
    """A value by one of Python's `%` formats, given without the `%`."""
    if value is None:
        return ""
    spec = str(arg)
    if len(spec) > _MAX_FORMAT:
        return ""
    check_length(sum(int(width) for width in re.findall(r"\d+", spec)))
    check_written(value)
    return _django["stringformat"](value, arg)


@register.filter(is_safe=True, needs_autoescape=True)
def join(value: Any, arg: Any, autoescape: bool = True) -> Any:
    """A list as one text, with another text in between."""
    if value is None:
        return ""
    check_written(value)
    if isinstance(value, dict | list | tuple | str):
        check_length(len(value) * len(text_of(arg)))
    if isinstance(value, list | tuple):  # numbers too are joined where nothing is escaped
        value = [each if isinstance(each, str) else text_of(each) for each in value]
    return _django["join"](value, text_of(arg), autoescape=autoescape)


def _whole_value(name: str) -> None:
    """Register a filter of Django's that writes out all that is in its value."""
    function = _django[name]

    def whole(value: Any, *args: Any, **more: Any) -> Any:
        check_written(value)
        if isinstance(value, str):
            check_count(len(value))
        return function(value, *args, **more)

    whole.__wrapped__ = function  # type: ignore[attr-defined]
    for mark in ("is_safe", "needs_autoescape"):
        if hasattr(function, mark):
            setattr(whole, mark, getattr(function, mark))
    register.filters[name] = whole


for _name in ("escapeseq", "json_script", "safeseq", "unordered_list"):
    _whole_value(_name)


def _key(arg: Any) -> Any:
    """What to sort by: a place, or keys with points in between; what has them not raises TypeError."""
    if number_of(arg) is not None:
        return lambda value: value[arg]

    def under(value: Any) -> Any:
        try:
            for name in str(arg).split("."):
                value = part(value, name)
        except VariableDoesNotExist:
            raise TypeError(arg) from None
        return value

    return under


@register.filter(is_safe=False)
def dictsort(value: Any, arg: Any) -> Any:
    """A list of dicts in the order of what they have under a key."""
    return sorted(value, key=_key(arg))


@register.filter(is_safe=False)
def dictsortreversed(value: Any, arg: Any) -> Any:
    """A list of dicts in the opposite order of what they have under a key."""
    return sorted(value, key=_key(arg), reverse=True)


@register.filter(is_safe=True)
@needs_message
def random(value: Any, *, message: Message) -> Any:
    """One of the elements: the same one whenever the same message is rendered."""
    return message.random.choice(value)


def _compared(value: Any, arg: Any, message: Message) -> Any:
    """What a moment is compared with: the argument, or now as the message has it."""
    if isinstance(arg, date):
        return arg
    if isinstance(value, datetime) and value.tzinfo is not None:
        return message.now
    return message.now.replace(tzinfo=None)


@register.filter(is_safe=False)
@needs_message
def timesince(value: Any, arg: Any = None, *, message: Message) -> Any:
    """How long ago a moment was, such as `4 days, 6 hours`."""
    return _django["timesince"](value, _compared(value, arg, message)) if value else ""


@register.filter(is_safe=False)
@needs_message
def timeuntil(value: Any, arg: Any = None, *, message: Message) -> Any:
    """How long it is until a moment."""
    return _django["timeuntil"](value, _compared(value, arg, message)) if value else ""
