"""The packed fingerprints of a feed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedd.fingerprints import (
    HASH_BYTES,
    Fresh,
    Known,
    MaybeMet,
    fingerprint_all,
    seed_of,
    without_hashes,
)

NONE = np.array([], dtype=np.int64)


def fresh_of(entries: dict[int, bytes]) -> Fresh:
    fresh = Fresh()
    for owner, fingerprint in entries.items():
        fresh.add(fingerprint, owner)
    return fresh


def packed(entries: dict[int, bytes]) -> list[bytes]:
    return list(Known().packed(NONE, fresh_of(entries)))


def test_a_seed_tells_its_parts_apart() -> None:
    assert seed_of(b"ab", b"c") != seed_of(b"a", b"bc")


def test_a_fingerprint_depends_on_the_seed() -> None:
    assert fingerprint_all([b"x"], 1) != fingerprint_all([b"x"], 2)


OWNERS = st.one_of(st.integers(-50, 50), st.integers(-(1 << 40), 1 << 40)).filter(bool)


@given(st.dictionaries(OWNERS, st.binary(min_size=16, max_size=16)))
def test_every_fingerprint_is_found_and_no_other(entries: dict[int, bytes]) -> None:
    known = Known(packed(entries))
    for owner, fingerprint in entries.items():
        slot = int(known.match(fingerprint)[0])
        owners = {o for o, f in entries.items() if f == fingerprint}
        assert known.owner[slot] in owners
        assert known.owner[known.slot_of(owner)] == owner
    assert (
        known.match(b"\xff" * 8 + b"\x01" * 8)[0] == -1
        or b"\xff" * 8 + b"\x01" * 8 in entries.values()
    )
    assert known.slot_of(51) == -1 or 51 in entries
    assert known.slot_of(-51) == -1 or -51 in entries


def test_fingerprints_that_agree_in_their_first_half_are_told_apart() -> None:
    first, second = b"a" * 8 + b"1" * 8, b"a" * 8 + b"2" * 8
    known = Known(packed({1: first, 2: second}))
    slots = known.match(first + second + b"a" * 8 + b"3" * 8)
    assert known.owner[slots[:2]].tolist() == [1, 2]
    assert slots[2] == -1


def test_a_crowded_bucket_is_searched() -> None:
    crowd = {n: bytes([n]) + b"x" * 15 for n in range(1, 60)}
    known = Known(packed(crowd))
    slots = known.match(b"".join(crowd.values()) + b"\xff" + b"x" * 15 + b"\x05" + b"x" * 14 + b"y")
    assert known.owner[slots[:-2]].tolist() == list(crowd)
    assert slots[-2:].tolist() == [-1, -1]


def test_owners_without_hashes_match_nothing_that_falls_among_them() -> None:
    known = Known(without_hashes(packed({n: bytes([n] * 16) for n in range(1, 100)})))
    assert known.match(b"\x01" + b"\x00" * 15)[0] == -1


def test_an_owner_has_one_fingerprint() -> None:
    known = Known(packed({1: b"a" * 16, 2: b"b" * 16, -3: b"c" * 16}))
    fresh = Fresh()
    fresh.add(b"d" * 16, 1)
    again = Known(known.packed(np.array([2]), fresh))
    assert sorted(again.owner.tolist()) == [-3, 1]
    assert again.match(b"a" * 16)[0] == -1
    assert again.owner[again.match(b"d" * 16)[0]] == 1


STEPS = st.lists(
    st.tuples(
        st.sets(OWNERS), st.dictionaries(OWNERS, st.binary(min_size=16, max_size=16), max_size=8)
    ),
    max_size=5,
)


@given(st.dictionaries(OWNERS, st.binary(min_size=16, max_size=16), min_size=1), STEPS)
def test_notes_say_what_all_of_it_stored_anew_would_say(
    entries: dict[int, bytes], steps: list[tuple[set[int], dict[int, bytes]]]
) -> None:
    stored, notes = packed(entries), list[bytes]()
    for dropped, changed in steps:
        known = Known(stored, notes)
        gone = dropped & entries.keys() - changed.keys()
        entries = {o: f for o, f in (entries | changed).items() if o not in gone}
        note = known.note(np.array(sorted(gone), dtype=np.int64), fresh_of(changed))
        if note is None:
            stored = list(known.packed(np.array(sorted(gone), dtype=np.int64), fresh_of(changed)))
            notes = []
        elif note:
            notes.append(note)
    known, anew = Known(stored, notes), Known(packed(entries))
    assert sorted(known.owner.tolist()) == sorted(entries)
    prints = b"".join(entries.values())
    assert known.match(prints).tolist() == anew.match(prints).tolist()
    for owner, fingerprint in entries.items():
        slot = known.slot_of(owner)
        assert fingerprint in prints
        assert known.match(fingerprint)[0] <= slot


def test_notes_keep_the_order_of_equal_rejects() -> None:
    twin = b"x" * 16
    stored = packed({n: bytes([n]) * 16 for n in range(1, 50)})
    rejects = {-7: twin, -9: twin, -8: twin}
    note = Known(stored).note(NONE, fresh_of(rejects))
    assert note is not None
    anew = Known(Known(stored).packed(NONE, fresh_of(rejects)))
    for known in (Known(stored, [note]), anew):
        first = int(known.match(twin)[0])
        assert known.owner[first : first + 3].tolist() == [-7, -9, -8]


@pytest.mark.parametrize("entries", [1_000, 100_000])
def test_notes_do_not_grow_for_ever(entries: int) -> None:
    stored, notes = (
        packed({n: fingerprint_all([str(n).encode()], 0) for n in range(1, entries)}),
        [],
    )
    for n in range(200):
        note = Known(stored, notes).note(NONE, fresh_of({n + 1: bytes(16)}))
        if note is None:
            break
        notes.append(note)
    assert 20 < len(notes) < 100
    assert without_hashes(stored, notes) == without_hashes(stored)


def test_missing_items_are_those_nobody_claimed_or_kept() -> None:
    known = Known(packed({1: b"a" * 16, 2: b"b" * 16, 3: b"c" * 16, -4: b"d" * 16}))
    known.claimed[known.slot_of(1)] = 7
    known.keep(known.slot_of(2))
    assert known.missing_items().tolist() == [3]
    assert known.live_items == 3


def test_without_hashes_nothing_matches_but_owners_stay() -> None:
    known = Known(without_hashes(packed({1: b"a" * 16, 2: b"b" * 16})))
    assert known.match(b"a" * 16)[0] == -1
    assert known.live_items == 2


@pytest.mark.parametrize("count", [0, 1, 70_000])
def test_any_number_of_entries_is_packed_and_unpacked(count: int) -> None:
    prints = fingerprint_all([str(n).encode() for n in range(count)], 0)
    fresh = Fresh()
    for n in range(count):
        fresh.add(prints[n * HASH_BYTES : (n + 1) * HASH_BYTES], n + 1)
    known = Known(Known().packed(NONE, fresh))
    assert len(known) == count
    assert known.owner[known.match(prints)].tolist() == list(range(1, count + 1))


@given(st.lists(st.lists(st.text())))
def test_a_text_that_was_met_is_never_denied(batches: list[list[str]]) -> None:
    met, before = MaybeMet(), set[str]()
    for texts in batches:
        assert set(met.meet(texts)) >= before & set(texts)
        before |= set(texts)


def test_few_texts_that_are_new_are_taken_for_met() -> None:
    met = MaybeMet()
    assert not met.meet([str(n) for n in range(10_000)])
    assert len(met.meet([f"x{n}" for n in range(10_000)])) < 10
