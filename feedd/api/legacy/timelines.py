"""Timelines of v1: events of a person, of a metric, of both or of everybody, a page at a time.

A page begins at `since` and goes on with the token that the page before ended with, `SECONDS-ID` of its last event: an exact position, so
that no event is shown twice or left out whatever is recorded meanwhile.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

from fastapi import Response

from feedd.api.legacy.calls import Call, answer
from feedd.api.legacy.people import nobody, person_of
from feedd.errors import UsageError
from feedd.people.values import Event, Kind
from feedd.store import events, profiles
from feedd.store.events import Position

MOST = 100
SORTS = ("desc", "asc")
PARAMETERS = (
    (
        "since",
        "string",
        "Where to begin: Unix seconds, `next` of the page before, or the uuid of an event. Now where it is left out",
    ),
    ("count", "integer", f"How many events, {MOST} at most"),
    ("sort", "string", "`desc` from there into the past, `asc` into the future"),
)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_MILLISECONDS = re.compile(r"\d{12,}", re.ASCII)


def timeline(call: Call, *, profile: int | None, metric: int | None, default: int) -> Response:
    """A page of events; `profile` and `metric` are the numbers of their rows, `default` is the size of a page.

    Raises:
        UsageError: a parameter cannot be used.
    """
    count = call.count("count", default=default, most=MOST)
    oldest_first = call.choice("sort", SORTS) == "asc"
    since, after = starting_point(call.text("since"))
    if since is None and after is None:  # from now on there is nothing yet
        since, oldest_first = int(time.time()), False
    page = events.read_timeline(
        call.app.people,
        profile=profile,
        metric=metric,
        since=since if oldest_first else None,
        before=None if oldest_first or since is None else since + 1,
        after=after,
        oldest_first=oldest_first,
        limit=count,
    )
    people = _people(call, page.events)
    return answer(
        {
            "object": "$list",
            "count": len(page.events),
            "data": [event_of(each, people) for each in page.events],
            "next": None if page.next is None else token_of(page.next),
        }
    )


def token_of(position: Position) -> str:
    """What stands for a position in `next`."""
    return f"{position.at}-{events.uuid_of(position)}"


def starting_point(text: str | None) -> tuple[int | None, Position | None]:
    """The second, or the position, that `since` means; neither where nothing is said. Raises UsageError."""
    if text is None:
        return None, None
    if _SECONDS.fullmatch(text):
        return int(text), None
    position = events.position_of_uuid(text) or events.position_of_uuid(text.partition("-")[2])
    if position is None:
        raise UsageError(
            "since is in milliseconds" if _MILLISECONDS.fullmatch(text) else "since cannot be read",
            hint="Send Unix seconds (1767225600), `next` of the page before, or the uuid of an event.",
        )
    return None, position


def event_of(event: Event, people: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An event as v1 shows one."""
    timestamp = int(event.at.timestamp())
    said = {} if event.value is None else {"$value": event.value}
    return {
        "object": "event",
        "id": event.uuid,
        "uuid": event.uuid,
        "statistic_id": event.metric_id,
        "event_name": event.metric,
        "timestamp": timestamp,
        "datetime": event.at.strftime("%Y-%m-%d %H:%M:%S+00:00"),
        # without an id of its own, its second is what an event is told from others by
        "event_properties": {"$event_id": str(timestamp), **said, **event.members()},
        "person": people.get(event.profile) or nobody(event.profile),
    }


def _people(call: Call, found: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """The people of some events by their ids; nobody for a key that may not read people."""
    if not found or not call.may_read("profiles"):
        return {}
    asked = [(Kind.PROFILE, uid) for uid in {event.profile for event in found}]
    with call.app.people.snapshot() as connection:
        numbers = profiles.owners_of(connection, asked)
        listed = profiles.read_profiles(connection, numbers=list(set(numbers.values())))
    return {each.id: person_of(each) for each in listed}
