"""A window on a text that grows at its end and is dropped at its start. Pure."""

from feedd.formats.text import SPACE, Text


class Buffer:
    """What of a text is in memory: `data`, with `at` the place that a scan has reached.

    `mark` is where something begins that is not done with; nothing from there on is dropped.
    """

    def __init__(self, text: Text) -> None:
        self._text = text
        self._base = 0
        self.data = b""
        self.at = 0
        self.mark = 0

    @property
    def offset(self) -> int:
        """How many bytes of the text lie before `at`."""
        return self._base + self.at

    def offset_of(self, index: int) -> int:
        """How many bytes of the text lie before `data[index]`."""
        return self._base + index

    def index_of(self, offset: int) -> int:
        """The index in `data` of the byte at an offset of the text."""
        return offset - self._base

    def more(self) -> bool:
        """Read on and drop what is before `mark`; false at the end of the text.

        Reads as much as it keeps, so that scanning a long record again from its start costs no more than twice.
        """
        kept = self.data[self.mark :]
        parts, got = [kept], 0
        while got <= len(kept) and (piece := self._text.read()):
            parts.append(piece)
            got += len(piece)
        self._base += self.mark
        self.at -= self.mark
        self.mark = 0
        self.data = b"".join(parts)
        return got > 0

    def fill(self, size: int) -> None:
        """Have `size` bytes from `at` on in memory, as far as there are that many."""
        while len(self.data) - self.at < size and self.more():
            pass

    def peek(self) -> bytes:
        """The next byte that is no white space, `b""` at the end. Does not move `at`."""
        ahead = 0
        while True:
            while self.at + ahead < len(self.data):
                byte = self.data[self.at + ahead : self.at + ahead + 1]
                if byte not in SPACE:
                    return byte
                ahead += 1
            if not self.more():
                return b""

    def skip_space(self) -> None:
        """Go to the next byte that is no white space."""
        while self.at < len(self.data) or self.more():
            if self.data[self.at] not in SPACE:
                return
            self.at += 1
            self.mark = self.at
