"""API keys in the people database."""

import hashlib
import hmac
import secrets
import string
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from feedd.errors import NotFound
from feedd.model import ApiKey
from feedd.store.database import Database
from feedd.store.tables import API_KEYS

PRIVATE_START = "pk_"
_PREFIX_LENGTH = len(PRIVATE_START) + 8
_PUBLIC_ALPHABET = string.ascii_letters + string.digits
SCOPES = ("read", "write")
_MOST_TRIES = 10  # to find first characters that no key has; the second would be a wonder


def create_key(
    database: Database, *, kind: str, name: str, scopes: tuple[str, ...], now: datetime
) -> tuple[ApiKey, str]:
    """Make a key; gives it with its full text, which is kept nowhere.

    `kind` is `private` (256 random bits) or `public` (six characters, no secret).
    """
    for _ in range(_MOST_TRIES):
        try:
            with database.transaction() as connection:
                return _create(connection, kind=kind, name=name, scopes=scopes, now=now)
        except IntegrityError as error:  # the first characters are taken
            taken = error
    raise taken


def _create(
    connection: Connection, *, kind: str, name: str, scopes: tuple[str, ...], now: datetime
) -> tuple[ApiKey, str]:
    key = _new_text(kind)
    values: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "prefix": key[:_PREFIX_LENGTH],
        "hash": digest_of(key) if kind == "private" else None,
        "scopes": msgspec.json.encode(scopes).decode(),
        "created_at": now,
    }
    row = connection.execute(insert(API_KEYS).values(**values).returning(*API_KEYS.c)).one()
    return _key(row), key


def _new_text(kind: str) -> str:
    if kind == "private":
        return PRIVATE_START + secrets.token_urlsafe(32)
    return "".join(secrets.choice(_PUBLIC_ALPHABET) for _ in range(6))


def digest_of(key: str) -> bytes:
    """What is kept of a private key. It is random and long, so that nobody can find it by trying: no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


def list_keys(database: Database) -> list[ApiKey]:
    """Every key, revoked ones too, the oldest first."""
    with database.connect() as connection:
        return [_key(row) for row in connection.execute(select(API_KEYS).order_by(API_KEYS.c.id))]


def revoke_key(database: Database, prefix: str, now: datetime) -> ApiKey:
    """Make a key useless from now on.

    Raises:
        NotFound: no key that is in use begins like that.
    """
    with database.transaction() as connection:
        return _end(connection, prefix, now, revoked_at=now)


def rotate_key(
    database: Database, prefix: str, now: datetime, *, keep: timedelta = timedelta(0)
) -> tuple[ApiKey, ApiKey, str]:
    """Replace a key by a new one with the same name, kind and scopes; the old one goes on for as long as `keep` says.

    Gives the old one, the new one and its text, which is kept nowhere. A key that was to end sooner still does.

    Raises:
        NotFound: no key that is in use begins like that.
    """
    for _ in range(_MOST_TRIES):
        try:
            with database.transaction() as connection:
                end = {"expires_at": now + keep} if keep > timedelta(0) else {"revoked_at": now}
                old = _end(connection, prefix, now, **end)
                new, text = _create(
                    connection, kind=old.kind, name=old.name, scopes=old.scopes, now=now
                )
                return old, new, text
        except IntegrityError as error:
            taken = error
    raise taken


def _end(connection: Connection, prefix: str, now: datetime, **end: datetime) -> ApiKey:
    """Write down when a key that is in use ends."""
    values, start = dict(end), prefix[:_PREFIX_LENGTH]
    key = None
    if start.isprintable():
        key = connection.execute(
            select(API_KEYS).where(API_KEYS.c.prefix == start, _in_use(now))
        ).one_or_none()
    if key is None:
        raise NotFound(f"no key in use begins with {start}", hint="`feedd key list` shows them.")
    if key.expires_at is not None and "expires_at" in values:
        values["expires_at"] = min(key.expires_at, values["expires_at"])
    row = connection.execute(
        update(API_KEYS).where(API_KEYS.c.id == key.id).values(**values).returning(*API_KEYS.c)
    ).one()
    return _key(row)


def find_private_key(database: Database, key: str, now: datetime) -> ApiKey | None:
    """The private key with that text, if there is one in use; compared in constant time."""
    with database.connect() as connection:
        row = connection.execute(
            select(API_KEYS).where(
                API_KEYS.c.prefix == key[:_PREFIX_LENGTH],
                API_KEYS.c.kind == "private",
                _in_use(now),
            )
        ).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.hash), digest_of(key)):
        return None
    return _key(row)


def public_keys(database: Database, now: datetime) -> dict[str, datetime | None]:
    """The public keys in use, and when they end."""
    with database.connect() as connection:
        rows = connection.execute(
            select(API_KEYS.c.prefix, API_KEYS.c.expires_at).where(
                API_KEYS.c.kind == "public", _in_use(now)
            )
        )
        return {row.prefix: row.expires_at for row in rows}


def _in_use(now: datetime) -> ColumnElement[bool]:
    return API_KEYS.c.revoked_at.is_(None) & or_(
        API_KEYS.c.expires_at.is_(None), API_KEYS.c.expires_at > now
    )


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        kind=row.kind,
        prefix=row.prefix,
        scopes=tuple(msgspec.json.decode(row.scopes)),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        expires_at=row.expires_at,
    )
