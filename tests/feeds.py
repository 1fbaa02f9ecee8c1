"""A feed whose body a test writes, taken in without fetching."""

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feedd import intake
from feedd.model import SyncRecord
from feedd.reading import Reading
from feedd.store.changes import read_changes
from feedd.store.commit import Body
from feedd.store.database import Database
from feedd.store.feeds import Origin, begin_sync, read_feed, read_held
from feedd.store.read import read_items, read_rejects, read_sync

READING = Reading(schema="item")


def take_in(
    catalog: Database,
    folder: Path,
    body: bytes | list[Any],
    *,
    feed: str = "shop",
    reading: Reading = READING,
    accept_removals: bool = False,
) -> SyncRecord:
    """Read a body into the catalog as a sync of the feed; lists become JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = folder / f"{feed}.body"
    path.write_bytes(content)
    lease = begin_sync(catalog, feed, trigger="resync", holder="test", now=datetime.now(UTC))
    intake.read_body(
        intake.Job(
            lease=lease,
            reading=reading,
            path=str(path),
            body=Body(
                digest=hashlib.sha256(content).digest(),
                size_bytes=len(content),
                config_digest=b"",
                fetch_digest=b"",
                origin=Origin(name_hint=f"https://shop.example/{feed}"),
            ),
            accepted=read_held(catalog, feed) if accept_removals else None,
            began_s=time.monotonic(),
            guess=read_feed(catalog, feed).guess,
        ),
        catalog,
        lambda _: None,
    )
    return read_sync(catalog, lease.sync_id)


def item(item_id: str, title: str = "Mug", **fields: Any) -> dict[str, Any]:
    """A raw record in the canonical shape."""
    return {"id": item_id, "title": title, **fields}


def live(catalog: Database, feed: str = "shop") -> dict[str, dict[str, Any]]:
    """Id -> fields of every live item of the feed."""
    return {i.id: i.fields for i in read_items(catalog, feeds=[feed], limit=10_000)}


def stream(catalog: Database, since: int = 0) -> list[tuple[int | None, str, str, dict[str, Any]]]:
    """(seq, item, kind, fields) of every change."""
    return [
        (c.seq, c.item, str(c.kind), dict(c.fields))
        for c in read_changes(catalog, since=since, limit=10_000)
    ]


def open_rejects(catalog: Database, feed: str | None = None) -> list[tuple[int, str | None, str]]:
    """(position, item id, first rule) of every open reject, of one feed or of all."""
    feeds = None if feed is None else [feed]
    return [
        (r.position, r.item_id, r.problems[0].rule)
        for r in read_rejects(catalog, feeds=feeds, limit=10_000)
    ]
