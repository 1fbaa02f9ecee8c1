"""`{% currency_format … %}`: an amount as the account writes money."""

import re
from decimal import Context, Decimal, localcontext
from functools import cache, lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency
from django.template import Library, Node, TemplateSyntaxError
from django.utils.html import conditional_escape

from feedd.templates.bounded import MAX_DIGITS, number_of, text_of

register = Library()

_EXACT = Context(prec=2 * MAX_DIGITS)
_AS = re.compile(r"(.*\S)\s+as\s+(\w+)", re.DOTALL)


@cache
def locale_of(name: str) -> Locale:
    """A locale by its name, such as `de-DE`; American English where it is not known."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en", "US")


@lru_cache(4096)
def money(amount: Decimal, currency: str, locale: str) -> str:
    """An amount with its currency's sign and decimals, as it is written in a locale."""
    with localcontext(_EXACT):
        return format_currency(amount, currency, locale=locale_of(locale))


class CurrencyNode(Node):
    """An amount of money: a number, or a text that is one, in the account's currency; other texts stay as they are."""

    def __init__(self, amount: Any, name: str | None) -> None:
        self.amount = amount
        self.name = name

    def render(self, context: Any) -> str:
        """The amount as it is written, or nothing where it is given a name."""
        value = self.amount.resolve(context)
        number = None if isinstance(value, bool) else number_of(value)
        account = context.message.account
        shown = (
            text_of(value) if number is None else money(number, account.currency, account.locale)
        )
        if self.name is not None:
            context[self.name] = shown
            return ""
        return str(conditional_escape(shown)) if context.autoescape else shown


@register.tag
def currency_format(parser: Any, token: Any) -> CurrencyNode:
    """`{% currency_format item.line_price|floatformat:2 %}`, with `as name` to keep it for later."""
    _, _, expression = token.contents.partition(" ")
    expression = expression.strip()
    if not expression:
        raise TemplateSyntaxError(
            "'currency_format' needs an amount: {% currency_format item.price %}"
        )
    match = _AS.fullmatch(expression)
    name = None
    if match:
        expression, name = match.groups()
    return CurrencyNode(parser.compile_filter(expression), name)
