"""One item in the making, and what several of its fields decide together: currency, reductions, images. Pure."""

from typing import Any, NamedTuple

from feedd.coerce import Coercion, Note, Noted, excerpt
from feedd.model import Problem
from feedd.normalize.mapping import Source
from feedd.normalize.paths import Path, Template
from feedd.normalize.verdict import gathered, pointer

BLANK_TYPES = frozenset({str, dict, list, type(None)})

_SHARED_SIGN = Problem(
    pointer="/currency",
    rule="currency_ambiguous",
    hint="Several currencies share the sign beside the price; write the three-letter code, such as 5.00 USD.",
)


class Step(NamedTuple):
    """How one field is filled.

    `plain` are its sources where the first that can be used fills it, as it stands there; `keys` those keys of a
    record that are used up with it.
    """

    name: str
    pointer: str
    sources: tuple[Source | Template, ...]
    coerce: Coercion
    many: bool
    plain: tuple[Source, ...]
    keys: frozenset[str]
    gathers: bool
    minor_units: int | Path
    lookup: str | None

    @property
    def places(self) -> str:
        """Where the field is looked for, in words."""
        return " or ".join(
            each.text if isinstance(each, Template) else ".".join((each[0], *each[1]))
            for each in self.sources
        )


class Draft:
    """One item in the making.

    `taken` maps a field to the record's key that it came from; `spent` holds keys that gave nothing, and are not kept.
    `html` is what the text of a field was read from.
    """

    __slots__ = (
        "currencies",
        "fields",
        "html",
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
        self.html: dict[str, str] = {}
        self.warnings: list[Problem] = []
        self.taken: dict[str, str] = {}
        self.spent: set[str] = set()
        self.refused: dict[str, Problem] = {}
        self.currencies: dict[str, str] = {}
        self.spare_images: list[str] = []


def heard(draft: Draft, step: Step, noted: Noted, raw: Any) -> Any:
    """The value of a noted one, its notes made warnings, its currency and its HTML remembered."""
    if noted.notes:
        draft.warnings += gathered([_warning(step, note, raw) for note in noted.notes])
    if noted.currency is not None:
        draft.currencies[step.name] = noted.currency
    if noted.html is not None:
        draft.html[step.name] = noted.html
    return noted.value


def settle_reduced(draft: Draft, now: str, usual: str) -> None:
    """An amount that is paid now is a reduced one where it is lower than the usual, and else the usual one itself."""
    fields, currencies = draft.fields, draft.currencies
    if now not in fields or fields[now] < fields.get(usual, 0):
        return
    if usual in fields and currencies.get(now) != currencies.get(usual):
        return
    fields[usual] = fields.pop(now)
    if now in currencies:
        currencies[usual] = currencies.pop(now)


def settle_currency(draft: Draft, prices: tuple[str, ...], default: str | None) -> None:
    """One currency for all prices of an item: the price's own, else the stated one, else the default."""
    fields, found = draft.fields, draft.currencies
    stated = fields.get("currency")
    own = found.get(prices[0]) if prices else None
    base = own or stated or next(filter(None, found.values()), None)
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
    if not base and any(name in fields for name in prices):
        base = default
    if base:
        fields["currency"] = base
    elif found and "currency" not in draft.refused:
        draft.warnings.append(_SHARED_SIGN)


def settle_images(draft: Draft) -> None:
    """The gallery never repeats the main image; images that were given as the main one fill an empty gallery."""
    main, spare = draft.fields.get("image_link"), draft.spare_images
    given = draft.fields.get("additional_image_links")
    if spare and given and (unused := len(set(spare) - {main, *given})):
        draft.warnings.append(
            Problem(pointer="/image_link", rule="repeated_field", hint=repeated(unused))
        )
    links = given or spare
    if not links or (
        given and type(given) is list and main not in given and len(set(given)) == len(given)
    ):
        return
    others = [link for link in dict.fromkeys(links) if link != main]
    if others:
        draft.fields["additional_image_links"] = others
    else:
        draft.fields.pop("additional_image_links", None)


def repeated(others: int) -> str:
    """The hint for a field that came more than once."""
    unused = "1 other is" if others == 1 else f"{others} others are"
    return f"The first value is used and {unused} not; write this field once."


def _warning(step: Step, note: Note, raw: Any) -> Problem:
    place, value = step.pointer, raw
    if note.index is not None:
        place, value = f"{place}/{note.index}", note.value
    return Problem(pointer=place, rule=note.rule, value=excerpt(value), hint=note.hint)
