"""What commands say of people and of what they do: objects for programs, tables for others."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from feedd.cli.backend import Backend
from feedd.cli.show import ago, clock, console, emit, is_plain, plain, say, table, text
from feedd.people.columns import SPECIAL
from feedd.people.operations import ReadTimeline
from feedd.people.values import Event, Profile

PAGE = 1_000
MOST_IN_LINE = 80
_LEAST_ROOM = 12
_WIDE = 1_000_000


def name_of(profile: Profile) -> str:
    """How somebody is called: by the first identifier that people know."""
    names = (profile.email, profile.phone_number, profile.external_id, *profile.anonymous_ids)
    return next((name for name in names if name), profile.id)


def profile_object(profile: Profile) -> dict[str, Any]:
    """A profile, for programs: as `profile export` writes it."""
    from feedd.people.exports import line_of

    return line_of(profile)


def event_object(event: Event, person: str | None) -> dict[str, Any]:
    """An event, for programs."""
    return {
        "id": event.uuid,
        "metric": event.metric,
        "profile": event.profile,
        "person": person,
        "at": event.at,
        "value": event.value,
        "properties": event.properties,
        "source": event.source.name.lower(),
    }


def show_profile(profile: Profile) -> None:
    """Print who somebody is and what is known of them."""
    called = " ".join(
        str(value)
        for name in ("$first_name", "$last_name")
        if (value := profile.properties.get(name))
    )
    say(text(f"{called}  {name_of(profile)}".strip(), style="bold"))
    rows = (
        ("feedd's id", profile.id),
        ("email", profile.email),
        ("phone number", profile.phone_number),
        ("external id", profile.external_id),
        ("anonymous ids", ", ".join(profile.anonymous_ids) or None),
        ("known since", f"{clock(profile.created_at)}, changed {ago(profile.updated_at)}"),
        ("last event", ago(profile.last_event_at)),
    )
    for label, value in rows:
        if value is not None:
            say(text(f"  {label:<14}", style="dim"), plain(value))
    if profile.properties:
        say("")
        names = sorted(profile.properties, key=_special_first)
        table(
            ("property", "type", "value"),
            [
                (name, _type_of(profile.properties[name]), profile.properties[name])
                for name in names
            ],
        )


def _special_first(name: str) -> tuple[int, str]:
    return (SPECIAL.index(name) if name in SPECIAL else len(SPECIAL), name)


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), "text")


def timeline(
    backend: Backend, *, limit: int, **wanted: Any
) -> Iterator[tuple[dict[str, Any], Event]]:
    """Events, the newest first, at most so many: as an object for programs, and as they are."""
    after = None
    while limit > 0:
        page = backend.people(ReadTimeline(after=after, limit=min(limit, PAGE), **wanted))
        for event in page.events:
            yield event_object(event, page.people.get(event.profile)), event
        limit -= len(page.events)
        after = page.next
        if after is None:
            return


def show_timeline(found: Iterable[tuple[dict[str, Any], Event]], *, with_people: bool) -> None:
    """Print events as a table; their properties as far as the terminal is wide, or not at all."""
    events = list(found)
    if not events:
        say("No events.")
        return
    rows = [
        [
            clock(event.at),
            event.metric,
            *([made["person"] or event.profile] * with_people),
            event.value,
        ]
        for made, event in events
    ]
    headings = ["when", "event", *(["who"] * with_people), ">value"]
    room = _room(rows)
    if room >= _LEAST_ROOM:
        headings.append("properties")
        for row, (_, event) in zip(rows, events, strict=True):
            row.append(shortened(event.properties, room))
    table(headings, rows)


def _room(rows: list[list[Any]]) -> int:
    """How wide one more column can be."""
    if is_plain():
        return _WIDE
    widths = [max(len(plain(cell)) for cell in cells) for cells in zip(*rows, strict=True)]
    return console().width - sum(widths) - 3 * len(widths) - 2


def show_event(made: dict[str, Any], *, as_json: bool) -> None:
    """Print an event as a line."""
    if as_json:
        emit(made)
        return
    value = "" if made["value"] is None else f"  {made['value']:g}"
    say(
        f"{clock(made['at'])}  {plain(made['metric']):<20}",
        f"{plain(made['person'] or made['profile'])}{value}  {shortened(made['properties'], MOST_IN_LINE)}".rstrip(),
    )


def shortened(properties: dict[str, Any], width: int) -> str:
    """What stands in properties, at most so many characters of it."""
    own = {name: value for name, value in properties.items() if name not in ("$value", "$event_id")}
    shown = ", ".join(f"{name} {_brief(value)}" for name, value in own.items())
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
