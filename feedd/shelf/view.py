"""Answers what templates ask of the catalog. Part of the daemon, or of a command where none runs.

A `View` is one position of the change stream, in one read snapshot. What is asked of the catalog as it was is answered by walking
the kept changes back from there. Answers to the larger questions are kept for as long as the position stands.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from feedd.errors import TooOld, UsageError
from feedd.model import ChangeKind
from feedd.settings import Settings
from feedd.shelf import differences
from feedd.shelf.answers import Answers
from feedd.shelf.differences import ItemDifference
from feedd.shelf.feeds import ShelfFeed
from feedd.store.at import (
    ItemThen,
    Moment,
    changes_of_keys,
    committed_at,
    feed_ids,
    items_at,
    keys_of_ids,
)
from feedd.store.changes import read_changes
from feedd.store.database import Database
from feedd.store.feeds import stream_of
from feedd.templates.queries import read_changes_query, read_items_query
from feedd.templates.wire import AskChanges, AskHistory, AskItem, AskItems

if TYPE_CHECKING:  # what counts in numpy is imported when it is asked for
    from feedd.shelf.shelves import Shelves

Question = AskItem | AskItems | AskChanges | AskHistory

DEFAULT_CATALOG = "$default"
MOST_HISTORY = 100
MOST_TOUCHED = 1_000
MOST_BYTES = 16 * 1024**2  # of an answer
_NOTHING = b"null"


class Found(Struct, frozen=True, kw_only=True):
    """An item, as templates get it. `fields` are what the feed says of it; `removed` is one that its feed no longer has."""

    feed: str
    catalog: str
    id: str
    fields: Raw
    removed: bool
    version: int | None
    created_at: datetime
    changed_at: datetime | None


class Difference(Struct, frozen=True, kw_only=True):
    """How an item differs from what it was; the numbers only where both values are some."""

    item: Found
    kind: ChangeKind
    field: str | None
    old: Any
    new: Any
    fields: dict[str, dict[str, Any]]
    difference: float | None
    percent: float | None
    at: datetime
    seq: int


class Told(Struct, frozen=True, kw_only=True):
    """One change of an item."""

    at: datetime
    seq: int
    kind: ChangeKind
    fields: dict[str, dict[str, Any]]


class NoAnswer(Struct, frozen=True):
    """Why there is no list or item: nothing has the name of the catalog, it would be too large, or it could be any of several."""

    problem: str
    hint: str


class Basis(NamedTuple):
    """What answers rest on beside their position, with which they hold: what is kept of the stream, and of items."""

    stream_id: str
    oldest_seq: int
    erasures: int


class View:
    """The catalog at one position: right after the change `seq`, which was committed at `committed_at` (None: there is none)."""

    def __init__(self, shelf: "Shelf", moment: Moment) -> None:
        stream = moment.stream
        self.stream_id = stream.stream_id
        self.basis = Basis(stream.stream_id, stream.oldest_seq, stream.erasures)
        self.seq = moment.seq
        self.committed_at = committed_at(moment.connection, moment.seq)
        self._shelf = shelf
        self._moment = moment
        self.settings = settings = shelf.settings()  # which a reload replaces by others
        known = feed_ids(moment.connection, list(settings.feeds))
        # in the order of the configuration
        self._all = [
            ShelfFeed(name, feed.catalog, *known[name])
            for name, feed in settings.feeds.items()
            if name in known
        ]
        self._catalogs = {feed.catalog for feed in settings.feeds.values()}
        self._feeds = set(settings.feeds)
        self._by_id = {feed.id: feed for feed in self._all}

    def answer(self, question: Question) -> bytes:
        """What a template asked for, as JSON; `null` where there is nothing.

        Raises:
            TooOld: retention has deleted meanwhile what the answer is made of.
        """
        if isinstance(question, AskItem):
            return self._item(question)
        if isinstance(question, AskHistory):
            return self._history(question)
        return self._shelf.kept(self, question, self._list)

    def _item(self, question: AskItem) -> bytes:
        name = question.catalog or ""
        named = self._named(name) if name else None
        if name and named is None and question.only and name != DEFAULT_CATALOG:
            return msgspec.json.encode(self._no_catalog(name))
        feeds = self._default_first() if named is None else named
        items = self._by_the_id(question.item, feeds)
        if not items:
            return _NOTHING
        if name and named is None:  # such as that of an integration, or a misspelled one
            live = [each for each in items if each.is_live] or items
            catalogs = {feed.id: feed.catalog for feed in feeds}
            if len({catalogs[each.feed_id] for each in live}) > 1:
                return msgspec.json.encode(self._any_of(live, name))
        places = {feed.id: place for place, feed in enumerate(feeds)}
        first = min(items, key=lambda each: (not each.is_live, places[each.feed_id]))
        return msgspec.json.encode(self._found(first))

    def _history(self, question: AskHistory) -> bytes:
        feeds = [feed for feed in self._all if feed.name == question.feed]
        told: list[Told] = []
        for item in self._by_the_id(question.item, feeds):
            changes = changes_of_keys(
                self._moment.connection,
                [item.key],
                after=self._moment.stream.oldest_seq - 1,
                through=self.seq,
                limit=MOST_HISTORY,
            )
            told = [
                Told(at=each.at, seq=each.seq, kind=each.kind, fields=_pairs(each.fields))
                for each in changes
            ]
        while len(answer := msgspec.json.encode(told)) > MOST_BYTES:
            told = told[: len(told) // 2]
        return answer

    def _list(self, question: AskItems | AskChanges) -> bytes:
        feeds = self._named(question.catalog)
        if feeds is None:
            return msgspec.json.encode(self._no_catalog(question.catalog))
        found: list[Found] | list[Difference]
        if isinstance(question, AskItems):
            from feedd.shelf import listing

            query = read_items_query(question.query)
            items = listing.list_items(self._moment, feeds, self._shelf.shelves, query)
            found = list(map(self._found, items))
        else:
            differing = differences.differences(
                self._moment, feeds, read_changes_query(question.query)
            )
            found = list(map(self._differing, differing))
        answer = msgspec.json.encode(found)
        if len(answer) > MOST_BYTES:
            size = f"{MOST_BYTES // 1024**2} MB"
            return msgspec.json.encode(
                NoAnswer(f"these {len(found)} items have more than {size}", "Take fewer: limit=6.")
            )
        return answer

    def _by_the_id(self, item_id: str, feeds: Sequence[ShelfFeed]) -> list[ItemThen]:
        if "\0" in item_id or not feeds:  # PostgreSQL refuses it
            return []
        connection = self._moment.connection
        keys = keys_of_ids(connection, [item_id], [feed.id for feed in feeds])
        return list(items_at(self._moment, list(keys.values())).values()) if keys else []

    def _named(self, name: str | None) -> list[ShelfFeed] | None:
        """The feeds that a name means: those of a catalog, or one; None where it is the name of nothing.

        No name means the default catalog, or all feeds where that has none.
        """
        if not name:
            name = DEFAULT_CATALOG
            if name not in self._catalogs:
                return self._all
        elif name == DEFAULT_CATALOG.removeprefix("$") and name not in self._catalogs | self._feeds:
            name = DEFAULT_CATALOG
        if name in self._catalogs:
            return [feed for feed in self._all if feed.catalog == name]
        if name in self._feeds:
            return [feed for feed in self._all if feed.name == name]
        return None

    def _default_first(self) -> list[ShelfFeed]:
        """All feeds, those of the default catalog before the others."""
        return sorted(self._all, key=lambda feed: feed.catalog != DEFAULT_CATALOG)

    def _no_catalog(self, name: str) -> NoAnswer:
        there = ", ".join(sorted(self._catalogs | self._feeds)) or "none yet"
        return NoAnswer(
            f"there is no catalog and no feed {name!r}", f"Catalogs and feeds: {there}."
        )

    def _any_of(self, items: Sequence[ItemThen], name: str) -> NoAnswer:
        have = {each.feed_id for each in items}
        feeds = [feed.name for feed in self._all if feed.id in have]
        no_catalog = self._no_catalog(name)
        return NoAnswer(
            f"more than one catalog has it (of the feeds {', '.join(feeds)}), and {no_catalog.problem}",
            f'Name the one that is meant, such as catalog_id="{feeds[0]}". {no_catalog.hint}',
        )

    def _found(self, item: ItemThen) -> Found:
        feed = self._by_id[item.feed_id]
        return Found(
            feed=feed.name,
            catalog=feed.catalog,
            id=item.id,
            fields=Raw(item.fields),
            removed=not item.is_live,
            version=item.version,
            created_at=item.created_at,
            changed_at=item.changed_at,
        )

    def _differing(self, each: ItemDifference) -> Difference:
        return Difference(
            item=self._found(each.item),
            kind=each.kind,
            field=each.field,
            old=each.old,
            new=each.new,
            fields=_pairs(each.fields),
            difference=each.difference,
            percent=each.percent,
            at=each.last.at,
            seq=each.last.seq,
        )


class Shelf:
    """Opens views of the catalog, and has at hand what they need to be quick."""

    def __init__(self, catalog: Database, settings: Callable[[], Settings]) -> None:
        self.settings = settings
        self._catalog = catalog
        self._answers = Answers()

    @cached_property
    def shelves(self) -> "Shelves":
        """The columns of the feeds."""
        from feedd.shelf.shelves import Shelves

        return Shelves(self._catalog)

    @contextlib.contextmanager
    def view(self, at: int | None = None) -> Iterator[View]:
        """The catalog right after the change `at`, or as it is. Everything that a view answers is of one moment.

        Raises:
            TooOld: it cannot be said any more, since changes after `at` have been deleted.
            UsageError: the stream has not come so far.
        """
        with self._catalog.snapshot(by_key=True) as connection:
            stream = stream_of(connection)
            seq = stream.last_seq if at is None else at
            if seq < stream.oldest_seq - 1:
                raise TooOld(
                    f"changes after {seq}",
                    stream.oldest_seq,
                    hint=f"The earliest position is {stream.oldest_seq - 1}.",
                )
            if seq > stream.last_seq:
                raise UsageError(
                    f"there is no change {seq} yet", hint=f"The newest one is {stream.last_seq}."
                )
            yield View(self, Moment(connection, stream, seq))

    def touched(self, after: int, up_to: int) -> list[tuple[str, str]] | None:
        """The (feed, item id) of what has changed after one position and up to another; None where that is too much to say."""
        if after == up_to:
            return []
        if after == 0 or after > up_to:
            return None
        try:
            found = read_changes(
                self._catalog, since=after, before=up_to + 1, limit=MOST_TOUCHED + 1
            )
        except TooOld:
            return None
        if len(found) > MOST_TOUCHED:
            return None
        return list(dict.fromkeys((each.feed, each.item) for each in found))

    def kept(
        self,
        view: View,
        question: AskItems | AskChanges,
        answer: Callable[[AskItems | AskChanges], bytes],
    ) -> bytes:
        """The answer to a question that takes long, which is the same for as long as position, basis and settings stand."""
        key = (view.basis, view.seq, question)
        found = self._answers.find(view.settings, key)
        if found is None:
            found = answer(question)
            self._answers.keep(view.settings, key, found)
        return found


def _pairs(fields: dict[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"old": old, "new": new} for name, (old, new) in fields.items()}
