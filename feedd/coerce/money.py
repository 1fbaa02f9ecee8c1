"""Coercions to prices and currencies, in the spellings that shops use. Pure."""

import re
from typing import Any

from feedd.coerce.currencies import ISO_CODES, NO_DECIMALS, THREE_DECIMALS, currency_of
from feedd.coerce.numerals import (
    MAX_NUMERAL_LENGTH,
    Numeral,
    ambiguity,
    ascii_digits,
    read_numeral,
    tidy_number,
)
from feedd.coerce.outcome import Noted, Refused, holds_nothing, scalar_text

_MAX_AMOUNT = 10**15

# What most feeds write, such as `19.99 USD`; the rest takes the slower way below.
_PLAIN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,2})?)(?: ([A-Z]{3}))?").fullmatch
_AROUND = re.compile(r"([^0-9]*)([0-9](?:[0-9\s.,']*[0-9])?)([^0-9]*)")
_DASH = re.compile(r"^\s*[.,:]?\s*[-–—]+")
_WHOLE = re.compile(r"\s*[.,:]\s*[-–—]")  # `12,-`, `12.–` and `12:-` are whole amounts
_BETWEEN = re.compile(r"[0-9][^0-9]*(?:[-–—~]|\bto\b)[^0-9]*[0-9]")

_NOT_A_PRICE = Refused(
    "price_not_understood", "Write one amount and its currency, such as 19.99 USD."
)
_RANGE = Refused("price_range", "Write one amount, not a range; for a range give the lowest price.")
_NEGATIVE = Refused("price_negative", "Write a price of zero or more.")
_TOO_LARGE = Refused(
    "price_too_large", "This amount is too large to be a price; check the separators."
)
_UNKNOWN = Refused("currency_unknown", "Write the three-letter ISO 4217 code, such as USD or EUR.")
_SHARED = Refused(
    "currency_ambiguous",
    "Several currencies share this sign; write the three-letter code, such as USD or CAD.",
)

_AMOUNT_KEYS = ("#text", "value", "amount")
_CURRENCY_KEYS = ("currency", "currency_code", "currencyCode", "@currency")


def price(value: Any) -> Any:
    """An amount of money, zero or more; a currency beside it comes back in `Noted.currency`."""
    kind = type(value)
    if kind is str:
        plain = plain_price(value)
        if plain is None:
            return _written(value)
        amount, code = plain
        return amount if code is None else Noted(amount, (), code)
    if kind is int or kind is float:
        return _amount(value)
    return _structured(value) if kind is dict else _NOT_A_PRICE


def plain_price(value: str) -> tuple[int | float, str | None] | None:
    """An amount and the code of its currency, if it has one, as most feeds write them; None for anything else."""
    match = _PLAIN(value)
    if match is None:
        return None
    amount, code = match.groups()
    return None if code is not None and code not in ISO_CODES else (tidy_number(amount), code)


def currency(value: Any) -> Any:
    """A currency as its ISO 4217 code, from a code, a symbol or a word that only one currency has."""
    found = scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else _UNKNOWN
    if found in ISO_CODES:
        return found
    found = found.strip()
    if not found:
        return None
    return _SHARED if (code := currency_of(found)) == "" else code or _UNKNOWN


def _amount(value: float) -> Any:
    if not 0 <= value < _MAX_AMOUNT:  # NaN is neither
        if value < 0:
            return _NEGATIVE
        return _TOO_LARGE if value >= _MAX_AMOUNT else _NOT_A_PRICE
    return int(value) if isinstance(value, int) or value.is_integer() else value


def _structured(value: dict[Any, Any]) -> Any:
    """A price that an API or an XML element writes as an amount with the currency beside it."""
    inner = next((value[key] for key in _AMOUNT_KEYS if value.get(key) is not None), None)
    if inner is None:
        blank = holds_nothing(value) or any(key in value for key in _AMOUNT_KEYS)
        return None if blank else _NOT_A_PRICE
    if type(inner) is dict:
        return _NOT_A_PRICE
    result = price(inner)
    code = next((currency(value[key]) for key in _CURRENCY_KEYS if value.get(key)), None)
    if type(code) is not str or result is None or type(result) is Refused:
        return result
    if type(result) is not Noted:
        return Noted(result, (), code)
    return Noted(result.value, result.notes, result.currency or code)


def _written(value: str) -> Any:
    found = ascii_digits(value).strip()
    if not found:
        return None
    if len(found) > MAX_NUMERAL_LENGTH:
        return _NOT_A_PRICE
    match = _AROUND.fullmatch(found)
    if match is None:
        return _RANGE if _BETWEEN.search(found) else _NOT_A_PRICE
    before, digits, after = match.groups()
    before, digits, minus = _sign(before, digits)
    code = _code(before, after)
    if code is None:
        return _NOT_A_PRICE
    beside = before.strip() or after.strip(" .,:-–—")
    digits = re.sub(r"\s", " ", digits)
    if _WHOLE.match(after):
        numeral = read_numeral(digits, lone_dot_groups=True)
        numeral = numeral and Numeral(numeral.digits)
    else:
        numeral = _numeral(digits, code, beside)
    if numeral is None:
        return _NOT_A_PRICE
    return _priced(numeral, code if beside else None, minus)


def _sign(before: str, digits: str) -> tuple[str, str, bool]:
    """What stands before the number without its sign; a bare dot before the digits belongs to them (`$.99`)."""
    stripped = before.strip()
    minus = stripped.startswith("-") or stripped.endswith("-")
    stripped = stripped.strip("+-").strip(" :")
    if before.endswith(".") and not stripped[-2:-1].isalpha() and not currency_of(stripped):
        return stripped[:-1], f"0.{digits}", minus
    return stripped, digits, minus


def _code(before: str, after: str) -> str | None:
    """The currency that the words around a number name: `""` for none or one that is shared, None for other words."""
    tail = _DASH.sub("", after).strip().strip(",")
    codes = [_side(side) for side in (before, tail.strip()) if side.strip(".")]
    if None in codes:
        return None
    named = {code for code in codes if code}
    return None if len(named) > 1 else next(iter(named), "")


def _side(side: str) -> str | None:
    """The currency of one side, which may name it twice, as in `EUR €`."""
    code = currency_of(side)
    if code is not None:
        return code
    codes = [currency_of(word) for word in side.split()]
    named = {code for code in codes if code}
    return None if None in codes or len(named) > 1 else next(iter(named), "")


def _numeral(digits: str, code: str, beside: str) -> Numeral | None:
    # `12.345 USD` is how programs write it, with a decimal point; `1.299 €` is how people do, with groups.
    by_people = bool(beside) and beside.upper() not in ISO_CODES
    numeral = read_numeral(
        digits, lone_dot_groups=code in NO_DECIMALS or (by_people and code not in THREE_DECIMALS)
    )
    if numeral and code in NO_DECIMALS:
        return Numeral(numeral.digits)
    if numeral and code in THREE_DECIMALS:  # here it is the comma that could be either
        return Numeral(
            numeral.digits, digits.count(",") == 1 and digits.replace(",", "") == numeral.digits
        )
    return numeral


def _priced(numeral: Numeral, code: str | None, minus: bool) -> Any:
    amount = _amount(tidy_number(numeral.digits))
    if type(amount) is Refused:
        return amount
    if minus and amount:
        return _NEGATIVE
    notes = (ambiguity("ambiguous_price", numeral.digits),) if numeral.ambiguous else ()
    return amount if code is None and not notes else Noted(amount, notes, code)
