"""What changed between two versions of an item, field by field. Pure."""

from typing import Any

import msgspec
import xxhash

_encode = msgspec.json.Encoder(order="deterministic").encode


def canonical(fields: dict[str, Any]) -> bytes:
    """Fields as JSON with sorted keys: equal fields give equal bytes whatever order they came in."""
    return _encode(fields)


def digest(canonical_fields: bytes) -> bytes:
    """The 16 bytes that stand for an item's fields (XXH3-128)."""
    return xxhash.xxh3_128_digest(canonical_fields)


def diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Top-level field -> (old, new) for every field that differs; an absent field is None.

    Values are compared as JSON: 5 and 5.0 are the same number, true and 1 are not the same value.
    """
    changed = {}
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is not after and not same(before, after):
            changed[name] = (before, after)
    return changed


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; Python alone would say that true equals 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(same(a[name], b[name]) for name in a)
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def apply(fields: dict[str, Any], changed: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The fields after a change: what `diff(old, new)` turns old into new with."""
    return _without_nulls(fields | {name: after for name, (_, after) in changed.items()})


def undo(fields: dict[str, Any], changed: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The fields before a change: what `diff(old, new)` turns new into old with."""
    return _without_nulls(fields | {name: before for name, (before, _) in changed.items()})


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
