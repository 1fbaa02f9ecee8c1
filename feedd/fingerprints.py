"""What a feed's last syncs have seen: a fingerprint of each raw record that became an item or a reject. Pure.

A fingerprint is the XXH3-128 of a raw slice, seeded with everything else that its meaning hangs on (configuration,
schema, normalizer, the start tags around it), so fingerprints never have to be declared invalid: under another
configuration they just do not match. The law that all of this obeys: a sync that uses them does exactly what the
same sync would do without them.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

Int64s = npt.NDArray[np.int64]
_ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("owner", "<i8")])
_PART_ENTRIES = 65_536
_PARTS = 256  # by the most significant byte of the fingerprint's first half
_STARTS = np.array([part << 56 for part in range(_PARTS)], dtype=np.uint64)
_TRIES = 16
_SPARSE = 4  # so many numbers for each that is there, and a table is larger than an order
_NOTED_AT_ONCE = 4_096
_KEPT = np.iinfo(np.int32).min
# what changes is noted beside what is stored, up to a share of it and a number of notes; then all is stored anew
_LATER_SHARE = 8
_LATER_NOTES = 32
_GONE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # no fingerprint begins and ends like that, by any chance
HASH_BYTES = 16


def seed_of(*parts: bytes) -> int:
    """A 64-bit seed that stands for all of `parts`."""
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return int(digest.intdigest())


def fingerprint_all(raws: Sequence[bytes], seed: int) -> bytes:
    """The fingerprints of some slices, 16 bytes each, one after the other."""
    hash_one = xxhash.xxh3_128_digest
    return b"".join([hash_one(raw, seed) for raw in raws])


class Fresh:
    """Fingerprints that a sync has given out, packed as they come: 24 bytes an entry.

    They lie in as many parts as the first bits of a fingerprint have values, so that no more than one part of them has
    ever to be sorted at once.
    """

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(_PARTS)]
        self._prints: list[bytes] = []
        self._owners: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, fingerprint: bytes, owner: int) -> None:
        """Note the fingerprint of an item (its key) or of a reject (its key negated), each at most once."""
        self.add_all([fingerprint], [owner])

    def add_all(self, fingerprints: Sequence[bytes], owners: Sequence[int]) -> None:
        """Note several."""
        self._prints += fingerprints
        self._owners += owners
        self._count += len(owners)
        if len(self._owners) >= _NOTED_AT_ONCE:
            self._sort_in()

    def entries(self, part: int) -> npt.NDArray[np.void]:
        """What was noted of a part, as rows of the packed form in ascending order."""
        self._sort_in()
        entries = np.frombuffer(bytes(self._parts[part]), dtype=_ENTRY)
        return entries[np.argsort(entries["high"], kind="stable")] if len(entries) > 1 else entries

    def owners(self) -> Iterator[Int64s]:
        """Whose fingerprints were noted, a part at a time."""
        self._sort_in()
        for part in self._parts:
            yield np.frombuffer(bytes(part), dtype=_ENTRY)["owner"]

    def _sort_in(self) -> None:
        if not self._owners:
            return
        entries = np.empty(len(self._owners), dtype=_ENTRY)
        pairs = np.frombuffer(b"".join(self._prints), dtype="<u8").reshape(-1, 2)
        entries["high"], entries["low"], entries["owner"] = pairs[:, 0], pairs[:, 1], self._owners
        entries = entries[np.argsort(entries["high"], kind="stable")]
        borders = [*np.searchsorted(entries["high"], _STARTS).tolist(), len(entries)]
        for part, (start, stop) in enumerate(itertools.pairwise(borders)):
            self._parts[part] += entries[start:stop].tobytes()
        self._prints, self._owners = [], []


class Known:
    """The fingerprints of one feed, one for each live item and each open reject, and which were met in this sync.

    Sorted arrays instead of a dict: 40 bytes an entry where a dict takes 180. `slot` is an index into them;
    `claimed[slot]` the position of the record that claimed it in this sync, 0 while none has, negated when that record
    was decoded (so that the stored version is no longer the item's).
    """

    def __init__(self, packed: Iterable[bytes] = (), later: Iterable[bytes] = ()) -> None:
        """`packed` are the parts that a sync has stored, `later` what each of the syncs since has noted, in order."""
        high, low, owner = [], [], []
        for part in packed:
            entries = np.frombuffer(part, dtype=_ENTRY)
            high.append(entries["high"].copy())
            low.append(entries["low"].copy())
            owner.append(entries["owner"].copy())
        self._high = _joined(high, np.uint64)
        self._low = _joined(low, np.uint64)
        self.owner: Int64s = _joined(owner, np.int64)
        notes = list(later)
        self.notes = len(notes)
        self._noted = 0
        if notes:
            self._amend(np.frombuffer(b"".join(notes), dtype=_ENTRY))
        self.claimed = np.zeros(len(self.owner), dtype=np.int32)
        self._next_in_run: dict[int, int] = {}

    def _amend(self, entries: npt.NDArray[np.void]) -> None:
        """Put entries in, each in place of what its owner had; the last one of an owner counts."""
        self._noted = len(entries)
        _, from_the_end = np.unique(entries["owner"][::-1], return_index=True)
        entries = entries[np.sort(len(entries) - 1 - from_the_end)]  # in the order of the notes
        owners = entries["owner"].copy()
        stays = np.ones(len(self), dtype=np.bool_)
        for sign in (1, -1):
            stays[_Places(self.owner, sign).of(owners)] = False
        entries = entries[(entries["high"] != _GONE) | (entries["low"] != _GONE)]
        entries = entries[np.argsort(entries["high"], kind="stable")]
        high = self._high[stays]
        places = np.searchsorted(high, entries["high"], side="right")
        self._high = np.insert(high, places, entries["high"])
        self._low = np.insert(self._low[stays], places, entries["low"])
        self.owner = np.insert(self.owner[stays], places, entries["owner"])

    @cached_property
    def _by_owner(self) -> "tuple[_Places, _Places]":
        """The slots of items and of rejects by their keys; a sync that changes nothing never asks."""
        return _Places(self.owner, 1), _Places(self.owner, -1)

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def live_items(self) -> int:
        """How many live items the feed had before this sync."""
        return int(np.count_nonzero(self.owner > 0))

    @cached_property
    def _first(self) -> npt.NDArray[np.int32]:
        """The first slot of each bucket: fingerprints are evenly spread, so their first bits all but say where they are.

        There are nearly as many buckets as entries, so that a look costs two or three memory accesses where a binary search
        of a million costs twenty.
        """
        shift, buckets = np.uint64(64 - _bits_for(len(self))), 1 << _bits_for(len(self))
        first = np.full(buckets + 1, len(self), dtype=np.int32)
        for start in range(
            0, buckets, _PART_ENTRIES
        ):  # bounded in memory: a bucket costs four bytes, no more
            some = np.arange(start, min(start + _PART_ENTRIES, buckets), dtype=np.uint64)
            first[start : start + len(some)] = np.searchsorted(self._high, some << shift)
        return first

    def _bucket(self, high: npt.NDArray[np.uint64]) -> Int64s:
        return (high >> np.uint64(64 - _bits_for(len(self)))).astype(np.int64)

    def match(self, fingerprints: bytes) -> Int64s:
        """The first slot with each fingerprint, -1 where there is none."""
        count = len(fingerprints) // HASH_BYTES
        result = np.full(count, -1, dtype=np.int64)
        if not len(self) or not count:
            return result
        pairs = np.frombuffer(fingerprints, dtype="<u8").reshape(count, 2)
        high, low = np.ascontiguousarray(pairs[:, 0]), pairs[:, 1]
        buckets = self._bucket(high)
        slots, ends = self._first[buckets], self._first[buckets + 1]
        open_ones = np.flatnonzero(slots < ends)
        slots, ends, high = slots[open_ones], ends[open_ones], high[open_ones]
        for _ in range(_TRIES):  # the entries of all buckets at once: the first of each, and so on
            same = self._high[slots] == high
            same[same] = self._low[slots[same]] == low[open_ones[same]]
            result[open_ones[same]] = slots[same]
            slots += 1
            on = ~same & (slots < ends)
            open_ones, slots, ends, high = open_ones[on], slots[on], ends[on], high[on]
            if not len(open_ones):
                return result
        # a bucket that is this full is not filled by chance
        for index, slot in zip(
            open_ones.tolist(), np.searchsorted(self._high, high).tolist(), strict=True
        ):
            same_high = (
                self._run(slot) if self._high[min(slot, len(self) - 1)] == pairs[index, 0] else ()
            )
            result[index] = next((s for s in same_high if self._low[s] == pairs[index, 1]), -1)
        return result

    def next_unclaimed(self, slot: int) -> int:
        """The first slot from `slot` on with its fingerprint that nothing has claimed yet, -1 if there is none.

        Claims go forwards, so each search goes on where the last one ended: a feed may repeat a record 100,000 times.
        """
        last = slot
        for other in self._run(self._next_in_run.get(slot, slot)):
            last = other
            if self._low[other] == self._low[slot] and not self.claimed[other]:
                self._next_in_run[slot] = other
                return other
        self._next_in_run[slot] = last
        return -1

    def _run(self, slot: int) -> Iterable[int]:
        high = self._high[slot] if slot < len(self) else None
        while slot < len(self) and self._high[slot] == high:
            yield slot
            slot += 1

    def slot_of(self, owner: int) -> int:
        """The slot of an item or reject, -1 if it has none."""
        slots = self.slots_of(np.array([owner], dtype=np.int64))
        return int(slots[0]) if len(slots) else -1

    def slots_of(self, owners: Int64s) -> npt.NDArray[np.intp]:
        """The slots of those of some items and rejects that have one."""
        items, rejects = self._by_owner
        return np.concatenate([items.of(owners), rejects.of(owners)])

    def places_of(self, owners: Iterable[int]) -> dict[int, int]:
        """Owner -> slot, of those of some items and rejects that have one."""
        slots = self.slots_of(np.fromiter(owners, dtype=np.int64))
        return dict(zip(self.owner[slots].tolist(), slots.tolist(), strict=True))

    def keep(self, slot: int) -> None:
        """Count an item as met although no record of it could be used."""
        if not self.claimed[slot]:
            self.claimed[slot] = _KEPT

    def missing_items(self) -> Int64s:
        """The keys of the live items that this sync has not met, in ascending order."""
        missing: Int64s = self.owner[(self.owner > 0) & (self.claimed == 0)]
        return np.sort(missing)

    def seen_rejects(self) -> dict[int, int]:
        """Key -> position of every open reject whose record this sync met again unchanged."""
        slots = np.flatnonzero((self.owner < 0) & (self.claimed > 0))
        return {-int(self.owner[s]): int(self.claimed[s]) for s in slots}

    def note(self, dropped: Int64s, changed: Fresh) -> bytes | None:
        """What the next sync has to know beside what is stored already: of `dropped` owners that they are gone, and `changed`.

        None where it is time to store all of it anew (`packed`).
        """
        count = len(dropped) + len(changed)
        if count and (
            self.notes >= _LATER_NOTES or (self._noted + count) * _LATER_SHARE > len(self)
        ):
            return None
        gone = np.empty(len(dropped), dtype=_ENTRY)
        gone["high"] = gone["low"] = _GONE
        gone["owner"] = dropped
        return gone.tobytes() + b"".join(changed.entries(part).tobytes() for part in range(_PARTS))

    def packed(self, dropped: Int64s, changed: Fresh) -> Iterator[bytes]:
        """The arrays of the next sync, in parts: without the owners `dropped`, with `changed` in place of what they had."""
        stays = np.ones(len(self), dtype=np.bool_)
        stays[self.slots_of(dropped)] = False
        for owners in filter(len, changed.owners()):
            stays[self.slots_of(owners)] = False
        borders = [*np.searchsorted(self._high, _STARTS).tolist(), len(self)]
        waiting: list[npt.NDArray[np.void]] = []
        for part in range(_PARTS):
            start, stop = borders[part], borders[part + 1]
            kept, fresh = start + np.flatnonzero(stays[start:stop]), changed.entries(part)
            if not len(kept) + len(fresh):  # as most are of a small feed
                continue
            waiting.append(self._merged(kept, fresh))
            if sum(map(len, waiting)) >= _PART_ENTRIES:
                yield np.concatenate(waiting).tobytes()
                waiting = []
        if any(map(len, waiting)):
            yield np.concatenate(waiting).tobytes()

    def _merged(
        self, kept: npt.NDArray[np.intp], fresh: npt.NDArray[np.void]
    ) -> npt.NDArray[np.void]:
        """Some slots and some new entries in one ascending row."""
        entries = np.empty(len(kept) + len(fresh), dtype=_ENTRY)
        old = entries[: len(kept)]
        old["high"], old["low"], old["owner"] = self._high[kept], self._low[kept], self.owner[kept]
        entries[len(kept) :] = fresh
        return entries[np.argsort(entries["high"], kind="stable")] if len(fresh) else entries


class _Places:
    """Where the items (`sign` 1) or the rejects (-1) stand in an array of owners.

    Their numbers lie close together, so a table of four bytes for each number tells it; where most of the numbers are
    gone by now, the order of the owners does.
    """

    def __init__(self, owners: Int64s, sign: int) -> None:
        self._owners, self._sign = owners, sign
        bounds = [
            (int(keys.min()), int(keys.max()), len(keys)) for _, keys in self._parts() if len(keys)
        ]
        self._first = min((first for first, _, _ in bounds), default=0)
        span = max((last for _, last, _ in bounds), default=-1) + 1 - self._first
        # the slots: by number, or in the order of the keys where there are some
        self._keys: Int64s | None = None
        self._table = np.empty(0, dtype=np.int32)
        if span > _SPARSE * sum(count for _, _, count in bounds):
            order = np.concatenate([slots for slots, _ in self._parts()]).astype(np.int32)
            keys = np.concatenate([keys for _, keys in self._parts()])
            ascending = np.argsort(keys)
            self._keys, self._table = keys[ascending], order[ascending]
            return
        self._table = np.full(span, -1, dtype=np.int32)
        for slots, keys in self._parts():
            self._table[keys - self._first] = slots

    def _parts(self) -> Iterator[tuple[npt.NDArray[np.intp], Int64s]]:
        """The slots and keys, some at a time: whole arrays of them would be most of what a sync takes."""
        for start in range(0, len(self._owners), _PART_ENTRIES):
            keys = self._owners[start : start + _PART_ENTRIES] * self._sign
            found = np.flatnonzero(keys > 0)
            yield found + start, keys[found]

    def of(self, owners: Int64s) -> npt.NDArray[np.intp]:
        """The places of those of some owners that are there."""
        keys = owners[owners * self._sign > 0] * self._sign
        if self._keys is not None:
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            found = self._table[places[self._keys[places] == keys]]
        else:
            keys -= self._first
            found = self._table[keys[(keys >= 0) & (keys < len(self._table))]]
        slots: npt.NDArray[np.intp] = found[found >= 0].astype(np.intp)
        return slots


def _joined(parts: list[Any], dtype: Any) -> Any:
    """The parts as one array; they are let go."""
    whole = np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
    parts.clear()
    return whole


def _bits_for(count: int) -> int:
    """How many first bits of a fingerprint tell so many apart, more or less: two, or fewer, share theirs."""
    return min(max(count.bit_length() - 1, 1), 30)


def without_hashes(packed: Iterable[bytes], later: Iterable[bytes] = ()) -> list[bytes]:
    """The same owners with fingerprints that match nothing, so that the next sync decodes every record."""
    owners = Known(packed, later).owner
    entries = np.zeros(len(owners), dtype=_ENTRY)
    entries["owner"] = np.sort(owners)
    return [entries.tobytes()]


class MaybeMet:
    """A set of texts that may say yes wrongly and never says no wrongly, in a fixed 8 MB (a Bloom filter).

    With four bits a text of 2**26, one question in 80,000 is answered wrongly at a million texts, one in 25 at ten million.
    """

    _BITS = 26
    _EACH = 4

    def __init__(self) -> None:
        self._marks: npt.NDArray[np.uint8] | None = None

    def meet(self, texts: Sequence[str]) -> list[str]:
        """Those of the texts that may have been met before; from now on, all of them have."""
        if not texts:
            return []
        if self._marks is None:
            self._marks = np.zeros(2**self._BITS // 8, dtype=np.uint8)
        digests = b"".join([xxhash.xxh3_128_digest(text.encode()) for text in texts])
        # four independent numbers of 32 bits a text: the first bits of one say which byte, the last three which bit of it
        places = np.frombuffer(digests, dtype="<u4").reshape(-1, self._EACH).T
        at = places >> np.uint32(32 - self._BITS + 3)
        bits = np.left_shift(np.uint8(1), (places & np.uint32(7)).astype(np.uint8))
        met = np.flatnonzero((self._marks[at] & bits).all(axis=0)).tolist()
        np.bitwise_or.at(self._marks, at.ravel(), bits.ravel())
        return [texts[index] for index in met]
