"""Where the start of a document repeats something that could be a record. Pure.

Only for guessing: the text may end anywhere, and what is not well-formed is left to those who read it in earnest.
"""

import contextlib
import re
from typing import NamedTuple
from xml.parsers import expat

from feedd.formats.json_syntax import STRING
from feedd.formats.text import SPACE
from feedd.formats.xml_markup import borders_only

NO_ITEMS = frozenset(
    {"error", "errors", "messages", "notices", "warnings"}
)  # an answer that says why there are none
_MOST_PLACES = 64
_DEEPEST = 12
_TOKEN = re.compile(rb"(" + STRING + rb")\s*+(:?)|([\[\]{}])", re.DOTALL)


class Place(NamedTuple):
    """A dotted path, how many records stand there, and whether it lies in another place's records."""

    path: str
    records: int
    is_inside: bool


def places(text: bytes, form: str) -> list[Place]:
    """The places of the start of a document in UTF-8, the outermost and fullest first; none for JSON Lines."""
    if form == "jsonl":
        return []
    counts = _json_counts(text) if form == "json" else _xml_counts(text)
    repeated = {path for path, count in counts.items() if count > 1}
    found = [
        Place(".".join(path), count, any(path[:n] in repeated for n in range(len(path))))
        for path, count in counts.items()
        if path in repeated and not any("." in name for name in path)
    ]
    return sorted(found, key=lambda place: (place.is_inside, -place.records))


def _json_counts(text: bytes) -> dict[tuple[str, ...], int]:
    """How many objects the arrays at each path hold; arrays on the way are transparent."""
    counts: dict[tuple[str, ...], int] = {}
    open_: list[bool] = []  # whether each is an object
    names: list[str] = []
    key = ""
    for found in _TOKEN.finditer(text):
        string, colon, bracket = found.groups()
        if string is not None:
            key = string[1:-1].decode("utf-8", "replace") if colon else key
        elif bracket in (b"{", b"["):
            if open_ and open_[-1]:
                names.append(key)
            elif bracket == b"{" and open_:
                _count(counts, tuple(names))
            open_.append(bracket == b"{")
        elif not open_:
            break
        else:
            open_.pop()
            if open_ and open_[-1]:
                names.pop()
    return counts


def _xml_counts(text: bytes) -> dict[tuple[str, ...], int]:
    """How many elements with something in them stand at each path, by their names without prefixes."""
    counts: dict[tuple[str, ...], int] = {}
    names: list[str] = []
    counted: list[bool] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if names and not counted[-1]:
            counted[-1] = True
            _count(counts, tuple(names))
        names.append(name.rpartition(":")[2])
        counted.append(False)
        if any(not each.startswith("xmlns") for each in attributes):
            counted[-1] = True
            _count(counts, tuple(names))

    def end(_: str) -> None:
        names.pop()
        counted.pop()

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with contextlib.suppress(expat.ExpatError):
        parser.Parse(borders_only(text.lstrip(SPACE), is_last=False)[0], False)
    return counts


def _count(counts: dict[tuple[str, ...], int], path: tuple[str, ...]) -> None:
    if path in counts or (len(counts) < _MOST_PLACES and len(path) <= _DEEPEST):
        counts[path] = counts.get(path, 0) + 1
