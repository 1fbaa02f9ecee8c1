"""API keys in the people database."""

import hashlib
import hmac
import secrets
import string
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from feedd.errors import NotFound
from feedd.model import ApiKey
from feedd.store.database import Database
from feedd.store.tables import API_KEYS

PRIVATE_START = "pk_"
_PREFIX_LENGTH = len(PRIVATE_START) + 8
_PUBLIC_ALPHABET = string.ascii_letters + string.digits
SCOPES = ("read", "write")


def create_key(
    database: Database, *, kind: str, name: str, scopes: tuple[str, ...], now: datetime
) -> tuple[ApiKey, str]:
    """Make a key; gives it with its full text, which is kept nowhere.

    `kind` is `private` (256 random bits) or `public` (six characters, no secret).
    """
    while True:
        key = _new_text(kind)
        values: dict[str, Any] = {
            "name": name,
            "kind": kind,
            "prefix": key[:_PREFIX_LENGTH],
            "hash": hashlib.sha256(key.encode()).digest() if kind == "private" else None,
            "scopes": msgspec.json.encode(scopes).decode(),
            "created_at": now,
        }
        try:
            with database.transaction() as connection:
                key_id = connection.execute(
                    insert(API_KEYS).values(**values).returning(API_KEYS.c.id)
                )
                made = ApiKey(
                    id=key_id.scalar_one(),
                    name=name,
                    kind=kind,
                    prefix=values["prefix"],
                    scopes=scopes,
                    created_at=now,
                )
        except IntegrityError:  # the first characters are taken
            continue
        return made, key


def _new_text(kind: str) -> str:
    if kind == "private":
        return PRIVATE_START + secrets.token_urlsafe(32)
    return "".join(secrets.choice(_PUBLIC_ALPHABET) for _ in range(6))


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
        row = connection.execute(
            update(API_KEYS)
            .where(API_KEYS.c.prefix == prefix[:_PREFIX_LENGTH], API_KEYS.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(*API_KEYS.c)
        ).one_or_none()
    if row is None:
        raise NotFound(
            f"no key in use begins with {prefix[:_PREFIX_LENGTH]}",
            hint="`feedd key list` shows them.",
        )
    return _key(row)


def find_private_key(database: Database, key: str) -> ApiKey | None:
    """The private key with that text, if there is one in use; compared in constant time."""
    with database.connect() as connection:
        row = connection.execute(
            select(API_KEYS).where(
                API_KEYS.c.prefix == key[:_PREFIX_LENGTH], API_KEYS.c.kind == "private"
            )
        ).one_or_none()
    digest = hashlib.sha256(key.encode()).digest()
    if row is None or not hmac.compare_digest(bytes(row.hash), digest) or row.revoked_at:
        return None
    return _key(row)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        kind=row.kind,
        prefix=row.prefix,
        scopes=tuple(msgspec.json.decode(row.scopes)),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
