"""The rows of files that are imported, as actions: profiles from CSV and JSON Lines, events from JSON Lines. Pure.

What cannot be used is a `BadRow`, which says where it is and what to do.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from feedd.errors import UsageError
from feedd.people.cells import unguarded, value_of
from feedd.people.columns import PROFILE_ID, PROPERTY, TEXTS, Column, column_of, property_column
from feedd.people.csv_records import Record
from feedd.people.identifiers import external_id, normalize_email, normalize_phone, who_and_what
from feedd.people.limits import MAX_STORED_BYTES, MAX_STRING_BYTES, PayloadProblem, check_shape
from feedd.people.payloads import NotJson, new_event, track_payload
from feedd.people.values import NOTHING, Action, Identifiers, Kind, Patch, Source

MOST_COLUMNS = 2_000
_PROFILE_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_LOOK_CLOSER = MAX_STRING_BYTES // 4  # as many characters have at most as many bytes in UTF-8
_OURS = frozenset(("created_at", "updated_at", "last_event_at", "properties"))


class BadRow(Struct, frozen=True):
    """A row that is not taken: its line, the column or field that is wrong, what stands there, and what to do."""

    line: int
    column: str
    value: str
    problem: str


def profile_id(value: Any, pointer: str = "/id") -> str:
    """The id of a profile, as feedd gives them. Raises PayloadProblem."""
    if isinstance(value, str) and _PROFILE_ID.fullmatch(value.strip().upper()):
        return value.strip().upper()
    raise PayloadProblem(
        pointer,
        "is no id of a profile",
        code="invalid_id",
        hint="It has 26 letters and digits; a customer id of your own is an external id.",
    )


_JUDGES: dict[Kind, Callable[[Any, str], str]] = {
    Kind.PROFILE: profile_id,
    Kind.EMAIL: normalize_email,
    Kind.PHONE: normalize_phone,
    Kind.EXTERNAL: external_id,
    Kind.ANONYMOUS: external_id,
}


class ProfileTable:
    """The columns of a CSV file of profiles.

    Raises:
        UsageError: its first row cannot be used: no column identifies anybody, or two mean the same.
    """

    def __init__(self, headings: list[str]) -> None:
        if len(headings) > MOST_COLUMNS:
            raise UsageError(
                f"the first row names {len(headings):,} columns; {MOST_COLUMNS:,} are the most",
                hint="Import it as JSON Lines.",
            )
        self._headings = headings
        self._identifiers: list[tuple[int, Kind]] = []
        self._texts: list[tuple[int, str]] = []
        self._typed: list[tuple[int, str]] = []
        seen: dict[tuple[Column, bool], str] = {}
        for place, heading in enumerate(map(unguarded, headings)):
            column = column_of(heading)
            is_text = column.name in TEXTS and not heading.startswith(PROPERTY)
            if not heading.strip():
                continue
            if (column, is_text) in seen:
                raise UsageError(
                    f"two columns are the same: {seen[column, is_text]!r} and {heading!r}",
                    hint="Take one out, or call it properties.NAME to keep it as a property.",
                )
            seen[column, is_text] = heading
            if column.identifier is not None:
                self._identifiers.append((place, column.identifier))
            elif is_text:
                self._texts.append((place, column.name))
            else:
                self._typed.append((place, column.name))
        if not self._identifiers:
            raise UsageError(
                f"no column says who it is about: {', '.join(headings)[:200]}",
                hint="The first row names the columns; one of them is Email, Phone Number or External ID.",
            )

    def action(self, record: Record) -> Action | BadRow:
        """What a row says of whom. A cell overwrites, an empty one leaves what is there."""
        cells = record.cells
        size = len(self._headings)
        if len(cells) != size:
            if len(cells) > size and any(cells[size:]):
                problem = f"has {len(cells)} cells and the first row names {size}: quote cells that hold the delimiter"
                return BadRow(record.line, "", ",".join(cells)[:200], problem)
            cells = cells[:size] + [""] * (size - len(cells))
        kind, text = Kind.EMAIL, ""
        try:
            given: dict[Kind, Any] = {}
            for place, kind in self._identifiers:
                text = cells[place]
                if text and (stripped := unguarded(text).strip()):
                    given[kind] = _judged(kind, stripped)
            values: dict[str, Any] = {
                name: unguarded(cells[place]) for place, name in self._texts if cells[place]
            }
            for place, name in self._typed:
                if cells[place]:
                    values[name] = value_of(cells[place])
        except PayloadProblem as error:
            names = [self._headings[place] for place, each in self._identifiers if each is kind]
            return _bad(record.line, names[0], text, error)
        if not given:
            return BadRow(record.line, self._names(), "", "identifies nobody: fill one of them in")
        if sum(map(len, cells)) > _LOOK_CLOSER or any(map(_is_broken, cells)):
            found = problem_of(values)
            if found is not None:
                return BadRow(record.line, "", "", found)
        return _action(_identifiers(given), values)

    def _names(self) -> str:
        return ", ".join(self._headings[place] for place, _ in self._identifiers)


def profile_line(line: int, text: bytes) -> Action | BadRow:
    """What a line of JSON says of whom: `{"email", "phone_number", "external_id", "anonymous_ids", "properties"}`.

    `id` is feedd's own. Other fields are as columns of a CSV file are, with their types; null clears.
    """
    try:
        found = _profile_line(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadRow(line, "", _start(text), f"is no JSON object ({error})")
    name: str = ""
    value: Any = None
    try:
        given: dict[Kind, Any] = {}
        values: dict[str, Any] = {}
        for name, value, column in _columns_of(found):
            if column.identifier is None:
                values[column.name] = value
            elif column.identifier is Kind.ANONYMOUS:
                ids = value if isinstance(value, list) else [value] if value else []
                given[Kind.ANONYMOUS] = tuple(external_id(each, f"/{name}") for each in ids)
            elif value is not None and value != "":
                given[column.identifier] = _JUDGES[column.identifier](value, f"/{name}")
        check_shape(values, "/properties", len(text), text.count(b"{") + text.count(b"["))
    except PayloadProblem as error:
        is_whole = error.pointer.startswith("/properties")
        return _bad(line, "properties" if is_whole else name, "" if is_whole else value, error)
    if not any(given.values()):
        return BadRow(
            line, "", _start(text), "identifies nobody: give email, phone_number or external_id"
        )
    if len(text) > MAX_STORED_BYTES and (problem := problem_of(values)) is not None:
        return BadRow(line, "", "", problem)
    return _action(_identifiers(given), values)


def _columns_of(found: dict[str, Any]) -> Iterator[tuple[str, Any, Column]]:
    """What stands in a line and among its properties, each with what it is."""
    for name, value in found.items():
        if name not in _OURS:
            yield name, value, PROFILE_ID if name == "id" else column_of(name)
    properties = found.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise PayloadProblem("/properties", "is not an object")
    for name, value in (properties or {}).items():
        yield name, value, property_column(name)


_profile_line = msgspec.json.Decoder(dict[str, Any]).decode


class _EventLine(Struct):
    """A line of a file of events."""

    event: Any = None
    properties: Raw = Raw(b"{}")
    time: Any = None
    value: Any = None
    unique_id: Any = None
    once: Any = None
    id: str | None = None
    email: str | None = None
    phone_number: str | None = None
    external_id: Any = None
    anonymous_id: Any = None
    profile: dict[str, Any] | UnsetType = UNSET


_event_line = msgspec.json.Decoder(_EventLine).decode
_IDENTIFIERS_OF_LINE = (
    ("profile", "id", profile_id),
    ("email", "email", normalize_email),
    ("phone_number", "phone_number", normalize_phone),
    ("external_id", "external_id", external_id),
)


def event_line(line: int, text: bytes, now_s: float) -> Action | BadRow:
    """What a line of JSON says that somebody did: in the form of a track call, or flat.

    Flat: `{"event", "email" | "phone_number" | "external_id" | "anonymous_id" | "id", "properties", "time", "value", "unique_id", "once",
    "profile"}`, where `profile` holds properties of the person.
    """
    try:
        if b'"customer_properties"' in text:
            return replace(track_payload(text, now_s, trusted=True).action, source=Source.IMPORT)
        found = _event_line(text)
        event = new_event(
            found.event,
            bytes(found.properties),
            now_s=now_s,
            time=found.time,
            once=found.once,
            value=found.value,
            unique_id=found.unique_id,
        )
        who, patch = _who_of(found)
    except PayloadProblem as error:
        return _bad(line, error.pointer.removeprefix("/").replace("/", "."), None, error)
    except (NotJson, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadRow(line, "", _start(text), f"cannot be read as JSON: {error}")
    return Action(who=who, patch=patch, event=event, trusted=True, source=Source.IMPORT)


def _who_of(found: _EventLine) -> tuple[Identifiers, Patch]:
    given: dict[str, Any] = {}
    for field, name, judge in _IDENTIFIERS_OF_LINE:
        value = getattr(found, name)
        if value is not None and value != "":
            given[field] = judge(value, f"/{name}")
    if found.anonymous_id is not None:
        given["anonymous_ids"] = (external_id(found.anonymous_id, "/anonymous_id"),)
    patch = NOTHING
    if found.profile is not UNSET:
        also, patch = who_and_what(found.profile, "/profile", trusted=True)
        for field in ("email", "phone_number", "external_id", "anonymous_ids"):
            given.setdefault(field, getattr(also, field))
    if not any(given.values()):
        raise PayloadProblem(
            "",
            "identifies nobody",
            code="not_identified",
            hint="Give email, phone_number, external_id or anonymous_id.",
        )
    return Identifiers(**given), patch


def _judged(kind: Kind, text: str) -> Any:
    if kind is not Kind.ANONYMOUS:
        return _JUDGES[kind](text, "/" + kind.name.lower())
    found = value_of(text)
    ids: Iterable[Any] = found if isinstance(found, list) else [text]
    return tuple(external_id(each, "/anonymous") for each in ids)


def _identifiers(given: dict[Kind, Any]) -> Identifiers:
    return Identifiers(
        profile=given.get(Kind.PROFILE),
        email=given.get(Kind.EMAIL),
        phone_number=given.get(Kind.PHONE),
        external_id=given.get(Kind.EXTERNAL),
        anonymous_ids=given.get(Kind.ANONYMOUS, ()),
    )


def _action(who: Identifiers, values: dict[str, Any]) -> Action:
    patch = Patch(set=values) if values else NOTHING
    return Action(who=who, patch=patch, trusted=True, source=Source.IMPORT)


def _is_broken(text: str) -> bool:
    """Whether text came from bytes that are not UTF-8."""
    return not text.isascii() and any("\udc80" <= each <= "\udcff" for each in text)


def problem_of(values: Mapping[str, Any]) -> str | None:
    """What is wrong with properties of a profile: too deep, too long, too large; None where nothing is."""
    try:
        size = len(msgspec.json.encode(values))
    except UnicodeEncodeError:
        return "is not UTF-8 text: save the file as UTF-8"
    try:
        check_shape(values, "", size, size)
    except PayloadProblem as error:
        return str(error)
    if size > MAX_STORED_BYTES:
        return f"is larger than {MAX_STORED_BYTES // 1024} KB: a profile is what you want to know of a person"
    return None


def _bad(line: int, column: str, value: Any, error: PayloadProblem) -> BadRow:
    shown = value if isinstance(value, str) else "" if value is None else repr(value)
    said = f"{error.problem}. {error.hint}" if error.hint else error.problem
    return BadRow(line, column, shown[:200], said)


def _start(text: bytes) -> str:
    return text[:200].decode(errors="replace").strip()
