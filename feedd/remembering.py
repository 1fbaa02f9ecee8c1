"""Keeps what stored events name in step with the rules: when a rule has changed, its events are gone through again.

A marker in `cursors` says for which rule what is kept was made, and whether somebody is at it. Nobody is told of anything by a rule
meanwhile; the change stream waits.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from feedd import logs
from feedd.people.interest import UNTIL, named_items, namings
from feedd.settings import RuleSettings
from feedd.store import cursors, interests
from feedd.store.cursors import Cursor
from feedd.store.database import Database
from feedd.store.recording import writing

EVENTS_AT_ONCE = 1_000
ROWS_AT_ONCE = 5_000
MARGIN = timedelta(days=1)  # beyond a rule's time, for the stream may be read late
GIVEN_UP_S = 120.0  # a daemon that does nothing for so long has ended
_EVER = -(1 << 62)
_MARK = (
    ".rules"  # behind a rule's name: its marker. Its position is 0, or how far somebody is, below 0
)

log = logs.get_logger("feedd")
Pause = Callable[[float], bool]


class Remembering:
    """What is kept of a database's events, as far as this process has seen to it."""

    def __init__(self, people: Database) -> None:
        self._people = people
        self._looked: dict[str, str] = {}  # by rule, the digest of what was looked at last
        self._mine: dict[str, int] = {}  # and the number of what this process has begun
        self._others: dict[str, tuple[Cursor, float]] = {}

    def settle(self, rule: RuleSettings, now: datetime, pause: Pause) -> bool:
        """Have what is kept be what a rule says; False where that is still to be done, here or by another daemon.

        Daemons that share a database and have different rules do not undo each other's work: each sees to its own once.

        Raises:
            Moved: another daemon has begun to do it.
        """
        digest = _digest(rule)
        marker = cursors.read_cursor(self._people, rule.name + _MARK)
        is_new = self._looked.get(rule.name) != digest
        self._looked[rule.name] = digest
        if marker is None:
            return self._anew(rule, digest, 0, now, pause)
        if marker.position == 0 and (not is_new or marker.stream_id == digest):
            return True
        mine = self._mine.get(rule.name) == marker.seq
        if marker.position == 0 or is_new or mine or self._is_given_up(marker):
            return self._anew(rule, digest, marker.seq, now, pause)
        return False

    def forget_before(self, rule: RuleSettings, before: int, pause: Pause) -> int:
        """Forget what is older than a time, in Unix seconds; how much that was."""
        count = 0
        for kept_as in _names(rule):
            after: tuple[str, int] | None = ("", 0)
            while after is not None:
                began = time.monotonic()
                old, after = interests.old_ones(self._people, kept_as, after, before, ROWS_AT_ONCE)
                if old:
                    with writing(self._people) as connection:
                        interests.drop_old(connection, old, before)
                count += len(old)
                if pause(time.monotonic() - began):
                    return count
        return count

    def _is_given_up(self, marker: Cursor) -> bool:
        """Whether nothing was done for a while by whoever began."""
        known, since = self._others.get(marker.name, (None, 0.0))
        if known != marker:
            self._others[marker.name] = (marker, time.monotonic())
            return False
        return time.monotonic() - since > GIVEN_UP_S

    def _anew(
        self, rule: RuleSettings, digest: str, number: int, now: datetime, pause: Pause
    ) -> bool:
        """Drop what is kept, and keep what the stored events name; False where it was broken off."""
        mark = Cursor(name=rule.name + _MARK, stream_id=digest, seq=number + 1, position=-1)
        with writing(self._people) as connection:
            cursors.put(connection, mark, now)
        self._mine[rule.name] = mark.seq
        for rows in self._steps(rule, now):
            began = time.monotonic()
            with writing(self._people) as connection:
                cursors.check(connection, mark)
                if rows is None:
                    interests.drop(connection, _names(rule), ROWS_AT_ONCE)
                else:
                    interests.enter_again(connection, rows)
                mark = replace(mark, position=mark.position - 1)
                cursors.put(connection, mark, now)
            if pause(time.monotonic() - began):
                return False
        with writing(self._people) as connection:
            cursors.move(connection, mark, replace(mark, position=0), now)
        if mark.position < -1:
            log.info(logs.RULE_CHANGED, rule=rule.name)
        return True

    def _steps(self, rule: RuleSettings, now: datetime) -> Iterator[list[interests.Row] | None]:
        """What is to be done, each in a transaction of its own: rows to keep; None to drop some of what is kept."""
        while interests.is_wanted(self._people, *_names(rule)):
            yield None
        known = namings([rule])
        within = None if rule.within_s is None else timedelta(seconds=rule.within_s) + MARGIN
        earliest = _EVER if within is None else int((now - within).timestamp())
        for metric in known:
            after = (earliest, 0)
            while page := interests.said_by_metric(self._people, metric, after, EVENTS_AT_ONCE):
                yield [
                    (*pair, profile, at)
                    for at, _, profile, properties in page
                    for pair in named_items(metric, properties, known)
                ]
                after = page[-1][:2]


def _names(rule: RuleSettings) -> tuple[str, str]:
    """What a rule's rows are kept under."""
    return rule.name, rule.name + UNTIL


def _digest(rule: RuleSettings) -> str:
    """Stands for what decides which items a rule's events name."""
    deciding = (rule.enabled, rule.metrics, rule.properties, rule.until, rule.within_s)
    own = rule.metric if rule.once else None
    return hashlib.sha256(msgspec.json.encode([*deciding, own])).hexdigest()[:32]
