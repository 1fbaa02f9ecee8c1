"""Which open rejects would be items under another reading of the same body. Pure.

A reject is known again by its fingerprint: where the records are numbered otherwise now, nothing is said of it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from feedd.fingerprints import fingerprint_all, seed_of
from feedd.model import Item, Problem, Reject, Slices

# key, item id, position, fingerprint, whether it is a duplicate: as the stage gives them
Opened = tuple[int, str | None, int, bytes, bool]


def recheck(
    rejects: Iterable[Opened],
    body: Iterable[Slices],
    *,
    read_with: Sequence[bytes],
    decode: Callable[[Slices], list[dict[str, Any] | Problem]],
    normalize: Callable[[int, dict[str, Any]], Item | Reject],
) -> Iterator[tuple[int, bool]]:
    """The key of each open reject whose record is found again, and whether it would be an item.

    `read_with` are the configuration digests that the fingerprints may have been seeded with. Of duplicates nothing is
    said: whether one is rejected hangs on other records.
    """
    wanted: dict[int, tuple[int, bytes]] = {
        position: (key, fingerprint)
        for key, _, position, fingerprint, duplicate in rejects
        if not duplicate
    }
    for slices in body:
        if not wanted:
            return
        places = range(slices.position, slices.position + len(slices.raws))
        here = [place for place in places if place in wanted]
        if not here:
            continue
        seeds = [seed_of(digest, slices.context) for digest in read_with]
        for place in here:
            key, fingerprint = wanted.pop(place)
            raw = slices.raws[place - slices.position]
            if all(fingerprint_all([raw], seed) != fingerprint for seed in seeds):
                continue
            (record,) = decode(Slices(place, [raw], slices.context))
            outcome = record if isinstance(record, Problem) else normalize(place, record)
            yield key, isinstance(outcome, Item)
