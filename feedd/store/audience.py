"""Whom a change is told to: the events of one transaction, for those who want to know of what changed."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from feedd.people.interest import UNTIL, Namings, named_items
from feedd.people.values import Action, Identifiers, NewEvent, Source
from feedd.settings import RuleSettings
from feedd.store import interests
from feedd.store.cursors import Cursor
from feedd.store.interests import Interested, Wish
from feedd.store.recording import key_of

MOST_AT_ONCE = 500  # events in a transaction: others wait for it
NEWS_AT_ONCE = 100  # each is a question of its own
_EVER = -(1 << 62)


class News(NamedTuple):
    """What is to be told of one change: under which names of its item somebody may want to know, and the event that tells.

    `most` is how many that were when it was read, or more.
    """

    seq: int
    item: str
    names: tuple[str, str]
    most: int
    event: NewEvent


class Batch:
    """The events of one transaction."""

    def __init__(self, connection: Connection, rule: RuleSettings, known: Namings) -> None:
        self._connection = connection
        self._rule = rule
        self._known = known
        self._metric = interests.metric_number(connection, rule.metric)

    def collect(self, cursor: Cursor, news: Sequence[News]) -> tuple[list[Action], Cursor]:
        """Some of the events that tell the news after a cursor, and where the cursor is once they are written.

        A wish that is over once it was told of must not be told of twice, so an item comes once in a transaction.
        """
        actions: list[Action] = []
        room, seen = MOST_AT_ONCE, set()
        seq = cursor.seq
        for each in news[:NEWS_AT_ONCE]:
            if room <= 0 or (self._rule.once and each.item in seen):
                break
            seen.add(each.item)
            after = cursor.position if each.seq == cursor.seq + 1 else 0
            people, reached = interests.audience(
                self._connection,
                self._wish(each),
                after=after,
                limit=None if each.most <= room else room,
            )
            actions += [_action(person, each) for person in people if self._did_want(person, each)]
            if reached is not None:
                return actions, replace(cursor, seq=each.seq - 1, position=reached)
            room -= len(people)
            seq = each.seq
        return actions, replace(cursor, seq=seq, position=0)

    def _wish(self, news: News) -> Wish:
        key = key_of(news.event)
        return Wish(
            rule=self._rule.name,
            until=self._rule.name + UNTIL,
            names=news.names,
            earliest=self._earliest(news),
            told_by=self._metric,
            key=0 if key is None else key,
        )

    def _earliest(self, news: News) -> int:
        within = self._rule.within_s
        return _EVER if within is None else news.event.at - int(within)

    def _did_want(self, person: Interested, news: News) -> bool:
        """Whether somebody wanted to know when it happened; what is kept is the newest event only, which may be a later one."""
        if person.wished_at <= news.event.at:
            return True
        said = interests.said_until(
            self._connection,
            person.number,
            self._rule.metrics,
            earliest=self._earliest(news),
            latest=news.event.at,
        )
        wanted = {(self._rule.name, name) for name in news.names}
        for metric, at, properties in said:
            if not wanted.isdisjoint(named_items(metric, properties, self._known)):
                return person.ended_at is None or at > person.ended_at
        return False


def _action(person: Interested, news: News) -> Action:
    return Action(
        who=Identifiers(profile=person.uid),
        event=news.event,
        trusted=True,
        source=Source.FEEDD,
        only_existing=True,
    )
