"""Arguments of `{% catalog %}`, `{% items %}` and `{% changes %}` that compile, and mean nothing or something else. Pure."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from feedd.templates.spelling.draft import STRING, Draft, Finding, nearest

COMMANDS = ("catalog", "items", "changes")
TRUTHS = {"true": "True", "false": "False", "null": "None", "nil": "None", "none": "None"}
NUMBERS = ("limit", "max_price", "min_price")
TEXTS = ("", "brand", "category", "field", "ids")
FOREIGN = ("api", "bigcommerce", "default", "$default", "magento", "prestashop", "salesforce", "shopify", "woocommerce")  # fmt: skip
"""Names of catalogs that templates made for Klaviyo have, whatever the catalogs here are called."""
FIELDS = (
    "additional_image_links", "availability", "brand", "categories", "condition", "currency", "description", "image_link",
    "inventory_quantity", "item_group_id", "link", "price", "published_at", "sale_price", "title",
)  # fmt: skip
"""Fields that schemas have; items may have any others besides."""
_WORD_OR_NAME = "is a name, and the word only where nothing is called so"
_WORD = re.compile(r"(?<=\s)(?:(\w+)=)?([^\s%]+)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_BEGINS_WITH_NUMBER = re.compile(r"\d+(?:\.\d+)?[A-Za-z_-][\w.+-]*")
_COMPOSITE = re.compile(r"\$custom:::(.*?):::")


def doubtful(
    draft: Draft, roots: Collection[str], catalogs: Collection[str] | None
) -> Iterator[Finding]:
    """What is doubtful in the arguments. `roots` are names that have values, `catalogs` all catalogs and feeds, where known."""
    if draft.command not in COMMANDS:
        return
    masked = draft.masked
    start = masked.index(draft.command, 2) + len(draft.command)
    for found in _WORD.finditer(masked, start, len(masked) - 2):
        if found[0] == "as":
            return
        argument, value = found[1] or "", draft.text[slice(*found.span(2))]
        told: tuple[str, str] | None = None
        if _BEGINS_WITH_NUMBER.fullmatch(value):
            shown = f"{argument}=" if argument else ""
            told = f"{value} without quotes {_WORD_OR_NAME}", f'write {shown}"{value}"'
        elif _NAME.fullmatch(value) and value not in roots:
            told = _bare(draft.command, argument, value)
        elif re.fullmatch(STRING, found[2]):
            told = _text(draft.command, argument, value[1:-1], catalogs)
        if told is not None:
            at, end = (draft.places[place] for place in found.span(2))
            yield Finding(at, end - at, *told, "warning")


def _bare(command: str, argument: str, word: str) -> tuple[str, str] | None:
    """What to write for a word without quotes that no tag gives a value to."""
    shown = f"{argument}=" if argument else ""
    if word in ("True", "False", "None"):
        return None
    if word in TRUTHS or argument in ("in_stock", "on_sale"):
        truth = "False" if word.lower() in ("no", "off") else "True"
        return f"{word} {_WORD_OR_NAME}", f"write {shown}{TRUTHS.get(word.lower(), truth)}"
    if command == "catalog" and not argument:
        return f"{word} is not known", f'write event.{word}, or "{word}" for the item with that id'
    if argument in NUMBERS:
        return f"{word} is a name, and nothing is called so", f"write a number: {shown}10"
    if argument in TEXTS:
        empty = ": the list stays empty" if argument else ""
        return (
            f"{word} without quotes is a name, and nothing is called so{empty}",
            f'for the text write {shown}"{word}"',
        )
    return f"{word} without quotes {_WORD_OR_NAME}", f'write {shown}"{word}"'


def _text(
    command: str, argument: str, text: str, catalogs: Collection[str] | None
) -> tuple[str, str] | None:
    if argument == "field" and command == "changes":
        return _field(text)
    name, shown = None, ""
    if command == "catalog":
        composite = _COMPOSITE.match(text)
        if argument == "catalog_id":
            name, shown = text, "catalog_id="
        elif not argument and composite:
            name = composite[1]
    elif not argument:
        name = text
    known = catalogs is None or (name in FOREIGN and command == "catalog")
    if not name or known or name in (catalogs or ()) or name in ("default", "$default"):
        return None
    near = nearest(name, catalogs or (), 0.6)
    there = ", ".join(sorted(catalogs or ())) or "none"
    right = (
        f'write {shown}"{near}"' if shown or command != "catalog" else f"write $custom:::{near}:::"
    )
    return (
        f"there is no catalog and no feed {name}",
        f"did you mean {near}? {right}" if near else f"the configuration has: {there}",
    )


def _field(name: str) -> tuple[str, str] | None:
    right = slip(name, FIELDS)
    if right is None:
        return None
    return f"items have no field {name}, as far as is known", f'did you mean field="{right}"?'


@lru_cache(4096)
def slip(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that another one is a slip of: one wrong, missing or doubled letter, or two that changed places."""
    if name in known or len(name) < 4:
        return None
    for each in known:
        if f"{each}s" == name or f"{name}s" == each:  # a plural is a name of its own
            continue
        start = _shared(each, name)
        end = _shared(each[start:][::-1], name[start:][::-1])
        left, right = (word[start : len(word) - end] for word in (each, name))
        if (len(left) < 2 and len(right) < 2) or (len(left) < 4 and left == right[::-1]):
            return each
    return None


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common where they begin."""
    both = enumerate(zip(a, b, strict=False))
    return next((at for at, (x, y) in both if x != y), min(len(a), len(b)))
