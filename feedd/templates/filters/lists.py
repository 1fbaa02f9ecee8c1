"""Filters of lists, under Klaviyo's names. They give new lists; what is no list is an empty one to them."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.template import Library
from django.template.base import VariableDoesNotExist

from feedd.templates.bounded import (
    check_count,
    check_written,
    needs_message,
    number_of,
    text_of,
)
from feedd.templates.filters.texts import append
from feedd.templates.locales import locale_of
from feedd.templates.message import Message
from feedd.templates.variables import part

register = Library()

_CONDITION = re.compile(r"(.+?)\s*(<=|=>|>=|==|!=|<|>|=)\s*(.*)", re.DOTALL)
_MAX_CONDITION = 1000
_TWO = 2
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=>": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}


def _listed(value: Any) -> list[Any]:
    """The elements of a list; a dict's keys; a text or a number is a list of itself."""
    if isinstance(value, list | tuple | dict):
        return list(value)
    return [] if value is None or value == "" else [value]


def under(value: Any, path: Any) -> Any:
    """What a value has under a key, or under keys with points in between; None where there is nothing."""
    if isinstance(value, dict) and path in value:
        return value[path]
    try:
        for name in text_of(path).split("."):
            value = part(value, name)
    except VariableDoesNotExist:
        return None
    return value


@register.filter
def length(value: Any) -> int:
    """How many elements a list has, or characters a text; 0 for everything else."""
    return len(value) if isinstance(value, str | list | tuple | dict) else 0


register.filters |= {"count": length, "size": length}


@register.filter
def compact(value: Any) -> list[Any]:
    """The list without what is missing in it."""
    return [each for each in _listed(value) if each is not None]


@register.filter
def concat(value: Any, arg: Any) -> Any:
    """Two lists as one; two texts as one."""
    if isinstance(value, list | tuple) or isinstance(arg, list | tuple):
        first, second = _listed(value), _listed(arg)
        check_count(len(first) + len(second))
        return first + second
    return append(text_of(value), arg)


class _Spoken(NamedTuple):
    """How a language reads a list out: what stands between two elements of several, and how the last one is put to them."""

    between: str
    end: str
    two: str


_ENGLISH = _Spoken(", ", "{0} and {1}", "{0} and {1}")  # as in Klaviyo: no comma before the last


@cache
def _spoken(locale: str) -> _Spoken:
    found = locale_of(locale)
    if found.language == "en":
        return _ENGLISH
    patterns = found.list_patterns["standard"]
    _, between, _ = re.split(r"\{[01]\}", patterns["middle"])
    return _Spoken(between, patterns["end"], patterns["2"])


@register.filter
@needs_message
def list_to_string(value: Any, *, message: Message) -> str:
    """The elements as the account's language reads them out: `apple, banana and orange`."""
    check_written(value)
    texts = [text_of(each) for each in _listed(value)]
    spoken = _spoken(message.account.locale)
    first, last = spoken.between.join(texts[:-1]), "".join(texts[-1:])
    if not first or not last:
        return first or last
    return (spoken.two if len(texts) == _TWO else spoken.end).format(first, last)


@register.filter
def split(value: Any, arg: Any = None) -> list[str]:
    """The parts of a text between another; its characters for an empty one; its words without one."""
    text = text_of(value)
    if arg == "":
        check_count(len(text))
        return list(text)
    between = None if arg is None else text_of(arg)
    if between:
        check_count(text.count(between))
    return text.split(between) if text else []


@register.filter("map")
def mapped(value: Any, arg: Any) -> list[Any]:
    """What each element has under a key; missing where it has not."""
    return [under(each, arg) for each in _listed(value)]


def _meets(found: Any, sign: str, wanted: str) -> bool:
    """Whether a value meets a condition: as numbers where both are, otherwise as texts."""
    one, other = number_of(found), number_of(wanted)
    if one is not None and other is not None and not isinstance(found, bool):
        return _SIGNS[sign](one, other)
    if found is None and sign not in ("==", "=", "!="):
        return False
    written = text_of(found)
    if isinstance(found, bool):
        written, wanted = written.lower(), wanted.lower()
    return _SIGNS[sign](written, wanted)


def _where(value: Any, arg: Any, signs: tuple[str, ...]) -> list[Any]:
    condition = text_of(arg).strip()
    match = _CONDITION.fullmatch(condition) if len(condition) <= _MAX_CONDITION else None
    if match is None or match[2] not in signs:
        return []
    path, sign, wanted = match.groups()
    if len(wanted) > 1 and wanted[0] == wanted[-1] and wanted[0] in "'\"":
        wanted = wanted[1:-1]
    return [each for each in _listed(value) if _meets(under(each, path), sign, wanted)]


@register.filter
def list_where(value: Any, arg: Any) -> list[Any]:
    """The elements that have a value under a key: `"name=a"`."""
    return _where(value, arg, ("=", "=="))


@register.filter
def dictfilter(value: Any, arg: Any) -> list[Any]:
    """The elements whose value under a key meets a condition: `"price>2"`."""
    return _where(value, arg, tuple(_SIGNS))


@register.filter("reverse")
def turned(value: Any) -> Any:
    """The list, or the text, from its end."""
    return value[::-1] if isinstance(value, str) else _listed(value)[::-1]


def _sorted(value: Any, arg: Any, text_key: Callable[[str], Any]) -> list[Any]:
    """Sorted: as numbers if all that is there are some, otherwise numbers before texts; what is missing comes last."""
    elements = _listed(value)
    keys = elements if arg is None else [under(each, arg) for each in elements]
    check_written(keys)
    numbers = [number_of(key) for key in keys]
    all_numbers = all(
        number is not None or key is None for number, key in zip(numbers, keys, strict=True)
    )

    def rank(place: int) -> tuple[int, Any]:
        key, number = keys[place], numbers[place]
        if key is None:
            return 2, 0
        if number is not None and (all_numbers or not isinstance(key, str)):
            return 0, number
        return 1, text_key(text_of(key))

    return [elements[place] for place in sorted(range(len(elements)), key=rank)]


@register.filter
def sort(value: Any, arg: Any = None) -> list[Any]:
    """The list in order: of its elements, or of what they have under a key."""
    return _sorted(value, arg, str)


@register.filter
def sort_natural(value: Any, arg: Any = None) -> list[Any]:
    """The list in the order of an index: large and small letters alike."""
    return _sorted(value, arg, str.casefold)


@register.filter
def uniq(value: Any, arg: Any = None) -> list[Any]:
    """The list with the first of each kind: of the same elements, or of those with the same under a key."""
    check_written(value)
    firsts: dict[Any, Any] = {}
    for each in _listed(value):
        key = each if arg is None else under(each, arg)
        firsts.setdefault(_hashable(key), each)
    return list(firsts.values())


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ("list", tuple(_hashable(each) for each in value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, _hashable(each)) for key, each in value.items()))
    return value
