"""`{% currency_format … %}`: an amount as the account writes money."""

import re
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from typing import Any

from babel.numbers import format_currency
from django.template import Library, Node, TemplateSyntaxError
from django.utils.html import conditional_escape

from feedd.templates.bounded import MAX_DIGITS, number_of, text_of
from feedd.templates.items import Item
from feedd.templates.locales import locale_of
from feedd.templates.variables import Expression

register = Library()

_EXACT = Context(prec=2 * MAX_DIGITS)
_AS = re.compile(r"(.*\S)\s+as\s+(\w+)", re.DOTALL)


@lru_cache(4096)
def money(amount: Decimal, currency: str, locale: str) -> str:
    """An amount with its currency's sign and decimals, as it is written in a locale."""
    with localcontext(_EXACT):
        return format_currency(amount, currency, locale=locale_of(locale))


class CurrencyNode(Node):
    """An amount of money: a number, or a text that is one; other texts stay as they are.

    What is a catalog item's is in the currency of that item, all else in the account's.
    """

    def __init__(self, amount: Expression, name: str | None) -> None:
        self.amount = amount
        self.name = name

    def render(self, context: Any) -> str:
        """The amount as it is written, or nothing where it is given a name."""
        value = self.amount.resolve(context)
        number = None if isinstance(value, bool) else number_of(value)
        account = context.message.account
        currency = self._currency(context)
        shown = text_of(value) if number is None else money(number, currency, account.locale)
        if self.name is not None:
            context[self.name] = shown
            return ""
        return str(conditional_escape(shown)) if context.autoescape else shown

    def _currency(self, context: Any) -> str:
        """That of the item whose the amount is; that of the account for what is no item's."""
        names = getattr(self.amount.var, "lookups", None) or ("",)
        owner = context.get(names[0])
        found = owner["currency_code"] if isinstance(owner, Item) else None
        return found if isinstance(found, str) else str(context.message.account.currency)


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
