"""What a coercion returns when a plain value does not say it all. Pure."""

from typing import Any

from msgspec import Struct

EXCERPT_LENGTH = 120


class Refused(Struct, frozen=True):
    """The value cannot be used: a short stable word, and what a shopkeeper should write instead."""

    rule: str
    hint: str


class Note(Struct, frozen=True):
    """Something to warn about. `index` is the place in a list, and `value` what stood there."""

    rule: str
    hint: str
    index: int | None = None
    value: Any = None


class Noted(Struct, frozen=True):
    """A usable value with more to say: notes, for a price the currency (`""` for a symbol that could be several), for
    a text the HTML that it was."""

    value: Any
    notes: tuple[Note, ...] = ()
    currency: str | None = None
    html: str | None = None


def scalar_text(value: Any) -> str | None:
    """The text of a scalar: a string as it is, a number in decimal, the text of an XML element without children; None
    for the rest."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is dict:
        inner = value.get("#text")
        return inner if type(inner) is str and _attributes_only(value, "#text") else None
    if kind is float:
        return _float_text(value)
    if kind is int:
        try:
            return str(value)
        except ValueError:  # Python refuses to write out integers of more than 4300 digits
            return None
    return None


def holds_nothing(value: Any) -> bool:
    """Whether a value is an empty object, or an XML element that has attributes and nothing else."""
    return type(value) is dict and _attributes_only(value)


def _attributes_only(value: dict[Any, Any], besides: str = "") -> bool:
    return all(key == besides or str(key).startswith("@") for key in value)


def _float_text(value: float) -> str | None:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def excerpt(value: Any) -> str:
    """At most 120 characters that show what was there, safe to store and to print."""
    shown = _show(value, depth=2)
    shown = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown[: EXCERPT_LENGTH + 1]
    )
    return shown if len(shown) <= EXCERPT_LENGTH else shown[: EXCERPT_LENGTH - 1] + "…"


def _show(value: Any, depth: int) -> str:
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value[: EXCERPT_LENGTH + 1]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: str(member[0]))[:8]
        inner = (f"{_show(k, 0)}: {_show(v, depth - 1)}" for k, v in members)
        return "{" + ", ".join(inner) + "}" if depth else "{…}"
    if isinstance(value, list):
        return "[" + ", ".join(_show(v, depth - 1) for v in value[:8]) + "]" if depth else "[…]"
    return scalar_text(value) or f"a {type(value).__name__}"
