"""A decoded record becomes an Item or a Reject, as its schema says. Pure.

`compile_plan` reads the schema once; a plan then does for each record what is left to do: find each field's raw
value, coerce it, settle what several fields decide together (currency, images), keep the other fields under their
own names, and let the schema judge. A plan never raises for any value that JSON can write.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator

from feedd.coerce import COERCIONS, MANY, REPEATING, Coercion, Note, Noted, Refused, excerpt
from feedd.coerce.links import url, urls
from feedd.coerce.memo import remembering
from feedd.model import Item, Layout, Problem, Reject
from feedd.normalize.around import Tree, read_around, seed_of, site_of
from feedd.normalize.composing import Outside, composed, flat
from feedd.normalize.draft import (
    BLANK_TYPES,
    Draft,
    Step,
    heard,
    repeated,
    settle_currency,
    settle_images,
    settle_reduced,
)
from feedd.normalize.judging import Judge
from feedd.normalize.keeping import keep_others
from feedd.normalize.mapping import Field, Fields, Source, read_fields
from feedd.normalize.names import Names
from feedd.normalize.paths import Path, Template, parse_source, reach
from feedd.normalize.shapes import Shape, shapes_of
from feedd.normalize.straight import VALUES, CloserLook, Ways
from feedd.normalize.verdict import compiled, pointer, settle

# Raise it with every change that makes another item of the same record: stored fingerprints end with it.
NORMALIZER_VERSION = 6

_IDENTITY = ("id", "title")


def compile_plan(
    document: dict[str, Any],
    *,
    fields: Mapping[str, Path | Template | str | Sequence[str]] = {},
    items: str | None = None,
    default_currency: str | None = None,
) -> "Plan":
    """The plan for a checked, bundled schema. `fields` and `items` are a person's own, before the schema's.

    Raises:
        ValueError: the schema, a path or the currency cannot be used.
    """
    code = None if default_currency is None else COERCIONS["currency"](default_currency)
    if code is not None and type(code) is not str:
        raise ValueError(
            f"{default_currency!r} is not a currency; write its ISO 4217 code, such as EUR"
        )
    paths = {
        name: path if isinstance(path, Template) else parse_source(path)
        for name, path in fields.items()
    }
    validator = compiled(document)
    mapping = read_fields(document, paths)
    layout = Layout(
        items=mapping.items if items is None else (items,),
        configured=items is not None,
        namespaces=mapping.namespaces,
    )
    decides = [NORMALIZER_VERSION, document, sorted(paths.items()), items, code]
    digest = sha256(msgspec.json.encode(decides)).digest()
    return Plan(mapping, validator, Judge(document, validator), layout, digest, code)


class Plan:
    """How the records of one feed become items. `digest` stands for all that decides it but the document they are in.

    `fields` are the names of the fields that the schema fills, `marks` the paths that tell its dialect from others.
    `wanted` are the places around the records that matter, and `seed` stands for what was found there.
    """

    def __init__(
        self,
        mapping: Fields,
        validator: Draft202012Validator,
        judge: Judge,
        layout: Layout,
        digest: bytes,
        default_currency: str | None,
    ) -> None:
        self.layout = layout
        self.digest = digest
        self.fields = tuple(field.name for field in mapping.fields)
        self.marks = mapping.marks
        self.seed = b""
        self._validator = validator
        self._judge = judge
        self._default_currency = default_currency
        self._names = Names(frozenset(mapping.namespaces))
        self._by_name = {field.name: _step(field) for field in mapping.fields}
        self._read_links: Coercion = COERCIONS["urls"]
        self._outside = Outside()
        self._places = mapping.places
        self.wanted = mapping.places.wanted
        self.reads_links = any(field.coercion in ("url", "urls") for field in mapping.fields)
        self._unwraps = mapping.unwraps
        self._only = mapping.only
        self._reduced = tuple((f.name, f.reduces) for f in mapping.fields if f.reduces)
        self._coercions = {field.name: field.coercion for field in mapping.fields}
        self._prices = tuple(f.name for f in mapping.fields if f.coercion == "price")
        self._gallery = {"image_link", "additional_image_links"} <= self._by_name.keys()
        self._alternatives: dict[str, list[str]] = {}
        for field in mapping.fields:
            for source in field.sources:
                if not isinstance(source, Template) and not source[1]:
                    self._alternatives.setdefault(source[0], []).append(field.name)
        self._shapes = shapes_of(self._by_name, self._alternatives, self._names)
        self._gaps = tuple(
            (name, _gap(self._by_name[name]))
            for name in mapping.recommended
            if name in self._by_name
        )
        self._ways = self._ways_of()

    def within(self, found: Sequence[list[Any]], *, base: str | None = None) -> "Plan":
        """This plan for the records of one document: with what stands at the `wanted` places around them.

        `base` is the address that the document came from, on which relative links build if it names no other.
        """
        around = read_around(self._places, found, base)
        plan = copy(self)
        plan.seed = seed_of(around)
        plan._outside = Outside(
            site_of(around.base), {name: Tree(rows) for name, rows in around.tables}
        )
        plan._default_currency = self._default_currency or around.currency
        if around.base is not None:
            plan._read_links = partial(urls, base=around.base)
            links = {"url": partial(url, base=around.base), "urls": plan._read_links}
            plan._by_name = {
                name: step._replace(coerce=links.get(self._coercions[name], step.coerce))
                for name, step in self._by_name.items()
            }
            plan._shapes = shapes_of(plan._by_name, plan._alternatives, plan._names)
        plan._ways = plan._ways_of()
        return plan

    def _ways_of(self) -> Ways:
        """The straight ways of records, by their keys."""
        reduced = {name for name, _ in self._reduced}
        unwraps = {*self._unwraps, *(path[0] for path, _ in self._only)}
        is_never = any(path[0][0] in "*[" or path[0].isdecimal() for path, _ in self._only)

        def is_special(shape: Shape) -> bool:
            keys = {key for key, _ in shape.keys}
            return is_never or bool(keys & unwraps or reduced & shape.taken.keys())

        return Ways(
            self._shapes,
            self._by_name,
            self._coercions,
            self._judge,
            self._names,
            gaps=self._gaps,
            default_currency=self._default_currency,
            is_special=is_special,
        )

    def normalize(self, position: int, record: dict[str, Any]) -> Item | Reject:
        """The item that a record is, with what could not be used as warnings; or why it is none."""
        if type(record) is not dict:
            return Reject(position, None, (_not_an_object(record),))
        way = self._ways[tuple(record)]
        if way is not None:
            try:
                return way(record)
            except CloserLook:
                pass
        return self._looked_at(position, record)

    def _looked_at(self, position: int, record: dict[str, Any]) -> Item | Reject:
        """What any record is, of which nothing is known."""
        for name in self._unwraps:
            if type(record.get(name)) is dict:
                record = record[name]
                break
        for path, kinds in self._only:
            if (kind := reach(record, path)) and not kinds.intersection(
                each for each in flat(kind) if type(each) is str
            ):
                return Reject(position, None, (_of_another_kind(path, kind),))
        draft = Draft(record)
        shape: Shape = self._shapes[tuple(record)]
        self._fill(draft, shape)
        for step in shape.composed:
            self._compose(draft, step)
        if draft.refused:
            self._give_up(draft)
        for now, usual in self._reduced:
            settle_reduced(draft, now, usual)
        if self._gallery:
            settle_images(draft)
        if draft.currencies or self._default_currency:
            settle_currency(draft, self._prices, self._default_currency)
        for name, html in draft.html.items():
            if f"{name}_html" not in self._by_name:
                draft.fields[f"{name}_html"] = html
        keep_others(draft, shape, self._alternatives, self._names)
        return self._outcome(position, draft)

    def _fill(self, draft: Draft, shape: Shape) -> None:
        """Fill the fields whose values stand in the record: at once where the first source gives one, as most do."""
        record, fields = draft.record, draft.fields
        taken = draft.taken = dict(shape.taken)
        for key, name, coerce, step, sources in shape.moves:
            # What is blank, 0 or false is for the closer look; so is a list where one value is wanted, of which no
            # such coercion makes anything.
            if key is not None and (raw := record[key]):
                made = coerce(raw)
                if type(made) in VALUES:
                    fields[name] = made
                    continue
                if type(made) is Noted and made.value is not None:
                    fields[name] = heard(draft, step, made, raw)
                    continue
            taken.pop(name, None)
            self._search(draft, step, sources)

    def _search(self, draft: Draft, step: Step, sources: tuple[Source, ...]) -> None:
        """Fill a field from the first of its sources that can be used."""
        for key, rest in sources:
            raw = draft.record[key]
            if rest:
                raw = reach(raw, rest)
            if not raw and type(raw) in BLANK_TYPES:
                continue
            if self._filled(draft, step, "" if rest else key, raw):
                return

    def _compose(self, draft: Draft, step: Step) -> None:
        """Fill a field that is put together from several places, or whose value is not what stands there."""
        found = composed(draft, step, self._outside)
        if not step.gathers:
            for key, raw in found:
                if self._filled(draft, step, key, raw):
                    return
            return
        keys, values = [], []
        for key, raw in found:
            keys += [key] if key else []
            values += flat(raw)
        if values and self._filled(draft, step, "", values):
            draft.spent.update(keys)

    def _filled(self, draft: Draft, step: Step, key: str, raw: Any) -> bool:
        """Whether a raw value gave the field its value. `key` is what was used up with it, if anything."""
        if type(raw) is list and not step.many:
            result = self._first_usable(draft, step, raw)
        else:
            result = step.coerce(raw)
        kind = type(result)
        if kind is Refused:
            if step.name not in draft.refused:
                draft.refused[step.name] = Problem(
                    pointer=step.pointer, rule=result.rule, value=excerpt(raw), hint=result.hint
                )
            return False
        if kind is Noted:
            result = heard(draft, step, result, raw)
        if result is None:
            if key:
                draft.spent.add(key)
            return False
        draft.fields[step.name] = result
        if key:
            draft.taken[step.name] = key
        return True

    def _give_up(self, draft: Draft) -> None:
        """Say once what was refused where no other source helped; it is not kept under another name either."""
        for name, problem in draft.refused.items():
            if name in draft.fields:
                continue
            draft.spent.update(self._by_name[name].keys)
            if name not in _IDENTITY:
                draft.warnings.append(problem)

    def _first_usable(self, draft: Draft, step: Step, values: list[Any]) -> Any:
        """One value of several: the first that can be used. Further images go to the gallery, others are counted."""
        if step.name == "image_link" and self._gallery:
            links = self._read_links(values)
            notes: tuple[Note, ...] = ()
            if type(links) is Noted:
                links, notes = links.value, links.notes
            draft.spare_images = links[1:] if links else []
            return Noted(links[0] if links else None, notes)
        results = [step.coerce(each) for each in values if each or type(each) not in BLANK_TYPES]
        usable = [each for each in results if each is not None and type(each) is not Refused]
        if not usable:
            return results[0] if results else None
        first = usable[0]
        others = sum(_plain(each) != _plain(first) for each in results if each is not None)
        if not others:
            return first
        known = first if type(first) is Noted else Noted(first)
        return Noted(
            known.value,
            (*known.notes, Note("repeated_field", repeated(others))),
            known.currency,
            known.html,
        )

    def _outcome(self, position: int, draft: Draft) -> Item | Reject:
        fields, warnings = draft.fields, draft.warnings
        item_id = fields.get("id")
        problems: list[Problem] = []
        if item_id is None:
            problems.append(draft.refused.get("id") or self._no_id(draft))
        if "title" not in fields:
            problems.append(self._no_title(draft))
        if not problems:
            for name, problem in self._gaps:
                if name not in fields and name not in draft.refused:
                    warnings.append(problem)
            if not self._validator.is_valid(fields):
                problems = settle(self._validator, fields, warnings)
            if any(problem.pointer == "/id" for problem in problems):
                item_id = None
            missing = {problem.pointer for problem in problems}
            problems = [w for w in warnings if w.pointer in missing] + problems if problems else []
        if problems:
            return Reject(position, item_id, tuple(problems))
        return Item(fields["id"], fields, tuple(warnings))

    def _no_id(self, draft: Draft) -> Problem:
        step = self._by_name["id"]
        there = any(
            not isinstance(each, Template) and reach(draft.record.get(each[0]), each[1]) is not None
            for each in step.sources
        )
        rule, state = ("id_empty", "is empty") if there else ("id_missing", "is missing")
        hint = f"The id {state}; it was looked for at {step.places}. Give every item an id, or name its place in the feed's fields."
        return Problem(pointer="/id", rule=rule, value=excerpt(draft.record), hint=hint)

    def _no_title(self, draft: Draft) -> Problem:
        step = self._by_name["title"]
        refused = draft.refused.get("title")
        hint = f"The title is missing; it was looked for at {step.places}. Give every item a title, or name its place in the feed's fields."
        if refused is not None:
            return msgspec.structs.replace(refused, rule="title_missing")
        return Problem(pointer="/title", rule="title_missing", hint=hint)


def _not_an_object(record: Any) -> Problem:
    hint = "Every record must be an object (JSON) or an element with fields in it (XML); check the feed's items path."
    return Problem(pointer="", rule="not_an_object", value=excerpt(record), hint=hint)


def _gap(step: Step) -> Problem:
    hint = f"Nothing usable was found at {step.places}; add {step.name} to the feed, or name its place in the feed's fields."
    return Problem(pointer=step.pointer, rule="missing_field", hint=hint)


def _of_another_kind(path: Path, kind: Any) -> Problem:
    hint = "Records of this kind are no products, and make no items; that is all that is wrong with this one."
    return Problem(pointer=pointer(*path), rule="other_kind", value=excerpt(kind), hint=hint)


def _step(field: Field) -> Step:
    paths = tuple(each for each in field.sources if not isinstance(each, Template))
    as_it_stands = not (
        field.gathers or field.minor_units or field.lookup or len(paths) < len(field.sources)
    )
    return Step(
        field.name,
        pointer(field.name),
        field.sources,
        _coercion(field.coercion),
        field.coercion in MANY,
        paths if as_it_stands else (),
        frozenset(key for key, rest in paths if not rest),
        field.gathers,
        field.minor_units,
        field.lookup,
    )


def _coercion(name: str) -> Coercion:
    return remembering(COERCIONS[name]) if name in REPEATING else COERCIONS[name]


def _plain(result: Any) -> Any:
    return result.value if type(result) is Noted else result
