"""What a template's own names hold, where that is known: lists of items and of changes, and what loops take out of them. Pure."""

import re
from collections.abc import Iterable

from feedd.templates.spelling.catalogs import slip

ITEM = (
    "additional_image_links", "attributes", "author", "availability", "brand", "catalog", "categories", "changed_at", "color",
    "condition", "content", "created_at", "currency", "currency_code", "currency_symbol", "current_price", "description",
    "description_html", "featured_image", "feed", "gtin", "history", "id", "image_link", "images", "in_stock",
    "inventory_policy", "inventory_quantity", "item_group_id", "link", "metadata", "mpn", "on_sale", "params", "price",
    "published", "published_at", "removed", "sale_price", "size", "sku", "tags", "title", "updated_at", "url", "variant",
    "version",
)  # fmt: skip
"""Names that items have; they may have any others besides."""
OFTEN = (
    "availability", "categories", "changed_at", "created_at", "current_price", "description", "featured_image", "image_link",
    "in_stock", "inventory_quantity", "on_sale", "price", "published_at", "sale_price", "title",
)  # fmt: skip
"""Those of them that a slip is looked for in: no other word is as good as one of these."""
CHANGE = ("at", "difference", "field", "fields", "item", "kind", "new", "old", "percent", "seq")
OTHERWISE = {
    "custom_metadata": "metadata", "image_full_url": "featured_image.full.src", "image_url": "image_link", "name": "title",
    "image_thumbnail_url": "featured_image.thumbnail.src",
}  # fmt: skip
"""What templates for Klaviyo call what an item has here."""
_TAG = re.compile(r"\{%\s*(items|changes)\s.*\sas\s+(\w+)\s*%\}$", re.DOTALL)
_LOOP = re.compile(r"\{%\s*for\s+(\w+)\s+in\s+(\w+)(?:\|(?:slice|reverse|dictsort|dictsortreversed|list_where)\b[^\s|]*)?(?:\s+reversed)?\s*%\}$")  # fmt: skip
_Told = tuple[str, str, int]


class Lists:
    """`lists` are names of lists, `members` those of one of their things, each with the tag that made them."""

    def __init__(self, tags: Iterable[tuple[str, set[str]]]) -> None:
        """The tags of a template, each with the names that it gives."""
        lists: dict[str, str] = {}
        members: dict[str, str] = {}
        others = set[str]()
        tags = list(tags)
        for text, given in tags:
            if found := _TAG.match(text):
                others |= {found[2]} if lists.get(found[2], found[1]) != found[1] else set()
                lists[found[2]] = found[1]
            elif not text.startswith("{% for") and given:
                others |= given
        for text, given in tags:
            found = _LOOP.match(text)
            of = lists.get(found[2]) if found else None
            if found and of and members.get(found[1], of) == of:
                members[found[1]] = of
            elif re.match(r"\{%\s*for\s", text):
                others |= given
        both = others | (set(lists) & set(members))
        self.lists = {name: tag for name, tag in lists.items() if name not in both}
        self.members = {name: tag for name, tag in members.items() if name not in both}

    def told(self, root: str, rest: list[str]) -> _Told | None:
        """What is wrong with a name that the template gives."""
        if not rest:
            return None
        name = rest[0]
        if root in self.lists:
            if name.isdigit():
                return None
            if name in ("length", "size", "count"):
                return f"{root} is a list: a filter counts", f"write {root}|length", 1
            path = ".".join(rest[1:] if name in ("first", "last") else rest)
            right = f"{root}.0.{path}" if path else f"{root}.0"
            return (
                f"{root} is a list: {name} is blank",
                f"write {{% for item in {root} %}}{{{{ item.{path or 'title'} }}}}{{% endfor %}}, or {right}", 1,
            )  # fmt: skip
        of = self.members.get(root)
        if of is None or name in ITEM or (of == "changes" and name in CHANGE):
            return None
        meant = OTHERWISE.get(name) or slip(name, OFTEN)
        if meant is None:
            return None
        return f"{root} has no {name}, as far as is known", f"did you mean {root}.{meant}?", 1
