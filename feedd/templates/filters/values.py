"""Filters that reach into values, or stand in for what is missing."""

from typing import Any

from django.template import Library
from django.utils.safestring import mark_safe

from feedd.templates.bounded import number_of, text_of
from feedd.templates.pictures import png

register = Library()

# a grey square, in the message itself: there is no page that it would have to be loaded from
PLACEHOLDER = mark_safe(png(120, 120, "", ground=0xEE))


@register.filter
def lookup(value: Any, arg: Any) -> Any:
    """What is under a key of a dict, or at a place of a list; missing where there is nothing."""
    if isinstance(value, dict):
        try:
            return value[arg]
        except (KeyError, TypeError):
            return None
    if isinstance(value, list | tuple) and text_of(arg).isdecimal() and int(arg) < len(value):
        return value[int(arg)]
    return None


@register.filter
def index(value: Any, arg: Any) -> Any:
    """The element at a place of a list, from its end where the place is negative; missing where there is none.

    Klaviyo's editor writes it into every block of products: `{% if feeds.popular|index:0 %}`.
    """
    place = number_of(arg)
    if (
        not isinstance(value, list | tuple)
        or place is None
        or not -len(value) <= place < len(value)
    ):
        return None
    return value[int(place)]


@register.filter
def missing_product_image(value: Any) -> Any:
    """The address of an image; a grey square where there is none."""
    return value or PLACEHOLDER


register.filters["missing_image"] = missing_product_image
