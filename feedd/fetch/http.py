"""One HTTP fetch: redirects by hand, every hop through the guarded dialler, the body decoded within limits."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import certifi
import httpcore
import httpx

from feedd.errors import FetchError
from feedd.fetch.clock import Deadline, timed_out
from feedd.fetch.decoders import ACCEPT_ENCODING, decoded
from feedd.fetch.dial import GuardedBackend, Resolve
from feedd.fetch.request import Fetched, FetchRequest, redact_url
from feedd.fetch.spool import spool

MAX_REDIRECTS = 5
MAX_HEADER_SECONDS = 7 * 86_400
OnProgress = Callable[[int, int | None], None]
_REDIRECTS = (301, 302, 303, 307, 308)
_HINTS = {
    400: "The server did not like the request; check the URL and the headers of this feed.",
    401: "Check `auth` of this feed: the server wants a user and password or a token.",
    403: "The server refuses feedd; check `auth`, or whether it lets only known addresses in.",
    404: "Check the URL: there is no such feed on the server.",
    410: "The server says that this feed is gone for good; ask the shop for the new URL.",
    429: "The server asks to be fetched less often; raise `every`.",
}


def fetch_http(
    request: FetchRequest,
    folder: Path,
    deadline: Deadline,
    *,
    user_agent: str,
    on_progress: OnProgress,
    resolve: Resolve | None = None,
    verify: ssl.SSLContext | None = None,
) -> Fetched:
    """One attempt at a fetch, redirects included.

    Raises:
        FetchError: see its code.
    """
    url = _checked(request.url, None, request)
    seen = {url}
    with _client(request, deadline, resolve, verify) as client:
        for _ in range(MAX_REDIRECTS + 1):
            with _answer(client, url, request, user_agent) as response:
                if response.status_code not in _REDIRECTS:
                    return _taken(response, url, request, folder, deadline, on_progress)
                url = _checked(urljoin(url, response.headers.get("location", "")), url, request)
            if url in seen:
                break
            seen.add(url)
    raise FetchError(
        "too_many_redirects",
        f"the server redirects more than {MAX_REDIRECTS} times, or in a circle",
        hint="Put the final URL into the configuration.",
    )


def _checked(url: str, previous: str | None, request: FetchRequest) -> str:
    """A URL that may be asked for, after `previous` where it is a redirect."""
    try:
        parsed = httpx.URL(url)
        port = parsed.port
    except httpx.InvalidURL as error:
        raise FetchError(
            "bad_url", f"{redact_url(url)} is not a URL: {error}", hint="Check the URL."
        ) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchError(
            "redirect_refused" if previous else "bad_url",
            f"{redact_url(url)} is not an http or https URL with a host",
            hint="Check the URL.",
        )
    if previous is None:
        return url
    if urlsplit(previous).scheme == "https" and parsed.scheme == "http":
        raise FetchError(
            "redirect_refused",
            f"the server redirects from https to http, to {parsed.host}",
            hint="Put the final URL into the configuration if that is what you want.",
        )
    if port not in (None, 80, 443, httpx.URL(request.url).port):
        raise FetchError(
            "redirect_refused",
            f"the server redirects to port {port} of {parsed.host}",
            hint="Only ports 80, 443 and the configured URL's are followed.",
        )
    return url


@contextmanager
def _client(
    request: FetchRequest,
    deadline: Deadline,
    resolve: Resolve | None,
    verify: ssl.SSLContext | None,
) -> Iterator[httpx.Client]:
    context = verify or ssl.create_default_context(cafile=certifi.where())
    transport = httpx.HTTPTransport(verify=context, trust_env=False)
    transport._pool = httpcore.ConnectionPool(
        ssl_context=context,
        network_backend=GuardedBackend(deadline, request.allow_private, resolve),
        max_connections=1,
    )
    with httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 the deadline is in the dialler's streams, where nothing outlasts it
    ) as client:
        yield client


@contextmanager
def _answer(
    client: httpx.Client, url: str, request: FetchRequest, user_agent: str
) -> Iterator[httpx.Response]:
    headers = {
        "User-Agent": user_agent,
        "Accept": "application/json, application/xml, text/xml, application/x-ndjson, */*;q=0.5",
        "Accept-Encoding": ACCEPT_ENCODING,
    }
    auth: httpx.Auth | None = None
    if _origin(url) == _origin(request.url):  # nobody else is shown what belongs to the shop
        headers.update(request.headers)
        if isinstance(request.auth, tuple):
            auth = httpx.BasicAuth(*request.auth)
        elif request.auth is not None:
            headers["Authorization"] = f"Bearer {request.auth}"
    if request.etag is not None:
        headers["If-None-Match"] = request.etag
    if request.last_modified is not None:
        headers["If-Modified-Since"] = request.last_modified
    client.cookies.clear()
    with _translated(url), client.stream("GET", url, headers=headers, auth=auth) as response:
        yield response


@contextmanager
def _translated(url: str) -> Iterator[None]:
    host = urlsplit(url).hostname
    try:
        yield
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise timed_out() from error
    except (httpx.ConnectError, httpcore.ConnectError) as error:
        if _is_tls(error):
            raise FetchError(
                "tls",
                f"no secure connection to {host}: {error}",
                hint="The server's certificate is not valid for this URL, or has expired.",
            ) from error
        raise FetchError(
            "connect", f"no connection to {host}: {error}", hint="Check that the server is up."
        ) from error
    except (
        httpx.RemoteProtocolError,
        httpx.ReadError,
        httpcore.RemoteProtocolError,
        httpcore.ReadError,
    ) as error:
        raise FetchError(
            "cut_short",
            f"{host} broke off its answer: {error}",
            hint="Nothing was changed; it is tried again.",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise FetchError(
            "connect", f"{host} cannot be fetched from: {error}", hint="Check the URL."
        ) from error


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _taken(
    response: httpx.Response,
    url: str,
    request: FetchRequest,
    folder: Path,
    deadline: Deadline,
    on_progress: OnProgress,
) -> Fetched:
    if response.status_code == 304 and request.conditional:
        return Fetched(
            status=304,
            max_age_s=_max_age(response),
            final_url=url,
            etag=_validator(response, "etag"),
            last_modified=_validator(response, "last-modified"),
        )
    if response.status_code != 200:
        raise _refusal(response)
    total = response.headers.get("content-length", "")
    expected = int(total) if total.isdecimal() and len(total) < 19 else None
    encoding = response.headers.get("content-encoding")

    def arriving() -> Iterator[bytes]:
        for chunk in response.iter_raw():
            deadline.received(len(chunk))
            yield chunk

    body = spool(
        decoded(arriving(), encoding),
        folder,
        max_bytes=request.max_bytes,
        on_bytes=lambda size: on_progress(size, None if encoding else expected),
    )
    kind, charset = _content_type(response)
    return Fetched(
        status=200,
        path=body.path,
        owned=True,
        digest=body.digest,
        size=body.size,
        content_type=kind,
        charset=charset,
        max_age_s=_max_age(response),
        final_url=url,
        etag=_validator(response, "etag"),
        last_modified=_validator(response, "last-modified"),
    )


def _refusal(response: httpx.Response) -> FetchError:
    status = response.status_code
    if status == 304:
        return FetchError(
            "not_modified_unasked",
            "the server answered 304 Not Modified to a request without validators",
            hint="A proxy before the server is at fault; feedd needs the body.",
        )
    reason = "".join(c for c in response.reason_phrase if c.isprintable())[:60]
    hint = _HINTS.get(status, "")
    if not hint:
        hint = (
            "The server is in trouble; nothing was changed."
            if status >= 500
            else "Only 200 is a feed."
        )
    return FetchError(
        "http_status",
        f"the server answered {status} {reason}".rstrip(),
        hint=hint,
        status=status,
        retry_after_s=_retry_after(response) if status in (429, 503) else None,
    )


def _validator(response: httpx.Response, name: str) -> str | None:
    """ETag or Last-Modified as it came, where it is fit to be sent back."""
    value: str | None = response.headers.get(name)
    if value is None or len(value) > 1024 or not value.isprintable() or not value.isascii():
        return None
    return value


def _content_type(response: httpx.Response) -> tuple[str | None, str | None]:
    header = Message()
    header["Content-Type"] = response.headers.get("content-type", "")
    kind = header.get_content_type() if response.headers.get("content-type") else None
    return kind, header.get_content_charset()


def _max_age(response: httpx.Response) -> float | None:
    """For how long the answer is fresh (RFC 9111, 4.2), in seconds."""
    for directive in response.headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        value = value.strip('"')
        if name in ("no-store", "no-cache"):
            return None
        if name == "max-age" and value.isdecimal():
            age = response.headers.get("age", "0")
            fresh = int(value[:9]) - (int(age[:9]) if age.isdecimal() else 0)
            return float(min(max(fresh, 0), MAX_HEADER_SECONDS))
    return None


def _retry_after(response: httpx.Response) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds from now."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(min(int(value[:9]), MAX_HEADER_SECONDS))
    try:
        when = parsedate_to_datetime(value)
        now = parsedate_to_datetime(response.headers["date"])
        return float(min(max((when - now).total_seconds(), 0.0), MAX_HEADER_SECONDS))
    except (ValueError, TypeError, KeyError):
        return None


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
