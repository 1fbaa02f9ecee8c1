"""Templates of messages: those made over the API, and those that are read from files.

There are some thousands at most, so a list is ordered by what is told of each, without its sources, which are read for a page alone.
"""

import contextlib
import secrets
import string
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from hashlib import blake2s
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from feedd.errors import NotFound, StoreError, UsageError
from feedd.model import Template
from feedd.store.database import Database
from feedd.store.people_tables import TEMPLATES
from feedd.store.template_directories import Standing, note, standing

MOST_TEMPLATES = 10_000
READ_ONLY = "read_only"
_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 6
_LOCK_NUMBER = 0x746D706C  # "tmpl", for pg_advisory_xact_lock
_OUTLINE = tuple(
    TEMPLATES.c[name]
    for name in ("id", "uid", "name", "created_at", "updated_at", "file", "digest", "verdict")
)


class Outline(NamedTuple):
    """What is told of a template without its sources."""

    number: int
    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    file: str | None
    digest: str
    verdict: str | None


class Sources(Struct, frozen=True, kw_only=True):
    """What a template is made of, beside its name."""

    html: str
    text: str | None = None
    amp: str | None = None

    @property
    def digest(self) -> str:
        """The digest of all of it."""
        return blake2s(msgspec.json.encode(self), digest_size=16).hexdigest()


def sources_of(template: Template) -> Sources:
    """What a template is made of."""
    return Sources(html=template.html, text=template.text, amp=template.amp)


class FileSources(Struct, frozen=True, kw_only=True):
    """A file that was read: its path below the directory, which is the template's name, and what is in it."""

    file: str
    name: str
    sources: Sources


class Settled(NamedTuple):
    """What reading the directory has changed, by the names of files."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def plus(self, other: "Settled") -> "Settled":
        """Both together."""
        return Settled(*map(sum, zip(self, other, strict=True)))


class FromFile(UsageError):
    """The template comes from a file, and is changed there."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f"This template comes from the file {file}, and is changed there",
            code=READ_ONLY,
            hint="A clone of it can be changed here.",
        )


class NoTemplate(NotFound):
    """There is no template with an id; `pointer` is where a body names it."""

    def __init__(self, id_: str, pointer: str | None = None) -> None:
        self.source = {"pointer": pointer} if pointer else None
        super().__init__(f"A template with id {id_[:100]} does not exist.")


def read_outlines(database: Database) -> list[Outline]:
    """What is told of every template, in the order in which they were made."""
    with database.connect() as connection:
        rows = connection.execute(select(*_OUTLINE).order_by(TEMPLATES.c.id))
        return [Outline(*row) for row in rows]


def read_templates(database: Database, numbers: Sequence[int]) -> list[Template]:
    """Templates by their numbers, in that order; without those that are gone."""
    query = select(TEMPLATES).where(TEMPLATES.c.id.in_(numbers))
    with database.connect() as connection:
        found = {row.id: _template(row) for row in connection.execute(query)}
    return [found[number] for number in numbers if number in found]


def find_template(database: Database, id_: str) -> Template | None:
    """The template with that id."""
    return _found(database, TEMPLATES.c.uid == id_) if _may_be_an_id(id_) else None


def find_file(database: Database, file: str) -> Template | None:
    """The template that comes from that file."""
    return _found(database, TEMPLATES.c.file == file)


def _found(database: Database, condition: ColumnElement[bool]) -> Template | None:
    with database.connect() as connection:
        row = connection.execute(select(TEMPLATES).where(condition)).one_or_none()
    return None if row is None else _template(row)


def create_template(
    database: Database,
    *,
    name: str,
    sources: Sources,
    now: datetime,
    editor_type: str = "CODE",
) -> Template:
    """Make a template.

    Raises:
        UsageError: there are too many.
    """
    with _writing(database) as connection:
        count = connection.execute(select(func.count()).select_from(TEMPLATES)).scalar_one()
        if count >= MOST_TEMPLATES:
            raise UsageError(
                f"There are {MOST_TEMPLATES:,} templates already", hint="Delete some of them first."
            )
        return _inserted(
            connection,
            uid=_new_id(connection),
            name=name,
            editor_type=editor_type,
            now=now,
            sources=sources,
        )


def change_template(
    database: Database,
    id_: str,
    changes: dict[str, Any],
    now: datetime,
) -> Template:
    """Change the name or sources of a template, by the names of its fields.

    Raises:
        NoTemplate: there is none with that id.
        FromFile: it comes from a file.
    """
    with _writing(database) as connection:
        old = _own(connection, id_)
        new = msgspec.structs.replace(old, **changes)
        values = {"name": new.name, **_values(sources_of(new), now)}
        changing = update(TEMPLATES).where(TEMPLATES.c.id == old.number).values(**values)
        return _template(connection.execute(changing.returning(*TEMPLATES.c)).one())


def delete_template(database: Database, id_: str) -> Template:
    """Delete a template, and give it as it was. Raises as `change_template` does."""
    with _writing(database) as connection:
        old = _own(connection, id_)
        connection.execute(delete(TEMPLATES).where(TEMPLATES.c.id == old.number))
        return old


def keep_verdict(database: Database, number: int, digest: str, verdict: str) -> None:
    """Store what was found wrong with a template, unless it has been changed since."""
    is_it = (TEMPLATES.c.id == number) & (TEMPLATES.c.digest == digest)
    with _writing(database) as connection:
        connection.execute(update(TEMPLATES).where(is_it).values(verdict=verdict))


def settle_files(
    database: Database,
    changed: Sequence[FileSources],
    *,
    daemon: str,
    is_there: Callable[[str], bool] | None,
    now: datetime,
) -> Settled:
    """Bring the templates that come from files in step with these. A file that is as it was leaves its template alone.

    `is_there` tells of a file whether `daemon` has it: templates that no other daemon has either go. None where that is not known.
    """

    def found(connection: Connection, stored: Collection[str]) -> Standing:
        new = {each.file for each in changed}
        return standing(connection, stored, daemon=daemon, new=new, is_there=is_there, now=now)

    with database.connect() as connection:  # nearly always there is nothing to be written
        stored = _of_files(connection)
        known = found(connection, stored)
    digests = {(file, each.digest) for file, each in stored.items()}
    is_new = any((each.file, each.sources.digest) not in digests for each in changed)
    if not is_new and not known.gone:
        if not known.is_noted:
            with contextlib.suppress(StoreError), _writing(database) as connection:
                note(connection, daemon, known.held, now)  # a disk that is full waits for it
        return Settled()
    added = updated = 0
    with _writing(database) as connection:
        stored = _of_files(connection)
        for each in changed:
            old = stored.get(each.file)
            if old is None:
                _insert_file(connection, each, now)
                added += 1
            elif old.digest != each.sources.digest:
                values = _values(each.sources, now)
                connection.execute(
                    update(TEMPLATES).where(TEMPLATES.c.id == old.number).values(**values)
                )
                updated += 1
        held, gone, _ = found(connection, stored)
        if gone:
            connection.execute(delete(TEMPLATES).where(TEMPLATES.c.file.in_(gone)))
        note(connection, daemon, held, now)
    return Settled(added, updated, len(gone))


def _of_files(connection: Connection) -> dict[str, Outline]:
    rows = connection.execute(select(*_OUTLINE).where(TEMPLATES.c.file.is_not(None)))
    return {found.file or "": found for found in (Outline(*row) for row in rows)}


def _insert_file(connection: Connection, found: FileSources, now: datetime) -> None:
    uid = _file_id(connection, found.file)
    _inserted(connection, uid=uid, name=found.name, sources=found.sources, now=now, file=found.file)


def _values(sources: Sources, now: datetime) -> dict[str, Any]:
    """What of a row follows from its sources, and the time."""
    return {
        **msgspec.structs.asdict(sources),
        "digest": sources.digest,
        "verdict": None,
        "updated_at": _whole(now),
    }


@contextlib.contextmanager
def _writing(database: Database) -> Iterator[Connection]:
    """A write transaction that no other one on templates is beside."""
    with database.transaction() as connection:
        if not database.sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
        yield connection


def _own(connection: Connection, id_: str) -> Template:
    """A template that may be changed over the API."""
    row = None
    if _may_be_an_id(id_):
        row = connection.execute(select(TEMPLATES).where(TEMPLATES.c.uid == id_)).one_or_none()
    if row is None:
        raise NoTemplate(id_)
    if row.file is not None:
        raise FromFile(row.file)
    return _template(row)


def _may_be_an_id(text: str) -> bool:
    """Whether a database can be asked for it: PostgreSQL knows no text with a NUL."""
    return text.isprintable()


def _inserted(
    connection: Connection,
    *,
    uid: str,
    name: str,
    sources: Sources,
    now: datetime,
    editor_type: str = "CODE",
    file: str | None = None,
) -> Template:
    values = {
        **_values(sources, now),
        "uid": uid,
        "name": name,
        "editor_type": editor_type,
        "created_at": _whole(now),
        "file": file,
    }
    inserting = insert(TEMPLATES).values(**values).returning(*TEMPLATES.c)
    return _template(connection.execute(inserting).one())


def _whole(now: datetime) -> datetime:
    """The second: times are told to it, and are found by what is told."""
    return now.replace(microsecond=0)


def _new_id(connection: Connection) -> str:
    while True:
        uid = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
        if not _is_taken(connection, uid):
            return uid


def _file_id(connection: Connection, file: str) -> str:
    """The id of a file's template: the same whenever the file comes back, unless another has it meanwhile."""
    tries = 0
    while True:
        digest = blake2s(f"{tries}:{file}".encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        uid = "".join(_ALPHABET[number // 62**n % 62] for n in range(_ID_LENGTH))
        if not _is_taken(connection, uid):
            return uid
        tries += 1


def _is_taken(connection: Connection, uid: str) -> bool:
    return (
        connection.execute(select(TEMPLATES.c.id).where(TEMPLATES.c.uid == uid)).first() is not None
    )


def _template(row: Any) -> Template:
    return Template(
        id=row.uid,
        number=row.id,
        name=row.name,
        editor_type=row.editor_type,
        html=row.html,
        text=row.text,
        amp=row.amp,
        created_at=row.created_at,
        updated_at=row.updated_at,
        file=row.file,
        digest=row.digest,
        verdict=row.verdict,
    )
