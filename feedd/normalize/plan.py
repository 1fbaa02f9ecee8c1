"""A decoded record becomes an Item or a Reject, as its schema says. Pure.

`compile_plan` reads the schema once; a plan then does for each record what is left to do: find each field's raw
value, coerce it, settle what several fields decide together (currency, images), keep the other fields under their
own names, and let the schema judge. A plan never raises for any value that JSON can write.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from jsonschema_rs import Draft202012Validator

from feedd.coerce import COERCIONS, MANY, Coercion, Note, Noted, Refused, excerpt
from feedd.coerce.text import clean
from feedd.model import Item, Layout, Problem, Reject
from feedd.normalize.mapping import Fields, Path, Source, parse_path, reach, read_fields
from feedd.normalize.names import Names, kept_apart
from feedd.normalize.verdict import compiled, gathered, pointer, settle

# Raise it with every change that makes another item of the same record: stored fingerprints end with it.
NORMALIZER_VERSION = 2

_BLANK_TYPES = frozenset({str, dict, list, type(None)})
_IDENTITY = ("id", "title")

_keep = COERCIONS["any"]
_read_links = COERCIONS["urls"]


def compile_plan(
    document: dict[str, Any],
    *,
    fields: Mapping[str, Path | str | Sequence[str]] = {},
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
    paths = {name: parse_path(path) for name, path in fields.items()}
    validator = compiled(document)
    mapping = read_fields(document, paths)
    layout = Layout(
        items=mapping.items if items is None else (items,),
        configured=items is not None,
        namespaces=mapping.namespaces,
    )
    decides = [NORMALIZER_VERSION, document, sorted(paths.items()), items, code]
    digest = sha256(msgspec.json.encode(decides)).digest()
    return Plan(mapping, validator, layout, digest, code)


class _Step(NamedTuple):
    """How one field is filled."""

    name: str
    pointer: str
    sources: tuple[Source, ...]
    coerce: Coercion
    many: bool


class _Draft:
    """One item in the making.

    `taken` maps a field to the record's key that it came from; `spent` holds keys that gave nothing, and are not kept.
    """

    __slots__ = (
        "currencies",
        "fields",
        "record",
        "refused",
        "spare_images",
        "spent",
        "taken",
        "warnings",
    )

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.fields: dict[str, Any] = {}
        self.warnings: list[Problem] = []
        self.taken: dict[str, str] = {}
        self.spent: set[str] = set()
        self.refused: dict[str, Problem] = {}
        self.currencies: dict[str, str] = {}
        self.spare_images: list[str] = []


class Plan:
    """How the records of one feed become items. `digest` stands for all that decides it."""

    def __init__(
        self,
        mapping: Fields,
        validator: Draft202012Validator,
        layout: Layout,
        digest: bytes,
        default_currency: str | None,
    ) -> None:
        self.layout = layout
        self.digest = digest
        self._validator = validator
        self._default_currency = default_currency
        self._names = Names(frozenset(mapping.namespaces))
        self._steps = tuple(
            _Step(f.name, pointer(f.name), f.sources, COERCIONS[f.coercion], f.coercion in MANY)
            for f in mapping.fields
        )
        self._by_name = {step.name: step for step in self._steps}
        self._prices = tuple(f.name for f in mapping.fields if f.coercion == "price")
        self._gallery = {"image_link", "additional_image_links"} <= self._by_name.keys()
        self._alternatives: dict[str, list[str]] = {}
        for field in mapping.fields:
            for key, rest in field.sources:
                if not rest:
                    self._alternatives.setdefault(key, []).append(field.name)
        self._gaps = tuple(
            (name, _gap(self._by_name[name]))
            for name in mapping.recommended
            if name in self._by_name
        )

    def normalize(self, position: int, record: dict[str, Any]) -> Item | Reject:
        """The item that a record is, with what could not be used as warnings; or why it is none."""
        if type(record) is not dict:
            return Reject(position, None, (_not_an_object(record),))
        draft = _Draft(record)
        for step in self._steps:
            for key, rest in step.sources:
                raw = record.get(key)
                if raw is None:
                    continue
                if rest:
                    raw = reach(raw, rest)
                if not raw and type(raw) in _BLANK_TYPES:
                    continue
                if self._filled(draft, step, "" if rest else key, raw):
                    break
        if draft.refused:
            self._give_up(draft)
        if self._gallery:
            _settle_images(draft)
        if draft.currencies or self._default_currency:
            self._settle_currency(draft)
        self._keep_others(draft)
        return self._outcome(position, draft)

    def _filled(self, draft: _Draft, step: _Step, key: str, raw: Any) -> bool:
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
            result = _heard(draft, step, result, raw)
        if result is None:
            if key:
                draft.spent.add(key)
            return False
        draft.fields[step.name] = result
        if key:
            draft.taken[step.name] = key
        return True

    def _give_up(self, draft: _Draft) -> None:
        """Say once what was refused where no other source helped; it is not kept under another name either."""
        for name, problem in draft.refused.items():
            if name in draft.fields:
                continue
            draft.spent.update(key for key, rest in self._by_name[name].sources if not rest)
            if name not in _IDENTITY:
                draft.warnings.append(problem)

    def _first_usable(self, draft: _Draft, step: _Step, values: list[Any]) -> Any:
        """One value of several: the first that can be used. Further images go to the gallery, others are counted."""
        if step.name == "image_link" and self._gallery:
            links = _read_links(values)
            notes: tuple[Note, ...] = ()
            if type(links) is Noted:
                links, notes = links.value, links.notes
            draft.spare_images = links[1:] if links else []
            return Noted(links[0] if links else None, notes)
        results = [step.coerce(each) for each in values if each or type(each) not in _BLANK_TYPES]
        usable = [each for each in results if each is not None and type(each) is not Refused]
        if not usable:
            return results[0] if results else None
        first = usable[0]
        others = sum(_plain(each) != _plain(first) for each in results if each is not None)
        if not others:
            return first
        known = first if type(first) is Noted else Noted(first)
        return Noted(
            known.value, (*known.notes, Note("repeated_field", _repeated(others))), known.currency
        )

    def _settle_currency(self, draft: _Draft) -> None:
        """One currency for all prices of an item: the price's own, else the stated one, else the default."""
        fields, found = draft.fields, draft.currencies
        stated = fields.get("currency")
        own = next((found[name] for name in self._prices[:1] if found.get(name)), None)
        base = own or stated or next((code for code in found.values() if code), None)
        if own and stated and own != stated:
            hint = f"The price is in {own}; write the same currency in both places."
            draft.warnings.append(
                Problem(pointer="/currency", rule="currency_mismatch", value=stated, hint=hint)
            )
        for name, code in found.items():
            if code and code != base:
                hint = f"Write this amount in {base}, as the item's price is."
                value = excerpt(f"{fields.pop(name)} {code}")
                draft.warnings.append(
                    Problem(pointer=pointer(name), rule="currency_mismatch", value=value, hint=hint)
                )
        if not base and any(name in fields for name in self._prices):
            base = self._default_currency
        if base:
            fields["currency"] = base
        elif found and "currency" not in draft.refused:
            draft.warnings.append(_SHARED_SIGN)

    def _keep_others(self, draft: _Draft) -> None:
        """The fields that the schema does not know keep their names and shapes."""
        used = draft.spent.union(draft.taken.values())
        kept: list[tuple[str, str, Any]] = []
        for key, value in draft.record.items():
            if key in used or value is None:
                continue
            if key in self._alternatives and self._says_nothing_new(draft, key, value):
                continue
            name = self._names.bare(key)
            if name in draft.fields or name in self._by_name:
                name = clean(str(key))
                if name in draft.fields or name in self._by_name:
                    continue  # the schema decides what stands under this name
            kept.append((name, key, value))
        if len({name for name, _, _ in kept}) < len(kept):
            kept = kept_apart(kept)
        refused: list[Problem] = []
        for name, key, value in kept:
            result = _keep(self._names.tree(value))
            if type(result) is Refused:
                refused.append(
                    Problem(
                        pointer=pointer(name),
                        rule=result.rule,
                        value=excerpt(value),
                        hint=result.hint,
                    )
                )
            elif key not in self._alternatives or result or type(result) not in _BLANK_TYPES:
                draft.fields[name] = result
        draft.warnings += sorted(refused, key=lambda problem: problem.pointer)

    def _says_nothing_new(self, draft: _Draft, key: str, value: Any) -> bool:
        """Whether an alternative that was not needed is empty, or repeats the value that was taken."""
        if not value and type(value) in _BLANK_TYPES:
            return True
        return any(
            draft.fields.get(name) == value or draft.record.get(draft.taken.get(name, "")) == value
            for name in self._alternatives[key]
        )

    def _outcome(self, position: int, draft: _Draft) -> Item | Reject:
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
            problems = settle(self._validator, fields, warnings)
            if any(problem.pointer == "/id" for problem in problems):
                item_id = None
            missing = {problem.pointer for problem in problems}
            problems = [w for w in warnings if w.pointer in missing] + problems if problems else []
        if problems:
            return Reject(position, item_id, tuple(problems))
        return Item(fields["id"], fields, tuple(warnings))

    def _no_id(self, draft: _Draft) -> Problem:
        step = self._by_name["id"]
        there = any(reach(draft.record.get(key), rest) is not None for key, rest in step.sources)
        rule, state = ("id_empty", "is empty") if there else ("id_missing", "is missing")
        hint = f"The id {state}; it was looked for at {_places(step)}. Give every item an id, or name its place in the feed's fields."
        return Problem(pointer="/id", rule=rule, value=excerpt(draft.record), hint=hint)

    def _no_title(self, draft: _Draft) -> Problem:
        step = self._by_name["title"]
        refused = draft.refused.get("title")
        hint = f"The title is missing; it was looked for at {_places(step)}. Give every item a title, or name its place in the feed's fields."
        if refused is not None:
            return msgspec.structs.replace(refused, rule="title_missing")
        return Problem(pointer="/title", rule="title_missing", hint=hint)


_SHARED_SIGN = Problem(
    pointer="/currency",
    rule="currency_ambiguous",
    hint="Several currencies share the sign beside the price; write the three-letter code, such as 5.00 USD.",
)


def _not_an_object(record: Any) -> Problem:
    hint = "Every record must be an object (JSON) or an element with fields in it (XML); check the feed's items path."
    return Problem(pointer="", rule="not_an_object", value=excerpt(record), hint=hint)


def _gap(step: _Step) -> Problem:
    hint = f"Nothing usable was found at {_places(step)}; add {step.name} to the feed, or name its place in the feed's fields."
    return Problem(pointer=step.pointer, rule="missing_field", hint=hint)


def _places(step: _Step) -> str:
    return " or ".join(".".join((key, *rest)) for key, rest in step.sources)


def _plain(result: Any) -> Any:
    return result.value if type(result) is Noted else result


def _heard(draft: _Draft, step: _Step, noted: Noted, raw: Any) -> Any:
    """The value of a noted one, its notes made warnings and its currency remembered."""
    if noted.notes:
        draft.warnings += gathered([_warning(step, note, raw) for note in noted.notes])
    if noted.currency is not None:
        draft.currencies[step.name] = noted.currency
    return noted.value


def _warning(step: _Step, note: Note, raw: Any) -> Problem:
    place, value = step.pointer, raw
    if note.index is not None:
        place, value = f"{place}/{note.index}", note.value
    return Problem(pointer=place, rule=note.rule, value=excerpt(value), hint=note.hint)


def _settle_images(draft: _Draft) -> None:
    """The gallery never repeats the main image; images that were given as the main one fill an empty gallery."""
    main, spare = draft.fields.get("image_link"), draft.spare_images
    given = draft.fields.get("additional_image_links")
    if given and (unused := len(set(spare) - {main, *given})):
        draft.warnings.append(
            Problem(pointer="/image_link", rule="repeated_field", hint=_repeated(unused))
        )
    links = given or spare
    if not links:
        return
    others = [link for link in dict.fromkeys(links) if link != main]
    if others:
        draft.fields["additional_image_links"] = others
    else:
        draft.fields.pop("additional_image_links", None)


def _repeated(others: int) -> str:
    unused = "1 other is" if others == 1 else f"{others} others are"
    return f"The first value is used and {unused} not; write this field once."
