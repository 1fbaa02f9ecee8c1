"""Webhooks over the databases: what is to be told, one try to tell it, and what people ask about it.

Part of `App`. It can be used with no daemon; the threads that deliver are the outbox's.
"""

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from feedd.command import CommandFailed, run_command
from feedd.errors import FetchError, NotFound, TooOld, UsageError
from feedd.messages import (
    MOST_CHANGES,
    Message,
    changes_message,
    event_message,
    gap_message,
    is_wanted,
    restart_message,
    signed_headers,
    sync_message,
)
from feedd.model import Change, Delivery, SyncStatus, Trial, WebhookView
from feedd.redaction import escaped, redact_text, redact_url
from feedd.settings import Secret, Settings, WebhookSettings
from feedd.store import changes, deliveries, outcomes, read, webhooks
from feedd.store.database import Database
from feedd.store.deliveries import CHANGES, SYNCS, Waiting
from feedd.store.outcomes import stream_range
from feedd.store.webhooks import Endpoint, Start

COMMAND = "$command"  # what stands for the command of [alerts] among the webhooks
MOST_LOOKED_AT = 10_000  # changes at a time, of which nobody may want one
_HINT = "If it is inside your own network, list the network in allow_private of this webhook."


class Webhooks:
    """The webhooks of a configuration, and where each has got to."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        catalog: Database,
        people: Database,
        *,
        user_agent: str,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._people = people
        self._user_agent = user_agent
        self.on_asked: Callable[[], None] = lambda: None  # when a person wants something sent

    # what people ask

    def views(self) -> list[WebhookView]:
        """Every configured webhook, in the order of the configuration."""
        known = webhooks.read_endpoints(self._people)
        counts = deliveries.counts(self._people)
        last_seq = stream_range(self._catalog)[1]
        return [
            _view(each, known.get(each.name), counts.get(each.name, (0, 0, None)), last_seq)
            for each in self._settings().webhooks.values()
        ]

    def view(self, name: str) -> WebhookView:
        """One of them. Raises NotFound."""
        self.settings_of(name)
        return next(view for view in self.views() if view.name == name)

    def settings_of(self, name: str) -> WebhookSettings:
        """The configuration of a webhook.

        Raises:
            NotFound: none has that name; says which ones there are.
        """
        found = self._settings().webhooks.get(name)
        if found is None:
            names = ", ".join(self._settings().webhooks) or "none"
            raise NotFound(f"there is no webhook {name!r}", hint=f"Configured webhooks: {names}.")
        return found

    def deliveries(
        self,
        *,
        names: Sequence[str] | None = None,
        status: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Delivery]:
        """Messages that wait or are dead, the oldest first."""
        return deliveries.list_deliveries(
            self._people, webhooks=names, status=status, after=after, limit=limit
        )

    def replay(
        self,
        name: str,
        *,
        since: int | None = None,
        dead: bool = False,
        delivery: int | None = None,
    ) -> int:
        """Tell again: the changes after a number, all dead messages, or one; how many changes or messages that is.

        Raises:
            NotFound: there is no such webhook or message.
            UsageError: not one of the three was asked for, or those changes are no longer kept.
        """
        self.checked(name)
        if [since is not None, dead, delivery is not None].count(True) != 1:
            raise UsageError("say what to tell again: changes since a number, all dead, or one")
        now = datetime.now(UTC)
        if since is None:
            number = webhooks.replay_dead(self._people, name, now, delivery=delivery)
            self.on_asked()
            return number
        stream_id, last_seq, oldest_seq = stream_range(self._catalog)
        if since == 0:
            since = oldest_seq - 1
        if since < oldest_seq - 1:
            raise TooOld(
                f"changes after {since}", oldest_seq, hint=f"Replay since {oldest_seq - 1}."
            )
        webhooks.replay_since(self._people, name, since, stream_id)
        self.on_asked()
        return last_seq - since

    def drop(self, delivery: int) -> Delivery:
        """Give up a message: one that waits is dead, a dead one is deleted. Raises NotFound."""
        dropped = deliveries.drop(self._people, delivery, datetime.now(UTC))
        self.on_asked()
        return dropped

    def test(self, name: str, stop: threading.Event | None = None) -> Trial:
        """Send a test message now; one that arrives enables a disabled webhook."""
        webhook, now = self.settings_of(name), datetime.now(UTC)
        data = {"webhook": name, "message": "feedd can reach you"}
        message = event_message(f"test_{uuid.uuid4().hex}", "feedd.test", now, data)
        trial = self._sent(webhook, message.id, message.body, stop)
        webhooks.record_answer(self._people, name, trial.reason, datetime.now(UTC))
        self.on_asked()
        return trial

    def checked(self, name: str) -> str:
        """The name of something that is delivered to. Raises NotFound."""
        return name if name == COMMAND else self.settings_of(name).name

    # what the outbox asks

    def names(self) -> list[str]:
        """What is delivered to: the webhooks that are not paused, and the command."""
        settings = self._settings()
        names = [name for name, webhook in settings.webhooks.items() if webhook.enabled]
        return names + ([COMMAND] if settings.alerts.command else [])

    def register(self, now: datetime) -> None:
        """Store the webhooks that are new: what they are told begins here."""
        stream_id, last_seq, oldest_seq = stream_range(self._catalog)
        newest = outcomes.newest_sync(self._catalog)
        for webhook in self._settings().webhooks.values():
            since = last_seq if webhook.since is None else min(webhook.since, last_seq)
            start = Start(
                stream_id=stream_id,
                seq=(since or oldest_seq - 1) if _wants_changes(webhook) else None,
                sync=newest if _wants_syncs(webhook) else None,
            )
            target = hashlib.sha256(_revealed(webhook.url).encode()).hexdigest()
            webhooks.register(self._people, webhook.name, target, start, now)
        nothing = Start(stream_id=stream_id, seq=None, sync=None)
        webhooks.register(self._people, COMMAND, "", nothing, now)

    def has_news(self, endpoint: Endpoint, lanes: set[str], now: datetime) -> bool:
        """Whether `plan` would do anything: to look is cheap, a lease costs two commits."""
        webhook = self._settings().webhooks.get(endpoint.name)
        if webhook is None:
            return False
        stream_id, last_seq, _ = stream_range(self._catalog)
        followed = (endpoint.stream_id, endpoint.seq is not None, endpoint.sync_through is not None)
        if followed != (stream_id, _wants_changes(webhook), _wants_syncs(webhook)):
            return True
        if CHANGES not in lanes and endpoint.seq is not None and endpoint.seq < last_seq:
            return True
        if SYNCS in lanes or endpoint.sync_through is None:
            return False
        through, taken = endpoint.sync_through, endpoint.syncs_taken
        return bool(outcomes.ended_syncs(self._catalog, through, taken, now, limit=1).syncs)

    def plan(self, endpoint: Endpoint, lanes: set[str], now: datetime) -> bool:
        """Make the next messages of a webhook where none waits in their lane; whether its cursor has moved.

        Raises:
            LeaseLost: it is not this worker's any more.
        """
        webhook = self._settings().webhooks.get(endpoint.name)
        if webhook is None:
            return False
        stream_id, last_seq, oldest_seq = stream_range(self._catalog)
        if endpoint.stream_id != stream_id:
            self._begin_anew(endpoint, webhook, stream_id, last_seq, now)
            return True
        # at once: what is told after one of them is told after the other too
        begun: dict[str, Any] = {}
        if (endpoint.seq is not None) != _wants_changes(webhook):
            begun["seq"] = last_seq if endpoint.seq is None else None
        if (endpoint.sync_through is not None) != _wants_syncs(webhook):
            newest = outcomes.newest_sync(self._catalog) if endpoint.sync_through is None else None
            begun |= {"sync_through": newest, "syncs_taken": []}
        if begun:
            webhooks.advance(self._people, endpoint, now=now, **begun)
            return True
        if CHANGES not in lanes and endpoint.seq is not None and endpoint.seq < last_seq:
            if endpoint.seq < oldest_seq - 1:
                self._say_gap(endpoint, oldest_seq, now)
                return True
            try:
                return self._plan_changes(endpoint, webhook, last_seq, now)
            except TooOld:  # deleted this moment
                return True
        return SYNCS not in lanes and self._plan_sync(endpoint, webhook, now)

    def deliver(self, name: str, waiting: Waiting, stop: threading.Event) -> Trial:
        """Try once to deliver a message. Raises FetchError (`stopped`)."""
        if name != COMMAND:
            return self._sent(self.settings_of(name), waiting.message, waiting.body, stop)
        command = self._settings().alerts.command
        data = _data_of(waiting.body)
        variables = {
            "FEEDD_EVENT": waiting.type,
            "FEEDD_FEED": str(data.get("feed", "")),
            "FEEDD_ALERT": str(data.get("alert", "")),
            "FEEDD_MESSAGE": escaped(str(data.get("message", "")))[:2000],
        }
        try:
            run_command(command, waiting.body.encode() + b"\n", variables=variables, stop=stop)
        except CommandFailed as error:
            return Trial(delivered=False, reason=redact_text(str(error)))
        return Trial(delivered=True)

    def _begin_anew(
        self,
        endpoint: Endpoint,
        webhook: WebhookSettings,
        stream_id: str,
        last_seq: int,
        now: datetime,
    ) -> None:
        """The catalog was restored or made anew: what was told belongs to another history."""
        newest = outcomes.newest_sync(self._catalog)
        told = _wants_changes(webhook) or _wants_syncs(webhook)
        message = restart_message(stream_id, endpoint.stream_id, last_seq=last_seq, now=now)
        webhooks.advance(
            self._people,
            endpoint,
            now=now,
            messages=[(CHANGES, message)] if told else [],
            stream_id=stream_id,
            seq=last_seq if _wants_changes(webhook) else None,
            sync_through=newest if _wants_syncs(webhook) else None,
            syncs_taken=[],
        )

    def _say_gap(self, endpoint: Endpoint, oldest_seq: int, now: datetime) -> None:
        message = gap_message(
            endpoint.stream_id,
            endpoint.generation,
            first_seq=(endpoint.seq or 0) + 1,
            last_seq=oldest_seq - 1,
            now=now,
        )
        webhooks.advance(
            self._people, endpoint, now=now, messages=[(CHANGES, message)], seq=oldest_seq - 1
        )

    def _plan_changes(
        self, endpoint: Endpoint, webhook: WebhookSettings, last_seq: int, now: datetime
    ) -> bool:
        """Read on in the stream until a message is full; changes that nobody wants are passed over."""
        first = seq = endpoint.seq or 0
        wanted: list[Change] = []
        while seq < last_seq and len(wanted) < MOST_CHANGES and seq - first < MOST_LOOKED_AT:
            page = changes.read_changes(self._catalog, since=seq, limit=MOST_CHANGES)
            wanted += [change for change in page if _is_told(webhook, change)]
            seq = page[-1].seq or last_seq if page else last_seq
        messages: list[tuple[str, Message]] = []
        if wanted:
            message = changes_message(endpoint.stream_id, endpoint.generation, wanted)
            messages = [(CHANGES, message)]
            if message.last_seq != wanted[-1].seq:
                seq = message.last_seq or seq
        webhooks.advance(self._people, endpoint, now=now, messages=messages, seq=seq)
        return True

    def _plan_sync(self, endpoint: Endpoint, webhook: WebhookSettings, now: datetime) -> bool:
        """The next sync that has ended and is wanted; others are passed over."""
        if endpoint.sync_through is None:
            return False
        limit = 100
        ended = outcomes.ended_syncs(
            self._catalog, endpoint.sync_through, endpoint.syncs_taken, now, limit=limit
        )
        taken: list[int] = []
        messages: list[tuple[str, Message]] = []
        for number in ended.syncs:
            taken.append(number)
            message = self._sync_message(endpoint, webhook, number)
            if message is not None:
                messages = [(SYNCS, message)]
                break
        if not taken:
            return False
        left = ended.syncs[len(taken) :] or ([taken[-1] + 1] if len(taken) == limit else [])
        settled = min([ended.settled, *(number - 1 for number in left)])
        kept = sorted(n for n in (*endpoint.syncs_taken, *taken) if n > settled)
        webhooks.advance(
            self._people,
            endpoint,
            now=now,
            messages=messages,
            sync_through=max(settled, endpoint.sync_through),
            syncs_taken=kept,
        )
        return True

    def _sync_message(
        self, endpoint: Endpoint, webhook: WebhookSettings, number: int
    ) -> Message | None:
        try:
            record = read.read_sync(self._catalog, number)
        except NotFound:  # no longer kept
            return None
        event = "unchanged" if record.status == SyncStatus.UNCHANGED else "syncs"
        if event not in webhook.events or not concerns(webhook, record.feed):
            return None
        return sync_message(endpoint.stream_id, record)

    def _sent(
        self, webhook: WebhookSettings, message_id: str, body: str, stop: threading.Event | None
    ) -> Trial:
        from feedd.fetch.post import Post, post

        own = [(name, _revealed(value)) for name, value in webhook.headers]
        signed = signed_headers(
            message_id,
            body,
            secrets=[secret.reveal() for secret in webhook.secrets],
            at=int(time.time()),
        )
        message = Post(
            url=_revealed(webhook.url),
            headers=(*own, ("Content-Type", "application/json"), *signed.items()),
            body=body.encode(),
            timeout_s=webhook.timeout_s,
            allow_private=webhook.allow_private,
        )
        try:
            answer = post(message, user_agent=self._user_agent, stop=stop)
        except FetchError as error:
            if error.code == "stopped":
                raise
            hint = f". {_HINT}" if error.code == "blocked_address" else ""
            return Trial(delivered=False, reason=redact_text(f"{error.message}{hint}"))
        if 200 <= answer.status < 300:
            return Trial(delivered=True, http_status=answer.status)
        return Trial(
            delivered=False,
            http_status=answer.status,
            reason=_refusal(answer.status),
            retry_after_s=answer.retry_after_s,
        )


def _refusal(status: int) -> str:
    if status == 410:
        return webhooks.GONE
    note = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    return f"the receiver answered {status}{note}"


def _view(
    webhook: WebhookSettings,
    stored: Endpoint | None,
    counted: tuple[int, int, datetime | None],
    last_seq: int,
) -> WebhookView:
    waiting, dead, next_try = counted
    seq = stored.seq if stored else None
    status = "ok"
    if not webhook.enabled:
        status = "paused"
    elif stored is not None and stored.disabled_at is not None:
        status = "disabled"
    elif stored is not None and stored.error is not None:
        status = "failing"
    return WebhookView(
        name=webhook.name,
        url=_shown_url(webhook.url),
        status=status,
        events=webhook.events,
        seq=seq,
        behind=None if seq is None else max(last_seq - seq, 0),
        waiting=waiting,
        dead=dead,
        delivered=stored.delivered if stored else 0,
        last_delivered=stored.delivered_at if stored else None,
        next_try=next_try if status in ("ok", "failing") else None,
        error=stored.error if stored else None,
    )


def _is_told(webhook: WebhookSettings, change: Change) -> bool:
    return is_wanted(change, feeds=webhook.feeds, kinds=webhook.kinds, fields=webhook.fields)


def concerns(webhook: WebhookSettings, feed: str) -> bool:
    """Whether a webhook wants to be told of a feed."""
    return not webhook.feeds or feed in webhook.feeds


def _wants_changes(webhook: WebhookSettings) -> bool:
    return "changes" in webhook.events


def _wants_syncs(webhook: WebhookSettings) -> bool:
    return "syncs" in webhook.events or "unchanged" in webhook.events


def _data_of(body: str) -> dict[str, object]:
    decoded: dict[str, dict[str, object]] = msgspec.json.decode(body)
    return decoded["data"]


def _shown_url(url: str | Secret) -> str:
    return f"({url.reference})" if isinstance(url, Secret) else redact_url(url)


def _revealed(value: str | Secret) -> str:
    return value if isinstance(value, str) else value.reveal()
