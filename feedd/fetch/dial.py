"""The dialler: resolves a name once, refuses what may not be reached, and connects to what was checked.

A check of the URL's spelling is worthless (`127.1`, `0x7f.1`, a name that resolves to a private address, a redirect);
so the check stands where the connection is made, and covers every hop.
"""

import contextlib
import errno
import ipaddress
import os
import select
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
CONNECT_S = 10.0  # for each address of a name; then the next one has its turn
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
                return _Stream(_connected(address, port, self._deadline), self._deadline)
            except OSError as error:
                last = error
        raise httpcore.ConnectError(_reason(last)) from last

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
            self._socket.settimeout(self._deadline.step())
            try:
                return self._socket.recv(max_bytes)
            except TimeoutError:
                continue
            except OSError as error:
                raise httpcore.ReadError(_reason(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        while view:
            self._socket.settimeout(self._deadline.step())
            try:
                view = view[self._socket.send(view[:_CHUNK]) :]
            except TimeoutError:
                continue
            except OSError as error:
                raise httpcore.WriteError(_reason(error)) from error

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            secured = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:  # ValueError: no name that TLS could ask for
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        stream = _Stream(secured, self._deadline)
        try:
            stream.shake_hands(secured)
        except BaseException:
            stream.close()
            raise
        return stream

    def shake_hands(self, secured: ssl.SSLSocket) -> None:
        """The TLS handshake, in steps."""
        while True:
            secured.settimeout(self._deadline.step())
            try:
                return secured.do_handshake()
            except TimeoutError:
                continue
            except OSError as error:
                raise httpcore.ConnectError(_reason(error)) from error

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


def _connected(address: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to one address, waited for in steps."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        error = made.connect_ex(place)
        poll = select.poll()
        poll.register(made, select.POLLOUT)
        waited = 0.0
        while error == errno.EINPROGRESS:
            step = deadline.step()
            if poll.poll(step * 1000):
                error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif waited >= CONNECT_S:
                error = errno.ETIMEDOUT
            waited += step
        if error:
            raise OSError(error, os.strerror(error))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


def _reason(error: OSError | None) -> str:
    return "it has no address" if error is None else error.strerror or str(error)


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
        thread.join(deadline.step())
    result = results[0]
    if isinstance(result, BaseException):
        raise result
    return result
