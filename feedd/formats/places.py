"""Where the start of a document repeats something that could be a record. Pure.

Only for guessing: the text may end anywhere, and what is not well-formed is left to those who read it in earnest.
"""

import contextlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.parsers import expat

from feedd.formats.json_syntax import STRING
from feedd.formats.paths import ANY, MEMBERS, WHOLE, matches, parse
from feedd.formats.text import SPACE
from feedd.formats.xml_markup import borders_only

NO_ITEMS = frozenset(
    {"error", "errors", "messages", "notices", "warnings"}
)  # an answer that says why there are none
# what stands beside the products of a shop, and has ids and titles too
ASIDES = frozenset(
    {"categories", "category", "filters", "facets", "brands", "manufacturers", "tags", "collections", "reviews", "users",
     "authors", "banners", "breadcrumbs", "languages", "currencies", "stores", "links", "pages"}
)  # fmt: skip
MENUS = frozenset({"menu", "menus", "navigation", "nav"})
_MOST_PLACES = 64
_DEEPEST = 12
_MOST_OPEN = 1024  # what is deeper is read by nobody
_MOST_KEYS = 64
_MOST_KEYED = 3
_TOKEN = re.compile(rb"(" + STRING + rb")\s*+(:?)|([\[\]{}])", re.DOTALL)


class Place(NamedTuple):
    """A dotted path, how many records stand there, and whether it lies in another place's records."""

    path: str
    records: int
    is_inside: bool


def places(text: bytes, form: str) -> list[Place]:
    """The places of the start of a document in UTF-8, the outermost and fullest first; none for JSON Lines."""
    outline = outline_of(text, form)
    return [] if outline is None else outline.places()


def outline_of(text: bytes, form: str, wanted: Iterable[str] = ()) -> "Outline | XmlOutline | None":
    """What the start of a document repeats, and at which of the wanted paths; None for JSON Lines."""
    if form == "json":
        return Outline(text, wanted)
    return XmlOutline(text) if form == "xml" else None


def _sorted(counts: dict[tuple[str, ...], int]) -> list[Place]:
    repeated = {path for path, count in counts.items() if count > 1}
    found = [
        Place(".".join(path), count, any(path[:n] in repeated for n in range(len(path))))
        for path, count in counts.items()
        if path in repeated and not any("." in name for name in path)
    ]
    return sorted(found, key=lambda place: (place.is_inside, -place.records))


class _Open:
    """An object or array that is open: how many members an object has, and how many of them are objects themselves."""

    __slots__ = ("alike", "is_object", "keys", "members", "objects")

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.members = self.objects = 0
        self.keys: set[str] = set()
        self.alike: set[str] | None = None  # keys that all of its objects have


class Outline:
    """What the start of a JSON document repeats, found in one pass over its brackets and keys.

    Arrays on the way are transparent. `wanted` are paths of which it is to be known whether records can stand there.
    """

    def __init__(self, text: bytes, wanted: Iterable[str] = ()) -> None:
        patterns = {path: parse(path) for path in wanted}
        self._exact = {pattern: path for path, pattern in patterns.items() if ANY not in pattern}
        self._longest = max(map(len, self._exact), default=0)
        self._any = [(pattern, path) for path, pattern in patterns.items() if ANY in pattern]
        self._seen = {p for p, names in patterns.items() if names[-1:] in ((WHOLE,), (MEMBERS,))}
        self._counts: dict[
            tuple[str, ...], int
        ] = {}  # of the objects that the arrays at a path hold
        self._keyed: dict[tuple[str, ...], int] = {}
        self._open: list[_Open] = []
        self._names: list[str] = []
        self._read(text)
        while self._open:
            self._close()

    def places(self) -> list[Place]:
        """Where arrays hold objects; then objects whose members are objects that are alike, as if their keys were ids."""
        keyed = [path for path in self._keyed if not any("." in name for name in path)]
        keyed.sort(key=lambda path: (len(path), -self._keyed[path]))
        return _sorted(self._counts) + [
            Place(".".join((*path, MEMBERS)), self._keyed[path], False)
            for path in keyed[:_MOST_KEYED]
        ]

    def may_have(self, paths: Sequence[str]) -> bool:
        """Whether reading could find records at one of some wanted paths: in vain where the start has no array there."""
        return not self._seen.isdisjoint(paths)

    def _read(self, text: bytes) -> None:
        key = ""
        for found in _TOKEN.finditer(text):
            string, colon, bracket = found.groups()
            if string is not None:
                if colon:
                    key = string[1:-1].decode("utf-8", "replace")
                    self._member(key)
            elif bracket in (b"{", b"["):
                self._enter(key, is_object=bracket == b"{")
                if len(self._open) > _MOST_OPEN:
                    break
            elif not self._open:
                break
            else:
                self._close()

    def _member(self, key: str) -> None:
        if self._open and self._open[-1].is_object:
            frame = self._open[-1]
            frame.members += 1
            if len(frame.keys) < _MOST_KEYS:
                frame.keys.add(key)

    def _enter(self, key: str, *, is_object: bool) -> None:
        frames = self._open
        if frames and frames[-1].is_object:
            self._names.append(key)
            frames[-1].objects += is_object
        elif is_object and frames:
            _count(self._counts, self._names)
            self._see_any()
        if not is_object and len(self._names) <= self._longest:
            path = self._exact.get(tuple(self._names))
            self._seen.update(() if path is None else (path,))
        frames.append(_Open(is_object=is_object))

    def _see_any(self) -> None:
        for pattern, path in self._any:
            if len(pattern) == len(self._names) and matches(pattern, self._names):
                self._seen.add(path)

    def _close(self) -> None:
        frame = self._open.pop()
        if frame.is_object and frame.objects > 1 and frame.objects == frame.members:
            is_near = len(self._open) <= _DEEPEST and all(each.is_object for each in self._open)
            is_alike = frame.alike is not None and len(frame.alike) > 1
            if is_near and is_alike and len(self._keyed) < _MOST_PLACES:
                self._keyed[tuple(self._names)] = frame.objects
        if self._open and self._open[-1].is_object:
            self._names.pop()
            if frame.is_object:
                above = self._open[-1]
                above.alike = frame.keys if above.alike is None else above.alike & frame.keys


class XmlOutline:
    """What the start of an XML document repeats, found in one pass."""

    def __init__(self, text: bytes) -> None:
        self._counts = _xml_counts(text)

    def places(self) -> list[Place]:
        """Where elements stand that have something in them."""
        return _sorted(self._counts)

    def may_have(self, paths: Sequence[str]) -> bool:
        """Whether reading could find records at one of some paths: in vain where the start has no such element.

        A path may leave the root out, and prefixes do not count.
        """
        if len(self._counts) >= _MOST_PLACES:
            return True
        patterns = [[name.rpartition(":")[2] for name in parse(path)] for path in paths]
        return any(
            matches(pattern, names) or matches(pattern, names[1:])
            for pattern in patterns
            if pattern
            for names in self._counts
        )


def _xml_counts(text: bytes) -> dict[tuple[str, ...], int]:
    """How many elements with something in them stand at each path, by their names without prefixes."""
    counts: dict[tuple[str, ...], int] = {}
    names: list[str] = []
    counted: list[bool] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if names and not counted[-1]:
            counted[-1] = True
            _count(counts, names)
        names.append(name.rpartition(":")[2])
        counted.append(False)
        if any(not each.startswith("xmlns") for each in attributes):
            counted[-1] = True
            _count(counts, names)

    def end(_: str) -> None:
        names.pop()
        counted.pop()

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with contextlib.suppress(expat.ExpatError):
        parser.Parse(borders_only(text.lstrip(SPACE), is_last=False)[0], False)
    return counts


def _count(counts: dict[tuple[str, ...], int], names: list[str]) -> None:
    if (
        len(names) > _DEEPEST
    ):  # before a path is made of them: they can be as many as the text has bytes
        return
    path = tuple(names)
    if path in counts or len(counts) < _MOST_PLACES:
        counts[path] = counts.get(path, 0) + 1
