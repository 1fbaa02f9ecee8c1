"""The names of fields that no schema describes: declared namespace prefixes taken off, fit to store. Pure."""

from collections import Counter
from typing import Any

from feedd.coerce.memo import Memo
from feedd.coerce.text import clean
from feedd.coerce.trees import MAX_DEPTH

# Deeper trees, and objects with longer names together, are rare and read the slow way.
_USUAL_DEPTH = 16
_USUAL_LENGTH = 1_000

Named = tuple[str, Any, Any]


class Names:
    """Bare names under one schema's namespace prefixes; the names of objects repeat, so they are remembered."""

    def __init__(self, prefixes: frozenset[str]) -> None:
        self._prefixes = prefixes
        self._usual_names = Memo(self._renamed, longest=_USUAL_LENGTH)

    def bare(self, key: Any) -> str:
        """A key without a declared prefix and without control characters."""
        return clean(self._without_prefix(str(key)))

    def usual(self, value: Any, depth: int = 0) -> Any:
        """What `tree` and then the coercion `any` make of a value, in one go; None where that needs a closer look."""
        kind = type(value)
        if kind is str:
            return value if value.isprintable() else clean(value)
        if kind is int or kind is bool:
            return value
        if kind is float:
            return value if value - value == 0 else None
        if depth > _USUAL_DEPTH:
            return None
        if kind is dict:
            return self._usual_object(value, depth)
        return self._usual_list(value, depth) if kind is list else None

    def _usual_object(self, value: dict[Any, Any], depth: int) -> dict[str, Any] | None:
        names = self._usual_names[tuple(value)]
        if names is None:
            return None
        kept: dict[str, Any] = {}
        for name, inner in zip(names, value.values(), strict=True) if names else value.items():
            # A call for each text and number would cost more than what it does.
            kind = type(inner)
            if kind is str:
                kept[name] = inner if inner.isprintable() else clean(inner)
            elif kind is int or kind is bool:
                kept[name] = inner
            elif inner is not None:
                made = self.usual(inner, depth + 1)
                if made is None:
                    return None
                kept[name] = made
        return kept

    def _usual_list(self, value: list[Any], depth: int) -> list[Any] | None:
        kept: list[Any] = []
        for inner in value:
            if type(inner) is str:
                kept.append(inner if inner.isprintable() else clean(inner))
            elif inner is not None:
                made = self.usual(inner, depth + 1)
                if made is None:
                    return None
                kept.append(made)
        return kept

    def _renamed(self, keys: tuple[Any, ...]) -> tuple[str, ...] | None:
        """The names of an object's keys in their order, none if all are the keys themselves; None where one has none of
        its own that is fit to store."""
        if not all(type(key) is str and key.isprintable() for key in keys):
            return None
        names = [self._without_prefix(key) for key in keys]
        if len(set(names)) < len(names):
            times = Counter(names)
            names = [
                name if times[name] == 1 else key for name, key in zip(names, keys, strict=True)
            ]
            if len(set(names)) < len(names):
                return None
        return () if tuple(names) == keys else tuple(names)

    def tree(self, value: Any, depth: int = 0) -> Any:
        """A value with the prefixes taken off the names in it, where that makes no two of them equal."""
        if not self._prefixes or depth > MAX_DEPTH:
            return value
        if type(value) is list:
            return [self.tree(each, depth + 1) for each in value]
        if type(value) is not dict:
            return value
        bare = {key: self._without_prefix(str(key)) for key in value}
        times = Counter(bare.values())
        return {
            (name if times[name] == 1 else key): self.tree(value[key], depth + 1)
            for key, name in bare.items()
        }

    def _without_prefix(self, key: str) -> str:
        prefix, colon, name = key.partition(":")
        return name if colon and name and prefix in self._prefixes else key


def kept_apart(named: list[Named]) -> list[Named]:
    """Fields (name, key, value), those whose names are equal under their own keys; their order plays no part."""
    times = Counter(name for name, _, _ in named)
    apart: dict[str, Named] = {}
    for name, key, value in sorted(named, key=lambda each: str(each[1])):
        own = name if times[name] == 1 else clean(str(key))
        apart.setdefault(own, (own, key, value))
    return list(apart.values())
