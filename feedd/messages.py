"""What webhooks are told: the messages of Standard Webhooks 1.0, their size, their ids and signatures. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

The same changes make the same message with the same id, so that a receiver knows one that comes twice.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from feedd.model import Change, ChangeKind, SyncRecord

MOST_CHANGES = 100
MOST_BYTES = 20_000  # of one message; the specification asks for less than 20 kB
SECRET_START = "whsec_"  # noqa: S105 how secrets begin
_KEY_BYTES = range(24, 65)
_ENVELOPE_BYTES = 300
_LONGEST_ID = 8_000
_encode = msgspec.json.encode

# after each failed try the next one waits so long; together 75 hours
PAUSES_S = (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
COMMAND_PAUSES_S = (60, 5 * 60, 15 * 60)
LONGEST_PAUSE_S = 24 * 3600.0
JITTER = 0.1
_FARTHEST = timedelta(seconds=PAUSES_S[-1] * (1 + JITTER), minutes=1)


class BadSecret(ValueError):
    """What is wrong with a webhook's secret, without the secret."""


class Message(Struct, frozen=True, kw_only=True):
    """One message: its id, and its body as it is sent every time; of changes the numbers that it covers."""

    id: str
    type: str
    body: str
    first_seq: int | None = None
    last_seq: int | None = None


def secret_key(secret: str) -> bytes:
    """The bytes that a secret (`whsec_` and base64) stands for.

    Raises:
        BadSecret: it is not one.
    """
    if not secret.startswith(SECRET_START):
        raise BadSecret(f"does not begin with {SECRET_START}")
    text = secret.removeprefix(SECRET_START)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"is not base64 after {SECRET_START}") from None
    if len(key) not in _KEY_BYTES:
        raise BadSecret(f"holds {len(key)} bytes; 24 to 64 are right")
    return key


def signed_headers(
    message_id: str, body: str, *, secrets: Sequence[str], at: int
) -> dict[str, str]:
    """The three headers of a message; `at` is the time of this try, in seconds since 1970."""
    content = f"{message_id}.{at}.{body}".encode()
    signatures = [
        "v1," + base64.b64encode(hmac.digest(secret_key(secret), content, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signatures),
    }


def pause_after(
    tries: int,
    *,
    pauses: Sequence[float] = PAUSES_S,
    retry_after_s: float | None = None,
    chance: float,
) -> float | None:
    """Seconds until the next try after so many failed ones; None when it was the last.

    `chance` (0 to 1) spreads it; never sooner than the receiver asks for, as long as that is within a day.
    """
    if tries > len(pauses):
        return None
    pause = pauses[tries - 1] * (1 + JITTER * chance)
    return max(pause, min(retry_after_s or 0.0, LONGEST_PAUSE_S))


def is_due(next_try_at: datetime, now: datetime) -> bool:
    """Whether a message may be tried now; also when its time is farther off than any pause: the clock was set back."""
    return not now < next_try_at <= now + _FARTHEST


def is_wanted(
    change: Change, *, feeds: Collection[str], kinds: Collection[str], fields: Collection[str]
) -> bool:
    """Whether an endpoint wants to be told of a change; empty means all. `fields` are asked of updates only."""
    if feeds and change.feed not in feeds:
        return False
    if kinds and change.kind not in kinds:
        return False
    if not fields or change.kind != ChangeKind.UPDATED:
        return True
    return any(field in change.fields for field in fields)


def changes_message(stream_id: str, generation: int, changes: Sequence[Change]) -> Message:
    """The first of some changes, as many as go into one message: at most 100, and less than 20 kB.

    One that is larger by itself goes without its fields and says where they are. `generation` counts the replays,
    so that a receiver does not take a replayed message for a repeated one.
    """
    parts: list[bytes] = []
    room = MOST_BYTES - _ENVELOPE_BYTES
    for change in changes[:MOST_CHANGES]:
        part = _encode(change)
        if len(part) > MOST_BYTES - _ENVELOPE_BYTES:
            part = _cut(change)
        if parts and len(part) >= room:
            break
        parts.append(part)
        room -= len(part) + 1
    told = changes[: len(parts)]
    first, last = told[0].seq or 0, told[-1].seq or 0
    data = {
        "stream": stream_id,
        "first_seq": first,
        "last_seq": last,
        "changes": msgspec.Raw(b"[" + b",".join(parts) + b"]"),
    }
    return Message(
        id=f"changes_{stream_id}_{first}-{last}{_again(generation)}",
        type="catalog.changes",
        body=_body("catalog.changes", told[-1].at, data),
        first_seq=first,
        last_seq=last,
    )


def _cut(change: Change) -> bytes:
    """A change without its values: the names of its fields, as far as they go, and where to read the rest."""
    seq = change.seq or 0
    query = urlencode({"filter": f"greater-than(seq,{seq - 1})", "page[size]": 1})
    names: list[str] = []
    room = MOST_BYTES // 4
    for name in change.fields:
        room -= len(_encode(name)) + 1
        if room < 0:
            break
        names.append(name)
    short = msgspec.structs.replace(change, fields={})
    return _encode(
        msgspec.structs.asdict(short)
        | {
            "item": change.item if len(_encode(change.item)) <= _LONGEST_ID else None,
            "cut": True,
            "changed": names,
            "href": f"/api/catalog-changes?{query}",
        }
    )


def sync_message(stream_id: str, record: SyncRecord) -> Message:
    """The outcome of one sync."""
    data: dict[str, Any] = {
        "sync": record.id,
        "feed": record.feed,
        "status": record.status,
        "trigger": record.trigger,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "duration_s": record.duration_s,
        "error": record.error,
    }
    if record.counts is not None:
        data |= msgspec.structs.asdict(record.counts)
    at = record.finished_at or record.started_at
    return Message(
        id=f"sync_{stream_id}_{record.id}",
        type="sync.finished",
        body=_body("sync.finished", at, data),
    )


def gap_message(
    stream_id: str, generation: int, *, first_seq: int, last_seq: int, now: datetime
) -> Message:
    """The word that changes are no longer kept and were not told."""
    data = {"stream": stream_id, "first_seq": first_seq, "last_seq": last_seq}
    return Message(
        id=f"gap_{stream_id}_{first_seq}-{last_seq}{_again(generation)}",
        type="stream.gap",
        body=_body("stream.gap", now, data),
        first_seq=first_seq,
        last_seq=last_seq,
    )


def restart_message(stream_id: str, previous: str, *, last_seq: int, now: datetime) -> Message:
    """The word that the catalog was restored or made anew: its changes are numbered in another stream."""
    data = {"stream": stream_id, "previous_stream": previous, "last_seq": last_seq}
    return Message(
        id=f"restart_{stream_id}",
        type="stream.restarted",
        body=_body("stream.restarted", now, data),
    )


def event_message(message_id: str, kind: str, at: datetime, data: Any) -> Message:
    """Any other message."""
    return Message(id=message_id, type=kind, body=_body(kind, at, data))


def _again(generation: int) -> str:
    return f"_replay{generation}" if generation else ""


def _body(kind: str, at: datetime, data: Any) -> str:
    return _encode({"type": kind, "timestamp": at, "data": data}).decode()
