"""Secrets that feedd makes for itself, in the people database: one for all daemons that share it."""

import secrets
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from feedd.store.database import Database
from feedd.store.tables import SECRETS

LINKS = "links"  # the purpose of what seals links to people's own pages
SIZE_BYTES = 64
_MOST_TRIES = 10


def own_secrets(database: Database, purpose: str, now: datetime) -> list[bytes]:
    """The secrets of a purpose, the newest first; the first one is made when there is none."""
    found = read_secrets(database, purpose)
    if not found:
        add_secret(database, purpose, now, after=0)
        found = read_secrets(database, purpose)
    return found


def add_secret(
    database: Database, purpose: str, now: datetime, *, after: int | None = None
) -> None:
    """Make a secret that is used from now on; older ones still open what they have closed.

    With `after` only if the newest has that number: of several daemons that begin together, one makes it.
    """
    for _ in range(_MOST_TRIES):
        try:
            with database.transaction() as connection:
                newest = connection.execute(
                    select(func.max(SECRETS.c.number)).where(SECRETS.c.purpose == purpose)
                ).scalar()
                if after is not None and (newest or 0) != after:
                    return
                connection.execute(
                    insert(SECRETS).values(
                        purpose=purpose,
                        number=(newest or 0) + 1,
                        value=secrets.token_bytes(SIZE_BYTES),
                        created_at=now,
                    )
                )
                return
        except IntegrityError as error:  # another daemon was quicker
            taken = error
    raise taken


def read_secrets(database: Database, purpose: str) -> list[bytes]:
    """The secrets of a purpose that there are, the newest first."""
    with database.connect() as connection:
        query = select(SECRETS.c.value).where(SECRETS.c.purpose == purpose)
        return [
            bytes(value) for value in connection.scalars(query.order_by(SECRETS.c.number.desc()))
        ]
