"""Coercions that keep a structure: as it is, made fit to store; or a list of pairs as an object. Pure."""

from typing import Any

from feedd.coerce.outcome import Refused, holds_nothing
from feedd.coerce.text import clean, line

MAX_DEPTH = 64

_MAX_PAIRS = 1_000
_NAME_KEYS = ("@name", "name", "attribute_code", "key", "label", "propertyID", "PARAM_NAME")
_VALUE_KEYS = ("#text", "value", "options", "values", "@value", "option", "VAL")
_PAIR_KEYS = frozenset(
    {"@name", "@type", "PARAM_NAME"}
)  # of what stands alone: an element, or an object of JSON-LD
_UNIT_KEYS = ("@unit", "unitText", "unit")

_TOO_DEEP = Refused("too_deep", f"Nest values at most {MAX_DEPTH} levels deep.")
_NOT_FINITE = Refused("not_finite", "Write an ordinary number; NaN and infinity cannot be stored.")
_NOT_PAIRS = Refused(
    "not_pairs", "Write a list of objects with a name and a value each, or one object."
)
_NOT_JSON = Refused("not_json", "Write text, numbers, true/false, lists or objects.")


def anything(value: Any) -> Any:
    """The value without nulls, at any depth, and without control characters in its text."""
    if type(value) is str:
        return value if value.isprintable() else clean(value)
    return _pruned(value, 0)


def pairs(value: Any) -> Any:
    """A list of objects that each hold a name and a value, as one object; an object as it is.

    A name that comes again makes its value a list. Only the first 1,000 pairs count.
    """
    if type(value) is dict and not (_PAIR_KEYS & value.keys() and _name_of(value)):
        return _pruned(value, 0) or None
    found: dict[str, Any] = {}
    for each in (value if type(value) is list else [value])[:_MAX_PAIRS]:
        name = _name_of(each) if type(each) is dict else None
        if name is None:
            if each is None or holds_nothing(each):
                continue
            return _NOT_PAIRS
        inner = _pruned(_value_of(each), 0)
        if type(inner) is Refused:
            return inner
        if inner is None or inner in ("", [], {}):
            continue
        known = found.get(name)
        if known is None:
            found[name] = inner
        elif known != inner and not (type(known) is list and len(known) >= _MAX_PAIRS):
            found[name] = _joined(known, inner)
    return found or None


def _name_of(value: dict[Any, Any]) -> str | None:
    name = next((line(value[key]) for key in _NAME_KEYS if value.get(key)), None)
    return (name.lstrip("@#") or None) if type(name) is str else None


def _value_of(value: dict[Any, Any]) -> Any:
    """What a pair says: its value, with the unit beside it."""
    inner = next((value[key] for key in _VALUE_KEYS if value.get(key) is not None), None)
    unit = next((value[key] for key in _UNIT_KEYS if type(value.get(key)) is str), "")
    if type(inner) is str:
        inner = inner.strip()
    elif inner is None and type(value.get("terms")) is list:
        inner = [each.get("name") for each in value["terms"] if type(each) is dict]
    return f"{inner} {unit}".strip() if unit and type(inner) in (str, int, float) else inner


def _joined(known: Any, more: Any) -> list[Any]:
    """Two values of one name as a list, each once."""
    joined = list(known) if type(known) is list else [known]
    joined += [
        each for each in (more if type(more) is list else [more])[:_MAX_PAIRS] if each not in joined
    ]
    return joined


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
