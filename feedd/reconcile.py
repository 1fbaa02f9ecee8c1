"""Which of a feed's records are new, changed, repeated or gone: raw slices in, staged rows and counts out. Pure.

An unchanged record is recognized by its fingerprint and never decoded. Everything else is decoded, normalized and
compared with what is stored. The rules for ids that come more than once: the first record of a body that is an item
wins; one that says the same is counted as a duplicate; one that says something else is a reject.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from feedd import diff
from feedd.fingerprints import HASH_BYTES, Fresh, Int64s, Known, MaybeSeen, fingerprint_all, seed_of
from feedd.model import ChangeKind, Counts, Item, Problem, Reject, Slices
from feedd.staging import ItemRow, RejectRow, Stage, StoredItem

FLUSH_ROWS = 2_000
MAX_SALVAGED = 1024 * 1024
_encode = msgspec.json.encode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


class Outcome(NamedTuple):
    """All that a sync found once its body was read to the end."""

    counts: Counts
    fresh: Fresh
    missing: Int64s
    live_before: int
    warnings_delta: int
    closed_rejects: list[int]
    next_item: int
    next_reject: int
    next_ordinal: int


class _Batch(NamedTuple):
    """Slices with the fingerprint of each and the slot that it matched (-1: none)."""

    slices: Slices
    prints: bytes
    slots: Int64s

    def fingerprint(self, index: int) -> bytes:
        return self.prints[index * HASH_BYTES : (index + 1) * HASH_BYTES]

    def position(self, index: int) -> int:
        return self.slices.position + index


class Reconciler:
    """Takes the slices of one body in order, then says what it all came to."""

    def __init__(
        self,
        *,
        known: Known,
        config_digest: bytes,
        decode: Callable[[Slices], list[dict[str, Any] | Problem]],
        salvage: Callable[[bytes, bytes], dict[str, Any] | None],
        normalize: Callable[[int, dict[str, Any]], Item | Reject],
        stage: Stage,
        next_item: int,
        next_reject: int,
        stored_any: bool,
    ) -> None:
        self.counts = Counts()
        self.records = 0
        self._known = known
        self._live_before = known.live_items
        self._config_digest = config_digest
        self._context: bytes | None = None
        self._seed = 0
        self._decode = decode
        self._salvage = salvage
        self._normalize = normalize
        self._stage = stage
        self._stored_any = stored_any
        self._fresh = Fresh()
        self._next_item = next_item
        self._next_reject = next_reject
        self._next_ordinal = 0
        self._warnings_delta = 0
        # rows not yet handed to the stage, and what has been handed to it
        self._item_rows: list[ItemRow] = []
        self._reject_rows: list[RejectRow] = []
        self._winners: dict[str, bytes] = {}
        self._flushed = MaybeSeen()
        # rejects
        self._new_rejects = 0
        self._rejected_ids: list[str] = []
        self._old_rejects: dict[int, tuple[str | None, int]] = {}
        self._old_duplicates: dict[bytes, deque[int]] = {}
        self._kept_duplicates: set[int] = set()
        for reject, item_id, position, fingerprint, duplicate in stage.open_rejects():
            self._old_rejects[reject] = (item_id, position)
            if duplicate:
                self._old_duplicates.setdefault(fingerprint, deque()).append(reject)

    def take(self, slices: Slices) -> None:
        """Take the next records of the body."""
        if slices.context != self._context:
            self._context = slices.context
            self._seed = seed_of(self._config_digest, slices.context)
        prints = fingerprint_all(slices.raws, self._seed)
        batch = _Batch(slices, prints, self._known.match(prints))
        self.records += len(slices.raws)
        indexes = self._claim(batch)
        while indexes:
            indexes = self._settle(batch, indexes)
        if len(self._item_rows) + len(self._reject_rows) >= FLUSH_ROWS:
            self._flush()

    def finish(self) -> Outcome:
        """What the whole body came to; `missing` are the live items that it does not hold."""
        seen = self._known.seen_rejects()
        for reject, position in seen.items():
            item_id, old_position = self._old_rejects[reject]
            if item_id is not None:
                self._rejected_ids.append(item_id)
            if position != old_position:
                self._reject_rows.append(moved_reject(reject, position))
        self._flush()
        self._keep_items_of_rejects()
        still_open = seen.keys() | self._kept_duplicates
        self.counts.rejected = len(still_open) + self._new_rejects
        return Outcome(
            counts=self.counts,
            fresh=self._fresh,
            missing=self._known.missing_items(),
            live_before=self._live_before,
            warnings_delta=self._warnings_delta,
            closed_rejects=[reject for reject in self._old_rejects if reject not in still_open],
            next_item=self._next_item,
            next_reject=self._next_reject,
            next_ordinal=self._next_ordinal,
        )

    def _claim(self, batch: _Batch) -> list[int]:
        """Claim the slots that were matched; gives the indexes of the records that must be decoded."""
        known, slots = self._known, batch.slots
        matched = np.flatnonzero(slots >= 0)
        hits = slots[matched]
        if not known.claimed[hits].any() and len(np.unique(hits)) == len(hits):
            known.claimed[hits] = matched + batch.slices.position
            self.counts.unchanged += int(np.count_nonzero(known.owner[hits] > 0))
            return np.flatnonzero(slots < 0).tolist()
        return [
            index
            for index, slot in enumerate(slots.tolist())
            if slot < 0 or not self._claim_one(batch.position(index), slot)
        ]

    def _claim_one(self, position: int, slot: int) -> bool:
        known = self._known
        is_item = known.owner[slot] > 0
        if known.claimed[slot] and not is_item:
            slot = known.next_unclaimed(slot)  # equal records can be several rejects
            if slot < 0:
                return False
        if not known.claimed[slot]:
            known.claimed[slot] = position
            self.counts.unchanged += int(is_item)
            return True
        if known.claimed[slot] < 0:  # an earlier record of this body has redefined the item
            return False
        self.counts.duplicates += 1
        return True

    def _settle(self, batch: _Batch, indexes: list[int]) -> list[int]:
        """Decode and place some records; gives the indexes of unchanged ones that these have overruled."""
        outcomes = self._outcomes(batch, indexes)
        ids = [outcome.id for outcome in outcomes if isinstance(outcome, Item)]
        stored = self._stage.stored(ids) if self._stored_any and ids else {}
        repeated = self._flushed.which(ids)
        flushed = self._stage.staged(repeated) if repeated else {}
        overruled: list[int] = []
        for index, outcome in zip(indexes, outcomes, strict=True):
            if isinstance(outcome, Reject):
                self._reject(outcome, batch.fingerprint(index))
                continue
            old = stored.get(outcome.id)
            text = diff.canonical(outcome.fields)
            digest = diff.digest(text)
            winner = self._winners.get(outcome.id) or flushed.get(outcome.id)
            if winner is None and old is not None and old.live:
                winner, again = self._stored_winner(batch, index, old)
                overruled += again
            if winner is None:
                self._place(outcome, text.decode(), digest, old, batch, index)
            elif winner == digest:
                self.counts.duplicates += 1
            else:
                self._reject(
                    duplicate_reject(batch.position(index), outcome.id),
                    batch.fingerprint(index),
                    duplicate=True,
                )
        return overruled

    def _outcomes(self, batch: _Batch, indexes: list[int]) -> list[Item | Reject]:
        slices = batch.slices
        chosen = Slices(slices.position, [slices.raws[i] for i in indexes], slices.context)
        return [
            Reject(batch.position(index), self._salvaged_id(batch, index), (value,))
            if isinstance(value, Problem)
            else self._normalize(batch.position(index), value)
            for index, value in zip(indexes, self._decode(chosen), strict=True)
        ]

    def _salvaged_id(self, batch: _Batch, index: int) -> str | None:
        """The id of a record that cannot be decoded, if it can be read all the same and stands in it literally."""
        raw = bytes(batch.slices.raws[index])
        record = None if len(raw) > MAX_SALVAGED else self._salvage(raw, batch.slices.context)
        if record is None:
            return None
        outcome = self._normalize(batch.position(index), record)
        item_id = outcome.id if isinstance(outcome, Item) else outcome.item_id
        return item_id if item_id is not None and _stands_in(raw, item_id) else None

    def _stored_winner(
        self, batch: _Batch, index: int, old: StoredItem
    ) -> tuple[bytes | None, list[int]]:
        """The digest of the stored item, if an unchanged record before this one has confirmed it.

        Unchanged records of the same item that lie behind this one in the batch have been claimed too early: their
        claims are taken back, and their indexes given so that they are looked at again.
        """
        known = self._known
        slot = known.slot_of(old.item)
        position = batch.position(index)
        claimed = int(known.claimed[slot])
        if claimed == 0:
            known.claimed[slot] = -position
            return None, []
        if 0 < claimed < position:
            return old.digest, []
        again = [i for i in np.flatnonzero(batch.slots == slot).tolist() if i > index]
        self.counts.unchanged -= 1
        self.counts.duplicates -= len(again) - 1
        known.claimed[slot] = -position
        return None, again

    def _place(
        self,
        item: Item,
        text: str,
        digest: bytes,
        old: StoredItem | None,
        batch: _Batch,
        index: int,
    ) -> None:
        """Stage the item as added, restored, updated, or just refreshed."""
        changes: dict[str, tuple[Any, Any]] = {}
        if old is not None and old.digest != digest:
            changes = diff.diff(_decode_fields(old.fields), item.fields)
        kind = _kind(old, changed=bool(changes))
        if kind is None:
            self.counts.unchanged += 1
        else:
            setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        key = self._new_item() if old is None else old.item
        self._warnings_delta += len(item.warnings)
        if old is not None and old.live:
            self._warnings_delta -= old.warning_count
        self._item_rows.append(
            ItemRow(
                ordinal=None if kind is None else self._new_ordinal(),
                item=key,
                item_id=item.id,
                kind=kind,
                fields=None if old is not None and old.digest == digest else text,
                digest=digest,
                warnings=_encode(item.warnings).decode() if item.warnings else None,
                warning_count=len(item.warnings),
                changes=_encode(changes).decode(),
            )
        )
        self._winners[item.id] = digest
        self._fresh.add(batch.fingerprint(index), key)

    def _reject(self, reject: Reject, fingerprint: bytes, *, duplicate: bool = False) -> None:
        if reject.item_id is not None:
            self._rejected_ids.append(reject.item_id)
        if duplicate and self._old_duplicates.get(fingerprint):
            key = self._old_duplicates[fingerprint].popleft()
            self._kept_duplicates.add(key)
            if self._old_rejects[key][1] != reject.position:
                self._reject_rows.append(moved_reject(key, reject.position))
            return
        key = self._new_reject()
        if (
            not duplicate
        ):  # which of several records wins hangs on the others: those are always decoded
            self._fresh.add(fingerprint, -key)
        self._reject_rows.append(
            RejectRow(
                reject=key,
                is_new=True,
                position=reject.position,
                item_id=reject.item_id,
                fingerprint=fingerprint,
                duplicate=duplicate,
                problems=_encode(reject.problems).decode(),
            )
        )

    def _keep_items_of_rejects(self) -> None:
        """A reject whose id can be read counts as seen, so the item that is stored under that id stays."""
        if not self._stored_any:
            return
        for key in self._stage.stored_keys(self._rejected_ids):
            slot = self._known.slot_of(key)
            if slot >= 0:
                self._known.kept[slot] = True

    def _flush(self) -> None:
        self._stage.add_items(self._item_rows)
        self._stage.add_rejects(self._reject_rows)
        self._flushed.add(list(self._winners))
        self._item_rows, self._reject_rows, self._winners = [], [], {}

    def _new_item(self) -> int:
        self._next_item += 1
        return self._next_item - 1

    def _new_reject(self) -> int:
        self._next_reject += 1
        self._new_rejects += 1
        return self._next_reject - 1

    def _new_ordinal(self) -> int:
        self._next_ordinal += 1
        return self._next_ordinal - 1


def _stands_in(raw: bytes, item_id: str) -> bool:
    """Whether a record holds an id whole: of a broken one, a parser may have read half of it."""
    whole = rb"(?<![^\s>\"':,\[])%b(?![^\s<\"',}\]])" % re.escape(item_id.encode())
    return re.search(whole, raw) is not None


def _kind(old: StoredItem | None, *, changed: bool) -> ChangeKind | None:
    if old is None:
        return ChangeKind.ADDED
    if not old.live:
        return ChangeKind.RESTORED
    return ChangeKind.UPDATED if changed else None


def moved_reject(reject: int, position: int) -> RejectRow:
    """The row that gives an open reject its new position."""
    return RejectRow(reject, False, position, None, b"", False, "")


def duplicate_reject(position: int, item_id: str) -> Reject:
    """The reject for a record whose id an earlier, different record of the same body has."""
    return Reject(
        position,
        item_id,
        (
            Problem(
                pointer="/id",
                rule="duplicate_id",
                value=item_id[:120],
                hint="An earlier record of this feed has the same id and other content; the first one is used. "
                "Give each product, or each variant, an id of its own.",
            ),
        ),
    )
