"""A value in a cell of a CSV file, and back without loss. Pure.

A cell is a number, `true` or `false`, a JSON list or object, or else the text that it is; a text that would be taken for one of those
stands in JSON quotes. Spreadsheets run what begins like a formula: such a text gets an apostrophe before it (OWASP ASVS 5.0,
1.2.10), and one of those is taken off when it is read.
"""

import math
import re
from decimal import Decimal
from typing import Any

import msgspec

# `=` and its like, also as wide characters, which spreadsheets take for the same
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})(\.[0-9]{1,2000})?")
_WORDS = {"true": True, "false": False}


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell: what `guarded` made it of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def value_of(cell: str) -> Any:
    """The value in a cell; None for an empty one."""
    if not cell:
        return None
    number = _NUMBER.fullmatch(cell)
    if number is not None:
        value = float(cell) if number[1] else int(cell)
        return value if math.isfinite(value) else cell
    if cell[0] in '[{"':
        try:
            return msgspec.json.decode(cell)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return cell
    if len(cell) <= 5 and cell.lower() in _WORDS:
        return _WORDS[cell.lower()]
    return unguarded(cell)


def cell_of(value: Any) -> str:
    """The cell of a value, which `value_of` reads again."""
    if isinstance(value, str):
        cell = guarded(value)
        read = value_of(cell)
        return cell if isinstance(read, str) and read == value else _json(value)
    if isinstance(value, float):
        return _written_out(value)
    return _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _written_out(value: float) -> str:
    """A float by its shortest digits with no exponent, which people type for other things (`12e5` is a part's number)."""
    digits = f"{Decimal(repr(value)):f}"
    return digits if "." in digits else f"{digits}.0"
