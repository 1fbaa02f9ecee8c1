"""The dialler: resolves a name once, refuses what may not be reached, and connects to what was checked.

A check of the URL's spelling is worthless (`127.1`, `0x7f.1`, a name that resolves to a private address, a redirect);
so the check stands where the connection is made, and covers every hop.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from feedd.errors import FetchError
from feedd.fetch.addresses import refusal
from feedd.fetch.clock import Deadline

Resolve = Callable[[str, int], list[str]]
_CHUNK = 64 * 1024


class GuardedBackend(httpcore.NetworkBackend):
    """Connects only to addresses that the feed may use, and lets no wait outlast the deadline."""

    def __init__(
        self, deadline: Deadline, allow_private: tuple[str, ...], resolve: Resolve | None = None
    ) -> None:
        self._deadline = deadline
        self._allow_private = allow_private
        self._resolve = resolve or resolve_name

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to one of the name's addresses; all of them must be allowed."""
        addresses = _within(self._deadline, lambda: self._resolve(host, port))
        for address in addresses:
            reason = refusal(ipaddress.ip_address(address.partition("%")[0]), self._allow_private)
            if reason is not None:
                raise FetchError(
                    "blocked_address",
                    f"{host} is {reason}",
                    hint="If the feed is inside your own network, list the network in `allow_private` of this feed.",
                )
        last: OSError | None = None
        for address in addresses:
            try:
                connected = socket.create_connection(
                    (address, port), min(self._deadline.remaining(), 10.0)
                )
            except OSError as error:
                last = error
                continue
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Stream(connected, self._deadline)
        raise httpcore.ConnectError(str(last)) from last

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Refused: no feed lives there."""
        raise FetchError("blocked_address", "feeds are not fetched over unix sockets")


class _Stream(httpcore.NetworkStream):
    """A socket whose every operation ends by the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            self._socket.settimeout(min(self._deadline.remaining(), 1.0))  # to notice a stop
            try:
                return self._socket.recv(max_bytes)
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except OSError as error:
                raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        while view:
            self._socket.settimeout(self._deadline.remaining())
            try:
                view = view[self._socket.send(view[:_CHUNK]) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        self._socket.settimeout(self._deadline.remaining())
        try:
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        if info == "socket":
            return self._socket
        return None


def resolve_name(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system resolves it, each once."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(
            "dns",
            f"the name {host} cannot be resolved: {error}",
            hint="Check the host in the URL.",
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _within(deadline: Deadline, resolve: Callable[[], list[str]]) -> list[str]:
    """What `resolve` gives, if it does in time: the system's resolver takes no timeout."""
    results: list[list[str] | BaseException] = []

    def run() -> None:
        try:
            results.append(resolve())
        except BaseException as error:  # noqa: BLE001 handed over to the thread that waits
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(min(deadline.remaining(), 1.0))
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    return result
