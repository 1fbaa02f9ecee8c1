"""The time that one fetch has."""

import threading
import time
from collections.abc import Callable

from feedd.errors import FetchError

Monotonic = Callable[[], float]


class Deadline:
    """Ends a fetch in time: to the first byte of the body, then by the rate, and over all.

    Every wait on the network asks `remaining`, so that no way of dripping bytes outlasts it.
    """

    def __init__(
        self,
        *,
        total_s: float,
        first_byte_s: float,
        min_rate: tuple[int, float],
        stop: threading.Event | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + total_s
        self._first_byte_s = first_byte_s
        self._rate_bytes, self._rate_s = min_rate
        self._stop = stop
        self._until = self._end
        self._window_start: float | None = None
        self._window_bytes = 0

    def begin_attempt(self) -> None:
        """Start to wait for the first byte of a body."""
        self._window_start = None
        self._until = min(self._end, self._monotonic() + self._first_byte_s)

    def received(self, count: int) -> None:
        """Note some bytes of the body. Raises FetchError (`too_slow`) when they come too slowly."""
        now = self._monotonic()
        if self._window_start is None:
            self._window_start, self._until = now, self._end
        self._window_bytes += count
        if now - self._window_start >= self._rate_s:
            if self._window_bytes < self._rate_bytes:
                raise FetchError(
                    "too_slow",
                    f"the server sent less than {self._rate_bytes} bytes in {self._rate_s:g} s",
                    hint="Nothing was changed. Try again later, or serve the feed from a faster host.",
                )
            self._window_start, self._window_bytes = now, 0

    def remaining(self) -> float:
        """Seconds that the next wait may take. Raises FetchError (`timeout`, `stopped`)."""
        if self._stop is not None and self._stop.is_set():
            raise FetchError("stopped", "feedd was stopped while it fetched this feed")
        now = self._monotonic()
        left = self._until - now
        if self._window_start is not None:
            left = min(left, self._window_start + self._rate_s + 0.05 - now)
            if left <= 0:
                self.received(0)
                left = self._rate_s
        if left <= 0 or now >= self._end:
            raise timed_out()
        return max(left, 0.001)

    def left(self) -> float:
        """Seconds that are left over all."""
        return self._end - self._monotonic()


def timed_out() -> FetchError:
    """The error for a server that did not answer in time."""
    return FetchError(
        "timeout",
        "the server did not answer in time",
        hint="Raise `timeout` for this feed if its server needs longer to make it.",
    )
