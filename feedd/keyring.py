"""The API keys as requests ask for them: kept at hand for some seconds, so that a request need not wait for the database.

Keys that this process makes, replaces or revokes are looked up anew at once. What another process on the same database does is
seen within `FRESH_S`; a public key that is not known is looked for again before it is refused, at most once a second.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from feedd.model import ApiKey
from feedd.store import keys
from feedd.store.database import Database

FRESH_S = 5.0
_LOOK_AGAIN_S = 1.0
_MOST = 1_000

# public keys and when they end, and when they were read
_Public = tuple[dict[str, datetime | None], float]
_NONE_READ: _Public = ({}, float("-inf"))


class Keyring:
    """The keys of one people database. For any thread."""

    def __init__(
        self,
        people: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._people = people
        self._now = now
        self._clock = clock
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._generation = (
            0  # goes up with every change, so that what was read before it is not kept after it
        )
        self._private: dict[bytes, tuple[ApiKey, float]] = {}
        self._public = _NONE_READ

    def create(self, *, kind: str, name: str, scopes: tuple[str, ...]) -> tuple[ApiKey, str]:
        """Make a key; its text is given this once."""
        made = keys.create_key(self._people, kind=kind, name=name, scopes=scopes, now=self._now())
        self._forget()
        return made

    def rotate(self, prefix: str, *, keep: timedelta) -> tuple[ApiKey, ApiKey, str]:
        """Replace a key; see `store.keys.rotate_key`."""
        made = keys.rotate_key(self._people, prefix, self._now(), keep=keep)
        self._forget()
        return made

    def revoke(self, prefix: str) -> ApiKey:
        """Make a key useless. Raises NotFound."""
        revoked = keys.revoke_key(self._people, prefix, self._now())
        self._forget()
        return revoked

    def _forget(self) -> None:
        with self._lock:
            self._generation += 1
            self._private.clear()
            self._public = _NONE_READ

    def known(self, text: str) -> ApiKey | None:
        """The private key with that text, if it was found a moment ago; asks nobody."""
        found = self._private.get(keys.digest_of(text))
        if (
            found is None
            or found[1] < self._clock() - FRESH_S
            or self._is_over(found[0].expires_at)
        ):
            return None
        return found[0]

    def find(self, text: str) -> ApiKey | None:
        """The private key in use with that text. Raises StoreError."""
        if (known := self.known(text)) is not None:
            return known
        generation, asked_at = self._generation, self._clock()
        found = keys.find_private_key(self._people, text, self._now())
        with self._lock:
            if found is not None and generation == self._generation:
                if len(self._private) >= _MOST:
                    self._private.clear()
                self._private[keys.digest_of(text)] = (found, asked_at)
        return found

    def knows_public(self, token: str) -> bool | None:
        """Whether a public key is in use; None where the database is to be asked, by `is_public`."""
        found, read_at = self._public  # at once: another thread may replace it
        age_s = self._clock() - read_at
        if age_s > FRESH_S or (token not in found and age_s > _LOOK_AGAIN_S):
            return None
        return token in found and not self._is_over(found[token])

    def is_public(self, token: str) -> bool:
        """Whether a public key is in use. Raises StoreError."""
        with self._reading:  # many ask at once when the time is over: one reads for all
            if (known := self.knows_public(token)) is not None:
                return known
            generation, asked_at = self._generation, self._clock()
            found = keys.public_keys(self._people, self._now())
            with self._lock:
                if generation == self._generation:
                    self._public = found, asked_at
        return token in found

    def _is_over(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and expires_at <= self._now()
