"""What was made of a key is kept for the next time, within bounds that a hostile feed cannot move. Pure."""

from collections.abc import Callable
from typing import Any

MOST = 2_000
LONGEST = 100  # characters


class Memo(dict[Any, Any]):
    """A dict that makes what is missing: `memo[key]` is `make(key)`, kept if there is room and the key is short.

    Keys are texts, or tuples of texts. At most `most` are kept, of at most `longest` characters each. What was made
    is given out again as it is, so nobody may change it.
    """

    __slots__ = ("_longest", "_make", "_most")

    def __init__(
        self, make: Callable[[Any], Any], *, most: int = MOST, longest: int = LONGEST
    ) -> None:
        super().__init__()
        self._make = make
        self._most = most
        self._longest = longest

    def __missing__(self, key: Any) -> Any:
        made = self._make(key)
        if len(self) < self._most and _is_short(key, self._longest):
            self[key] = made
        return made


def remembering(coerce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same coercion; what it makes of short texts is kept, for values that many records have."""
    memo = Memo(coerce)

    def remembered(value: Any) -> Any:
        return memo[value] if type(value) is str else coerce(value)

    return remembered


def _is_short(key: Any, longest: int) -> bool:
    """Whether a key is worth keeping; of other keys than texts, some are equal that mean different things (1 and True)."""
    if type(key) is str:
        return len(key) <= longest
    if type(key) is not tuple or not all(type(each) is str for each in key):
        return False
    return sum(map(len, key)) + len(key) <= longest
