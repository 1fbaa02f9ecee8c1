"""Leases on rows that one daemon at a time works for: who may take one, and what taking it writes.

A holder may take over from itself: it does one thing at a time for a row, so what it left is dead. A lease that ends later than one can
was given by a clock that has been set back since.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table

CLOCKS_DIFFER = timedelta(seconds=60)


def may_take(table: Table, holder: str, now: datetime, lease: timedelta) -> ColumnElement[bool]:
    """The condition under which the lease of a row is to be had."""
    held, until = table.c.lease_holder, table.c.lease_until
    return held.is_(None) | (held == holder) | (until < now) | (until > now + lease + CLOCKS_DIFFER)


def taken(table: Table, holder: str, now: datetime, lease: timedelta) -> dict[str, Any]:
    """The values of a row whose lease is taken; the epoch tells it from every one before."""
    return {
        "lease_holder": holder,
        "lease_until": now + lease,
        "lease_epoch": table.c.lease_epoch + 1,
    }
