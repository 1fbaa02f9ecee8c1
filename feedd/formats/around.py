"""What stands around the records of a document: which places are wanted, and how much of it is kept. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

MAX_BYTES = 8 * 1024 * 1024
MAX_VALUES = 100_000
MAX_VALUE_BYTES = 64 * 1024


class Wanted(NamedTuple):
    """A place around the records: the names that lead to it from the root.

    `attributes`: of an XML element only the start tag is wanted, so that it may hold records. `anywhere`: also behind
    the first record, which means reading the whole body for it.
    """

    names: tuple[str, ...]
    attributes: bool = False
    anywhere: bool = False


def split(path: Sequence[str], *, anywhere: bool = False) -> tuple[Wanted, tuple[str, ...]]:
    """The place that a path begins with, up to its first step that is no plain name; and the steps below it."""
    plain = next(
        (i for i, step in enumerate(path) if step[0] in "@#[*" or step.isdecimal()), len(path)
    )
    rest = tuple(path[plain:])
    return Wanted(tuple(path[:plain]), rest[:1] != () and rest[0][0] == "@", anywhere), rest
