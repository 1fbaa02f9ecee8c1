"""Decodes raw JSON records, or says why one cannot be used. Pure.

What can be wrong with a record that decodes is told by counting: its quotes, against the strings in what was decoded,
because a member given twice leaves fewer of them. That is done for some dozens of records at once; where anything is the matter with
one of them, they are looked at one by one.
"""

import json
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from feedd.formats.json_syntax import NO_NUMBER, STRING, syntax_error
from feedd.formats.text import excerpt
from feedd.model import Layout, Problem, Slices

_decode = msgspec.json.Decoder().decode
_QUOTE = ord('"')
_TOGETHER = 64  # what they become fits into the processor's cache
_NO_NUMBER = re.compile(rb"[:\[,]\s*+(" + NO_NUMBER + rb")\b")
_COUNTED = re.compile(STRING + rb"|([\[{,])", re.DOTALL)


_MEMBERS = re.compile(STRING.decode() + r"|([\[\]{},])", re.DOTALL)


class _Twice(Exception):
    """A member name that an object holds twice."""


def decode(slices: Slices, layout: Layout) -> list[dict[str, Any] | Problem]:
    """A dict for each raw slice, in order, or the problem that makes it unusable. Integers are exact at any size
    that a number of a feed has (4,300 digits)."""
    records: list[dict[str, Any] | Problem] = []
    for start in range(0, len(slices.raws), _TOGETHER):
        raws = slices.raws[start : start + _TOGETHER]
        records += _all_usual(raws, layout) or [_record(bytes(raw), layout) for raw in raws]
    return records


def salvage(raw: bytes, _context: bytes, _layout: Layout) -> dict[str, Any] | None:
    """What can be read of a record that cannot be used as it is, up to where it breaks off: enough to tell which product it is."""
    text = raw.decode("utf-8", "replace")
    try:
        value = _lenient(text)
    except json.JSONDecodeError as error:
        whole = _last_member(text, error.pos)
        if not whole:
            return None
        try:
            value = _lenient(text[:whole] + "}")
        except (ValueError, RecursionError):
            return None
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def _lenient(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str)


def _last_member(text: str, stop: int) -> int:
    """Where the last comma before `stop` is that stands between members of the record itself, 0 if there is none."""
    depth = last = 0
    for found in _MEMBERS.finditer(text, 0, stop):
        mark = found[1]
        if mark == ",":
            last = found.start() if depth == 1 else last
        elif mark is not None:
            depth += 1 if mark in "{[" else -1
    return last


def _all_usual(raws: Sequence[bytes], layout: Layout) -> list[dict[str, Any] | Problem] | None:
    """The records, where nothing is wrong with any of them; None where there is, or may be."""
    if max(map(len, raws)) > layout.max_record_nodes:
        return None
    try:
        values = [_decode(raw) for raw in raws]
    except (ValueError, RecursionError):
        return None
    if set(map(type, values)) != {dict}:
        return None
    strings, depth = _measure(values)
    is_usual = depth <= layout.max_depth and 2 * strings == _quotes(b"\n".join(raws))
    return values if is_usual else None


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
    strings, depth = _measure([value])
    if depth > layout.max_depth:
        return _too_deep(raw)
    if 2 * strings != _quotes(raw) and (name := _twice(raw)) is not None:
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


def _measure(dicts: list[dict[str, Any]]) -> tuple[int, int]:
    """How many strings some records hold together, names of members among them, and how many levels the deepest has."""
    strings = depth = 0
    lists: list[list[Any]] = []
    while dicts or lists:
        depth += 1
        inner = chain(chain.from_iterable(map(dict.values, dicts)), chain.from_iterable(lists))
        values = list(inner)
        others = [value for value in values if type(value) is not str]
        strings += sum(map(len, dicts)) + len(values) - len(others)
        dicts = [value for value in others if type(value) is dict]
        lists = [value for value in others if type(value) is list]
    return strings, depth


def _quotes(raw: bytes) -> int:
    """How many quotes of some well-formed JSON begin or end a string. A backslash belongs to what follows it."""
    if b"\\" in raw:
        raw = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    return int(np.count_nonzero(np.frombuffer(raw, dtype=np.uint8) == _QUOTE))


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
