"""Tells people of items that changed: reads the change stream, and records events of those who want to know.

Part of `App`; the thread that reads on is the teller's. Each rule has a cursor of its own, and the events that tell of a part of the
stream are written in the transaction that moves the cursor past it. Their unique ids are made of the stream's id, the
number of the change and the rule, so each change is told once to each profile, whatever is killed when.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from feedd import logs
from feedd.errors import TooOld
from feedd.model import Change, ChangeKind, StreamState
from feedd.people.interest import (
    PRICE_FIELDS,
    Namings,
    drop_properties,
    is_back,
    item_names,
    may_matter,
    named_items,
    namings,
    price_drop,
    told_properties,
)
from feedd.people.values import Action, NewEvent
from feedd.remembering import Remembering
from feedd.settings import RuleSettings, Settings
from feedd.store import changes, cursors, history, interests, read
from feedd.store.audience import Batch, News
from feedd.store.cursors import Cursor
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.recording import record, writing

PAGE = 5_000  # changes at a time
MOST_PAGES = 5  # before the cursor is moved, where nobody is to be told: less than a second
ITEMS_AT_ONCE = 500  # whose versions are read
MARGIN = timedelta(
    days=1
)  # for which interests are kept beyond their time: the stream may be read late
_KINDS = (ChangeKind.UPDATED, ChangeKind.RESTORED)

log = logs.get_logger("feedd")
Pause = Callable[[float], bool]


class Part(NamedTuple):
    """A part of the stream that was looked through: what of it is to be told, and the last number in it."""

    news: list[News]
    through: int


class RuleStanding(NamedTuple):
    """How a rule stands: the changes that it has not looked at, and the events that this process has written for it."""

    rule: str
    behind: int
    told: int


class Telling:
    """The rules of a configuration, and how far each has got."""

    def __init__(
        self, settings: Callable[[], Settings], catalog: Database, people: Database
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._people = people
        self._remembering = Remembering(people)
        self._told: Counter[str] = Counter()
        self._namings: tuple[tuple[RuleSettings, ...], Namings] = ((), {})

    def rules(self) -> tuple[RuleSettings, ...]:
        """The rules, those that are not enabled too."""
        settings = self._settings()
        return settings.price_drop, settings.back_in_stock

    def name_items(self, actions: Sequence[Action]) -> Sequence[Action]:
        """The same actions, with the items that their events name: what the recorder does to all of them."""
        known = self._current_namings()
        return [
            replace(each, event=_named(each.event, known))
            if each.event is not None and each.event.metric in known
            else each
            for each in actions
        ]

    def standings(self) -> list[RuleStanding]:
        """How each rule that is enabled stands."""
        last_seq = read_stream(self._catalog).last_seq
        found = []
        for rule in self.rules():
            cursor = cursors.read_cursor(self._people, rule.name)
            if rule.enabled and cursor is not None:
                behind = max(last_seq - cursor.seq, 0)
                found.append(RuleStanding(rule.name, behind, self._told[rule.name]))
        return found

    # what the thread asks

    def register(self) -> None:
        """Have the rules that are new begin at the present end of the stream, and forget where others were."""
        stream, now = read_stream(self._catalog), _now()
        for rule in self.rules():
            cursor = cursors.read_cursor(self._people, rule.name)
            if rule.enabled == (cursor is not None):
                continue
            with writing(self._people) as connection:
                if not rule.enabled:
                    cursors.remove(connection, rule.name)
                elif cursors.find(connection, rule.name) is None:
                    cursors.put(connection, _at_end(rule.name, stream), now)

    def settle(self, rule: RuleSettings, pause: Pause) -> bool:
        """Have what stored events name be what the rule says now; False where that is still to be done."""
        return self._remembering.settle(rule, _now(), pause)

    def forget_old(self, rule: RuleSettings, pause: Pause) -> None:
        """Forget what is too old to matter."""
        if rule.within_s is not None:
            before = _now() - timedelta(seconds=rule.within_s) - MARGIN
            self._remembering.forget_before(rule, int(before.timestamp()), pause)

    def read_on(self, rule: RuleSettings, pause: Pause) -> bool:
        """Read on in the stream by a rule, and tell what is to be told; whether it was not all.

        `pause(seconds)` is called after each transaction with the time that it took; True ends it.

        Raises:
            Moved: another daemon has read on meanwhile, or profiles were merged.
        """
        cursor = cursors.read_cursor(self._people, rule.name)
        stream = read_stream(self._catalog)
        if cursor is None:
            return False
        if cursor.stream_id != stream.stream_id:
            self._move(cursor, _at_end(rule.name, stream))
            log.warning(logs.TELLING_RESTARTED, rule=rule.name, seq=stream.last_seq)
            return True
        if cursor.seq < stream.oldest_seq - 1:
            self._move(cursor, replace(cursor, seq=stream.oldest_seq - 1, position=0))
            missed = stream.oldest_seq - 1 - cursor.seq
            log.warning(logs.TELLING_GAP, rule=rule.name, missed=missed, seq=stream.oldest_seq - 1)
            return True
        if cursor.seq >= stream.last_seq:
            return False
        try:
            part = self._read(rule, cursor, stream)
        except TooOld:  # deleted this moment
            return True
        if read_stream(self._catalog).stream_id != stream.stream_id:
            return True
        self._tell(rule, cursor, part, pause)
        return True

    # reading

    def _read(self, rule: RuleSettings, cursor: Cursor, stream: StreamState) -> Part:
        """Look through pages of the stream until there is somebody to tell."""
        seq = cursor.seq
        news: list[News] = []
        if not interests.is_wanted(self._people, rule.name):
            return Part(news, stream.last_seq)
        for _ in range(MOST_PAGES):
            page = changes.read_changes(
                self._catalog,
                since=seq,
                before=stream.last_seq + 1,
                limit=PAGE,
                kinds=_KINDS,
                fields=None if rule.once else PRICE_FIELDS,
            )
            seq = page[-1].seq or seq if len(page) == PAGE else stream.last_seq
            news = list(self._news(rule, stream.stream_id, page))
            if news or seq == stream.last_seq:
                break
        return Part(news, seq)

    def _news(self, rule: RuleSettings, stream_id: str, page: Sequence[Change]) -> Iterator[News]:
        """What of a page is to be told, if there is anybody who wants to know of the item."""
        catalogs = self._catalogs(rule)
        found = [each for each in page if each.feed in catalogs and may_matter(rule, each)]
        names = {each.seq: item_names(each.item, catalogs[each.feed]) for each in found}
        wanted = interests.named(
            self._people, rule.name, {name for pair in names.values() for name in pair}
        )
        found = [each for each in found if any(name in wanted for name in names[each.seq])]
        for start in range(0, len(found), ITEMS_AT_ONCE):
            some = found[start : start + ITEMS_AT_ONCE]
            around = history.read_around(self._catalog, some)
            live = self._live_feeds(some, list(catalogs))
            for change in some:
                reached = _reached(change, names[change.seq], catalogs, live)
                if reached is None or change.seq not in around:
                    continue
                properties = _properties(rule, change, *around[change.seq])
                if properties is not None:
                    told = _event(rule, stream_id, change, names[change.seq][1], properties)
                    event = _named(told, self._current_namings())
                    most = sum(wanted.get(name, 0) for name in reached)
                    yield News(change.seq or 0, change.item, reached, most, event)

    def _catalogs(self, rule: RuleSettings) -> dict[str, str]:
        """The feeds whose items a rule is about, in the order of the configuration, with their catalogs."""
        return {
            name: feed.catalog
            for name, feed in self._settings().feeds.items()
            if not rule.catalogs or feed.catalog in rule.catalogs
        }

    def _live_feeds(self, some: Sequence[Change], feeds: list[str]) -> dict[str, set[str]]:
        """Which feeds have items live under the same ids."""
        if len(feeds) < 2 or not some:
            return {}
        ids = list({each.item for each in some})
        found: dict[str, set[str]] = {}
        limit = len(ids) * len(feeds)
        for item in read.read_items(self._catalog, feeds=feeds, ids=ids, limit=limit):
            found.setdefault(item.id, set()).add(item.feed)
        return found

    # writing

    def _move(self, old: Cursor, new: Cursor) -> None:
        with writing(self._people) as connection:
            cursors.move(connection, old, new, _now())

    def _tell(self, rule: RuleSettings, cursor: Cursor, part: Part, pause: Pause) -> None:
        """Write the events of a part of the stream, some in each transaction, and move the cursor with them."""
        left, events = part.news, 0
        while cursor.seq < part.through:
            began = time.monotonic()
            with writing(self._people) as connection:
                cursors.check(connection, cursor)
                batch = Batch(connection, rule, self._current_namings())
                actions, moved = batch.collect(cursor, left)
                left = [each for each in left if each.seq > moved.seq]
                if not left:
                    moved = replace(moved, seq=part.through)
                outcomes = record(connection, actions, _now())
                cursors.put(connection, moved, _now())
            written = sum(outcome.event is not None for outcome in outcomes)
            self._told[rule.name] += written
            events += written
            cursor = moved
            if pause(time.monotonic() - began):
                break
        if events:
            items = len(part.news) - len(left)
            log.info(logs.PEOPLE_TOLD, rule=rule.name, events=events, items=items, seq=cursor.seq)

    def _current_namings(self) -> Namings:
        rules = self.rules()
        if self._namings[0] != rules:
            self._namings = (rules, namings(rules))
        return self._namings[1]


def _properties(
    rule: RuleSettings, change: Change, before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any] | None:
    """What the event that tells of a change says; None where it is nothing to tell."""
    if rule.once:
        return told_properties(change, after) if is_back(change, before, after) else None
    drop = price_drop(before, after, rule.min_drop)
    return None if drop is None else told_properties(change, after) | drop_properties(drop)


def _event(
    rule: RuleSettings, stream_id: str, change: Change, full_name: str, properties: dict[str, Any]
) -> NewEvent:
    unique_id = f"{stream_id}:{change.seq}:{rule.name}"
    said = {"$event_id": unique_id, **properties, "CatalogItemID": full_name}
    return NewEvent(
        metric=rule.metric,
        at=int(change.at.timestamp()),
        properties=msgspec.json.encode(said),
        unique_id=unique_id,
    )


def _reached(
    change: Change,
    names: tuple[str, str],
    catalogs: dict[str, str],
    live: dict[str, set[str]],
) -> tuple[str, str] | None:
    """Under which of its names a changed item is what a lookup finds: no feed before its own has the id; None for none.

    An id means the first feed of all that has it, catalog and id the first one of that catalog.
    """
    own, others = change.feed, live.get(change.item, set())
    before = [name for name in takewhile(lambda name: name != own, catalogs) if name in others]
    if any(catalogs[name] == catalogs[own] for name in before):
        return None
    return (names[1], names[1]) if before else names


def _named(event: NewEvent, known: Namings) -> NewEvent:
    return replace(event, items=named_items(event.metric, event.properties, known))


def _at_end(name: str, stream: StreamState) -> Cursor:
    return Cursor(name=name, stream_id=stream.stream_id, seq=stream.last_seq)


def _now() -> datetime:
    return datetime.now(UTC)
