"""JSON:API documents (https://jsonapi.org/format/1.1/) as responses: any, and those of errors."""

import math
import uuid
from collections.abc import Mapping
from typing import Any

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
    "not_authenticated": (401, "Authentication credentials were not provided."),
    "forbidden": (403, "You do not have permission to perform this action."),
    "busy": (409, "Busy."),
    "duplicate_profile": (409, "Conflict."),
    "ended": (409, "It has ended."),
    "no_body": (409, "No body."),
    "read_only": (409, "Conflict."),
    "stream_changed": (410, "The cursor's history is gone."),
    "too_old": (410, "No longer kept."),
    "too_many_streams": (429, "Too many streams."),
    "too_many_attempts": (429, "Too many wrong keys."),
    "payload_too_large": (413, "The body is too large."),
    "unsupported_encoding": (415, "The encoding is not supported."),
    "too_slow": (408, "The request came too slowly."),
}


NOWHERE = {"pointer": "/data/"}  # the source that Klaviyo's API names where it has no other
SCHEMES = "Bearer, Klaviyo-API-Key"


class JsonApiResponse(Response):
    """A response whose body is a JSON:API document."""

    media_type = MEDIA_TYPE


def respond(
    document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Any document as a response."""
    return JsonApiResponse(
        msgspec.json.encode(document), status_code=status, headers=dict(headers or {})
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
    id_: str | None = None,
) -> Response:
    """A document with one error."""
    error: dict[str, Any] = {
        "id": id_ or str(uuid.uuid4()),
        "status": status,
        "code": told_code(code),
        "title": title,
        "detail": detail,
        "source": NOWHERE if source is None else source,
    }
    if meta is not None:
        error["meta"] = meta
    return respond({"errors": [error]}, status=status, headers=headers)


def told_code(code: str) -> str:
    """The code of an error in the words of Klaviyo's API, which has one for all that is wrong with a request."""
    if code.startswith("invalid_") or code == "not_identified":
        return "invalid"
    return "permission_denied" if code == "forbidden" else code


def failure_of(error: FeeddError) -> Response:
    """The response for an error of the tree."""
    status, title = next(
        answer for kind in type(error).__mro__ if (answer := STATUSES.get(kind)) is not None
    )
    code = getattr(error, "code", "unavailable")
    status, title = CODE_STATUSES.get(code, (status, title))
    wait_s = math.ceil(getattr(error, "retry_after_s", None) or 5)
    headers = {"Retry-After": str(wait_s)} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = SCHEMES
    source = getattr(error, "source", None)
    meta = {"oldest_seq": error.oldest_seq} if isinstance(error, TooOld) else None
    meta = getattr(error, "meta", meta)
    return failure(status, code, title, str(error), source=source, meta=meta, headers=headers)
