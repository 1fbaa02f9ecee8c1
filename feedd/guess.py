"""Which schema a feed fits, and where its records are, found by trying: what its configuration leaves open.

The start of the body is read with every shipped schema, at the places where that schema knows records and at those
where the body repeats something. The guess is what makes the most of it: the most usable records, with the most
fields filled. A schema can name `x-marks`, the fields that tell its dialect from others.
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
from feedd.formats.places import NO_ITEMS, Place, places
from feedd.formats.text import Text
from feedd.model import Guess, Item, Layout
from feedd.normalize import Plan, compile_plan, parse_source, reach
from feedd.normalize.document import plan_in_document
from feedd.schema import load_schema, shipped_schemas

START_BYTES = 1024 * 1024
SAMPLE_RECORDS = 100
MOST_PLACES = 8
PLAIN = "item"

# what counts for a schema, for each record on average, and against it
_FIELD, _MARK = 1.0, 2.0
_REFUSED, _INSIDE = -0.5, -1.0


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
    start = _start(stream, charset, encoding)
    found = [] if items is not None else _likely(places(start, form))
    reader = _Reader(FORMATS[form], start, doctype)
    paths = {name: parse_source(path) for name, path in fields.items()}
    best: list[_Trial] = []
    for name in [schema] if schema is not None else _by_preference():
        document = load_schema(name, base_dir=base_dir).document
        plan = compile_plan(document, fields=paths, items=items)
        trials = [_trial(reader, name, plan, *where) for where in _wheres(plan, found)]
        best.append(max(trials, key=lambda trial: trial.score))
    best.sort(key=lambda trial: -trial.score)  # of equals the first stays the first
    if best[0].score <= 0:
        return _no_guess(best, found, form, items)
    return Guess(
        format=form,
        schema=best[0].schema,
        items=best[0].items,
        evidence=_evidence(best, given=schema is not None),
    )


class _Reader:
    """Gives the first records of a body's start, wherever a layout looks for them."""

    def __init__(self, form: Format, start: bytes, doctype: bool) -> None:
        self._form = form
        self._start = start
        self._doctype = doctype
        self._read: dict[object, list[dict[str, Any]]] = {}

    def records(self, layout: Layout) -> list[dict[str, Any]]:
        """Up to `SAMPLE_RECORDS` records, those that are whole and well-formed."""
        key = (layout.items, tuple(layout.namespaces.items()))
        if key not in self._read:
            self._read[key] = self._records(replace(layout, doctype=self._doctype))
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
        # the start of a body ends anywhere; whoever reads all of it says what is wrong
        with contextlib.suppress(FormatError):
            for slices in self._form.slices(BytesIO(self._start), layout, "utf-8"):
                raws = slices.raws[: SAMPLE_RECORDS - len(found)]
                values = self._form.decode(replace(slices, raws=raws), layout)
                found += [value for value in values if type(value) is dict]
                if len(found) >= SAMPLE_RECORDS:
                    break
        return found


def _start(stream: BinaryIO, charset: str | None, encoding: str | None) -> bytes:
    """The start of a body as UTF-8."""
    text = Text(stream, charset, configured=encoding)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < START_BYTES and (piece := text.read()):
        pieces.append(piece)
    return b"".join(pieces)


def _likely(found: list[Place]) -> list[Place]:
    """The places worth a try: an error answer with titles and ids is no catalog."""
    return [place for place in found if place.path.rpartition(".")[2].lower() not in NO_ITEMS][
        :MOST_PLACES
    ]


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


def _trial(
    reader: _Reader, schema: str, plan: Plan, items: str | None, place: Place | None
) -> _Trial:
    layout = plan.layout
    if items is not None:
        layout = replace(layout, items=(items,), configured=True)
    records = reader.records(layout)
    plan = reader.placed(plan, layout)
    outcomes = [plan.normalize(number, record) for number, record in enumerate(records, 1)]
    made = [outcome for outcome in outcomes if type(outcome) is Item]
    if not made:
        return _Trial(schema, items, 0.0, len(records), 0, ())
    filled = Counter(name for item in made for name in item.fields if name in plan.fields)
    refused = sum(w.rule != "missing_field" for item in made for w in item.warnings)
    marked = sum(any(reach(r, path) is not None for path in plan.marks) for r in records)
    each = (_FIELD * filled.total() + _REFUSED * refused) / len(made)
    each += _MARK * marked / len(records)
    if place is not None and place.is_inside:
        each += _INSIDE
    distinct = len({item.id for item in made}) / len(made)
    return _Trial(
        schema=schema,
        items=items,
        score=each * distinct * len(made) / len(records),
        records=len(records),
        usable=len(made),
        fields=tuple(name for name in plan.fields if filled[name] * 2 > len(made)),
    )


def _no_guess(best: list[_Trial], found: list[Place], form: str, items: str | None) -> Guess:
    """No schema makes items of it: the first one, at the fullest place."""
    first = best[0]
    place = found[0].path if found and items is None else None
    return Guess(
        format=form,
        schema=first.schema,
        items=place,
        evidence=("no schema makes an item of any of its records: id and title were not found",),
    )


def _evidence(best: list[_Trial], *, given: bool) -> tuple[str, ...]:
    first, *others = best
    place = "where the schema looks for them" if first.items is None else _shown(first.items)
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
