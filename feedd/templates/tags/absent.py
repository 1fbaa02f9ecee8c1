"""`{% load %}`, which has nothing to do, and the tags that do not exist here: each says what to write instead."""

from collections.abc import Callable
from typing import Any

from django.template import Library, Node, TemplateSyntaxError

register = Library()

# what Django ships, and what stands in templates that were taken out of Klaviyo's editors
LIBRARIES = frozenset({
    "cache", "humanize", "i18n", "l10n", "static", "tz",
    "klaviyo", "klaviyo_tags", "klaviyo_filters", "catalog", "catalog_tags", "currency", "currency_tags",
    "coupons", "coupon_tags", "email_tags", "feeds", "feed_tags", "lookup", "product_tags", "template_tags",
})  # fmt: skip

_LATER = {
    "coupon_code": "Write the code into the template, or keep it in a property of the profile: {{ person.CouponCode }}.",
    "coupon": "Write the code into the template, or keep it in a property of the profile: {{ person.CouponCode }}.",
    "barcode_code": "Keep the code in a property of the profile: {% barcode person.CouponCode mode=html %}.",
    "customobject": "Send what the message needs with the event: {{ event.pet.name }}.",
    "customobjects": "Send what the message needs with the event: {% for pet in event.pets %}.",
    "update_property_link": "Link to a page of your own that sends the property to /client/profiles.",
}

_WHOLE = "A template here is one file: put what it needs into it."
_TEXT = "Write the text itself; one template for each language, chosen by {% if person.language == 'fr' %}."
_URL = "Write the address: {{ organization.url }}products/{{ item.handle }}."
_NEVER = {
    "include": _WHOLE,
    "extends": _WHOLE,
    "block": _WHOLE,
    "partial": _WHOLE,
    "partialdef": _WHOLE,
    "url": _URL,
    "static": _URL,
    "get_static_prefix": _URL,
    "get_media_prefix": _URL,
    "querystring": "Write the query: ?page=2&amp;q={{ q|urlencode }}.",
    "csrf_token": "A mail has no forms to protect: leave it out.",
    "debug": "To see a value, show it: {{ event }}.",
    "lorem": "Write the text itself.",
    "ssi": _WHOLE,
    "trans": _TEXT,
    "translate": _TEXT,
    "blocktrans": _TEXT,
    "blocktranslate": _TEXT,
    "language": _TEXT,
    "get_current_language": _TEXT,
    "get_available_languages": _TEXT,
    "get_language_info": _TEXT,
    "get_language_info_list": _TEXT,
    "cache": "Nothing has to be cached: leave the tag out, and keep what is inside.",
    "localize": "Numbers are shown as they are; write {{ price|floatformat:2 }} for the account's way.",
    "localtime": "Times are in the account's zone: leave the tag out, and keep what is inside.",
    "timezone": "Times are in the account's zone: leave the tag out, and keep what is inside.",
    "get_current_timezone": "Times are in the account's zone, which the configuration names.",
}


class NothingNode(Node):
    """A tag without effect."""

    def render(self, context: Any) -> str:  # noqa: ARG002 Django's signature
        """Nothing."""
        return ""


@register.tag
def load(parser: Any, token: Any) -> NothingNode:  # noqa: ARG001 Django's signature
    """`{% load humanize %}` and `{% load intcomma from humanize %}`: everything is there without it."""
    bits = token.split_contents()[1:]
    names = bits[-1:] if len(bits) >= 3 and bits[-2] == "from" else bits
    for name in names:
        if name.partition(".")[0] not in LIBRARIES:
            error = TemplateSyntaxError(f"there is no library {name!r} to load")
            error.hint = (
                "Leave {% load %} out: every tag and filter that there is can be used without it."
            )
            raise error
    return NothingNode()


def _absent(name: str, message: str, hint: str) -> Callable[[Any, Any], Node]:
    def compile_tag(parser: Any, token: Any) -> Node:  # noqa: ARG001 Django's signature
        error = TemplateSyntaxError(message)
        error.hint = hint
        raise error

    compile_tag.__name__ = name
    return compile_tag


for _name, _hint in _LATER.items():
    register.tag(_name, _absent(_name, f"the tag '{_name}' is not there yet", _hint))
for _name, _hint in _NEVER.items():
    register.tag(_name, _absent(_name, f"the tag '{_name}' does not exist here", _hint))

ABSENT = frozenset(_LATER) | frozenset(_NEVER)
