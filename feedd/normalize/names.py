"""The names of fields that no schema describes: declared namespace prefixes taken off, fit to store. Pure."""

from collections import Counter
from typing import Any

from feedd.coerce.text import clean
from feedd.coerce.trees import MAX_DEPTH

_MAX_CACHED = 10_000

Named = tuple[str, Any, Any]


class Names:
    """Bare names under one schema's namespace prefixes; a record's names repeat, so they are remembered."""

    def __init__(self, prefixes: frozenset[str]) -> None:
        self._prefixes = prefixes
        self._known: dict[Any, str] = {}

    def bare(self, key: Any) -> str:
        """A key without a declared prefix and without control characters."""
        name = self._known.get(key)
        if name is None:
            name = clean(self._without_prefix(str(key)))
            if len(self._known) < _MAX_CACHED:
                self._known[key] = name
        return name

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
