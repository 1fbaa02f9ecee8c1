"""Who may call: the unix socket's file mode says who may use it; over TCP a private key does.

What waits for nothing is async: FastAPI would have a thread do it, which costs more than all that it does. A key that was looked
up a moment ago is not looked up again (`feedd.keyring`).
"""

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Annotated, Generic, TypeVar

import anyio.to_thread
from fastapi import Depends, Query, Request
from fastapi.security import APIKeyHeader
from starlette.requests import HTTPConnection

from feedd import logs
from feedd.api.attempts import MOST, Attempts
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import UsageError
from feedd.metrics import Metrics
from feedd.model import ApiKey
from feedd.scopes import allows
from feedd.store.keys import PRIVATE_START, digest_of
from feedd.tail import Tail

Found = TypeVar("Found")
REVISION = "2026-07-15"  # whose shape answers have, whichever a request names
_REVISION = re.compile(r"(\d{4}-\d{2}-\d{2})(\.[A-Za-z0-9-]{1,20})?", re.ASCII)

log = logs.get_logger("feedd")


def is_local(request: HTTPConnection) -> bool:
    """Whether the request came over the unix socket."""
    server = request.scope.get("server")
    return server is not None and server[1] is None


async def the_app(request: Request) -> App:
    """The App behind this API."""
    app: App = request.app.state.feedd
    return app


async def the_dispatcher(request: Request) -> Dispatcher:
    """The dispatcher behind this API."""
    dispatcher: Dispatcher = request.app.state.dispatcher
    return dispatcher


async def the_tail(request: Request) -> Tail:
    """The end of the change stream, for those who follow it."""
    tail: Tail = request.app.state.tail
    return tail


TheApp = Annotated[App, Depends(the_app)]
TheTail = Annotated[Tail, Depends(the_tail)]
TheDispatcher = Annotated[Dispatcher, Depends(the_dispatcher)]


KEY_HEADER = APIKeyHeader(
    name="Authorization",
    scheme_name="private key",
    description="Klaviyo-API-Key pk_…, as `feedd key create --name NAME --private` makes it. Not needed over the unix socket.",
    auto_error=False,
)


class Gate:
    """Looks at private keys, and counts the wrong ones."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._keyring = app.keyring
        self._metrics = metrics
        self._attempts = Attempts()

    async def key_of(self, request: HTTPConnection) -> ApiKey | None:
        """The private key that a request came with, if it came with one.

        Raises:
            UsageError: `not_authenticated`, it is none that is in use.
            TooManyAttempts: too many wrong ones have come from there.
            StoreError: it cannot be looked up now.
        """
        text = _key_text(request)
        return None if text is None else await self.look_up(request, text)

    async def look_up(self, request: HTTPConnection, text: str) -> ApiKey:
        """The private key with that text, which a request came with. Raises as `key_of` does."""
        address = request.client.host if request.client else ""
        digest = digest_of(text)
        try:
            self._attempts.check(address, digest)
        except UsageError:
            self._metrics.count_wrong_key()
            raise
        key = self._keyring.known(text)
        if key is None:
            key = await anyio.to_thread.run_sync(self._keyring.find, text)
        if key is None:
            self._metrics.count_wrong_key()
            self._say(address, self._attempts.failed(address, digest))
            raise _no_key()
        self._attempts.succeeded(address, digest)
        return key

    def _say(self, address: str, wrong: int) -> None:
        """Say that wrong keys come from an address: with the first one of a minute, and when no more are looked at."""
        if wrong == 1:
            log.warning(logs.KEY_WRONG, address=address)
        elif wrong == MOST:
            log.warning(logs.KEY_BLOCKED, address=address, wrong_keys=wrong)


def _key_text(request: HTTPConnection) -> str | None:
    """What stands where a private key is sent: `Klaviyo-API-Key pk_…` or `Bearer pk_…`."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    known = scheme.lower() in ("klaviyo-api-key", "bearer") and text.startswith(PRIVATE_START)
    return text if known else None


async def authorize(request: HTTPConnection, resource: str) -> None:
    """Let a request to a resource pass, or raise UsageError (`not_authenticated`, `forbidden`, `too_many_attempts`).

    Over TCP it needs a private key with the scope `read` for GET and `write` otherwise, of this resource or of all; a `resource` such
    as `metrics:read` says which of the two itself.
    """
    if is_local(request):
        return
    gate: Gate = request.app.state.gate
    key = await gate.key_of(request)
    if key is None:
        raise _no_key()
    resource, _, action = resource.partition(":")
    reads = request.scope["method"] in ("GET", "HEAD")
    check_scope(key, resource, action or ("read" if reads else "write"))


def may_read(resource: str) -> Callable[[Request], Awaitable[bool]]:
    """A dependency that tells whether a request may read a resource too, where it may do what it asks for."""

    async def find(request: Request) -> bool:
        if is_local(request):
            return True
        gate: Gate = request.app.state.gate
        key = await gate.key_of(request)
        return key is not None and allows(key.scopes, resource, "read")

    return find


def check_scope(key: ApiKey, resource: str, action: str) -> None:
    """Raise UsageError (`forbidden`) where a key may not do that."""
    if not allows(key.scopes, resource, action):
        raise UsageError(
            f"this key has no {action} scope for {resource}",
            code="forbidden",
            hint=f"Make one with `feedd key create --name NAME --private --scope {resource}:{action}`.",
        )


def _no_key() -> UsageError:
    return UsageError(
        "Missing or invalid private key",
        code="not_authenticated",
        hint="Send Authorization: Klaviyo-API-Key pk_…; `feedd key create --name NAME --private` makes one.",
    )


class Scoped(Generic[Found]):
    """A dependency that lets a request pass whose key has these scopes, of which one such as `events` means what the method does."""

    def __init__(self, check: Callable[[Request], Awaitable[Found]], scopes: Sequence[str]) -> None:
        self._check = check
        self.scopes = scopes

    async def __call__(self, request: Request) -> Found:
        return await self._check(request)


def needs(*resources: str) -> Scoped[None]:
    """A dependency that lets a request pass that may read or write each of these resources."""

    async def check(request: Request) -> None:
        check_revision(request)
        for resource in resources:
            await authorize(request, resource)

    return Scoped(check, resources)


def check_revision(request: HTTPConnection) -> None:
    """Raise UsageError where the header `revision` is none: a date, and a suffix if one likes. No header means the newest."""
    revision = request.headers.get("revision")
    if revision is not None and not _is_revision(revision.strip()):
        raise UsageError(
            f"the header revision is {revision[:40]!r}, which is no revision of the API",
            hint=f"Send a date such as {REVISION}, or no such header.",
        )


@lru_cache(maxsize=100)
def _is_revision(text: str) -> bool:
    found = _REVISION.fullmatch(text)
    with contextlib.suppress(ValueError):
        return found is not None and bool(date.fromisoformat(found[1]))
    return False


async def public_key(
    request: Request, company_id: Annotated[str | None, Query(max_length=200)] = None
) -> str:
    """Let a call from a page pass, which names a public key of this account in `company_id`. Gives the key.

    Raises:
        UsageError: it names none.
        StoreError: it cannot be looked up now.
    """
    check_revision(request)
    app: App = request.app.state.feedd
    known = None if company_id is None else app.keyring.knows_public(company_id)
    if company_id is not None and known is None:
        known = await anyio.to_thread.run_sync(app.keyring.is_public, company_id)
    if not known or company_id is None:
        raise NoCompany(
            "company_id is missing"
            if not company_id
            else "company_id is no public key of this account",
            hint="Send ?company_id=KEY; `feedd key create --name NAME --public` makes one.",
        )
    return company_id


class NoCompany(UsageError):
    """A call from a page that says not, or wrongly, whose account it is for."""

    source = {"parameter": "company_id"}  # noqa: RUF012 never changed


async def local_only(request: Request) -> None:
    """Let only the unix socket pass."""
    if not is_local(request):
        raise UsageError(
            "API keys and what the command line asks are for the unix socket only",
            code="forbidden",
            hint="Use `feedd` on the machine that it runs on.",
        )
