"""JSON:API documents (https://jsonapi.org/format/1.1/): one serializer for every resource and every error."""

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import Response

from feedd.errors import (
    FeeddError,
    FeedError,
    NotFound,
    StateInUse,
    StoreError,
    SyncStopped,
    TooOld,
    Unavailable,
    UsageError,
)

MEDIA_TYPE = "application/vnd.api+json"

STATUSES: dict[type[FeeddError], tuple[int, str]] = {
    NotFound: (404, "Not found."),
    UsageError: (400, "Invalid input."),
    SyncStopped: (503, "Stopping."),
    StoreError: (503, "The database is not available."),
    Unavailable: (503, "Not available."),
    StateInUse: (503, "The state directory is in use."),
    FeedError: (502, "The feed failed."),
}
CODE_STATUSES: dict[str, tuple[int, str]] = {
    "not_authenticated": (401, "Authentication is needed."),
    "forbidden": (403, "Not allowed."),
    "busy": (409, "Busy."),
    "ended": (409, "It has ended."),
    "no_body": (409, "No body."),
    "stream_changed": (410, "The cursor's history is gone."),
    "too_old": (410, "No longer kept."),
    "too_many_streams": (429, "Too many streams."),
    "too_many_attempts": (429, "Too many wrong keys."),
    "payload_too_large": (413, "The body is too large."),
}


class Resource(msgspec.Struct, frozen=True):
    """One resource object: its type, its id, and a struct or mapping whose fields are its attributes."""

    type: str
    id: str
    attributes: Any
    has_page: bool = True

    def document(self) -> dict[str, Any]:
        """The resource object; with a link to itself where it can be asked for by itself."""
        made = {"type": self.type, "id": self.id, "attributes": self.attributes}
        if self.has_page:
            made["links"] = {"self": f"/api/{self.type}s/{quote(self.id, safe='')}"}
        return made


def attributes_of(struct: msgspec.Struct, *, but: Sequence[str]) -> dict[str, Any]:
    """The fields of a struct without those that are no attributes."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__ if name not in but}


def one(
    resource: Resource, *, status: int = 200, meta: Mapping[str, Any] | None = None
) -> Response:
    """A document with one resource."""
    document: dict[str, Any] = {"data": resource.document()}
    if meta:
        document["meta"] = meta
    return respond(document, status=status)


def many(
    resources: Sequence[Resource],
    *,
    links: Mapping[str, str | None],
    meta: Mapping[str, Any] | None = None,
) -> Response:
    """A document with a page of resources."""
    document: dict[str, Any] = {"data": [r.document() for r in resources], "links": links}
    if meta:
        document["meta"] = meta
    return respond(document)


def respond(
    document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Any document as a response."""
    return Response(
        msgspec.json.encode(document),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def failure(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    source: Mapping[str, str] | None = None,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A document with one error."""
    error: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "status": status,
        "code": code,
        "title": title,
        "detail": detail,
    }
    if source is not None:
        error["source"] = source
    if meta is not None:
        error["meta"] = meta
    return respond({"errors": [error]}, status=status, headers=headers)


def failure_of(error: FeeddError) -> Response:
    """The response for an error of the tree."""
    status, title = next(
        answer for kind in type(error).__mro__ if (answer := STATUSES.get(kind)) is not None
    )
    code = getattr(error, "code", "unavailable")
    status, title = CODE_STATUSES.get(code, (status, title))
    wait_s = math.ceil(getattr(error, "retry_after_s", None) or 5)
    headers = {"Retry-After": str(wait_s)} if status in (429, 503) else {}
    source = getattr(error, "source", None)
    meta = {"oldest_seq": error.oldest_seq} if isinstance(error, TooOld) else None
    return failure(status, code, title, str(error), source=source, meta=meta, headers=headers)
