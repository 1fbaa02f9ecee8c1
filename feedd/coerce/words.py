"""Coercions of words to the few values that a catalog knows. Pure."""

import re
from typing import Any

from feedd.coerce.outcome import Refused, holds_nothing, scalar_text

_SCHEMA_ORG = re.compile(r"(?:https?://)?(?:www\.)?schema\.org/", re.IGNORECASE)
_SQUEEZE = re.compile(r"[\s_\-./]+")

# What a feed may write, in lower case and squeezed, under what it means.
_YES = "1 true t yes y"
_NO = "0 false f no n"
_AVAILABILITY_WORDS = {
    "in_stock": f"{_YES} instock available onlineonly instoreonly limitedavailability limitedstock"
    " lowstock",
    "out_of_stock": f"{_NO} outofstock soldout unavailable notavailable notinstock nostock"
    " discontinued oos",
    "preorder": "preorder presale",
    "backorder": "backorder backordered onbackorder availablefororder madetoorder",
}
_BEST_FIRST = ("in_stock", "preorder", "backorder", "out_of_stock")
_CONDITION_WORDS = {
    "new": "new brandnew newcondition",
    "refurbished": "refurbished refurbishedcondition renewed reconditioned",
    "used": "used usedcondition damagedcondition usedlikenew usedgood usedfair likenew openbox"
    " preowned secondhand",
}


def _by_word(words: dict[Any, str]) -> dict[str, Any]:
    return {word: meaning for meaning, spellings in words.items() for word in spellings.split()}


_BOOLEANS = _by_word({True: _YES, False: _NO})
_AVAILABILITIES = _by_word(_AVAILABILITY_WORDS)
_CONDITIONS = _by_word(_CONDITION_WORDS)
_POLICIES: dict[str, int] = {"0": 0, "1": 1, "2": 2, "deny": 1, "continue": 2}

_NOT_BOOLEAN = Refused(
    "not_a_boolean", "Write true or false (yes, no, 1 and 0 are understood too)."
)
_NO_AVAILABILITY = Refused(
    "availability_unknown", "Write one of: in_stock, out_of_stock, preorder, backorder."
)
_NO_CONDITION = Refused("condition_unknown", "Write one of: new, refurbished, used.")
_NO_POLICY = Refused(
    "inventory_policy_unknown",
    "Write 1 to hide the item when it is out of stock, or 2 (or 0) to show it always.",
)


def boolean(value: Any) -> Any:
    """True or false."""
    return _looked_up(value, _BOOLEANS, _NOT_BOOLEAN)


def availability(value: Any) -> Any:
    """`in_stock`, `out_of_stock`, `preorder` or `backorder`, from words, booleans and schema.org addresses."""
    return _looked_up(value, _AVAILABILITIES, _NO_AVAILABILITY)


def availability_of_any(value: Any) -> Any:
    """The best availability of several: a product can be bought where one of its variants or offers can."""
    values = value if type(value) is list else [value]
    results = [availability(each) for each in values if each is not None]
    found = [each for each in results if type(each) is str]
    if found:
        return min(found, key=_BEST_FIRST.index)
    return next((each for each in results if each is not None), None)


def condition(value: Any) -> Any:
    """`new`, `refurbished` or `used`."""
    return _looked_up(value, _CONDITIONS, _NO_CONDITION)


def inventory_policy(value: Any) -> Any:
    """0, 1 or 2: 1 hides an item that is out of stock from recommendations, the others show it."""
    return _looked_up(value, _POLICIES, _NO_POLICY)


def _looked_up(value: Any, table: dict[str, Any], refused: Refused) -> Any:
    if type(value) is str and value in table:  # most feeds write the plain word
        return table[value]
    if type(value) is bool:
        return table.get("true" if value else "false", refused)
    found = scalar_text(value)
    if found is None:
        return None if holds_nothing(value) else refused
    found = found.strip()
    if not found:
        return None
    if _SCHEMA_ORG.match(found):
        found = found.rstrip("/").rpartition("/")[2]
    return table.get(_SQUEEZE.sub("", found.lower()), refused)
