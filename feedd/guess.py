"""Which schema a feed fits, and where its records are, found by trying: what its configuration leaves open.

The start of the body is read with every shipped schema, at the places where that schema knows records and at those
where the body repeats something. The guess is what makes the most of it: the most usable records, with the most
fields filled. A schema names `x-marks`, the fields that tell its dialect from others: it is no guess for records that
have none of them, and one without marks only where it looks for records itself. The plain schema fits anything.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from msgspec.structs import replace

from feedd.errors import FormatError
from feedd.formats import FORMATS, Format
from feedd.formats.places import ASIDES, MENUS, NO_ITEMS, Outline, Place, XmlOutline, outline_of
from feedd.formats.text import Text
from feedd.model import Guess, Item, Layout
from feedd.normalize import Plan, compile_plan, parse_source, reach
from feedd.normalize.document import plan_in_document
from feedd.propose import propose
from feedd.schema import PLAIN, load_schema, shipped_schemas

START_BYTES = 1024 * 1024
MOST_START_BYTES = 16 * START_BYTES
SAMPLE_RECORDS = 100
MOST_PLACES = 8

# what counts for a schema, for each record on average, and against it
_FIELD, _PRICE, _MARK = 1.0, 2.0, 2.0
_REFUSED, _INSIDE, _ASIDE = -0.5, -1.0, -3.0


class _Trial(NamedTuple):
    """How a schema does on the records of one place; `fields` are those that most of its items have."""

    schema: str
    items: str | None
    score: float
    records: int
    usable: int
    fields: tuple[str, ...]


def guess_body(
    stream: BinaryIO,
    *,
    form: str,
    charset: str | None = None,
    schema: str | None = None,
    base_dir: Path | None = None,
    items: str | None = None,
    fields: Mapping[str, Any] = {},
    doctype: bool = False,
    encoding: str | None = None,
) -> Guess:
    """What a body in a known format is, from its start; what is given stays as it is.

    Raises:
        FormatError: the body has no text that can be read.
        SchemaError, ValueError: the schema or the fields that are given cannot be used.
    """
    paths = {name: parse_source(path) for name, path in fields.items()}
    plans = [
        (
            name,
            compile_plan(load_schema(name, base_dir=base_dir).document, fields=paths, items=items),
        )
        for name in ([schema] if schema is not None else _by_preference())
    ]
    wanted = {path for _, plan in plans for path in plan.layout.items}
    text = Text(stream, charset, configured=encoding)
    start = _more(text, b"", START_BYTES)
    while True:
        outline = outline_of(start, form, wanted)
        found = [] if items is not None or outline is None else _likely(outline.places())
        reader = _Reader(FORMATS[form], start, doctype, outline)
        best = [_best(reader, name, plan, found, given=schema is not None) for name, plan in plans]
        if reader.found or len(start) >= MOST_START_BYTES:
            break
        longer = _more(text, start, MOST_START_BYTES)  # a first record may be longer than that
        if len(longer) == len(start):
            break
        start = longer
    best.sort(key=lambda trial: -trial.score)  # of equals the first stays the first
    if (
        schema is None
        and (better := _rather(best[0], found, reader, dict(plans)[PLAIN])) is not None
    ):
        return _no_guess(best, [better], form, items)
    if best[0].score <= 0:
        if schema is None and (place := _nameable(found, reader, dict(plans)[PLAIN])) is not None:
            found = [place]
        return _no_guess(best, found, form, items)
    return Guess(
        format=form,
        schema=best[0].schema,
        items=best[0].items,
        evidence=_evidence(best, _place(best[0], reader, dict(plans)), given=schema is not None),
    )


class _Reader:
    """Gives the first records of a body's start, wherever a layout looks for them."""

    def __init__(
        self, form: Format, start: bytes, doctype: bool, outline: Outline | XmlOutline | None
    ) -> None:
        self._form = form
        self.form = form.name
        self._outline = outline
        self._start = start
        self._doctype = doctype
        self._read: dict[object, list[dict[str, Any]]] = {}
        self.found = False

    def records(self, layout: Layout) -> list[dict[str, Any]]:
        """Up to `SAMPLE_RECORDS` records, those that are whole and well-formed."""
        spaces = tuple(layout.namespaces.items()) if not isinstance(self._outline, Outline) else ()
        key = (layout.items, layout.configured, spaces)
        if key not in self._read:
            self._read[key] = self._records(replace(layout, doctype=self._doctype))
            self.found = self.found or bool(self._read[key])
        return self._read[key]

    def placed(self, plan: Plan, layout: Layout) -> Plan:
        """The plan with what stands around the records, as far as the start has it."""
        layout = replace(layout, doctype=self._doctype)
        with contextlib.suppress(FormatError):
            start = BytesIO(self._start)
            return plan_in_document(plan, self._form, start, layout, "utf-8", base=None)
        return plan

    def _records(self, layout: Layout) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if (
            self._outline is not None
            and not layout.configured
            and not self._outline.may_have(layout.items)
        ):
            return found
        # the start of a body ends anywhere; whoever reads all of it says what is wrong
        with contextlib.suppress(FormatError):
            for slices in self._form.slices(BytesIO(self._start), layout, "utf-8"):
                raws = slices.raws[: SAMPLE_RECORDS - len(found)]
                values = self._form.decode(replace(slices, raws=raws), layout)
                found += [value for value in values if type(value) is dict]
                if len(found) >= SAMPLE_RECORDS:
                    break
        return found


def _more(text: Text, start: bytes, size: int) -> bytes:
    """The start of a body as UTF-8, read on until it has about that size."""
    pieces = [start]
    while sum(map(len, pieces)) < size and (piece := text.read()):
        pieces.append(piece)
    return b"".join(pieces)


def _likely(found: list[Place]) -> list[Place]:
    """The places worth a try, those that sound like something beside the products last.

    An error answer with titles and ids is no catalog.
    """
    worth = [p for p in found if NO_ITEMS.isdisjoint(p.path.lower().split("."))]
    return sorted(worth, key=lambda place: (place.is_inside, _is_aside(place)))[:MOST_PLACES]


def _is_aside(place: Place) -> bool:
    """Whether a place sounds like something that stands beside the products of a shop."""
    names = place.path.lower().split(".")
    return names[-1] in ASIDES or not MENUS.isdisjoint(names)


def _by_preference() -> list[str]:
    """The plain schema first: of schemas that do equally well, the one that claims least."""
    return sorted(shipped_schemas(), key=lambda name: (name != PLAIN, name))


def _wheres(plan: Plan, found: list[Place]) -> Iterator[tuple[str | None, Place | None]]:
    """The places to try; of equals the first is the better one.

    A place that only a wildcard of the schema leads to is better named, one that the schema names is not.
    """
    for place in found:
        if place.path not in plan.layout.items:
            yield place.path, place
    yield None, None


def _best(reader: _Reader, name: str, plan: Plan, found: list[Place], *, given: bool) -> _Trial:
    """The place where a schema does best."""
    if not given and name != PLAIN and not plan.marks:
        found = []
    trials = [
        _trial(reader, name, plan, *where, needs_marks=not given and name != PLAIN)
        for where in _wheres(plan, found)
    ]
    return max(trials, key=lambda trial: trial.score)


def _trial(
    reader: _Reader,
    schema: str,
    plan: Plan,
    items: str | None,
    place: Place | None,
    *,
    needs_marks: bool,
) -> _Trial:
    layout = plan.layout
    if items is not None:
        layout = replace(layout, items=(items,), configured=True)
    records = reader.records(layout)
    marked = sum(any(reach(r, path) is not None for path in plan.marks) for r in records)
    if not records or (needs_marks and plan.marks and not marked):
        return _Trial(schema, items, 0.0, len(records), 0, ())
    plan = reader.placed(plan, layout)
    outcomes = [plan.normalize(number, record) for number, record in enumerate(records, 1)]
    made = [outcome for outcome in outcomes if type(outcome) is Item]
    if not made:
        return _Trial(schema, items, 0.0, len(records), 0, ())
    filled = Counter(name for item in made for name in item.fields if name in plan.fields)
    refused = sum(w.rule != "missing_field" for item in made for w in item.warnings)
    each = (_FIELD * filled.total() + _REFUSED * refused) / len(made)
    each += _PRICE * max(filled["price"], filled["sale_price"]) / len(made)
    each += _MARK * marked / len(records)
    if place is not None:
        each += _INSIDE * place.is_inside + _ASIDE * _is_aside(place)
    distinct = len({item.id for item in made}) / len(made)
    return _Trial(
        schema=schema,
        items=items,
        score=each * distinct * len(made) / len(records),
        records=len(records),
        usable=len(made),
        fields=tuple(name for name in plan.fields if filled[name] * 2 > len(made)),
    )


def _rather(best: _Trial, found: list[Place], reader: _Reader, plain: Plan) -> Place | None:
    """A place beside the products, or inside of them, gives way to one whose records seem to have ids and titles too.

    Those that a category has, or a variant, are known; what the products call theirs has to be named.
    """
    place = next((each for each in found if each.path == best.items), None)
    if best.score <= 0 or place is None or not (place.is_inside or _is_aside(place)):
        return None
    others = [each for each in found if not each.is_inside and not _is_aside(each)]
    return _nameable(others, reader, plain)


def _nameable(found: list[Place], reader: _Reader, plain: Plan) -> Place | None:
    """The first place whose records seem to have an id and a title, whatever they are called."""
    for place in found:
        layout = replace(plain.layout, items=(place.path,), configured=True)
        named = propose(reader.records(layout), missing=("id", "title"))
        if len(named) == 2 and not any("*" in each.path for each in named):
            return place
    return None


def _no_guess(best: list[_Trial], found: list[Place], form: str, items: str | None) -> Guess:
    """No schema makes items of it: the first one, at the fullest place."""
    names = {trial.schema for trial in best}
    place = found[0].path if found and items is None else None
    if not any(trial.records for trial in best):
        said = "there are no records in its start that could be read"
    else:
        said = "no schema knows where id and title stand in its records"
    return Guess(
        format=form,
        schema=PLAIN if PLAIN in names else best[0].schema,
        items=place,
        evidence=(said,),
    )


def _place(best: _Trial, reader: _Reader, plans: Mapping[str, Plan]) -> str:
    """Where the records of the best trial are, in words."""
    if best.items is not None:
        return _shown(best.items)
    if reader.form == "jsonl":
        return "line by line"
    layout = plans[best.schema].layout
    for path in layout.items:
        if reader.records(replace(layout, items=(path,), configured=True)):
            return f"{_shown(path)}, where the schema looks for them"
    return "where the schema looks for them"


def _evidence(best: list[_Trial], place: str, *, given: bool) -> tuple[str, ...]:
    first, *others = best
    said = [
        f"records {place}: {first.usable} of the {first.records} tried become items",
        f"fields that most of them have with schema {first.schema}: {', '.join(first.fields)}",
    ]
    rival = next((trial for trial in others if trial.usable), None)
    if rival is not None:
        less = [name for name in first.fields if name not in rival.fields]
        lacks = f"lacks {', '.join(less)}" if less else "knows no more of them"
        said.append(f"the next best schema, {rival.schema}, {lacks}")
    elif not given:
        said.append("no other schema makes items of them")
    return tuple(said)


def _shown(path: str) -> str:
    return f"at {path}" if path else "in the list at the root"
