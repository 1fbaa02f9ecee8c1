"""The HTTP side of the daemon: sockets that feedd has bound itself, and limits that keep strangers from using them up. Owns uvicorn."""

import asyncio
import contextlib
import os
import resource
import socket
import threading
import time
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from feedd.api import create_api
from feedd.api.bodies import LATE
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import Unavailable
from feedd.metrics import Metrics
from feedd.settings import Settings
from feedd.state import socket_address
from feedd.tail import Tail

SOCKET_MODE = 0o660
REQUEST_WITHIN_S = 20.0  # from the first byte of a request to its last
ANSWER_LATE_WITHIN_S = 2.0  # to say that it was not whole in time
TAKE_WITHIN_S = 60.0  # for so long a client may take nothing of what it is sent
TAKE_AT_THE_END_S = 1.0  # as long, once feedd is stopping
MOST_TCP = 256
_FILES = 8_192


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 whose requests must be sent in time, and whose TCP connections are counted.

    A client that sends half a request costs a connection until its time is over, so does one that does not read its
    answer, and no more than `MOST_TCP` of them are taken: the unix socket, the databases and the feeds have the other
    descriptors to themselves. An answer itself may take as long as it likes: a stream of changes never ends.
    """

    _tcp = 0
    _counted = False
    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if transport.get_extra_info("socket").family != socket.AF_UNIX:
            if GuardedProtocol._tcp >= MOST_TCP:
                transport.abort()
                return
            GuardedProtocol._tcp += 1
            self._counted = True
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._counted:
            GuardedProtocol._tcp -= 1
            self._counted = False
        for timer in (self._late, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(TAKE_WITHIN_S, self.transport.abort)

    def shutdown(self) -> None:
        super().shutdown()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = self.loop.call_later(TAKE_AT_THE_END_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def _watch(self) -> None:
        """Have the clock run while a request is on its way, and only then."""
        whole = self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)
        if whole and self._late is not None:
            self._late.cancel()
            self._late = None
        elif not whole and self._late is None:
            self._late = self.loop.call_later(REQUEST_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        """Give up a request that is not whole: who reads its body is told first, and may answer."""
        self._late = None
        state = None if self.cycle is None else self.cycle.scope["state"]
        if self.conn.their_state is h11.SEND_BODY and state is not None and LATE not in state:
            state[LATE] = True
            self.cycle.message_event.set()
            self._late = self.loop.call_later(ANSWER_LATE_WITHIN_S, self._give_up)
        elif self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells which loop it runs on."""

    loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)


class HttpServer:
    """uvicorn in a thread of its own, on sockets that feedd has bound."""

    def __init__(
        self,
        app: App,
        dispatcher: Dispatcher,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        stop_within_s: float = 4,
    ) -> None:
        self._stop_within_s = stop_within_s
        self.tail = Tail(app.stream)
        self._socket_path = settings.socket
        self._sockets = [_bind_unix(settings.socket)]
        if settings.listen is not None:
            self._sockets.append(_bind_tcp(*settings.listen))
        self._server = _Server(
            uvicorn.Config(
                create_api(app, dispatcher, metrics, self.tail),
                http=GuardedProtocol,
                log_config=None,
                access_log=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=max(1, int(stop_within_s) - 1),
                h11_max_incomplete_event_size=64 * 1024,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=(self._sockets,), name="http", daemon=True
        )

    def start(self) -> None:
        """Answer from now on.

        Raises:
            Unavailable: the server does not start.
        """
        _allow_files()
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise Unavailable("the HTTP server did not start; the log says why")
            time.sleep(0.01)

    def places(self) -> str:
        """Where it is listened, for people."""
        address = self.address()
        return f"{self._socket_path} and {address}" if address else str(self._socket_path)

    def address(self) -> str | None:
        """Where TCP is listened on: the port that was given where 0 was asked for."""
        if len(self._sockets) == 1:
            return None
        return "{}:{}".format(*self._sockets[1].getsockname()[:2])

    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def turns(self, within_s: float) -> bool:
        """Whether the event loop does what it is given, in time."""
        turned = threading.Event()
        if self._server.loop is None:
            return False
        with contextlib.suppress(RuntimeError):  # it is closed
            self._server.loop.call_soon_threadsafe(turned.set)
        return turned.wait(within_s)

    def stop(self) -> None:
        """Take no more, and give the requests that are running a moment to end."""
        self.tail.stop()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(self._stop_within_s)
        for listener in self._sockets:
            listener.close()
        self._socket_path.unlink(missing_ok=True)


def _allow_files() -> None:
    """As many open files as a busy daemon needs, where the machine lets it have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bind_unix(path: Path) -> socket.socket:
    """A listening unix socket that only its owner and group can use; what a dead feedd left there is replaced.

    Only the holder of the state directory's lock comes here, so a socket that exists is a leftover.
    """
    listener = socket.socket(socket.AF_UNIX)
    old_mask = os.umask(0o777 & ~SOCKET_MODE)  # the mode holds from bind on, not from a later chmod
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with socket_address(path) as address:
            listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {path}: {error.strerror or error}",
            hint='Name another place with socket = "/run/feedd/feedd.sock".',
        ) from error
    finally:
        os.umask(old_mask)
    return listener


def _bind_tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, answers on a connection that is kept
    # wait 40 ms for the client's acknowledgement of their first part
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint='Set another address with listen = "HOST:PORT", or listen = "" for none.',
        ) from error
    return listener
