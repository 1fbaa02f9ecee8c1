"""Filters of numbers, under Klaviyo's names. A text that is a number counts as one.

Of two numbers, one that is none counts as 0; a single one that is none gives blank. Results are floats, worked out in
decimals: `1.1|minus:1` is 0.1. Rounding gives text, such as `6.0`.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

from django.template import Library

from feedd.templates.bounded import number_of, whole_number

register = Library()

_EXACT = Context(prec=1000)
_ZERO = Decimal(0)
_MAX_DECIMALS = 20


def _both(value: Any, arg: Any) -> tuple[Decimal, Decimal]:
    first, second = number_of(value), number_of(arg)
    return _ZERO if first is None else first, _ZERO if second is None else second


def _plain(found: Decimal) -> float | str:
    number = float(found)
    return number + 0.0 if abs(number) != float("inf") else ""


def _native(found: Decimal, value: Any) -> Any:
    """A number as it was given, whole or not; a text becomes a number."""
    if isinstance(value, int | float):
        return value
    return int(found) if found == found.to_integral_value() and found.as_tuple().exponent == 0 else float(found)  # fmt: skip


@register.filter("abs")
def absolute(value: Any) -> Any:
    """The number without its sign."""
    found = number_of(value)
    return "" if found is None else abs(_native(found, value))


@register.filter
def at_least(value: Any, arg: Any) -> Any:
    """The larger of two numbers."""
    first, second = _both(value, arg)
    return _native(first, value) if first >= second else _native(second, arg)


@register.filter
def at_most(value: Any, arg: Any) -> Any:
    """The smaller of two numbers."""
    first, second = _both(value, arg)
    return _native(first, value) if first <= second else _native(second, arg)


@register.filter
def multiply(value: Any, arg: Any) -> Any:
    """The product."""
    first, second = _both(value, arg)
    return _plain(_EXACT.multiply(first, second))


@register.filter
def divide(value: Any, arg: Any) -> Any:
    """The quotient; blank for a division by 0."""
    first, second = _both(value, arg)
    return "" if not second else _plain(_EXACT.divide(first, second))


@register.filter
def floatadd(value: Any, arg: Any) -> Any:
    """The sum, with its decimals."""
    first, second = _both(value, arg)
    return _plain(_EXACT.add(first, second))


@register.filter
def floatsub(value: Any, arg: Any) -> Any:
    """The difference, with its decimals."""
    first, second = _both(value, arg)
    return _plain(_EXACT.subtract(first, second))


@register.filter
def modulo(value: Any, arg: Any) -> Any:
    """What is left of a division, with the sign of the argument; blank for a division by 0."""
    first, second = _both(value, arg)
    if not second:
        return ""
    left = _EXACT.remainder(first, second)
    if left and (left < 0) != (second < 0):
        left = _EXACT.add(left, second)
    return _plain(left)


register.filters |= {"plus": floatadd, "minus": floatsub, "remainder": modulo}


def _rounded(value: Any, arg: Any, how: str) -> str:
    found = number_of(value)
    if found is None:
        return ""
    places = min(max(whole_number(arg, 0), -_MAX_DECIMALS), _MAX_DECIMALS)
    return str(float(found.quantize(Decimal(1).scaleb(-places), how, _EXACT)) + 0.0)


@register.filter
def ceil(value: Any) -> str:
    """The next whole number up."""
    return _rounded(value, 0, ROUND_CEILING)


@register.filter
def floor(value: Any) -> str:
    """The next whole number down."""
    return _rounded(value, 0, ROUND_FLOOR)


@register.filter("round")
def nearest(value: Any, arg: Any = 0) -> str:
    """The nearest number with so many decimals; halves go away from 0."""
    return _rounded(value, arg, ROUND_HALF_UP)


@register.filter
def round_up(value: Any, arg: Any = 0) -> str:
    """The next number up with so many decimals."""
    return _rounded(value, arg, ROUND_CEILING)


@register.filter
def round_down(value: Any, arg: Any = 0) -> str:
    """The next number down with so many decimals."""
    return _rounded(value, arg, ROUND_FLOOR)


@register.filter
def percentize(value: Any, arg: Any = 0) -> str:
    """A share of 1 as a percentage with so many decimals."""
    found = number_of(value)
    if found is None:
        return ""
    places = min(max(whole_number(arg, 0), 0), _MAX_DECIMALS)
    share = _EXACT.multiply(found, Decimal(100))
    return f"{share.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT):f}%"


@register.filter
def sum_list(value: Any) -> Any:
    """The sum of the numbers in a list; what is none in it counts as 0."""
    total = _ZERO
    for each in value if isinstance(value, list | tuple) else ():
        total = _EXACT.add(total, number_of(each) or _ZERO)
    return _plain(total)


@register.filter
def gt(value: Any, arg: Any) -> bool:
    """Whether the number is larger."""
    first, second = number_of(value), number_of(arg)
    return first is not None and second is not None and first > second


@register.filter
def gte(value: Any, arg: Any) -> bool:
    """Whether the number is larger, or the same."""
    first, second = number_of(value), number_of(arg)
    return first is not None and second is not None and first >= second


@register.filter
def lt(value: Any, arg: Any) -> bool:
    """Whether the number is smaller."""
    first, second = number_of(value), number_of(arg)
    return first is not None and second is not None and first < second


@register.filter
def lte(value: Any, arg: Any) -> bool:
    """Whether the number is smaller, or the same."""
    first, second = number_of(value), number_of(arg)
    return first is not None and second is not None and first <= second
