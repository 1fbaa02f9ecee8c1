"""Dotted paths to the repeated element of a document. Pure.

`data.products` names one key or element after the other, `*` is any one name, and `""` is the root itself. `.` says
that a JSON document which is an object, and holds no array at any of the other paths, is one record. `products.{}` are
the members of a JSON object, and `{}` those of the root: their keys stand in the records as `@key`.
"""

from collections.abc import Sequence

ANY = "*"
WHOLE = "."
MEMBERS = "{}"


def parse(dotted: str) -> tuple[str, ...]:
    """The names of a dotted path, outermost first."""
    if dotted == WHOLE:
        return (WHOLE,)
    return tuple(dotted.split(".")) if dotted else ()


def matches(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the names are those of the pattern, all of them."""
    return len(pattern) == len(names) and leads(pattern, names)


def leads(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the names are the first ones of the pattern, so that they can still become all of them."""
    return len(names) <= len(pattern) and all(
        want in (ANY, name) for want, name in zip(pattern, names, strict=False)
    )


class Seen:
    """The places where a document repeats something, for the message that says what `items` could be set to."""

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._counts: dict[str, int] = {}

    def add(self, path: str) -> None:
        """Note something repeated at a path. Only the first few paths are kept."""
        if path in self._counts:
            self._counts[path] += 1
        elif len(self._counts) < self._most:
            self._counts[path] = 1

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        return ", ".join(f'"{path}"' for path in self._counts)

    def first(self) -> str:
        """The path to propose."""
        return next(iter(self._counts), "")
