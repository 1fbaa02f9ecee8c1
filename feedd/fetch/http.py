"""One HTTP fetch: redirects by hand, every hop through the guarded dialler, the body decoded within limits."""

import contextlib
import functools
import ssl
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urljoin

import certifi
import httpcore
import httpx

from feedd.errors import FetchError
from feedd.fetch.clock import Deadline, timed_out
from feedd.fetch.decoders import ACCEPT_ENCODING, decoded
from feedd.fetch.dial import GuardedBackend, Resolve
from feedd.fetch.request import Fetched, FetchRequest, OnProgress
from feedd.fetch.unpack import spool_unpacked

MAX_REDIRECTS = 5
MAX_HEADER_SECONDS = 7 * 86_400
MAX_LINK_BYTES = 16 * 1024
_URL_HINT = "Check it for spaces, for `/`, `?` or `#` in a password, and for the port."
_REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (
    307,
    308,
)  # after any other, a POST goes on as GET, as browsers do it (RFC 9110, 15.4)
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
    at: httpx.URL | None = None,
) -> Fetched:
    """One attempt at a fetch, redirects included. `at` is another page of the feed: it is not shown the shop's own
    headers if it lies elsewhere.

    Raises:
        FetchError: see its code.
    """
    start = checked(request.url)
    url = at or start
    method, seen = request.method, {url}
    trusted = verify or public_authorities()
    with open_transport(request.allow_private, deadline, resolve, trusted) as transport:
        for _ in range(MAX_REDIRECTS + 1):
            own = _origin(url) == _origin(start)  # nobody else is shown what belongs to the shop
            asked = _asked(url, method, request, user_agent, own=own)
            with _answer(transport, asked) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or not location:
                    return _taken(response, url, request, folder, deadline, on_progress, own=own)
                url = followed(location, url, start, "redirects")
            if response.status_code not in _SAME_METHOD:
                method = "GET"
            if url in seen:
                break
            seen.add(url)
    raise FetchError(
        "too_many_redirects",
        f"the server redirects more than {MAX_REDIRECTS} times, or in a circle",
        hint="Put the final URL into the configuration.",
    )


def checked(url: str) -> httpx.URL:
    """An http or https URL that may be asked for, without its user and password.

    Raises:
        FetchError: (`bad_url`); it does not show the URL, whose password may be what is wrong with it.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise FetchError(
            "bad_url", "the URL of this feed cannot be read", hint=_URL_HINT
        ) from None  # the cause shows a part of it
    scheme_ok, port_ok = parsed.scheme in ("http", "https"), (parsed.port or 0) < 65536
    if not (scheme_ok and port_ok and parsed.host):
        raise FetchError(
            "bad_url",
            "the URL of this feed is not http or https with a host and a possible port",
            hint=_URL_HINT,
        )
    return parsed.copy_with(userinfo=b"")


def followed(location: str, url: httpx.URL, start: httpx.URL, leads: str) -> httpx.URL:
    """Where `url` leads, if it may be followed; `start` is the feed's own URL.

    Raises:
        FetchError: (`redirect_refused`).
    """
    hint = "Put the final URL into the configuration."
    try:
        parsed = checked(urljoin(str(url), location))
    except (FetchError, ValueError) as error:
        message = f"{url.host} {leads} to what is not an http or https URL"
        raise FetchError("redirect_refused", message, hint=hint) from error
    if url.scheme == "https" and parsed.scheme == "http":
        raise FetchError(
            "redirect_refused",
            f"the server {leads} from https to http, to {parsed.host}",
            hint=f"{hint[:-1]} if that is what you want.",
        )
    if parsed.port not in (None, 80, 443, start.port):
        raise FetchError(
            "redirect_refused",
            f"the server {leads} to port {parsed.port} of {parsed.host}",
            hint="Only ports 80, 443 and the configured URL's are followed.",
        )
    return parsed


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@functools.cache
def public_authorities() -> ssl.SSLContext:
    """Whom this machine trusts, and whom browsers do."""
    context = ssl.create_default_context()  # the machine's own, and what SSL_CERT_FILE names
    context.load_verify_locations(certifi.where())
    return context


@contextlib.contextmanager
def open_transport(
    allow_private: tuple[str, ...],
    deadline: Deadline,
    resolve: Resolve | None,
    verify: ssl.SSLContext,
) -> Iterator[httpx.HTTPTransport]:
    """A way to send requests with none of a client's own ideas: no cookies, redirects, proxies or netrc.

    It has no timeouts: the deadline is in the dialler's streams, where nothing outlasts it.
    """
    with httpx.HTTPTransport(verify=verify, trust_env=False) as transport:
        transport._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            network_backend=GuardedBackend(deadline, allow_private, resolve),
            max_connections=1,
        )
        yield transport


def _asked(
    url: httpx.URL, method: str, request: FetchRequest, user_agent: str, *, own: bool
) -> httpx.Request:
    with translated(url.host):
        return httpx.Request(method, url, headers=_headers(request, user_agent, own=own))


@contextlib.contextmanager
def _answer(transport: httpx.HTTPTransport, asked: httpx.Request) -> Iterator[httpx.Response]:
    with translated(asked.url.host):
        response = transport.handle_request(asked)
        response.request = asked
        with contextlib.closing(response):
            yield response


def _headers(request: FetchRequest, user_agent: str, *, own: bool) -> httpx.Headers:
    headers = httpx.Headers(
        {
            "User-Agent": user_agent,
            "Accept": "application/json, application/xml, text/xml, application/x-ndjson, */*;q=0.5",
            "Accept-Encoding": ACCEPT_ENCODING,
        }
    )
    if not own:
        return headers
    headers.update(request.headers)
    auth = request.auth or _userinfo(httpx.URL(request.url))
    if isinstance(auth, tuple):
        headers["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
    elif auth is not None:
        headers["Authorization"] = f"Bearer {auth}"
    if request.etag is not None:
        headers["If-None-Match"] = request.etag
    if request.last_modified is not None:
        headers["If-Modified-Since"] = request.last_modified
    return headers


def _userinfo(url: httpx.URL) -> tuple[str, str] | None:
    return (url.username, url.password) if url.userinfo else None


@contextlib.contextmanager
def translated(host: str) -> Iterator[None]:
    """The errors of the HTTP libraries as FetchError, without what is secret in them."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise timed_out() from error
    except httpx.ConnectError as error:
        raise _not_connected(host, error) from error
    except (httpx.RemoteProtocolError, httpx.ReadError) as error:
        # cut before the server's own bytes, which are long or repeat a secret
        reason = str(error).partition(": bytearray(")[0][:200]
        raise FetchError(
            "cut_short",
            f"{host} gave no whole answer: {reason}",
            hint="Nothing was changed; it is tried again.",
        ) from error
    except (httpx.LocalProtocolError, UnicodeError):
        raise FetchError(
            "bad_header",
            "a header cannot be sent",
            hint="Check `headers` and `auth` for line breaks and for letters that are not ASCII.",
        ) from None  # the cause shows the header
    except httpx.HTTPError as error:
        raise FetchError(
            "connect",
            f"{host} cannot be fetched from ({type(error).__name__})",
            hint="Check the URL.",
        ) from error


def _not_connected(host: str, error: BaseException) -> FetchError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return FetchError(
            "connect", f"no connection to {host}: {error}", hint="Check that the server is up."
        )
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        message = f"{host} broke off the connection before it was secure"
        hint = "Check the server, and whether it speaks http:// at this port instead."
        return FetchError("connect", message, hint=hint)
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = "The server's certificate is not valid for this URL, or has expired."
    else:
        hint = "The server does not speak TLS as it should; check scheme and port of the URL."
    return FetchError("tls", f"no secure connection to {host}: {error}", hint=hint)


def _taken(
    response: httpx.Response,
    url: httpx.URL,
    request: FetchRequest,
    folder: Path,
    deadline: Deadline,
    on_progress: OnProgress,
    *,
    own: bool,
) -> Fetched:
    # validators of another origin are not kept: they would be sent to this feed's own
    etag = _validator(response, "etag") if own else None
    last_modified = _validator(response, "last-modified") if own else None
    if response.status_code == 304 and own and request.conditional:
        return Fetched(
            status=304,
            max_age_s=_max_age(response),
            final_url=str(url),
            etag=etag,
            last_modified=last_modified,
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

    def on_bytes(size: int, as_it_came: bool) -> None:
        deadline.check()
        on_progress(size, expected if as_it_came and not encoding else None)

    body, name = spool_unpacked(
        decoded(arriving(), encoding),
        folder,
        max_bytes=request.max_bytes,
        member=request.member,
        on_bytes=on_bytes,
    )
    kind, charset = _content_type(response)
    return Fetched(
        status=200,
        path=body.path,
        owned=True,
        digest=body.digest,
        size=body.size,
        name=name,
        content_type=kind,
        charset=charset,
        link=_bounded(response, "link"),
        pages=_total_pages(response),
        max_age_s=_max_age(response),
        final_url=str(url),
        etag=etag,
        last_modified=last_modified,
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
        retry_after_s=retry_after(response) if status in (429, 503) else None,
    )


def _validator(response: httpx.Response, name: str) -> str | None:
    """ETag or Last-Modified as it came, where it is fit to be sent back."""
    value: str | None = response.headers.get(name)
    if value is None or len(value) > 1024 or not value.isprintable() or not value.isascii():
        return None
    return value


def _bounded(response: httpx.Response, name: str) -> str | None:
    value: str | None = response.headers.get(name)
    return value if value is not None and len(value) <= MAX_LINK_BYTES else None


def _total_pages(response: httpx.Response) -> int | None:
    """Of how many pages this is one, where the server says so (WordPress, GitLab, Kaminari)."""
    for name in ("x-wp-totalpages", "x-total-pages"):
        value = response.headers.get(name, "")
        if value.isdecimal() and len(value) < 10:
            return int(value)
    return None


def _content_type(response: httpx.Response) -> tuple[str | None, str | None]:
    header = Message()
    header["Content-Type"] = response.headers.get("content-type", "")
    kind = header.get_content_type() if response.headers.get("content-type") else None
    return kind, header.get_content_charset() or None


def _max_age(response: httpx.Response) -> float | None:
    """For how long the answer is fresh (RFC 9111, 4.2), in seconds."""
    directives = {}
    for directive in response.headers.get("cache-control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        directives[name.strip()] = value.strip(' "')
    value = directives.get("max-age", "")
    if "no-store" in directives or "no-cache" in directives or not value.isdecimal():
        return None
    age = response.headers.get("age", "0")
    fresh = int(value[:9]) - (int(age[:9]) if age.isdecimal() else 0)
    return float(min(max(fresh, 0), MAX_HEADER_SECONDS))


def retry_after(response: httpx.Response) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds from now, by the server's clock where it tells the time."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(min(int(value[:9]), MAX_HEADER_SECONDS))
    when = _http_date(value)
    if when is None:
        return None
    now = _http_date(response.headers.get("date", "")) or datetime.now(UTC)
    return min(max((when - now).total_seconds(), 0.0), float(MAX_HEADER_SECONDS))


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # asctime's form names no zone
