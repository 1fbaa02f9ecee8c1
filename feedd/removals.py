"""Which of the items that a body no longer holds are removed, and which removals wait for a person. Pure."""

import numpy as np

from feedd.fingerprints import Int64s

MIN_HELD_REMOVALS = 5


def guard_removals(
    missing: Int64s, *, live: int, max_removed: float, shown: Int64s | None
) -> tuple[Int64s, Int64s]:
    """Split the items that a body no longer holds into those to remove and those to hold.

    More than `max_removed` (a share) of the `live` items and more than five, or all of them, are held: a feed that
    shrinks like that is more often broken than right. `shown` are the held removals that a person has accepted: they
    go, and the limit applies to what is missing beyond them.
    """
    accepted = missing[:0] if shown is None else np.intersect1d(missing, shown)
    rest = np.setdiff1d(missing, accepted)
    left = live - len(accepted)
    too_many = len(rest) > MIN_HELD_REMOVALS and len(rest) > max_removed * left
    if len(rest) and (too_many or len(rest) == left):
        return accepted, rest
    return missing, missing[:0]
