"""XML: the items of a document as raw slices. Pure.

expat follows the whole document and says where each item begins and ends; the slices are cut from the bytes that it
was given. Once an item was found, its next siblings go by windows: a small lexer pairs their tags, and expat gets the
window without telling about it, so it still finds whatever is not well-formed. Both ways give the same slices.

Only borders are looked at here. An unknown entity, a control character or bytes that are not UTF-8 cannot move one,
so they are left to the decoding of the record that they are in.
"""

from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from feedd.errors import FormatError
from feedd.formats.buffer import Buffer
from feedd.formats.paths import Seen
from feedd.formats.recognize import refuse_other, refuse_page
from feedd.formats.text import CHUNK_BYTES, SPACE, Text, excerpt
from feedd.formats.xml_items import ItemPaths, Names, Role
from feedd.formats.xml_markup import borders_only, declarations, end_of_tag, wrapper
from feedd.formats.xml_windows import Window
from feedd.model import Layout, Slices

BATCH_RECORDS = 1024
_MAX_CONTEXT_BYTES = 64 * 1024
_MAX_COUNTED_NAMES = 64
_MOST_SKIPPED_WINDOWS = 32
_CUT = frozenset(
    {
        expat.errors.codes[message]
        for message in (
            expat.errors.XML_ERROR_NO_ELEMENTS,
            expat.errors.XML_ERROR_UNCLOSED_TOKEN,
            expat.errors.XML_ERROR_PARTIAL_CHAR,
            expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        )
    }
)


def slices(
    stream: BinaryIO,
    layout: Layout,
    charset: str | None,
    *,
    window_bytes: int = CHUNK_BYTES,
    piece_bytes: int = CHUNK_BYTES,
) -> Iterator[Slices]:
    """The records of an XML document. `window_bytes=0` leaves all of it to expat, with the same outcome.

    Raises:
        FormatError: the document is not well-formed, or has no items where the layout looks for them.
    """
    text = Text(stream, charset, piece_bytes)
    refuse_other(text.head)
    refuse_page(text.head)
    if not text.head.lstrip(SPACE).startswith(b"<"):
        raise FormatError(
            "not_well_formed",
            f"expected XML, and the body starts with {excerpt(text.head)!r}",
            hint="Is it JSON? Then set format to \"json\", or leave it out.",
        )
    return _Document(Buffer(text), layout, window_bytes).slices()


class _Frame:
    """An element that is open and not inside an item."""

    __slots__ = ("attributes", "context", "counts", "is_maybe", "kept", "names", "scope", "start")

    def __init__(self, names: Names, scope: dict[str, str], start: int, *, attributes: bool) -> None:
        self.names = names
        self.scope = scope
        self.start = start
        self.attributes = attributes
        self.context: bytes | None = None
        self.counts: dict[str, int] = {}  # how often each child with elements of its own came
        self.is_maybe = False
        self.kept = True
