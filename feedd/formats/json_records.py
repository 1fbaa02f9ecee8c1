"""Decodes raw JSON records, or says why one cannot be used. Pure."""

import json
import re
from typing import Any

import msgspec

from feedd.formats.json_syntax import NO_NUMBER, STRING, syntax_error
from feedd.formats.text import excerpt
from feedd.model import Layout, Problem, Slices

_decode = msgspec.json.Decoder().decode
_CONTAINERS = (dict, list)
_NO_NUMBER = re.compile(rb"[:\[,]\s*+(" + NO_NUMBER + rb")\b")
_COUNTED = re.compile(STRING + rb"|([\[{,])", re.DOTALL)


class _Twice(Exception):
    """A member name that an object holds twice."""


def decode(slices: Slices, layout: Layout) -> list[dict[str, Any] | Problem]:
    """A dict for each raw slice, in order, or the problem that makes it unusable. Integers are exact at any size
    that a number of a feed has (4,300 digits)."""
    return [_record(bytes(raw), layout) for raw in slices.raws]


def salvage(raw: bytes, _context: bytes, _layout: Layout) -> dict[str, Any] | None:
    """What can be read of a record that cannot be used as it is: enough to tell which product it is."""
    try:
        value = json.loads(raw.decode("utf-8", "replace"), parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def _record(raw: bytes, layout: Layout) -> dict[str, Any] | Problem:
    if _may_have_more_nodes(raw, layout.max_record_nodes):
        return _problem(raw, "too_many_nodes", "Split this record, or publish less with it.")
    try:
        value = _decode(raw)
    except UnicodeDecodeError as error:
        return _problem(
            raw[max(0, error.start - 40) :] if error.object == raw else raw,
            "bad_encoding",
            "Some characters are not UTF-8. Export the feed as UTF-8, or set `encoding` of this feed to what it is in.",
        )
    except (ValueError, RecursionError) as error:
        return _refused(raw, error)
    if type(value) is not dict:
        return _problem(raw, "not_an_object", "Every product must be an object: {…}.")
    nested = raw.count(b"{") + raw.count(b"[") > 1
    members, depth = _measure(value) if nested else (len(value), 1)
    if depth > layout.max_depth:
        return _too_deep(raw)
    if not _has_surely(members, raw) and (name := _twice(raw)) is not None:
        hint = (
            f'"{name}" is given twice in one object, so it is not clear which of the two is meant.'
        )
        return _problem(raw, "duplicate_member", hint)
    return value


def _refused(raw: bytes, error: Exception) -> Problem:
    """Why a decoder refused a record."""
    if isinstance(error, msgspec.ValidationError):
        hint = "A number in this record is too large to be one; write it as a string in quotes."
        return _problem(raw, "number_out_of_range", hint)
    if message := syntax_error(raw):
        return _problem(raw, "not_well_formed", f"This record is not valid JSON: {message}.")
    if isinstance(error, RecursionError):
        return _too_deep(raw)
    if found := _NO_NUMBER.search(raw):
        hint = f"JSON does not know {found[1].decode()}; leave the field out, or write null."
        return _problem(raw, "not_a_number", hint)
    hint = r"A \u escape in this record is half a character. Export the feed as UTF-8."
    return _problem(raw, "bad_encoding", hint)


def _may_have_more_nodes(raw: bytes, most: int) -> bool:
    """Whether there are more values than allowed, counted before any of them is built.

    Each comma and each opening bracket outside a string counts as one.
    """
    if len(raw) <= most or raw.count(b",") + raw.count(b"[") + raw.count(b"{") <= most:
        return False
    return sum(1 for found in _COUNTED.finditer(raw) if found[1]) > most


def _measure(value: Any) -> tuple[int, int]:
    """How many members the objects in a value have together, and how many levels it is deep."""
    members = depth = 0
    layer = [value]
    while layer:
        depth += 1
        inner: list[Any] = []
        for container in layer:
            if type(container) is dict:
                members += len(container)
                container = container.values()  # noqa: PLW2901 both kinds are walked alike from here
            inner += [each for each in container if type(each) in _CONTAINERS]
        layer = inner
    return members, depth


def _has_surely(members: int, raw: bytes) -> bool:
    """Whether a record has no more members than were decoded, as far as counting can tell.

    Every member has a `":`, unless white space stands in between; so if there are no more of them than members,
    none was overwritten by another of its name.
    """
    return raw.count(b'":') == members and not (
        b" :" in raw or b"\n:" in raw or b"\t:" in raw or b"\r:" in raw
    )


def _twice(raw: bytes) -> str | None:
    """A member name that an object of the record holds twice, None if there is none."""
    try:
        json.loads(raw, object_pairs_hook=_refuse_twice, parse_int=len, parse_float=len)
    except _Twice as error:
        return str(error)
    return None


def _refuse_twice(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise _Twice(name)
        names.add(name)


def _too_deep(raw: bytes) -> Problem:
    return _problem(raw, "too_deep", "This record is nested too deep to be a product.")


def _problem(raw: bytes, rule: str, hint: str) -> Problem:
    return Problem(pointer="", rule=rule, value=excerpt(raw), hint=hint)
