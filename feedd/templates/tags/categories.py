"""`{% has_category catalog_item "sale" as on_sale %}`: whether an item is in a category."""

from typing import Any

from django.template import Library

from feedd.templates.bounded import text_of

register = Library()

_KEYS = ("categories", "category", "Categories", "collections")


def _names(value: Any) -> list[str]:
    """The names of categories, from a list, a text, or dicts with a name or a title."""
    if isinstance(value, list | tuple):
        return [name for each in value for name in _names(each)]
    if isinstance(value, dict):
        value = value.get("name") or value.get("title") or value.get("id")
    return [text_of(value)] if isinstance(value, str | int) else []


@register.simple_tag
def has_category(item: Any, category: Any) -> bool:
    """Whether the name of one of an item's categories is, or has in it, what is asked for."""
    wanted = text_of(category).strip().casefold()
    if not wanted or not isinstance(item, dict):
        return False
    metadata = item.get("metadata")
    places = (item, metadata) if isinstance(metadata, dict) else (item,)
    names = [name for place in places for key in _KEYS for name in _names(place.get(key))]
    return any(wanted in name.casefold() for name in names)
