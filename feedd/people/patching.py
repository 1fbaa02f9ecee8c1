"""How properties of a profile change: by a patch, and when two profiles become one. Pure.

Source of the rules: Klaviyo's documentation of profile properties, `patch_properties` and merging profiles.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from feedd.people.values import Patch

TIMEZONE = "$timezone"
LOCATION = (
    "$address1",
    "$address2",
    "$city",
    "$region",
    "$country",
    "$zip",
    "$latitude",
    "$longitude",
)
_encode = msgspec.json.Encoder(order="deterministic").encode


def patched(properties: Mapping[str, Any], patch: Patch) -> dict[str, Any]:
    """The properties after a patch; the ones that are given are left as they were."""
    result = dict(properties)
    for name, value in patch.set.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    for name, value in patch.append.items():
        result[name] = _with(_as_list(result.get(name)), _as_list(value))
    for name, value in patch.unappend.items():
        if name in result:
            gone = {_encode(each) for each in _as_list(value)}
            result[name] = [each for each in _as_list(result[name]) if _encode(each) not in gone]
    for name in patch.unset:
        result.pop(name, None)
    return result


def merged(into: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of two profiles that become one: those of `into` stay, `source` fills the gaps.

    But the time zone is the source's where it has one, and the location is that of the one where more of it is known.
    """
    result = dict(source) | dict(into)
    if TIMEZONE in source:
        result[TIMEZONE] = source[TIMEZONE]
    ours, theirs = _location(into), _location(source)
    chosen = theirs if len(theirs) > len(ours) else ours
    for name in LOCATION:
        result.pop(name, None)
    return result | chosen


def _location(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: properties[name] for name in LOCATION if properties.get(name) not in (None, "")}


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _with(values: list[Any], added: list[Any]) -> list[Any]:
    """The values, and those of the added ones that are not among them; 1, 1.0 and true are three values."""
    known = {_encode(each) for each in values}
    for each in added:
        text = _encode(each)
        if text not in known:
            known.add(text)
            values.append(each)
    return values
