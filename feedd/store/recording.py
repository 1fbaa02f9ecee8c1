"""Records actions, many in one transaction: whose they are, what changes of them, what they did.

One writer at a time: events are numbered in the order of their commits, and what was looked up stays true until it is written.
A batch is worked through in its order against what is known of its people in memory, and written at its end: a handful of
statements for hundreds of actions.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
import xxhash
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from feedd.people.limits import MAX_PUBLIC_METRICS, MAX_STORED_BYTES
from feedd.people.patching import patched
from feedd.people.values import Action, Identifier, Kind, NewEvent, Outcome, Patch, Refusal
from feedd.store import event_rows, merging, profile_rows
from feedd.store.chunks import next_event_number
from feedd.store.database import Database
from feedd.store.event_rows import NewRow
from feedd.store.metric_ids import MetricIds
from feedd.store.profile_rows import Person
from feedd.store.profiles import owners_of

_encode = msgspec.json.encode
IDLE_MS = 20_000
_SHARED = (Kind.PHONE, Kind.ANONYMOUS)  # identifiers that several people may have
_LOCK_NUMBER = 0x70656F70  # "peop", for pg_advisory_xact_lock


@contextlib.contextmanager
def writing(database: Database) -> Iterator[Connection]:
    """A write transaction on the people database that no other writer of people's data is beside.

    On PostgreSQL, one that asks for nothing for `IDLE_MS` is ended by the server: a command that is suspended, or a machine that is gone,
    must not keep all others from writing.

    Raises:
        StoreError: the database cannot be used; nothing was written.
    """
    with database.transaction() as connection:
        if not database.sqlite:
            connection.exec_driver_sql(
                f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS};"
                f" SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"
            )
        yield connection


@contextlib.contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """A part of a transaction that is undone by itself when something is raised in it."""
    connection.exec_driver_sql("SAVEPOINT part")
    try:
        yield
    except BaseException:
        with contextlib.suppress(
            SQLAlchemyError
        ):  # SQLite has undone all of it where a disk is full
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
            connection.exec_driver_sql("RELEASE SAVEPOINT part")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT part")


def record(
    connection: Connection,
    actions: Sequence[Action],
    now: datetime,
    metrics: MetricIds | None = None,
) -> list[Outcome]:
    """Record actions in their order, inside the caller's `writing`; what became of each.

    `metrics` remembers the metrics of transactions that were committed.
    """
    batch = _Batch(connection, now, MetricIds() if metrics is None else metrics)
    batch.look_up(actions)
    results = [batch.apply(action) for action in actions]
    batch.flush()
    return [result.outcome() for result in results]


class _Result:
    """What becomes of an action; whether its event is a duplicate is known once it is written."""

    __slots__ = ("created", "event", "ignored", "profile", "refused", "row")

    def __init__(self, profile: int | None) -> None:
        self.profile = profile
        self.created = False
        self.ignored: list[Identifier] = []
        self.row: NewRow | None = None
        self.event = False
        self.refused: Refusal | None = None

    @classmethod
    def refusing(cls, refusal: Refusal, profile: int | None, *ignored: Identifier) -> "_Result":
        result = cls(profile)
        result.refused = refusal
        result.ignored = list(ignored)
        return result

    def outcome(self) -> Outcome:
        stored = self.row is not None and not self.row.duplicate
        return Outcome(
            profile=self.profile,
            created=self.created,
            event=self.row.id if self.row is not None and stored else None,
            duplicate=self.event and not stored and self.refused is not Refusal.TOO_MANY_METRICS,
            ignored=tuple(self.ignored),
            refused=self.refused,
        )


class _Batch:
    """The people of some actions in memory, and what is to be written."""

    def __init__(self, connection: Connection, now: datetime, metrics: MetricIds) -> None:
        self._connection = connection
        self._now = now
        self._received = int(now.timestamp())
        self._metrics = metrics
        self._owners: dict[Identifier, int] = {}
        self._persons: dict[int, Person] = {}
        self._next_profile: int | None = None
        self._next_event: int | None = None
        self._entered: list[tuple[Identifier, int]] = []
        self._rows: list[NewRow] = []
        self._has_written = False

    def look_up(self, actions: Sequence[Action]) -> None:
        """Read what the actions will ask for, at once: who their identifiers belong to, and whom they may change."""
        given = [action.who.given() for action in actions]
        asked = [each for some in given for each in some]
        asked += [(Kind.ANONYMOUS, value) for action in actions for value in action.patch.leave]
        self._owners = owners_of(self._connection, asked)
        closely = {
            self._owners[identifier]
            for action, some in zip(actions, given, strict=True)
            if len(some) > 1 or not action.patch.is_empty()
            for identifier in some
            if identifier in self._owners
        }
        self._persons = profile_rows.load(self._connection, sorted(closely))

    def apply(self, action: Action) -> _Result:
        """Take in one action."""
        given = action.who.given()
        target = self._target(given)
        if (action.strict or action.only_new) and (refused := self._refused(action, given, target)):
            return refused
        result = _Result(target)
        if target is None:
            if action.only_existing or action.who.profile is not None:
                result.ignored = given
                return result
            target = result.profile = self._create()
            result.created = True
            result.ignored = self._identify(target, given, trusted=action.trusted)
        elif len(given) > 1:
            result.ignored = self._identify(target, given, trusted=action.trusted)
        if not action.patch.is_empty() and not self._patch(target, action):
            result.refused = Refusal.PROFILE_TOO_LARGE
        if action.event is not None:
            most = None if action.trusted else MAX_PUBLIC_METRICS
            service = action.event.service if action.trusted else None
            metric = self._metrics.find(
                self._connection, action.event.metric, self._now, most=most, service=service
            )
            if metric is None:
                result.refused = Refusal.TOO_MANY_METRICS
                return result
            result.event = True
            result.row = self._add(target, metric, action.event, action)
        return result

    def _refused(
        self, action: Action, given: list[Identifier], target: int | None
    ) -> _Result | None:
        """What becomes of an action that is done whole or not at all, where it cannot be done."""
        asked = (Kind.PROFILE, action.who.profile or "")
        if action.who.profile is not None and asked not in self._owners:
            return _Result.refusing(Refusal.NO_PROFILE, None, asked)
        for identifier in given:
            owner = self._owners.get(identifier)
            if owner is None or (owner == target and not action.only_new):
                continue
            # a device changes hands, and who is known by nothing else becomes part of somebody
            if action.only_new or (identifier[0] != Kind.ANONYMOUS and self._person(owner).known):
                return _Result.refusing(Refusal.TAKEN, owner, identifier)
        if target is not None:
            person = self._person(target)
            if not self._fits(patched(person.properties, action.patch), person):
                return _Result.refusing(Refusal.PROFILE_TOO_LARGE, target)
        return None

    def _target(self, given: list[Identifier]) -> int | None:
        """Whose action it is: the first identifier that is somebody's decides.

        But a phone may be a family's and a device has many users, so these do not where somebody else is named beside them.
        """
        for kind, value in given:
            owner = self._owners.get((kind, value))
            if owner is None:
                continue
            if kind not in _SHARED or not self._is_another(owner, given, stronger_than=kind):
                return owner
        return None

    def _is_another(self, number: int, given: list[Identifier], *, stronger_than: Kind) -> bool:
        """Whether a profile is known by other identifiers than those that are given."""
        if len(given) == 1:
            return False
        known = self._person(number).known
        return any(
            known.get(kind, value) != value
            for kind, value in given
            if kind in (Kind.EMAIL, Kind.EXTERNAL)
            or (kind == Kind.PHONE and stronger_than == Kind.ANONYMOUS)
        )

    def _create(self) -> int:
        """A profile that nothing is known of yet."""
        if self._next_profile is None:
            self._next_profile = profile_rows.last_number(self._connection) + 1
        number = self._next_profile
        self._next_profile += 1
        person = self._persons[number] = profile_rows.new(number, self._now)
        self._enter((Kind.PROFILE, person.uid), number)
        return number

    def _identify(self, target: int, given: list[Identifier], *, trusted: bool) -> list[Identifier]:
        """Give a profile the identifiers that it lacks; those that it cannot have."""
        ignored = []
        for identifier in given:
            kind, value = identifier
            owner = self._owners.get(identifier)
            if owner == target:
                continue
            if kind == Kind.PROFILE:
                ignored.append(identifier)
            elif owner is not None and not self._person(owner).known:
                self._merge(owner, target)
            elif kind == Kind.ANONYMOUS:  # the device is in other hands now
                self._enter(identifier, target)
            elif owner is not None or (self._person(target).known.get(kind) and not trusted):
                ignored.append(identifier)
            else:
                self._replace(target, kind, value)
        return ignored

    def _replace(self, target: int, kind: Kind, value: str) -> None:
        person = self._person(target)
        old = person.known.get(kind)
        if old is not None:
            self._leave((kind, old))
        person.known[kind] = value
        self._change(person)
        self._enter((kind, value), target)

    def _patch(self, target: int, action: Action) -> bool:
        """Change a profile; False where its properties are left, for they would become too large."""
        person, patch = self._person(target), action.patch
        properties = patched(person.properties, patch)
        taken = True
        if properties != person.properties or repr(properties) != repr(person.properties):
            taken = self._fits(properties, person)
            if taken:
                person.properties = properties
                self._change(person)
        for identifier in self._given_up(target, person, patch) if action.trusted else ():
            self._leave(identifier)
            self._change(person)
        return taken

    def _given_up(self, target: int, person: Person, patch: Patch) -> list[Identifier]:
        """The identifiers that a profile has, and by a patch has no more."""
        known = [(kind, person.known.pop(kind)) for kind in patch.clear if kind in person.known]
        devices = [(Kind.ANONYMOUS, value) for value in patch.leave]
        return known + [each for each in devices if self._owners.get(each) == target]

    @staticmethod
    def _fits(properties: dict[str, Any], person: Person) -> bool:
        """Whether a profile may have these properties: one that two have become may be larger, and may always shrink."""
        size = len(_encode(properties))
        return size <= MAX_STORED_BYTES or size < len(_encode(person.properties))

    def _add(self, target: int, metric: int, event: NewEvent, action: Action) -> NewRow | None:
        if event.once:
            self._write_events()
            if event_rows.has_any(self._connection, target, metric):
                return None
        if self._next_event is None:
            self._next_event = next_event_number(self._connection)
        row = NewRow(
            id=self._next_event,
            profile=target,
            metric=metric,
            at=event.at,
            value=event.value,
            properties=event.properties,
            received_at=self._received,
            source=int(action.source),
            key=key_of(event),
            is_first=not self._has_written
            and target in self._persons
            and self._persons[target].is_new,
            items=event.items,
        )
        self._next_event += 1
        self._rows.append(row)
        return row

    def _merge(self, source: int, into: int) -> None:
        """One profile becomes another: what is pending is written first, and both are read again."""
        self.flush()
        merging.merge(self._connection, source, into, self._now)
        self._owners.update({each: into for each, owner in self._owners.items() if owner == source})
        self._persons.pop(source, None)
        self._persons |= profile_rows.load(self._connection, [into])

    def _person(self, number: int) -> Person:
        if number not in self._persons:
            self._persons |= profile_rows.load(self._connection, [number])
        return self._persons[number]

    def _change(self, person: Person) -> None:
        person.is_changed = True
        person.updated_at = self._now

    def _enter(self, identifier: Identifier, number: int) -> None:
        self._owners[identifier] = number
        self._entered.append((identifier, number))

    def _leave(self, identifier: Identifier) -> None:
        """Have an identifier be nobody's; it may only just have become somebody's."""
        self._owners.pop(identifier, None)
        self._write_identifiers()
        profile_rows.leave(self._connection, identifier)

    def flush(self) -> None:
        """Write what is pending."""
        profile_rows.store(self._connection, self._persons.values())
        self._write_identifiers()
        self._write_events()

    def _write_identifiers(self) -> None:
        profile_rows.enter(self._connection, self._entered)
        self._entered = []

    def _write_events(self) -> None:
        event_rows.insert(self._connection, self._rows)
        self._has_written = self._has_written or bool(self._rows)
        self._rows = []


def key_of(event: NewEvent) -> int | None:
    """64 bits that stand for a unique id, signed; none for an id that says what the time says."""
    if event.unique_id is None or event.unique_id == str(event.at):
        return None
    return xxhash.xxh3_64_intdigest(event.unique_id.encode()) - (1 << 63)
