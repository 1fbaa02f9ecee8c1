"""What a sync puts aside until its commit, and what it asks of the store meanwhile. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from feedd.model import ChangeKind


class StoredItem(NamedTuple):
    """What the catalog holds of an id; `item` is its key."""

    item: int
    digest: bytes
    fields: str
    live: bool
    warning_count: int


class ItemRow(NamedTuple):
    """One item to store. `kind` is None when no change shows: only its fingerprint, text or warnings are new.

    `fields` is JSON in UTF-8, None where the stored text stays; `ordinal` is the change's place within its sync. Added items come with
    keys that follow each other.
    """

    ordinal: int | None
    item: int
    item_id: str
    kind: ChangeKind | None
    fields: bytes | None
    digest: bytes
    warnings: str | None
    warning_count: int
    changes: str


class AddedItems(NamedTuple):
    """Added items by columns, in their order: the first has the key `first` and the change `ordinal`, each next one the next."""

    first: int
    ordinal: int
    item_ids: Sequence[str]
    fields: Sequence[bytes]
    digests: Sequence[bytes]
    warnings: Sequence[str | None]
    warning_counts: Sequence[int]


class RejectRow(NamedTuple):
    """One reject to store, or to move to a new position when `is_new` is false."""

    reject: int
    is_new: bool
    position: int
    item_id: str | None
    fingerprint: bytes
    duplicate: bool
    problems: str


class Stage(Protocol):
    """Where rows wait for the commit, and what is asked of the store meanwhile."""

    def add_items(self, rows: Sequence[ItemRow]) -> None: ...
    def add_new(self, items: AddedItems) -> None: ...
    def add_rejects(self, rows: Sequence[RejectRow]) -> None: ...
    def staged(self, item_ids: Sequence[str]) -> dict[str, bytes]: ...
    def stored(self, item_ids: Sequence[str]) -> dict[str, StoredItem]: ...
    def stored_keys(self, item_ids: Sequence[str]) -> Iterable[int]: ...
    def open_rejects(self) -> Iterable[tuple[int, str | None, int, bytes, bool]]: ...
