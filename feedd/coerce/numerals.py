"""Coercions to numbers, and the reading of numerals as people write them. Pure."""

import re
from typing import Any, NamedTuple

from feedd.coerce.outcome import Note, Noted, Refused, holds_nothing, scalar_text

MAX_NUMERAL_LENGTH = 100

_JSON_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_NUMERAL = re.compile(r"([+-]?)([0-9](?:[0-9\s.,']*[0-9])?)")
_ZERO_BASED_DIGITS = (
    0x0660,
    0x06F0,
    0x0966,
    0x09E6,
    0xFF10,
)  # Arabic, Persian, Devanagari, Bengali, full width
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_TO_ASCII: dict[int, str | None] = (
    {zero + digit: str(digit) for zero in _ZERO_BASED_DIGITS for digit in range(10)}
    | {
        ord("\N{ARABIC DECIMAL SEPARATOR}"): ".",
        ord("\N{ARABIC THOUSANDS SEPARATOR}"): ",",
        ord("\N{MINUS SIGN}"): "-",
        ord("\N{RIGHT SINGLE QUOTATION MARK}"): "'",
    }
    | dict.fromkeys(map(ord, _INVISIBLE))
)

_NOT_A_NUMBER = Refused(
    "not_a_number", "Write a number such as 5 or 12.50, without words or units."
)
_NOT_FINITE = Refused("not_finite", "Write an ordinary number; NaN and infinity cannot be stored.")
_NOT_WHOLE = Refused("not_an_integer", "Write a whole number, without a fraction.")
_TOO_LARGE = Refused("number_too_large", "This number is too large to be right; check the feed.")


class Numeral(NamedTuple):
    """Unsigned digits as `1299.00`, and whether the separators could have meant something else."""

    digits: str
    ambiguous: bool = False


def ascii_digits(value: str) -> str:
    """The same text with other scripts' digits and separators as ASCII, and invisible direction marks removed."""
    return value if value.isascii() else value.translate(_TO_ASCII)


def read_numeral(value: str, *, lone_dot_groups: bool = False) -> Numeral | None:
    """Read digits with separators, `1.299,00` and `1 299.00` and `1,00,000` alike; None where they make no number.

    With both separators the last one is the decimal one. One that stands more than once groups. A lone one followed
    by other than three digits is decimal. A lone comma before three digits groups. A lone dot before three digits is
    decimal, as programs write it, unless `lone_dot_groups`; the answer says that it was ambiguous.
    """
    dots, commas = value.count("."), value.count(",")
    if not dots and not commas:
        return _joined(value, "")
    decimal = "." if value.rfind(".") > value.rfind(",") else ","
    if dots and commas:
        return _joined(*value.rsplit(decimal, 1)) if value.count(decimal) == 1 else None
    if dots + commas > 1:
        return _joined(value, "")
    head, fraction = value.split(decimal)
    if len(fraction) == 3 and f"{head}{fraction}".isdecimal() and len(head) <= 3 and head[0] != "0":
        grouped = decimal == "," or lone_dot_groups
        return Numeral(head + fraction if grouped else f"{head}.{fraction}", decimal == ".")
    return _joined(head, fraction)


def _joined(head: str, fraction: str) -> Numeral | None:
    """Head without its grouping, if the groups are right: threes, or the Indian twos before a last three."""
    if fraction and not fraction.isdecimal():
        return None
    marks = {mark for mark in head if not mark.isdecimal()}
    if len(marks) > 1:
        return None
    if marks:
        first, *groups = head.split(marks.pop())
        *middle, last = groups
        if not 1 <= len(first) <= 3 or len(last) != 3 or len({len(g) for g in middle} | {2, 3}) > 2:
            return None
        if len({len(group) for group in middle}) > 1:
            return None
        head = first + "".join(groups)
    return Numeral(f"{head}.{fraction}" if fraction else head)


def tidy_number(digits: str) -> int | float:
    """The number that plain digits write: an int when it is whole."""
    value = float(digits)
    return int(value) if value.is_integer() else value


def number(value: Any) -> Any:
    """A number: an int when it is whole, else a float."""
    kind = type(value)
    if kind is int:
        return value
    if kind is float:
        return _finite(value)
    found = _read(value)
    if not isinstance(found, tuple):
        return found
    digits, ambiguous = found
    result = _finite(float(digits))
    if ambiguous and type(result) is not Refused:
        return Noted(result, (ambiguity("ambiguous_number", digits),))
    return result


def integer(value: Any) -> Any:
    """A whole number within 64 bits; `5.0` and `1,234` are whole, `5.5` is not."""
    kind = type(value)
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _TOO_LARGE
    found = number(value)
    if type(found) is Noted:
        found = found.value
    if type(found) is int:
        return found if abs(found) < 2**53 else _exact(value)
    return _NOT_WHOLE if type(found) is float else found


def total(value: Any) -> Any:
    """The sum of a list of whole numbers; what is none of them is left out."""
    values = value if type(value) is list else [value]
    results = [integer(each) for each in values if each is not None]
    numbers = [each for each in results if type(each) is int]
    if not numbers:
        return next((each for each in results if each is not None), None)
    return integer(sum(numbers))


def ambiguity(rule: str, digits: str) -> Note:
    """The note that a numeral was read one of two possible ways."""
    hint = f"Read as {digits}; write two decimals, such as 1299.00 or 1.30, to be certain."
    return Note(rule, hint)


def _finite(value: float) -> Any:
    if value != value or value in (float("inf"), float("-inf")):
        return _NOT_FINITE
    return int(value) if value.is_integer() else value


def _exact(value: Any) -> Any:
    """A large whole number from its digits, not through a float, which would round it."""
    digits = scalar_text(value) or ""
    whole = re.sub(r"[\s,']|\.0*$", "", ascii_digits(digits))
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", whole):
        return _TOO_LARGE
    return integer(int(whole))


def _read(value: Any) -> tuple[str, bool] | Refused | None:
    if type(value) is bool:
        return _NOT_A_NUMBER
    found = scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else _NOT_A_NUMBER
    found = ascii_digits(found).strip()
    if not found:
        return None
    if len(found) > MAX_NUMERAL_LENGTH:
        return _NOT_A_NUMBER
    match = _NUMERAL.fullmatch(found)
    if match is None:
        return (found, False) if _JSON_NUMBER.fullmatch(found) else _NOT_A_NUMBER
    numeral = read_numeral(re.sub(r"\s", " ", match[2]))
    return (match[1] + numeral.digits, numeral.ambiguous) if numeral else _NOT_A_NUMBER
