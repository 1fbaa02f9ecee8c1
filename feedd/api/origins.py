"""What browsers ask of calls that pages of any origin may make (https://fetch.spec.whatwg.org/#http-cors-protocol). Pure.

`navigator.sendBeacon` and `fetch` with `credentials: "include"` send cookies along, and then a browser takes no `*` for an answer: the
origin is named. feedd has no cookies and tells these callers nothing, so that any origin may be.
"""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]
_USUAL = b"Accept, Content-Type, Revision, X-Klaviyo-User-Agent, X-Requested-With, *"


def for_pages(asked: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of an answer that a page may read, whatever its origin; `asked` are those of the request."""
    origin = dict(asked).get(b"origin")
    if origin is None:
        return [(b"access-control-allow-origin", b"*"), (b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"Origin"),
    ]


def preflight(asked: Iterable[tuple[bytes, bytes]], methods: bytes) -> Headers:
    """The headers of the answer to a browser that asks before it calls: what it wants to send, it may."""
    asked = list(asked)
    wanted = dict(asked).get(b"access-control-request-headers") or _USUAL
    return [
        *for_pages(asked),
        (b"vary", b"Access-Control-Request-Headers"),
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", wanted),
        (b"access-control-max-age", b"86400"),
    ]
