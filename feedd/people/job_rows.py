"""The documents that jobs are asked for with, taken apart into rows, and rows decoded into actions. Pure.

What is wrong with a document as a whole is said at once; what is wrong with a row is found when it is done, and costs that row.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from feedd.errors import NotFound, UsageError
from feedd.people.decoding import read
from feedd.people.documents import of_somebody, profile_action
from feedd.people.event_documents import BULK_ENTRIES, bulk_entries, count_events, entry_actions
from feedd.people.identifiers import normalize_email, normalize_phone
from feedd.people.jobs import Entry, JobKind, Part, RowError
from feedd.people.limits import PROFILE_FULL, PayloadProblem
from feedd.people.rows import profile_id
from feedd.people.values import Action, Identifiers, Kind, Outcome, Refusal, Source

MOST_PROFILES = 10_000
PROFILES = "/data/attributes/profiles/data"
DELETED = "/data/attributes/profile/data"
TELLS = {
    Kind.PROFILE: ("/id", "this id"),
    Kind.EMAIL: ("/attributes/email", "this email address"),
    Kind.PHONE: ("/attributes/phone_number", "this phone number"),
    Kind.EXTERNAL: ("/attributes/external_id", "this external_id"),
    Kind.ANONYMOUS: ("/attributes/anonymous_id", "this anonymous id"),
}


class Row(Struct, frozen=True, kw_only=True):
    """A row of a job: what is to be done, or what is wrong with it, where it stood, and its text.

    `rows` is how many it counts for: an entry that is wrong as a whole stands for all its events.
    """

    found: Action | UsageError
    pointer: str
    text: bytes
    rows: int = 1


class _Profiles(Struct):
    data: list[Raw]


class _ImportAttributes(Struct):
    profiles: _Profiles


class _ListData(Struct):
    type: Literal["list"]
    id: str


class _Lists(Struct, frozen=True):
    data: tuple[_ListData, ...] = ()


class _ImportRelationships(Struct, frozen=True):
    lists: _Lists = _Lists()


class _Import(Struct):
    type: Literal["profile-bulk-import-job"]
    attributes: _ImportAttributes
    relationships: _ImportRelationships = _ImportRelationships()


class ImportDocument(Struct):
    """`{"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": [profile, …]}}}}`"""

    data: _Import


class _DeletedAttributes(Struct, frozen=True):
    email: str | None = None
    phone_number: str | None = None


class _Deleted(Struct):
    type: Literal["profile"]
    id: str | None = None
    attributes: _DeletedAttributes = _DeletedAttributes()


class _DeletedData(Struct):
    data: _Deleted


class _DeletionAttributes(Struct):
    profile: _DeletedData | None = None
    # where revisions before 2023-07-15 have them
    profile_id: str | None = None
    email: str | None = None
    phone_number: str | None = None


class _Deletion(Struct):
    type: Literal["data-privacy-deletion-job"]
    attributes: _DeletionAttributes


class DeletionDocument(Struct):
    """`{"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile", …}}}}}`"""

    data: _Deletion


class _Events(Struct):
    data: list[Raw]


class _EntryAttributes(Struct):
    events: _Events


class _Entry(Struct):
    attributes: _EntryAttributes


_import = msgspec.json.Decoder(ImportDocument)
_deletion = msgspec.json.Decoder(DeletionDocument)
_deleted = msgspec.json.Decoder(_Deleted)
_entry = msgspec.json.Decoder(_Entry)
_entries = msgspec.json.Decoder(list[Raw])


def entries_of(kind: JobKind, body: bytes) -> list[Entry]:
    """The entries of the document that asks for a job.

    Raises:
        PayloadProblem: it is not such a document, or has no entries or too many.
        NotFound: it names what is not there.
    """
    if kind is JobKind.PROFILES:
        return _profiles(body)
    if kind is JobKind.EVENTS:
        return _events(body)
    return [_deletion_entry(body)]


def _profiles(body: bytes) -> list[Entry]:
    found = read(_import, body).data
    texts = [bytes(text) for text in found.attributes.profiles.data]
    if found.relationships.lists.data:
        raise NoList(found.relationships.lists.data[0].id)
    if not texts:
        raise PayloadProblem(PROFILES, "is empty", hint="Send at least one profile.")
    if len(texts) > MOST_PROFILES:
        raise PayloadProblem(
            PROFILES,
            f"has {len(texts):,} profiles; a request has at most {MOST_PROFILES:,}",
            hint="Send them in several requests.",
        )
    for place, text in enumerate(texts):
        if not text.startswith(b"{"):
            raise PayloadProblem(f"{PROFILES}/{place}", "is not an object")
    return [Entry(text) for text in texts]


class NoList(NotFound):
    """The list that profiles are to be added to is not there."""

    source = {"pointer": "/data/relationships/lists/data/0/id"}  # noqa: RUF012 never changed

    def __init__(self, list_id: str) -> None:
        super().__init__(
            f"there is no list {list_id[:40]!r}: feedd has no lists yet",
            hint="Leave relationships.lists out.",
        )


def _events(body: bytes) -> list[Entry]:
    texts = bulk_entries(body)
    if not count_events(texts):  # all together, for the places in what is said of them
        pointer = f"{BULK_ENTRIES}/0/attributes/events/data"
        raise PayloadProblem(pointer, "is empty", hint="Send at least one event.")
    return [Entry(text, _events_of(text)) for text in texts]


def _events_of(entry: bytes) -> int:
    return max(count_events([entry]), 1)  # one without events is one that is wrong


def _deletion_entry(body: bytes) -> Entry:
    attributes = read(_deletion, body).data.attributes
    found = _Deleted(
        type="profile",
        id=attributes.profile_id,
        attributes=_DeletedAttributes(attributes.email, attributes.phone_number),
    )
    if attributes.profile is not None:
        if found != _Deleted(type="profile"):
            raise PayloadProblem(
                "/data/attributes", "names somebody twice", hint="Give them in profile alone."
            )
        found = attributes.profile.data
    _who_goes(found)
    return Entry(msgspec.json.encode(found))


def _who_goes(found: _Deleted) -> Identifiers:
    given = {
        "id": found.id,
        "email": found.attributes.email,
        "phone_number": found.attributes.phone_number,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        said = f"names {' and '.join(named)}" if named else "names nobody"
        raise PayloadProblem(DELETED, said, hint="Give exactly one of id, email and phone_number.")
    if found.id is not None:
        return Identifiers(profile=profile_id(found.id, f"{DELETED}/id"))
    if found.attributes.email is not None:
        email = normalize_email(found.attributes.email, f"{DELETED}/attributes/email")
        return Identifiers(email=email)
    phone = normalize_phone(found.attributes.phone_number, f"{DELETED}/attributes/phone_number")
    return Identifiers(phone_number=phone)


def split(kind: JobKind, part: Part) -> list[Part]:
    """The same part as parts of one entry each."""
    return [
        Part(
            first=part.first + place,
            rows=_events_of(text) if kind is JobKind.EVENTS else 1,
            payload=b"[" + text + b"]",
        )
        for place, text in enumerate(_entries_in(part))
    ]


def _entries_in(part: Part) -> list[bytes]:
    return [bytes(text) for text in _entries.decode(part.payload)]


def pointer_to(kind: JobKind, place: int) -> str:
    """Where an entry stands in the document that asked for the job."""
    if kind is JobKind.DELETION:
        return DELETED
    return f"{PROFILES if kind is JobKind.PROFILES else BULK_ENTRIES}/{place}"


def rows_of(kind: JobKind, part: Part, now_s: float) -> Iterator[Row]:
    """The rows of a part. `now_s` is when the job was asked for: an event that names no time is of then."""
    for place, text in enumerate(_entries_in(part), start=part.first):
        pointer = pointer_to(kind, place)
        if kind is JobKind.PROFILES:
            yield Row(found=_profile(text, pointer), pointer=pointer, text=text)
        elif kind is JobKind.EVENTS:
            yield from _entry_rows(text, pointer, now_s)
        else:  # what is said of it must not keep whom it names
            who = _who_goes(_deleted.decode(text))
            yield Row(found=Action(who=who, trusted=True), pointer=pointer, text=b"")


def _profile(text: bytes, pointer: str) -> Action | PayloadProblem:
    try:
        action = profile_action(text, pointer, source=Source.IMPORT)
        return replace(of_somebody(action, f"{pointer}/attributes"), strict=True)
    except PayloadProblem as problem:
        return problem


def _entry_rows(text: bytes, pointer: str, now_s: float) -> Iterator[Row]:
    """The rows of an entry with a profile and its events: what is wrong with the profile is so for all of them."""
    try:
        found: list[Any] = list(entry_actions(text, pointer, now_s, trusted=True))
    except PayloadProblem as problem:
        yield Row(found=problem, pointer=pointer, text=text, rows=_events_of(text))
        return
    events = _entry.decode(text).attributes.events.data
    for place, (each, event) in enumerate(zip(found, events, strict=True)):
        at = f"{pointer}/attributes/events/data/{place}"
        yield Row(found=each, pointer=at, text=bytes(event))


def problem_of(row: Row, outcome: Outcome) -> UsageError | None:
    """Why a row was not done; None where it was. An event is recorded also where an identifier beside it is another profile's."""
    refused = outcome.refused
    if outcome.profile is None or refused is Refusal.NO_PROFILE:
        said = TELLS[outcome.ignored[0][0]] if outcome.ignored else ("", "this identifier")
        return PayloadProblem(
            row.pointer + said[0],
            f"nobody here has {said[1]}",
            code="not_found",
            hint=(
                "Leave it out, or name somebody who is here."
                if row.text
                else "Nobody was deleted: they may be known by another identifier, or gone already."
            ),
        )
    if refused is Refusal.TAKEN and outcome.ignored:
        field, name = TELLS[outcome.ignored[0][0]]
        return PayloadProblem(
            row.pointer + field,
            f"another profile has {name}; nothing of the row was done",
            code="duplicate_profile",
            hint="Merge the two profiles, or leave it out.",
        )
    if refused is not None and outcome.event is None and not outcome.duplicate:
        return PayloadProblem(
            f"{row.pointer}/attributes/properties",
            f"{PROFILE_FULL}; nothing of the row was done",
            code=refused,
            hint="Unset some, or take some out of its lists.",
        )
    return None


def row_error(row: Row, problem: UsageError) -> RowError:
    """What is wrong with a row, as it is kept."""
    return RowError(
        code=problem.code,
        title="Not found." if problem.code == "not_found" else "Invalid input.",
        detail=str(problem),
        pointer=getattr(problem, "pointer", row.pointer),
        payload=row.text or None,
        rows=row.rows,
    )
