"""The straight way from a record to an item, for the many with which nothing is the matter. Pure.

Most records of a feed have the keys that others had, and under each of them what its field takes as it is. For such a set
of keys a function is written and compiled that does what is to be done, one field after the other, without looking up
what that is. Whatever is unusual about a record, however little, is for the plan's closer look: a straight way gives the
very item that it would, or none.
"""

from collections.abc import Callable, Mapping
from typing import Any

from feedd.coerce import COERCIONS, REPEATING, Coercion, Noted
from feedd.coerce.currencies import ISO_CODES
from feedd.coerce.links import are_plain_links
from feedd.coerce.memo import Memo
from feedd.coerce.money import plain_price
from feedd.coerce.text import MAX_ID_LENGTH, are_plain_lines, text
from feedd.model import Item, Problem
from feedd.normalize.draft import BLANK_TYPES, Step
from feedd.normalize.judging import Judge
from feedd.normalize.names import Names
from feedd.normalize.shapes import LONGEST_SHAPE, MOST_SHAPES, Shape
from feedd.normalize.writing import Lane, Sheet, function_of

VALUES = frozenset({str, int, float, bool, list, dict})
MOST_WAYS = 64  # a feed with more kinds of records than that has many that are like no others
MET_BEFORE = (
    50  # records with the same keys: writing a function for them costs as much as a hundred of them
)
_IDENTITY = ("id", "title")
_MAIN, _GALLERY = "image_link", "additional_image_links"
_KINDS = {"line": "line", "url": "link", "text": "text", "price": "price"}

Straight = Callable[[dict[str, Any]], Item]
Keys = tuple[Any, ...]


class CloserLook(Exception):
    """There is something unusual about a record."""


class Ways(dict[Keys, Straight | None]):
    """The straight way of records with some keys, once enough of them were met; None if there is none, or not yet.

    A straight way raises CloserLook for a record that needs one. `is_special` says of keys that all records with them do.
    """

    def __init__(
        self,
        shapes: Mapping[Keys, Shape],
        steps: Mapping[str, Step],
        coercions: Mapping[str, str],
        judge: Judge,
        names: Names,
        *,
        gaps: tuple[tuple[str, Problem], ...],
        default_currency: str | None,
        is_special: Callable[[Shape], bool],
    ) -> None:
        super().__init__()
        self._shapes = shapes
        self._steps = steps
        self._coercions = coercions
        self._judge = judge
        self._names = names
        self._gaps = dict(gaps)
        self._default_currency = default_currency
        self._is_special = is_special
        self._met: dict[Keys, int] = {}
        self._lanes: dict[tuple[str, bool], Lane] = {}

    def __missing__(self, keys: Keys) -> Straight | None:
        met = self._met.get(keys, 0)
        if met or (len(self._met) < MOST_SHAPES and _length(keys) <= LONGEST_SHAPE):
            self._met[keys] = met + 1
        if met >= MET_BEFORE:
            self[keys] = self._way(self._shapes[keys]) if len(self) < MOST_WAYS else None
        return self.get(keys)

    def _way(self, shape: Shape) -> Straight | None:
        """The straight way of records with some keys; None if there is none."""
        kept = [(names[0], key) for key, names in shape.others if names]
        fields = shape.taken.keys()
        later = {f"{name}_html" for name in fields if self._coercions[name] == "text"}
        has_price = any(self._coercions[name] == "price" for name in fields)
        if (
            shape.composed
            or not shape.distinct
            or len(fields) < len(shape.moves)
            or not fields >= set(_IDENTITY)
            or shape.known.difference(shape.taken.values())
            or not (later | {"currency"}).isdisjoint(name for name, _ in kept)
            or self._coercions.get(_GALLERY, "urls") != "urls"
            or self._coercions.get("currency", "currency") != "currency"
            or (has_price and "currency" in self._gaps and "currency" not in fields)
            or not self._judge.is_fair
            or self._is_special(shape)
        ):
            return None
        places = {key: place for place, (key, _) in enumerate(shape.keys)}
        lanes = [
            self._lane(step, is_alone=len(sources) == 1)._replace(place=places[key])
            for key, _, _, step, sources in shape.moves
        ]
        return self._written(len(places), lanes, [(name, places[key]) for name, key in kept])

    def _written(self, count: int, lanes: list[Lane], kept: list[tuple[str, int]]) -> Straight:
        numbers = {lane.name: number for number, lane in enumerate(lanes)}
        default = self._default_currency
        has_gallery = _MAIN in numbers and _GALLERY in numbers
        sheet = Sheet(
            count,
            tuple(lanes),
            tuple(kept),
            stated=numbers.get("currency"),
            images=(numbers[_MAIN], numbers[_GALLERY]) if has_gallery else None,
            has_default=default is not None,
            asks=not all(lane.fits for lane in lanes)
            or (default is not None and not self._judge.fits("currency", default)),
        )
        return function_of(
            sheet,
            CloserLook=CloserLook,
            Item=Item,
            warnings=tuple(problem for name, problem in self._gaps.items() if name not in numbers),
            default=default,
            is_valid=self._judge.is_valid,
            are_plain_lines=are_plain_lines,
            are_plain_links=are_plain_links,
            text=text,
            keep=self._keep,
            longest_id=MAX_ID_LENGTH,
        )

    def _lane(self, step: Step, *, is_alone: bool) -> Lane:
        """How a field is filled. `is_alone`: by one key, so that the field is left out where nothing stands there."""
        lane = self._lanes.get((step.name, is_alone))
        if lane is None:
            lane = self._lanes[step.name, is_alone] = self._new_lane(step, is_alone=is_alone)
        return lane

    def _new_lane(self, step: Step, *, is_alone: bool) -> Lane:
        name, coercion = step.name, self._coercions[step.name]
        is_optional = is_alone and name not in _IDENTITY and name not in self._gaps
        fits = self._judge.always_fits(name, coercion)
        kind = "line" if name == "id" else _KINDS.get(coercion, "other")
        if kind == "text":
            has_html = f"{name}_html" not in self._steps
            return Lane(0, name, kind, _read_text(is_optional, has_html), is_optional, fits)
        make = _taken(step, is_optional)
        if kind == "price":
            codes = [code for code in ISO_CODES if self._judge.fits("currency", code)]
            return Lane(0, name, kind, _priced(frozenset([None, *codes]), make), is_optional, fits)
        if coercion not in REPEATING:
            return Lane(0, name, kind, make, is_optional, fits)
        judge = None if fits else self._judge
        make = _taken(step._replace(coerce=COERCIONS[coercion]), is_optional, judge)
        return Lane(0, name, "word", make, is_optional, True, Memo(make))

    def _keep(self, value: Any) -> Any:
        """What a field that no schema knows is kept as."""
        kept = self._names.usual(value)
        if kept is None and value is not None:
            raise CloserLook
        return kept


def _taken(step: Step, is_optional: bool, judge: Judge | None = None) -> Coercion:
    """What makes a value of what stands under the one key that fills a field, if there is no more to say of it.

    With a judge only a value that its schema takes.
    """
    name, coerce, many = step.name, step.coerce, step.many

    def taken(raw: Any) -> Any:
        if not raw and type(raw) in BLANK_TYPES:
            made = None
        elif type(raw) is list and not many:
            raise CloserLook
        else:
            made = coerce(raw)
        if made is None and is_optional:
            return None
        if type(made) not in VALUES or (judge is not None and not judge.fits(name, made)):
            raise CloserLook
        return made

    return taken


def _priced(codes: frozenset[str | None], take: Coercion) -> Coercion:
    """What makes an amount of a price, and gives the currency beside it, which must be one of the `codes`."""

    def priced(raw: Any) -> tuple[Any, str | None]:
        plain = plain_price(raw) if type(raw) is str else None
        if plain is None:
            return take(raw), None
        if plain[1] not in codes:
            raise CloserLook
        return plain

    return priced


def _read_text(is_optional: bool, has_html: bool) -> Coercion:
    """What gives the value and the HTML of what is no plain text."""

    def read(made: Any) -> tuple[str | None, str | None]:
        if made is None and is_optional:
            return None, None
        if type(made) is not Noted or made.notes or made.value is None:
            raise CloserLook
        return made.value, made.html if has_html else None

    return read


def _length(keys: Keys) -> int:
    return sum(len(key) for key in keys if type(key) is str)
