"""Pairs the tags of an XML document's items within a window of its bytes. Pure.

In well-formed XML a raw `<` stands in neither text nor attribute values, so only comments, CDATA sections and
processing instructions can hide a tag, and those are stepped over. Whether the window is well-formed is for the caller
to find out, before the slices are used.
"""

import re

# All alternatives begin with the one `<` of the pattern, so that the search can jump from one to the next.
_HIDING = (
    rb"!\[CDATA\[(?:[^\]]++|\](?!\]>))*+\]\]>"
    rb"|!--(?:[^-]++|-(?!->))*+-->"
    rb"|\?(?:[^?]++|\?(?!>))*+\?>"
)


class Pairing:
    """Finds the items of one element name, as it is written in the document."""

    def __init__(self, name: bytes) -> None:
        self._end = b"</" + name
        name = re.escape(name)
        # 1: a start tag, 2: an end tag, 3: something that hides tags and does not end in the window
        self._tokens = re.compile(
            rb"<(?:(" + name + rb"(?=[ \t\r\n/>]))|(/" + name + rb"[ \t\r\n]*+>)"
            rb"|" + _HIDING + rb"|([!?]))"
        )

    def items(self, data: bytes, start: int, stop: int) -> tuple[list[bytes], int]:
        """The items that follow each other from `data[start]` on, and where the last of them ends.

        Stops before anything but white space, comments and processing instructions between them, and before an item
        that is not whole, holds another of its name, or has no end tag.
        """
        raws: list[bytes] = []
        end = free = start
        opened = -1
        for token in self._tokens.finditer(data, start, stop):
            kind = token.lastindex
            if opened >= 0:
                if kind == 2:
                    end = free = token.end()
                    raws.append(data[opened:end])
                    opened = -1
                elif kind is not None:
                    break
                continue
            at = token.start()
            if kind in (2, 3) or (at != free and not data[free:at].isspace()):
                break
            if kind == 1:
                opened = at
            else:
                free = token.end()
        return raws, end

    def end_tag(self, data: bytes, start: int) -> int:
        """The index behind the next thing that looks like an end tag, the end of the data if there is none."""
        found = data.find(b">", data.find(self._end, start) + 1 or len(data))
        return found + 1 or len(data)
