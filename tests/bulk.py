"""The documents that jobs are asked for with, as a test wants them."""

import json
from typing import Any


def profile(email: str | None = None, **more: Any) -> dict[str, Any]:
    """A profile's resource object; `id` and `meta` stand beside its attributes."""
    beside = {name: more.pop(name) for name in ("id", "meta") if name in more}
    attributes = more if email is None else {"email": email, **more}
    return {"type": "profile", **beside, "attributes": attributes}


def import_job(*profiles: Any, lists: list[str] | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": list(profiles)}},
    }
    if lists is not None:
        chosen = [{"type": "list", "id": each} for each in lists]
        data["relationships"] = {"lists": {"data": chosen}}
    return {"data": data}


def event(metric: str = "Placed Order", **more: Any) -> dict[str, Any]:
    """An event's resource object, which is of a bulk entry."""
    named = {"data": {"type": "metric", "attributes": {"name": metric}}}
    return {"type": "event", "attributes": {"metric": named, "properties": {}, **more}}


def entry(who: dict[str, Any], *events: Any) -> dict[str, Any]:
    attributes = {"profile": {"data": who}, "events": {"data": list(events)}}
    return {"type": "event-bulk-create", "attributes": attributes}


def event_job(*entries: Any) -> dict[str, Any]:
    attributes = {"events-bulk-create": {"data": list(entries)}}
    return {"data": {"type": "event-bulk-create-job", "attributes": attributes}}


def deletion_job(**who: Any) -> dict[str, Any]:
    return {
        "data": {
            "type": "data-privacy-deletion-job",
            "attributes": {"profile": {"data": profile(**who)}},
        }
    }


def text(document: Any) -> bytes:
    return json.dumps(document).encode()
