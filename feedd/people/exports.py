"""Profiles as the rows of a CSV file, and as lines of JSON: what `rows` reads again, without loss. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from feedd.people.cells import cell_of, guarded
from feedd.people.columns import (
    IDENTIFIERS,
    SPECIAL,
    TEXTS,
    Column,
    heading_of,
    property_heading,
)
from feedd.people.values import Profile


class Names:
    """The properties that there are, gathered over all profiles."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._typed: set[str] = set()

    def __len__(self) -> int:
        return len(self._texts) + len(self._typed)

    def add(self, profiles: Iterable[Profile]) -> None:
        """Those of some profiles too."""
        for profile in profiles:
            for name, value in profile.properties.items():
                (self._texts if _is_text(name, value) else self._typed).add(name)

    def table(self) -> "ExportTable":
        """The table that holds them: identifiers, special properties, then the others by name."""
        texts = [name for name in SPECIAL if name in self._texts]
        special = [name for name in SPECIAL if name in self._typed]
        return ExportTable(texts, [*special, *sorted(self._typed - set(SPECIAL))])


class ExportTable:
    """A table of profiles with columns for those properties."""

    def __init__(self, texts: list[str], typed: list[str]) -> None:
        self._texts = texts
        self._typed = typed

    def headings(self) -> list[str]:
        """The first row."""
        texts = [heading_of(column) for column in (*IDENTIFIERS, *map(Column, self._texts))]
        typed = [
            property_heading(name)
            if name in TEXTS or name not in SPECIAL
            else heading_of(Column(name))
            for name in self._typed
        ]
        return texts + [guarded(heading) for heading in typed]

    def row(self, profile: Profile) -> list[str]:
        """The row of a profile."""
        properties = profile.properties
        anonymous = profile.anonymous_ids
        return [
            profile.id,
            guarded(profile.email or ""),
            profile.phone_number or "",  # digits after a +: no formula, and others read it
            guarded(profile.external_id or ""),
            msgspec.json.encode(anonymous).decode() if anonymous else "",
            *[_text_cell(properties, name) for name in self._texts],
            *[_typed_cell(properties, name) for name in self._typed],
        ]


def line_of(profile: Profile) -> dict[str, Any]:
    """A profile as a line of JSON."""
    return {
        "id": profile.id,
        "email": profile.email,
        "phone_number": profile.phone_number,
        "external_id": profile.external_id,
        "anonymous_ids": profile.anonymous_ids,
        "properties": profile.properties,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
        "last_event_at": profile.last_event_at,
    }


def _is_text(name: str, value: Any) -> bool:
    return name in TEXTS and isinstance(value, str) and value != ""


def _text_cell(properties: dict[str, Any], name: str) -> str:
    value = properties.get(name)
    return guarded(value) if isinstance(value, str) else ""


def _typed_cell(properties: dict[str, Any], name: str) -> str:
    value = properties.get(name)
    return "" if value is None or _is_text(name, value) else cell_of(value)
