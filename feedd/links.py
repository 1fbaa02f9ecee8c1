"""Links in messages that lead people to their own pages: sealed, so that nobody can make one or see whose it is.

A link ends in a token: what it is about, encrypted and authenticated by AES-SIV (RFC 5297) under a secret of this database. The same link is
always the same text, so that a message that is rendered twice is the same. A token is for one kind of page only.
"""

import base64
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2s

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec import Struct

from feedd.errors import StoreError
from feedd.settings import Settings
from feedd.store.database import Database
from feedd.store.own_secrets import LINKS, own_secrets, read_secrets
from feedd.templates.wire import Links, Position

# the kinds of pages, and the word that each has in its address
PAGES = {"unsubscribe": "unsubscribe", "manage_preferences": "preferences", "web_view": "view"}
FRESH_S = 60.0  # for so long a secret that another daemon has added is not seen
_LONGEST = 1_000
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 nothing is bound here


class LinkTo(Struct, frozen=True, kw_only=True):
    """What a link is about: a profile's id, a template's and a campaign's, and the place in the change stream.

    A link that was made before a restore has no place: the stream is another one since.
    """

    profile: str | None = None
    template: str | None = None
    campaign: str | None = None
    position: Position | None = None


class _Sealed(Struct, frozen=True, array_like=True):
    """What is in a token. The stream is named by a digest, which is shorter."""

    profile: str | None
    template: str | None
    campaign: str | None
    seq: int | None
    stream: bytes


class PersonalLinks:
    """Makes links below the public address, and reads them. For any thread."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        people: Database,
        stream_id: Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._people = people
        self._stream_id = stream_id
        self._clock = clock
        self._lock = threading.Lock()
        self._seals: list[AESSIV] = []
        self._read_at = float("-inf")

    def make(self, kind: str, about: LinkTo) -> str:
        """The address of a page. Raises StoreError."""
        seal = self._known(makes=True)[0]
        sealed = seal.encrypt(_encode(_closed(about)), _bound_to(kind))
        token = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        return f"{public_url(self._settings())}/{PAGES[kind]}/{token}"

    def all_of(self, about: LinkTo) -> Links:
        """The addresses of every page that a message may lead to. Raises StoreError."""
        return Links(**{kind: self.make(kind, about) for kind in PAGES})

    def read(self, kind: str, token: str) -> LinkTo | None:
        """What a token is about; None for one that was not made here for such a page. Raises StoreError."""
        if len(token) > _LONGEST or not token.isascii():
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except ValueError:
            return None
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:  # bits that say nothing
            return None
        for seal in self._known():
            try:
                return self._opened(_decode(seal.decrypt(sealed, _bound_to(kind))))
            except (InvalidTag, ValueError):
                continue
        return None

    def _opened(self, found: _Sealed) -> LinkTo:
        position = None
        if found.seq is not None and found.stream == _digest(stream := self._stream_id()):
            position = Position(stream, found.seq)
        return LinkTo(
            profile=found.profile,
            template=found.template,
            campaign=found.campaign,
            position=position,
        )

    def _known(self, *, makes: bool = False) -> list[AESSIV]:
        """The newest secret, then the older ones: those that were known before where they cannot be read."""
        with self._lock:
            if self._clock() - self._read_at > FRESH_S or (makes and not self._seals):
                try:
                    found = (
                        own_secrets(self._people, LINKS, datetime.now(UTC))
                        if makes
                        else read_secrets(self._people, LINKS)
                    )
                    self._seals = [AESSIV(secret) for secret in found]
                except StoreError:
                    if not self._seals:
                        raise
                self._read_at = self._clock()
            return self._seals


def public_url(settings: Settings) -> str:
    """Where people reach this feedd, without a slash at its end: as configured, or else where it listens.

    What listens everywhere is reached at `localhost` at least. So links always come out, and can be tried on this machine.
    """
    if settings.public_url is not None:
        return settings.public_url
    if settings.listen is None:
        return "http://localhost"
    host, port = settings.listen
    if host in _EVERYWHERE:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound_to(kind: str) -> list[bytes]:
    return [b"feedd", kind.encode()]


def _closed(about: LinkTo) -> _Sealed:
    seq, stream = None, b""
    if about.position is not None:
        seq, stream = about.position.seq, _digest(about.position.stream)
    return _Sealed(about.profile, about.template, about.campaign, seq, stream)


@lru_cache(maxsize=16)
def _digest(stream: str) -> bytes:
    return blake2s(stream.encode(), digest_size=8).digest()


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_Sealed).decode
