"""What a filter may make: every filter of the library runs inside `kept`, and gives a bounded value or nothing.

A filter gives what it is documented to give, or blank where a value is not of its kind, or raises TooMuch. It never
fails a message because of one odd value, and never changes what it was given.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.utils import formats
from django.utils.safestring import SafeString
from django.utils.timezone import template_localtime

from feedd.templates.failures import TooMuch

MAX_TEXT = 1024**2  # characters in a value
MAX_ITEMS = 100_000  # in a list that a filter has made
MAX_DIGITS = 308  # before the decimal point, as a double has them
LARGEST = 10**MAX_DIGITS

_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SuspiciousOperation,
    TypeError,
    ValueError,
)
_TEXTS = (str, SafeString)


def needs_message(function: Any) -> Any:
    """Mark a filter that takes the `message` it is for, as a keyword."""
    function.needs_message = True
    return function


def kept(function: Any, *, takes_text: bool = False) -> Any:
    """A filter that keeps to what filters may do. Its signature and its marks stay as they are.

    To one that `takes_text`, what is missing is the empty text, and anything else is written out first.
    """
    if getattr(function, "is_kept", False):
        return function
    localtime = getattr(function, "expects_localtime", False)

    @wraps(function)
    def within_bounds(value: Any, *args: Any, **more: Any) -> Any:
        try:
            if takes_text and type(value) not in _TEXTS:
                value = text_of(value)
            elif localtime:
                value = template_localtime(value)
            result = function(value, *args, **more)
        except _FAULTS:
            return ""
        kind = type(result)
        if kind in _TEXTS:
            check_length(len(result))
        elif kind is list:
            check_count(len(result))
        elif kind is int and not -LARGEST < result < LARGEST:
            raise too_large_a_number()
        return result

    within_bounds.is_kept = True  # type: ignore[attr-defined]
    if localtime:  # done here, where a moment at the end of time can do no harm
        within_bounds.expects_localtime = False  # type: ignore[attr-defined]
    return within_bounds


def check_length(length: int) -> None:
    """Raises TooMuch when a text would have so many characters."""
    if length > MAX_TEXT:
        raise TooMuch("too_large", f"a value in a template may have {MAX_TEXT:,} characters")


def check_count(count: int) -> None:
    """Raises TooMuch when a list would have so many elements."""
    if count > MAX_ITEMS:
        raise TooMuch("too_large", f"a list in a template may have {MAX_ITEMS:,} elements")


def too_large_a_number() -> TooMuch:
    """A number has more digits than one may have."""
    return TooMuch("too_large", f"a number in a template may have {MAX_DIGITS} digits")


def text_of(value: Any) -> str:
    """The value as it is written; nothing for None.

    Raises:
        TooMuch: it would be longer than a value may be.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list | tuple):
        check_length(_written(value, MAX_TEXT))
    elif isinstance(value, int) and not -LARGEST < value < LARGEST:
        raise too_large_a_number()
    return str(value)


def check_written(value: Any) -> None:
    """Raises TooMuch when a value would be longer than a value may be, written with all that is in it."""
    if isinstance(value, dict | list | tuple):
        check_length(_written(value, MAX_TEXT))


def _written(value: Any, limit: int) -> int:
    """About how long a value is when it is written; it stops counting when that is beyond the limit.

    The same list may be in a value many times, so it is what would be written that counts, not what there is.
    """
    length = 0
    waiting = [value]
    while waiting and length <= limit:
        each = waiting.pop()
        if isinstance(each, str):
            length += len(each)
        elif isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
        length += 2
    return length


def number_of(value: Any) -> Decimal | None:
    """A finite number, also from text such as `"12.50"` or, as the account writes it, `1.234,50`; None where it is none."""
    try:
        if isinstance(value, str):
            found = _read(value.strip())
        elif isinstance(value, int):
            found = Decimal(value) if -LARGEST < value < LARGEST else None
        elif isinstance(value, float | Decimal):
            found = Decimal(str(value))
        else:
            return None
    except InvalidOperation:
        return None
    if found is None or not found.is_finite() or abs(found.adjusted()) > MAX_DIGITS:
        return None
    return found


def _read(text: str) -> Decimal | None:
    if not text or len(text) > 2 * MAX_DIGITS or "_" in text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        point = formats.get_format("DECIMAL_SEPARATOR")
        group = formats.get_format("THOUSAND_SEPARATOR")
        if not _grouped(point, group).fullmatch(text):
            return None
        for space in (group, " ", "\xa0", "\u202f"):
            text = text.replace(space, "")
        return Decimal(text.replace(point, "."))


@lru_cache
def _grouped(point: str, group: str) -> re.Pattern[str]:
    """How a number is written with these signs: in groups of three, or without."""
    spaces = r" \xa0\u202f" if group.isspace() else re.escape(group)
    return re.compile(
        rf"[+-]?(?:\d{{1,3}}(?:[{spaces}]\d{{3}})+|\d+)(?:{re.escape(point)}\d+)?", re.ASCII
    )


def whole_number(value: Any, otherwise: int) -> int:
    """A whole number from an argument; `otherwise` where it is none."""
    found = number_of(value)
    return otherwise if found is None else int(found)
