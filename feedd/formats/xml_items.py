"""Which elements of an XML document are its items: decided on the way, without looking ahead. Pure.

A path is matched from the root's name (`rss.channel.item`) or from below the root (`channel.item`). A name without a
prefix matches whatever prefix the document uses; `*` is any one name.

- A path that ends in a name: the first element that it fits decides; from then on that path means the items.
- A path that ends in `*` is a guess, and only counts from the root's name: of the elements that it fits, those are the
  items that look like records (they hold elements, or attributes and no text) and come twice. The first of each name
  is kept until then. If none comes twice and there is just one, that one is the only item.
- No guess is made where a path that ends in a name can still fit: below an element that may lead to it, and anywhere
  under a root that such a path names. An RSS feed does not get `channel` for an item, nor an Atom feed its links.
"""

from enum import Enum

from feedd.formats.paths import ANY, WHOLE, parse
from feedd.model import Layout

Names = tuple[
    str, ...
]  # what one element may be called: as written, without its prefix, with the canonical prefix


class Role(Enum):
    """What an element that starts is: an item, perhaps one, or part of what is around the items."""

    ITEM = "item"
    MAYBE = "maybe"
    AROUND = "around"


class ItemPaths:
    """The paths of a layout, and what has been decided between them.

    `chosen` says that it is decided which elements are the items, `by_namespace` that this hangs on the namespace of the
    item's own name; `parent_met` that an element was met which a path names as the one around the items.
    """

    def __init__(self, layout: Layout) -> None:
        patterns = [parse(path) for path in layout.items if path and path != WHOLE]
        self._named = [pattern for pattern in patterns if pattern[-1] != ANY]
        self._guesses = [pattern for pattern in patterns if pattern[-1] == ANY]
        self._parents = [
            pattern[:-1] for pattern in self._named if any(name != ANY for name in pattern[:-1])
        ]
        self._guessed: list[Names] = []
        self.chosen = False
        self.by_namespace = False
        self.parent_met = False

    @property
    def may_be_below_root(self) -> bool:
        """Whether the items may be children of the root, whatever the root is called."""
        return bool(self._guesses) or any(len(named) == 1 for named in self._named)

    def role(self, path: list[Names]) -> Role:
        """What the element at a path is; `path` has the names of all open elements, the root first."""
        if self._guessed:
            return Role.ITEM if _same(self._guessed, path) else Role.AROUND
        for pattern in self._named if len(path) > 1 else ():
            if fits(pattern, path):
                self._named, self._guesses, self.chosen = [pattern], [], True
                self.by_namespace = pattern[-1] not in path[-1][:2]
                return Role.ITEM
        if any(fits(parent, path) for parent in self._parents):
            self.parent_met = True
        fits_guess = any(
            len(guess) == len(path) > 1 and _leads(guess, path) for guess in self._guesses
        )
        return Role.MAYBE if fits_guess and not self._is_blocked(path) else Role.AROUND

    def choose(self, path: list[Names]) -> None:
        """Decide that the elements at this path are the items."""
        self._guessed, self.chosen = list(path), True

    def _is_blocked(self, path: list[Names]) -> bool:
        return any(
            (len(path) < len(named) and _leads(named, path))
            or (len(path) - 1 < len(named) and _leads(named, path[1:]))
            or (len(named) > 1 and named[0] in path[0])
            for named in self._named
        )


def fits(pattern: Names, path: list[Names]) -> bool:
    """Whether a path is that of a pattern, from the root's name or from below it."""
    start = len(path) - len(pattern)
    return start in (0, 1) and _leads(pattern, path[start:])


def _leads(pattern: Names, path: list[Names]) -> bool:
    return all(want == ANY or want in names for want, names in zip(pattern, path, strict=False))


def _same(one: list[Names], other: list[Names]) -> bool:
    """Whether two paths are spelled the same."""
    return [names[0] for names in one] == [names[0] for names in other]
