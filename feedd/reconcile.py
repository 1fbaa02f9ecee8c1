"""Which of a feed's records are new, changed, repeated or gone: raw slices in, staged rows and counts out. Pure.

An unchanged record is recognized by its fingerprint and never decoded. Of everything else a maker makes items, perhaps
elsewhere, while further records are looked at; what it comes to is settled in the order of the body. The rules for ids
that come more than once: the first record of a body that is an item wins; one that says the same is counted as a
duplicate; one that says something else is a reject.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from feedd import diff
from feedd.errors import FormatError
from feedd.fingerprints import HASH_BYTES, Fresh, Int64s, Known, MaybeMet, fingerprint_all, seed_of
from feedd.making import Made, MadeItem, MadeReject, Maker, Promise, problems_of
from feedd.model import ChangeKind, Counts, Problem, Slices
from feedd.staging import AddedItems, ItemRow, RejectRow, Stage, StoredItem

FLUSH_ROWS = 1_000
FLUSH_BYTES = 4 * 1024 * 1024  # of the records that they were made of, where these are large
BATCH_RECORDS = 1_024  # what is looked up at once, in the fingerprints and in the store
BATCH_BYTES = 1 * 1024 * 1024
BATCH_TIMES = (
    8  # so many times as much where nearly all of it is known, and nothing has to be made of it
)
_ADDED = ChangeKind.ADDED
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
    """Slices with the fingerprint of each and the slot that it matched (-1: none), and what is made of the unknown ones."""

    slices: Slices
    prints: bytes
    slots: Int64s
    unknown: list[int]
    promise: Promise | None

    def fingerprint(self, index: int) -> bytes:
        return self.prints[index * HASH_BYTES : (index + 1) * HASH_BYTES]

    def position(self, index: int) -> int:
        return self.slices.position + index

    def some(self, indexes: list[int]) -> Slices:
        """Some of its slices, as if they followed each other."""
        raws, context = self.slices.raws, self.slices.context
        return Slices(self.position(indexes[0]), [raws[i] for i in indexes], context)


class Reconciler:
    """Takes the slices of one body in order, then says what it all came to."""

    def __init__(
        self,
        *,
        known: Known,
        config_digest: bytes,
        maker: Maker,
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
        self._maker = maker
        self._stage = stage
        # slices that are not looked at yet, and batches that are not settled yet, in order
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._times = 1
        self._prints: list[bytes] = []  # the fingerprints of those
        self._batches: deque[_Batch] = deque()
        self._stored_any = stored_any
        self._fresh = Fresh()
        self._next_item = next_item
        self._next_reject = next_reject
        self._next_ordinal = 0
        self._warnings_delta = 0
        # rows not yet handed to the stage, and what has been handed to it
        self._item_rows: list[ItemRow] = []
        self._reject_rows: list[RejectRow] = []
        self._rows_bytes = 0
        self._winners: dict[str, bytes] = {}
        self._met = MaybeMet()
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
        """Take the next records of the body.

        Raises:
            FormatError: one of them shows that the body is broken.
        """
        if slices.context != self._context:
            self._look()
            self._context = slices.context
            self._seed = seed_of(self._config_digest, slices.context)
        for start in range(0, len(slices.raws), BATCH_RECORDS):
            raws = slices.raws[start : start + BATCH_RECORDS]
            self._waiting += raws
            # hashed now, while what was just cut is in the processor's cache
            self._prints.append(fingerprint_all(raws, self._seed))
            self._waiting_bytes += sum(map(len, raws))
            self.records += len(raws)
            if (
                len(self._waiting) >= BATCH_RECORDS * self._times
                or self._waiting_bytes >= BATCH_BYTES * self._times
            ):
                self._look()

    def _look(self) -> None:
        """Look the waiting records up, have items made of the unknown ones, and settle what is due."""
        if not self._waiting:
            return
        slices = Slices(self.records - len(self._waiting) + 1, self._waiting, self._context or b"")
        prints = b"".join(self._prints)
        self._waiting, self._waiting_bytes, self._prints = [], 0, []
        slots = self._known.match(prints)
        batch = _Batch(slices, prints, slots, np.flatnonzero(slots < 0).tolist(), None)
        few = len(batch.unknown) * BATCH_TIMES < len(slots)
        self._times = min(self._times * 2, BATCH_TIMES) if few else 1
        if batch.unknown:
            batch = batch._replace(promise=self._started(batch))
        self._batches.append(batch)
        self._settle_all(but=min(self._maker.ahead, 1) if few else self._maker.ahead)

    def _started(self, batch: _Batch) -> Promise:
        try:
            return self._maker.start(batch.some(batch.unknown))
        except FormatError:
            self._name_broken(batch)
            raise

    def _made(self, batch: _Batch) -> Sequence[Made]:
        try:
            return batch.promise() if batch.promise else ()
        except FormatError:
            self._name_broken(batch)
            raise

    def _name_broken(self, batch: _Batch) -> None:
        """Raise the error again that made the body unusable: alone, its record has the right position."""
        for index in batch.unknown:
            self._maker.start(batch.some([index]))()

    def _settle_all(self, *, but: int) -> None:
        """Settle the batches, in order, but for the last few."""
        while len(self._batches) > but:
            batch = self._batches.popleft()
            made = dict(zip(batch.unknown, self._made(batch), strict=True))
            indexes = self._claim(batch)
            while indexes:
                if more := [index for index in indexes if index not in made]:
                    made |= zip(more, self._maker.start(batch.some(more))(), strict=True)
                indexes = self._settle(batch, indexes, made)
            self._rows_bytes += sum(map(len, map(batch.slices.raws.__getitem__, made)))
            rows = len(self._item_rows) + len(self._reject_rows)
            if rows >= FLUSH_ROWS or self._rows_bytes >= FLUSH_BYTES:
                self._flush()

    def finish(self) -> Outcome:
        """What the whole body came to; `missing` are the live items that it does not hold."""
        self._look()
        self._settle_all(but=0)
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
        if not known.claimed[hits].any():
            positions = (matched + batch.slices.position).astype(np.int32)
            known.claimed[hits] = positions
            if (known.claimed[hits] == positions).all():
                self.counts.unchanged += int(np.count_nonzero(known.owner[hits] > 0))
                return batch.unknown
            known.claimed[hits] = 0  # one slot was hit twice: only one after the other will do
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

    def _settle(self, batch: _Batch, indexes: list[int], made: dict[int, Made]) -> list[int]:
        """Place some records; gives the indexes of unchanged ones that these have overruled."""
        ids = [each.id for i in indexes if type(each := made[i]) is MadeItem]
        stored = self._stage.stored(ids) if self._stored_any and ids else {}
        repeated = self._met.meet(ids)
        flushed = self._stage.staged(repeated) if repeated else {}
        winners, overruled = self._winners, list[int]()
        is_new = not stored and not flushed and winners.keys().isdisjoint(ids)
        if is_new and len(set(ids)) == len(indexes):
            items: list[Any] = [made[index] for index in indexes]
            self._place_all_new(ids, items, [batch.fingerprint(index) for index in indexes])
            return overruled
        places = self._known.places_of([old.item for old in stored.values() if old.live])
        for index in indexes:
            item = made[index]
            if isinstance(item, MadeReject):
                self._reject(batch.position(index), item, batch.fingerprint(index))
                continue
            old = stored.get(item.id)
            winner = winners.get(item.id) or flushed.get(item.id)
            if winner is None and old is not None and old.live:
                winner, again = self._stored_winner(batch, index, old, places[old.item])
                overruled += again
            if winner is not None and winner == item.digest:
                self.counts.duplicates += 1
            elif winner is not None:
                duplicate = duplicate_reject(item.id)
                self._reject(
                    batch.position(index), duplicate, batch.fingerprint(index), duplicate=True
                )
            elif old is None:
                self._place_new(item, batch.fingerprint(index))
            else:
                self._place(item, old, batch.fingerprint(index))
        return overruled

    def _stored_winner(
        self, batch: _Batch, index: int, old: StoredItem, slot: int
    ) -> tuple[bytes | None, list[int]]:
        """The digest of the stored item, if an unchanged record before this one has confirmed it.

        Unchanged records of the same item that lie behind this one in the batch have been claimed too early: their
        claims are taken back, and their indexes given so that they are looked at again.
        """
        known = self._known
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

    def _place_all_new(
        self, ids: list[str], items: Sequence[MadeItem], fingerprints: list[bytes]
    ) -> None:
        """Stage items as added, at once and by columns: the whole of a first load goes through here."""
        if self._item_rows:  # which may hold some with lower keys
            self._flush()
        first, count = self._next_item, len(items)
        added = AddedItems(
            first,
            self._next_ordinal,
            ids,
            [item.text for item in items],
            [item.digest for item in items],
            [item.warnings for item in items],
            [item.warning_count for item in items],
        )
        self._stage.add_new(added)
        self._warnings_delta += sum(added.warning_counts)
        self._fresh.add_all(fingerprints, range(first, first + count))
        self.counts.added += count
        self._next_item += count
        self._next_ordinal += count

    def _place_new(self, item: MadeItem, fingerprint: bytes) -> None:
        """Stage one item as added."""
        self._winners[item.id] = item.digest
        self._warnings_delta += item.warning_count
        self._item_rows.append(
            ItemRow(self._next_ordinal, self._next_item, item.id, _ADDED, item.text, item.digest, item.warnings, item.warning_count, "{}")
        )  # fmt: skip
        self._fresh.add(fingerprint, self._next_item)
        self.counts.added += 1
        self._next_item += 1
        self._next_ordinal += 1

    def _place(self, item: MadeItem, old: StoredItem, fingerprint: bytes) -> None:
        """Stage the item as restored, updated, or just refreshed."""
        self._winners[item.id] = item.digest
        self._warnings_delta += item.warning_count - (old.warning_count if old.live else 0)
        text, digest, changes = None, old.digest, "{}"
        if digest != item.digest:
            changed = diff.diff(_decode_fields(old.fields), _decode_fields(item.text))
            if changed:  # 5 that is written 5.0 now is left as it is, for nobody is told of it
                text, digest, changes = item.text, item.digest, _encode(changed).decode()
        kind = ordinal = None
        if not old.live:
            kind = ChangeKind.RESTORED
            self.counts.restored += 1
        elif changes != "{}":
            kind = ChangeKind.UPDATED
            self.counts.updated += 1
        else:
            self.counts.unchanged += 1
        if kind is not None:
            ordinal = self._next_ordinal
            self._next_ordinal += 1
        self._item_rows.append(
            ItemRow(ordinal, old.item, item.id, kind, text, digest, item.warnings, item.warning_count, changes)
        )  # fmt: skip
        self._fresh.add(fingerprint, old.item)

    def _reject(
        self, position: int, reject: MadeReject, fingerprint: bytes, *, duplicate: bool = False
    ) -> None:
        if reject.item_id is not None:
            self._rejected_ids.append(reject.item_id)
        if duplicate and self._old_duplicates.get(fingerprint):
            key = self._old_duplicates[fingerprint].popleft()
            self._kept_duplicates.add(key)
            if self._old_rejects[key][1] != position:
                self._reject_rows.append(moved_reject(key, position))
            return
        key = self._new_reject()
        if (
            not duplicate
        ):  # which of several records wins hangs on the others: those are always decoded
            self._fresh.add(fingerprint, -key)
        self._reject_rows.append(
            RejectRow(key, True, position, reject.item_id, fingerprint, duplicate, reject.problems)
        )

    def _keep_items_of_rejects(self) -> None:
        """A reject whose id can be read counts as seen, so the item that is stored under that id stays."""
        if not self._stored_any:
            return
        for slot in self._known.places_of(self._stage.stored_keys(self._rejected_ids)).values():
            self._known.keep(slot)

    def _flush(self) -> None:
        self._stage.add_items(self._item_rows)
        self._stage.add_rejects(self._reject_rows)
        self._item_rows, self._reject_rows, self._winners = [], [], {}
        self._rows_bytes = 0

    def _new_reject(self) -> int:
        self._next_reject += 1
        self._new_rejects += 1
        return self._next_reject - 1


def moved_reject(reject: int, position: int) -> RejectRow:
    """The row that gives an open reject its new position."""
    return RejectRow(reject, False, position, None, b"", False, "")


def duplicate_reject(item_id: str) -> MadeReject:
    """The reject for a record whose id an earlier, different record of the same body has."""
    problem = Problem(
        pointer="/id",
        rule="duplicate_id",
        value=item_id[:120],
        hint="An earlier record of this feed has the same id and other content; the first one is used. "
        "Give each product, or each variant, an id of its own.",
    )
    return MadeReject(item_id, problems_of((problem,)))
