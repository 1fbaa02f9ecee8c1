"""How often somebody may send a wrong key: nobody finds one by trying, and nobody keeps the database busy with it."""

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from feedd.errors import UsageError

MOST = 20
WITHIN_S = 60.0
_MOST_SOURCES = 10_000
_MOST_KNOWN = 10_000


class TooManyAttempts(UsageError):
    """Wrong keys came from there too often; after `retry_after_s` they are looked at again."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"{MOST} wrong keys have come from this address within a minute",
            code="too_many_attempts",
            hint="Wait, and check which key is sent.",
        )


class Attempts:
    """Wrong keys by where they came from. On one event loop; its memory is bounded.

    A source is an address, of IPv6 its /64, which one subscriber has all of. A key that has been right from a source before is
    looked at however many wrong ones come from there: a shop behind a shared address is not locked out by its neighbours.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}  # how many, since when
        self._known: dict[tuple[str, bytes], None] = {}

    def check(self, address: str, digest: bytes) -> None:
        """Raise TooManyAttempts where a key with that digest is not to be looked at now."""
        source = _source_of(address)
        count, began = self._wrong.get(source, (0, 0.0))
        left_s = began + WITHIN_S - self._clock()
        if count >= MOST and left_s > 0 and (source, digest) not in self._known:
            raise TooManyAttempts(left_s)

    def failed(self, address: str, digest: bytes) -> int:
        """Count a wrong key; gives how many have come from there within the minute."""
        source, now = _source_of(address), self._clock()
        self._known.pop((source, digest), None)
        count, began = self._wrong.get(source, (0, now))
        if now - began >= WITHIN_S:
            count, began = 0, now
        if source not in self._wrong and len(self._wrong) >= _MOST_SOURCES:
            self._make_room(now)
        self._wrong[source] = (count + 1, began)
        return count + 1

    def succeeded(self, address: str, digest: bytes) -> None:
        """Remember that a key was right from there."""
        known = (_source_of(address), digest)
        if known not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[known] = None

    def _make_room(self, now: float) -> None:
        """Forget those whose minute is over, and if there are none the one that came first."""
        for source in [each for each, (_, began) in self._wrong.items() if now - began >= WITHIN_S]:
            del self._wrong[source]
        if len(self._wrong) >= _MOST_SOURCES:
            del self._wrong[next(iter(self._wrong))]


def _source_of(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> 64 << 64))
    return address
