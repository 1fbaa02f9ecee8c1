"""The tags that lead to a recipient's own pages, and the one that shows the preview text."""

import re
from typing import Any

from django.template import Library, Node, TemplateSyntaxError
from django.template.base import Token
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from feedd.templates.bounded import text_of

register = Library()

_ATTRIBUTE = re.compile(r"""\b(?:href|src|action)\s*=\s*["']?\s*\Z""", re.IGNORECASE)
PAGES = {
    "unsubscribe": "Unsubscribe",
    "manage_preferences": "Manage Preferences",
    "web_view": "View in Your Browser",
}


def _link_tags(page: str, usual_text: str) -> None:
    """Register the tag that gives a whole link, and the one that gives its address."""

    def link(context: Any, text: Any = usual_text) -> SafeString:
        return format_html('<a href="{}">{}</a>', getattr(context.message.links, page), text)

    def address(context: Any) -> Any:
        return getattr(context.message.links, page)

    register.simple_tag(link, takes_context=True, name=page)
    register.simple_tag(address, takes_context=True, name=f"{page}_link")

    whole, alone = register.tags[page], register.tags[f"{page}_link"]

    def either(parser: Any, token: Any) -> Any:
        """The link; its address where it stands for one: `<a href="{% unsubscribe %}">` is often written."""
        start = token.position[0] if token.position else 0
        if not _ATTRIBUTE.search(getattr(parser, "source", "")[max(start - 20, 0) : start]):
            return whole(parser, token)
        return alone(parser, Token(token.token_type, f"{page}_link", token.position, token.lineno))

    register.tag(page, either)


for _page, _text in PAGES.items():
    _link_tags(_page, _text)


class VariableNode(Node):
    """A value that the message brings: its preview text, or what has the name otherwise."""

    def __init__(self, name: str, expression: Any) -> None:
        self.name = name
        self.expression = expression

    def render(self, context: Any) -> str:
        """The value, escaped."""
        shown = ""
        if self.name == "preview_text":
            shown = context.message.preview_text
        shown = shown or text_of(self.expression.resolve(context))
        return str(conditional_escape(shown)) if context.autoescape else shown


@register.tag
def render_variable(parser: Any, token: Any) -> VariableNode:
    """`{% render_variable preview_text %}`."""
    bits = token.split_contents()
    if len(bits) != 2:
        raise TemplateSyntaxError(
            "'render_variable' takes one name: {% render_variable preview_text %}"
        )
    return VariableNode(bits[1], parser.compile_filter(bits[1]))
