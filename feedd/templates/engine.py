"""Django's template engine without a project: what a template may use is `library`, what names reach is `variables`."""

from datetime import date, time
from functools import cache
from html import escape
from typing import Any

import django
from django.conf import settings
from django.template import Engine, Template
from django.template.base import (
    DebugLexer,
    Node,
    Parser,
    VariableNode,
    render_value_in_context,
)
from django.utils.safestring import SafeString

from feedd.templates.moments import shown
from feedd.templates.variables import Expression

if not settings.configured:
    settings.configure(
        USE_TZ=True, TIME_ZONE="UTC", USE_I18N=True, LANGUAGE_CODE="en-us", LOGGING_CONFIG=None
    )
    django.setup(set_prefix=False)


_MOMENTS = (date, time)


class ShownValue(VariableNode):
    """`{{ … }}`: text is escaped and done, moments are the language's; everything else is shown as Django shows it."""

    def render(self, context: Any) -> str:
        """The value, as it is written."""
        value = self.filter_expression.resolve(context)
        kind = type(value)
        if kind is SafeString:
            return str(value)
        if kind is str:
            # as Django escapes, without a way around for text that is lazy
            return escape(value) if context.autoescape else value
        if kind is int:
            return str(value)
        if value is None:
            return ""  # a property without a value is a missing one
        if isinstance(value, _MOMENTS):
            value = shown(value, context.message.account.locale)
        return str(render_value_in_context(value, context))


class OurParser(Parser):
    """Django's parser, whose expressions look names up as `variables` says. Tags may ask what the `source` is."""

    source = ""

    def compile_filter(self, token: str) -> Expression:
        """A value and its filters. Raises TemplateSyntaxError."""
        return Expression(token, self)

    def error(self, token: Any, e: Any) -> Exception:
        """The error with the token that it is about."""
        if isinstance(e, StopIteration):  # what Django's reading of `_("` ends with
            e = "a text that begins with _( must end with ) and nothing behind it"
        found: Exception = super().error(token, e)
        return found

    def extend_nodelist(self, nodelist: Any, node: Node, token: Any) -> None:
        """Add a node to those before it."""
        if type(node) is VariableNode:
            node = ShownValue(node.filter_expression)
        super().extend_nodelist(nodelist, node, token)


class OurTemplate(Template):
    """A template whose tokens know where they stand."""

    def compile_nodelist(self) -> Any:
        """The nodes of the source.

        Raises:
            TemplateSyntaxError: with the `token` at which parsing ended.
        """
        parser = OurParser(
            DebugLexer(self.source).tokenize(),
            self.engine.template_libraries,
            self.engine.template_builtins,
            self.origin,
        )
        parser.source = self.source
        nodes = parser.parse()
        self.extra_data = parser.extra_data
        return nodes


class OurEngine(Engine):
    """An engine with one library, no loaders and no settings of a project. `debug` has errors tell their place."""

    default_builtins: list[str] = []  # noqa: RUF012 Django's attribute

    def __init__(self) -> None:
        from feedd.templates.library import build

        super().__init__(loaders=[], libraries={}, builtins=[], debug=True)
        self.template_builtins = [build()]


@cache
def engine() -> OurEngine:
    """The one engine of this process."""
    return OurEngine()


def compiled(source: str) -> OurTemplate:
    """A template, ready to be rendered with a `message.Rendering`.

    Raises:
        TemplateSyntaxError: it is not well-formed, or uses what there is not.
    """
    return OurTemplate(source, engine=engine())
