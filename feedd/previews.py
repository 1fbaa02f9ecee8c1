"""One message, rendered for one person as it would be sent: what `feedd render` and the API's previews show."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from feedd.errors import NotFound, UsageError
from feedd.links import LinkTo, PersonalLinks
from feedd.model import Template
from feedd.people.values import Event, Identifiers, Profile
from feedd.persons import Persons
from feedd.rendering import Recipient, Rendered, Renderer, RenderFailed, Source, Wanted
from feedd.rendering.values import made_up, variables
from feedd.settings import Settings
from feedd.store import events
from feedd.store.database import Database
from feedd.stored_templates import StoredTemplates
from feedd.templates.wire import Failed, Position, Problem, Used, UsedFeed

_YEARS = range(1900, 9000)  # so that weeks can be counted both ways from a time, in any zone


class Preview(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to render for whom.

    The template is `template` (the id or name of a stored one) or `html`, with `text`, `subject` and `preview_text`. `profile` is
    who it is for, `event` the uuid of what they did, or the name of a metric (the newest one of it), or properties that are made up.
    `context` are variables that win over those. `at` is a position of the change stream, `now` the time that the template sees, in
    the zone of the account where it names none; `wants_warnings` asks for what
    renders and cannot be meant, which takes time.
    """

    template: str | None = None
    html: str | None = None
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None
    profile: Identifiers | None = None
    event: str | dict[str, Any] | None = None
    context: dict[str, Any] = {}
    at: int | None = None
    now: datetime | None = None
    wants_text: bool = True
    wants_warnings: bool = False
    inline_css: bool = True


class Failure(Struct, frozen=True, kw_only=True):
    """Why there is no message: `kind` is syntax (mend the template), lookup (this recipient is skipped), limit or error.

    `part` is the part of the template, `line` and `column` (from 1) are in it.
    """

    kind: str
    code: str
    message: str
    hint: str | None = None
    part: str = "html"
    line: int | None = None
    column: int | None = None


class Previewed(Struct, frozen=True, kw_only=True):
    """The message, or why there is none: `status` is rendered, skipped or failed.

    `position` and `now` name what it was made of: the same again with `at` and `now`. `items` are those that it used, each with the
    number of its last change at the position; `web_feeds` likewise, by the digests of their bodies. `warnings` are what renders and
    cannot be meant, where that was asked for.
    """

    status: str
    html: str | None = None
    text: str | None = None
    subject: str | None = None
    preview_text: str | None = None
    failure: Failure | None = None
    position: Position | None = None
    now: datetime | None = None
    items: tuple[Used, ...] = ()
    web_feeds: tuple[UsedFeed, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Previews:
    """Renders single messages, with what is stored of people."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        people: Database,
        persons: Persons,
        renderer: Renderer,
        templates: Callable[[], StoredTemplates],
        links: PersonalLinks,
        check: Callable[[str], Sequence[Problem]],
    ) -> None:
        self._settings = settings
        self._people = people
        self._persons = persons
        self._renderer = renderer
        self._templates = templates
        self._links = links
        self._check = check

    def render(self, preview: Preview) -> Previewed:
        """The message, or why there is none.

        Raises:
            NotFound: there is no such template, profile or event.
            UsageError: two templates are given, or none; the position is not in the stream any more, or not yet; no
                message is sent at that time.
            Overloaded: everything that renders is busy.
        """
        if preview.now is not None and preview.now.year not in _YEARS:
            years = f"Name a time from {_YEARS[0]} to {_YEARS[-1]}."
            raise UsageError(f"no message is sent at {preview.now.isoformat()}", hint=years)
        stored = None if preview.template is None else self._templates().named(preview.template)
        source = _source(preview, stored)
        profile = None if preview.profile is None else self._persons.find(preview.profile)
        event = self._event(preview.event, profile) if isinstance(preview.event, str) else None
        if event is not None and profile is None:
            profile = self._persons.find(Identifiers(profile=event.profile))
        account = self._settings().account
        recipient = Recipient(
            values=variables(account, profile=profile, event=event, more=_given(preview)),
            seed="" if profile is None else profile.id,
            links=lambda position: self._links.all_of(
                LinkTo(
                    profile=None if profile is None else profile.id,
                    template=None if stored is None else stored.id,
                    position=position,
                )
            ),
        )
        wanted = Wanted(
            text=preview.wants_text,
            inlines=preview.inline_css,
            at=preview.at,
            now=_in_zone(preview.now, account.timezone),
        )
        try:
            found = _previewed(self._renderer.render(source, recipient, wanted))
        except RenderFailed as error:
            return _failed(error.failure)
        return replace(found, warnings=self._warnings(source)) if preview.wants_warnings else found

    def _warnings(self, source: Source) -> tuple[Problem, ...]:
        found: list[Problem] = []
        for part in ("html", "text", "subject", "preview_text"):
            written = getattr(source, part)
            with suppress(
                RenderFailed
            ):  # the message is there, whatever can be said of its template
                found += [replace(each, part=part) for each in self._check(written or "")]
        return tuple(each for each in found if each.severity == "warning")

    def _event(self, named: str, profile: Profile | None) -> Event:
        found = events.read_event_by_uuid(self._people, named)
        if found is None:
            found = self._newest(named, profile)
        if profile is not None and found.profile != profile.id:
            raise UsageError(
                f"the event {found.uuid} is of somebody else",
                hint="Leave the profile out, or name an event of theirs.",
            )
        return found

    def _newest(self, metric: str, profile: Profile | None) -> Event:
        number = self._persons.metric(metric).number
        page = events.read_timeline(
            self._people,
            metric=number,
            profile=None if profile is None else profile.number,
            limit=1,
        )
        if not page.events:
            raise NotFound(f"there is no event {metric!r} of theirs", hint="Leave the event out.")
        return page.events[0]


def _given(preview: Preview) -> dict[str, Any]:
    """The variables that are not those of what is stored."""
    if not isinstance(preview.event, dict):
        return preview.context
    return {"event": made_up(preview.event), **preview.context}


def _in_zone(now: datetime | None, zone: str) -> datetime | None:
    """The moment; a time that names no zone is one of this zone."""
    return now.replace(tzinfo=ZoneInfo(zone)) if now is not None and now.tzinfo is None else now


def _source(preview: Preview, stored: Template | None) -> Source:
    """What is rendered. Raises UsageError: that is two templates, or none."""
    if (preview.html is None) == (stored is None):
        raise UsageError("one template is rendered", hint="Give html, or the id of a template.")
    html, text = preview.html, preview.text
    if stored is not None:
        html, text = stored.html, text if text is not None else stored.text
    return Source(
        html=html or "",
        text=text,
        subject=preview.subject,
        preview_text=preview.preview_text,
    )


def _previewed(done: Rendered) -> Previewed:
    return Previewed(
        status="rendered",
        html=done.html.decode("utf-8", "replace"),
        text=done.text,
        subject=done.subject,
        preview_text=done.preview_text,
        position=done.position,
        now=done.now,
        items=done.items,
        web_feeds=done.feeds,
    )


def _failed(failed: Failed) -> Previewed:
    known = {name: getattr(failed, name) for name in Failure.__struct_fields__}
    return Previewed(
        status="skipped" if failed.kind == "lookup" else "failed",
        failure=msgspec.convert(known, Failure),
    )
