"""Sends one message to a webhook: through the guarded dialler, redirects not followed, the answer's body not read."""

import contextlib
import ipaddress
import ssl
import threading

import httpx
from msgspec import Struct

from feedd.errors import FetchError
from feedd.fetch.clock import Deadline
from feedd.fetch.dial import Resolve, resolve_name
from feedd.fetch.http import checked, open_transport, public_authorities, retry_after, translated


class Post(Struct, frozen=True, kw_only=True):
    """What is sent, and where. Headers are secrets; they and the address show up in no message."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    allow_private: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    """What the receiver said: its status, and when it wants to be asked again."""

    status: int
    retry_after_s: float | None


def post(
    message: Post,
    *,
    user_agent: str,
    stop: threading.Event | None = None,
    resolve: Resolve | None = None,
    verify: ssl.SSLContext | None = None,
) -> Answer:
    """Send a message once; any answer is an answer.

    Raises:
        FetchError: there was none in time, or the address may not be reached.
    """
    url = checked(message.url)
    deadline = Deadline(
        total_s=message.timeout_s,
        first_byte_s=message.timeout_s,
        min_rate=(0, message.timeout_s),
        stop=stop,
    )
    deadline.begin_attempt()
    if url.scheme == "http":
        resolve = _inside(message.allow_private, resolve or resolve_name)
    trusted = verify or public_authorities()
    headers = httpx.Headers([*message.headers, ("User-Agent", user_agent)])
    with (
        open_transport(message.allow_private, deadline, resolve, trusted) as transport,
        translated(url.host),
    ):
        asked = httpx.Request("POST", url, headers=headers, content=message.body)
        response = transport.handle_request(asked)
        with contextlib.closing(response):
            return Answer(response.status_code, retry_after(response))


def _inside(networks: tuple[str, ...], resolve: Resolve) -> Resolve:
    """Names resolved to addresses of one's own networks only: plain HTTP does not leave them."""

    def resolved(host: str, port: int) -> list[str]:
        addresses = resolve(host, port)
        own = [ipaddress.ip_network(network) for network in networks]
        for address in addresses:
            number = ipaddress.ip_address(address.partition("%")[0])
            if not any(number in network for network in own):
                raise FetchError(
                    "blocked_address",
                    f"{host} is outside the networks of allow_private, and http:// does not leave those",
                )
        return addresses

    return resolved
