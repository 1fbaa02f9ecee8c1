"""The time that one fetch has."""

import threading
import time
from collections.abc import Callable

from feedd.errors import FetchError

Monotonic = Callable[[], float]
STEP_S = 0.25  # a stop is noticed within this


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
        """Seconds that the next wait on the server may take. Raises FetchError (`timeout`, `too_slow`, `stopped`)."""
        self.check()
        if self._window_start is not None:
            self.received(0)
        left = self._until - self._monotonic()
        if left <= 0:
            raise timed_out()
        if self._window_start is not None:
            left = min(left, self._window_start + self._rate_s - self._monotonic())
        return max(left, 0.001)

    def step(self) -> float:
        """`remaining`, but short, so that a wait in steps notices a stop."""
        return min(self.remaining(), STEP_S)

    def check(self) -> None:
        """Raise FetchError (`timeout`, `stopped`) if there is no time left over all.

        It is asked where feedd itself works or waits: the server is not to blame for that time.
        """
        if self._stop is not None and self._stop.is_set():
            raise stopped()
        if self.left() <= 0:
            raise timed_out()

    def left(self) -> float:
        """Seconds that are left over all."""
        return self._end - self._monotonic()


def stopped() -> FetchError:
    """The error for a fetch that the daemon ended."""
    return FetchError("stopped", "feedd was stopped while it fetched this feed")


def timed_out() -> FetchError:
    """The error for a server that did not answer in time."""
    return FetchError(
        "timeout",
        "the server did not answer in time",
        hint="Raise `timeout` for this feed if its server needs longer to make it.",
    )
