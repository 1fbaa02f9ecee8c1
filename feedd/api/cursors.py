"""Page cursors: where a page ended, with what it was asked under, as a word that clients hand back as it is."""

import base64
import binascii
import re
from typing import Any, TypeVar

import msgspec

from feedd.errors import UsageError

Position = TypeVar("Position")
MAX_CURSOR = 2_000  # characters
_IN_LINK = re.compile(r".*page(?:%5B|\[)cursor(?:%5D|\])=([^&]*)", re.IGNORECASE | re.DOTALL)


class CursorError(UsageError):
    """The cursor is not one that this list gave out."""

    source = {"parameter": "page[cursor]"}  # noqa: RUF012 never changed


def pack(kind: str, position: list[Any], asked: str) -> str:
    """A cursor of a kind of list, for what goes on behind a position; `asked` is a digest of the filter and sort."""
    packed = msgspec.json.encode([kind, position, asked])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack(
    cursor: str,
    kind: str,
    asked: str,
    shape: type[Position],
    *,
    name: str = "page[cursor]",
    found_in: str = "links.next",
) -> Position:
    """The position in a cursor, a tuple of that shape. A whole `links.next` may stand in its place. `name` is the parameter.

    Klaviyo's Python client takes the cursor out of a link with the `=` before it, and hands on a link of http as it is.

    Raises:
        CursorError: the cursor is not of this kind of list, or was made under another filter or sort.
    """
    in_link = _IN_LINK.match(cursor[: 2 * MAX_CURSOR])
    cursor = (in_link[1] if in_link else cursor).lstrip("=")
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found: tuple[str, Position, str] = msgspec.json.decode(
            packed,
            type=tuple[str, shape, str],  # type: ignore[valid-type]
        )
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        found = ("", None, "")  # type: ignore[assignment]
    if found[0] != kind:
        raise CursorError(
            f"{name} is not a cursor of this list",
            hint=f"Take it from {found_in} of the page before.",
        )
    if found[2] != asked:
        raise CursorError(
            f"{name} was made with another filter or sort",
            hint="Send the filter and sort of the page before, or start without a cursor.",
        )
    return found[1]
