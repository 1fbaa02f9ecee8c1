"""Whether what stands at a place could be the value of a field. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from feedd.coerce import COERCIONS, Noted, Refused

Check = Callable[[Sequence[Any]], float]

_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg|bmp|tiff?)(?:[?#].*)?$", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?:)?//\S+$", re.IGNORECASE)
_PATH = re.compile(r"(?:\.{0,2}/)?[^\s/<>]+/[^\s<>]*$|/\S+$|[^\s/<>]+\.[a-z]{3,4}$", re.IGNORECASE)
_MOST_ADDRESS = 2048
_CODE = re.compile(r"[^\s<>\"]{1,128}$")
_MEDIA = re.compile(
    r"\.(?:mp3|m4a|mp4|m4v|mov|ogg|wav|flac|aac|webm|pdf|zip)(?:[?#].*)?$", re.IGNORECASE
)
_AMOUNT = re.compile(r"\d+[.,]\d{1,2}$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def share(values: Sequence[Any], is_one: Callable[[Any], bool]) -> float:
    """How many of the values are one, from 0 to 1."""
    return sum(map(is_one, values)) / len(values) if values else 0.0


def coerced(name: str) -> Check:
    """The share of the values that a coercion takes."""
    coerce = COERCIONS[name]

    def is_one(value: Any) -> bool:
        result = coerce(value)
        if type(result) is Noted:
            result = result.value
        return result is not None and type(result) is not Refused

    return lambda values: share(values, is_one)


def is_gtin(value: Any) -> bool:
    """Whether a value is a GTIN of 8, 12, 13 or 14 digits with its check digit (GS1 General Specifications, 7.9); of a list
    whether all are.
    """
    if type(value) is list:
        return bool(value) and all(is_gtin(each) for each in value)
    text = str(value).strip() if type(value) in (str, int) else ""
    if not re.fullmatch(r"\d{8}|\d{12,14}", text, re.ASCII) or not text.strip("0"):
        return False
    digits = [int(digit) for digit in reversed(text)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def is_image(value: Any) -> bool:
    """Whether a value is the address of an image, as far as its ending tells; of a list all of them."""
    if type(value) is list:
        return bool(value) and all(is_image(each) for each in value)
    text = value.strip() if type(value) is str else ""
    return len(text) < _MOST_ADDRESS and " " not in text and bool(_IMAGE.search(text))


def is_address(value: Any) -> bool:
    """Whether a value is an address, relative ones included; of a list all of them."""
    if type(value) is list:
        return bool(value) and all(is_address(each) for each in value)
    text = value.strip() if type(value) is str else ""
    return len(text) < _MOST_ADDRESS and bool(_ADDRESS.match(text) or _PATH.match(text))


def is_page(value: Any) -> bool:
    """Whether a value is the whole address of something that is no image."""
    return (
        type(value) is str
        and bool(_ADDRESS.match(value.strip()))
        and not is_image(value)
        and not _MEDIA.search(value.strip())
    )


def is_text(value: Any) -> bool:
    """Whether a value is words."""
    text = value.strip() if type(value) is str else ""
    return any(char.isalpha() for char in text) and not _ADDRESS.match(text)


def is_line(value: Any) -> bool:
    """Whether a value is a short text or a number, and no address."""
    text = str(value).strip() if type(value) in (str, int, float) else ""
    return 0 < len(text) <= 200 and "\n" not in text and not _ADDRESS.match(text)


def is_id(value: Any) -> bool:
    """Whether a value can identify something."""
    return type(value) in (str, int) and bool(_CODE.match(str(value).strip()))


def _all_different(values: Sequence[Any]) -> float:
    usable = [str(value) for value in values if is_id(value) or is_page(value)]
    return float(len(usable) == len(values) and len(set(usable)) == len(usable) > 0)


def is_counted(values: Sequence[Any]) -> bool:
    """Whether values that differ do so because they are amounts, dates, or the numbers from one on."""
    texts = [str(value).strip() for value in values]
    if all(_AMOUNT.match(text) or _DATE.match(text) for text in texts):
        return True
    numbers = sorted(int(text) for text in texts if text.isdecimal() and len(text) < 8)
    return len(numbers) == len(texts) and numbers[-1] - numbers[0] < 2 * len(numbers)


def _varied(values: Sequence[Any]) -> bool:
    """Whether values say something of each record: among three or more they are not all the same."""
    return len(values) < 3 or len(set(map(str, values))) > 1


def _titles(values: Sequence[Any]) -> float:
    firsts = [value[0] if type(value) is list and value else value for value in values]
    return share(firsts, lambda value: is_line(value) and is_text(value)) * _varied(firsts)


def _links(values: Sequence[Any]) -> float:
    pages = share(
        values,
        lambda v: type(v) is str and is_address(v) and not is_image(v) and not _MEDIA.search(v),
    )
    return pages * _varied(values)


CHECKS: dict[str, Check] = {
    "id": _all_different,
    "title": _titles,
    "price": coerced("price"),
    "sale_price": coerced("price"),
    "currency": coerced("currency"),
    "link": _links,
    "image_link": lambda values: share(values, is_address),
    "additional_image_links": lambda values: share(values, lambda v: type(v) is list and is_address(v)),
    "description": lambda values: share(values, is_text),
    "availability": coerced("availability"),
    "inventory_quantity": coerced("integer"),
    "categories": lambda values: min(coerced("category_path")(values), 1 - share(values, is_address)),
    "brand": lambda values: share(values, lambda v: is_line(v) and is_text(v)),
    "gtin": lambda values: share(values, is_gtin),
    "mpn": lambda values: share(values, lambda v: is_line(v) and any(char.isdecimal() for char in str(v))),
    "condition": coerced("condition"),
    "color": lambda values: share(values, is_line),
    "size": lambda values: share(values, is_line),
    "item_group_id": lambda values: share(values, is_id),
    "published_at": coerced("date"),
}  # fmt: skip

# What is told by its values alone, whatever it is called.
UNMISTAKABLE: dict[str, Check] = {
    "gtin": lambda values: share(values, lambda v: is_gtin(v) and len(str(v).strip()) > 8) if len(values) > 2 else 0.0,
    "image_link": lambda values: share(values, is_image),
    "link": lambda values: share(values, is_page) * float(len(set(map(str, values))) == len(values)),
    "currency": lambda values: share(values, lambda v: type(v) is str and len(v) == 3) * coerced("currency")(values),
}  # fmt: skip
