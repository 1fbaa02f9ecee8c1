"""Fetches a feed: one attempt or several, never more than a few at once from the same host.

What HTTP takes is imported with the first feed that is fetched by it: a tenth of a second, which files need not wait for.
"""

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from feedd.errors import FetchError
from feedd.fetch.clock import STEP_S, Deadline, Monotonic, stopped
from feedd.fetch.files import fetch_file
from feedd.fetch.request import Fetched, FetchRequest, OnProgress

if TYPE_CHECKING:
    import httpx

    from feedd.fetch.dial import Resolve

PATIENCE_S = 10.0  # a Retry-After up to this is waited for here, a longer one by the scheduler
_AGAIN = frozenset({"connect", "cut_short", "timeout", "dns"})


class Fetcher:
    """Fetches feeds from any number of threads."""

    def __init__(
        self,
        *,
        user_agent: str,
        per_host: int = 2,
        monotonic: Monotonic = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        resolve: "Resolve | None" = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._user_agent = user_agent
        self._per_host = per_host
        self._monotonic = monotonic
        self._sleep = sleep
        self._resolve = resolve
        self._verify = verify
        self._hosts: dict[str, threading.BoundedSemaphore] = {}
        self._lock = threading.Lock()

    def fetch(
        self,
        request: FetchRequest,
        spool_dir: Path,
        *,
        on_progress: OnProgress = lambda _done, _total: None,
        stop: threading.Event | None = None,
    ) -> Fetched:
        """The feed's body on disk, or the word that it has not changed.

        Raises:
            FetchError: it could not be had; `retry_after_s` says when the server wants to be asked again.
        """
        deadline = Deadline(
            total_s=request.total_s,
            first_byte_s=request.timeout_s,
            min_rate=request.min_rate,
            stop=stop,
            monotonic=self._monotonic,
        )
        if request.url.partition(":")[0].lower() == "file":
            return fetch_file(request, spool_dir, deadline, on_progress=on_progress)

        from feedd.fetch.http import checked

        plain = request
        if request.pages is not None:  # validators are of one page
            plain = msgspec.structs.replace(request, etag=None, last_modified=None)

        def page(url: "httpx.URL", told: OnProgress) -> Fetched:
            return self._fetched(plain, url, spool_dir, deadline, told, stop)

        if request.pages is None:
            return page(checked(request.url), on_progress)
        from feedd.fetch.pages import fetch_pages

        return fetch_pages(request, request.pages, spool_dir, page, on_progress=on_progress)

    def _fetched(
        self,
        request: FetchRequest,
        url: "httpx.URL",
        folder: Path,
        deadline: Deadline,
        on_progress: OnProgress,
        stop: threading.Event | None,
    ) -> Fetched:
        """What is at one URL of a feed, in as many attempts as it takes and may take."""
        from feedd.fetch.http import fetch_http

        attempt = 1
        while True:
            try:
                with self._turn(url.host, deadline):
                    deadline.begin_attempt()
                    return fetch_http(
                        request,
                        folder,
                        deadline,
                        user_agent=self._user_agent,
                        on_progress=on_progress,
                        resolve=self._resolve,
                        verify=self._verify,
                        at=url,
                    )
            except FetchError as error:
                pause = _pause(error, attempt)
                if pause is None or attempt >= request.attempts or pause >= deadline.left():
                    raise
            self._wait(pause, stop)
            attempt += 1

    @contextmanager
    def _turn(self, host: str, deadline: Deadline) -> Iterator[None]:
        """A place among the few that fetch from a host at once."""
        with self._lock:
            places = self._hosts.setdefault(host, threading.BoundedSemaphore(self._per_host))
        while not places.acquire(timeout=STEP_S):
            deadline.check()
        try:
            yield
        finally:
            places.release()

    def _wait(self, seconds: float, stop: threading.Event | None) -> None:
        if self._sleep is not None:
            self._sleep(seconds)
        elif (stop or threading.Event()).wait(seconds):
            raise stopped()


def _pause(error: FetchError, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None if it would not help.

    Exponential backoff with full jitter, or what the server asks for if that is short.
    """
    if error.code == "http_status":
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= PATIENCE_S else None
        if error.status is None or error.status < 500:
            return None
    elif error.code not in _AGAIN:
        return None
    return random.uniform(0.25, 0.5 * 2**attempt)  # noqa: S311 spreads load, guards nothing
