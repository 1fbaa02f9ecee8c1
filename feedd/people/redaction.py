"""What of a person goes from their events when they are deleted. Pure.

Klaviyo's documentation: events stay, and personal data in them is replaced by the word "redacted".
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

REDACTED = "redacted"
# names under which an event says who or where somebody is, in any spelling: `$email`, `Phone Number`, `billing_address`
_PERSONAL_NAMES = frozenset(
    {
        "email", "emailaddress", "customeremail", "phone", "phonenumber", "mobile", "customerphone",
        "firstname", "lastname", "fullname", "customername", "ip", "ipaddress", "address", "address1", "address2",
        "street", "streetaddress", "zip", "zipcode", "postalcode", "postcode", "latitude", "longitude",
        "billingaddress", "shippingaddress",
    }
)  # fmt: skip
_PERSONAL_PROPERTIES = (
    "$first_name", "$last_name", "$address1", "$address2", "$zip", "$latitude", "$longitude", "$image",
)  # fmt: skip
_SHORTEST = 3  # shorter values are too common to be somebody's
_LONG = 6  # characters that are looked for within texts too
_FEW = 50


def personal_values(identifiers: Iterable[str], properties: Mapping[str, Any]) -> frozenset[str]:
    """What a person is known by, in lower case: identifiers, names, address."""
    values = [*identifiers, *(properties.get(name) for name in _PERSONAL_PROPERTIES)]
    first, last = properties.get("$first_name"), properties.get("$last_name")
    if first and last:
        values.append(f"{first} {last}")
    texts = {str(value).strip().lower() for value in values if value not in (None, "")}
    return frozenset(each for each in texts if len(each) >= _SHORTEST)


def redacted(properties: str, values: frozenset[str]) -> str:
    """The text of an event's properties without what names a person; the same text where nothing does."""
    before = msgspec.json.decode(properties)
    after = _redacted(before, values)
    return properties if after == before else msgspec.json.encode(after).decode()


def _redacted(value: Any, values: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _blotted(each) if _plain(name) in _PERSONAL_NAMES else _redacted(each, values)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_redacted(each, values) for each in value]
    if isinstance(value, str) and _names_somebody(value, values):
        return REDACTED
    if isinstance(value, int | float) and str(value) in values:
        return REDACTED
    return value


def _blotted(value: Any) -> Any:
    """A personal value without what it says: its shape stays, so that templates that look into it still work."""
    if isinstance(value, dict):
        return {name: _blotted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_blotted(each) for each in value]
    return REDACTED if value is not None else None


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


def _names_somebody(value: str, values: frozenset[str]) -> bool:
    lowered = value.lower()
    if lowered in values:
        return True
    if len(values) <= _FEW:
        return any(len(each) >= _LONG and each in lowered for each in values)
    # thousands of devices, as robots have: looked up at each place of the text, by each length that there is
    return any(
        lowered[start : start + length] in values
        for length in _lengths(values)
        for start in range(len(lowered) - length + 1)
    )


@lru_cache(maxsize=1)
def _lengths(values: frozenset[str]) -> list[int]:
    return sorted({len(each) for each in values if len(each) >= _LONG})
