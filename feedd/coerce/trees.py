"""The coercion of fields that no schema describes: kept as they are, made fit to store. Pure."""

from typing import Any

from feedd.coerce.outcome import Refused
from feedd.coerce.text import clean

MAX_DEPTH = 64

_TOO_DEEP = Refused("too_deep", f"Nest values at most {MAX_DEPTH} levels deep.")
_NOT_FINITE = Refused("not_finite", "Write an ordinary number; NaN and infinity cannot be stored.")
_NOT_JSON = Refused("not_json", "Write text, numbers, true/false, lists or objects.")


def anything(value: Any) -> Any:
    """The value without nulls, at any depth, and without control characters in its text."""
    if type(value) is str:
        return value if value.isprintable() else clean(value)
    return _pruned(value, 0)


def _pruned(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isprintable() else clean(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if value - value == 0 else _NOT_FINITE
    if depth >= MAX_DEPTH:
        return _TOO_DEEP
    if kind is dict:
        return _pruned_object(value, depth)
    return _pruned_list(value, depth) if kind is list else _NOT_JSON


def _pruned_object(value: dict[Any, Any], depth: int) -> Any:
    kept: dict[str, Any] = {}
    names = list(value)
    if not all(type(name) is str and name.isprintable() for name in names):
        names.sort(key=str)  # names that become equal must not depend on the order of the feed
    for name in names:
        inner = _pruned(value[name], depth + 1)
        if type(inner) is Refused:
            return inner
        if inner is not None:
            kept.setdefault(clean(str(name)), inner)
    return kept


def _pruned_list(value: list[Any], depth: int) -> Any:
    kept: list[Any] = []
    for each in value:
        inner = _pruned(each, depth + 1)
        if type(inner) is Refused:
            return inner
        if inner is not None:
            kept.append(inner)
    return kept
