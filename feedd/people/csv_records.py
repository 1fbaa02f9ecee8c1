"""The records of a CSV file (RFC 4180), one at a time, each with its line; what is broken costs its own record. Pure.

Python's reader takes everything after a quote that is never closed for one cell. Here the lines after the first of such a record are read
again, so that one stray quote does not swallow the rest of the file.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct

MOST_CHARACTERS = 1_000_000  # of a record; the longest cell has 131,072, as the csv module has it
DELIMITERS = ",;\t"


class Record(Struct):
    """A record that begins in that line (1 is the first)."""

    line: int
    cells: list[str]


class Broken(Struct):
    """A record that cannot be read."""

    line: int
    text: str
    problem: str


ReadLine = Callable[
    [int], str
]  # at most so many characters of the next line, with its end; "" at the end


def delimiter_of(heading: str) -> str:
    """What stands between the cells, judged by the first line: a comma unless that line has none and another fits."""
    return next((each for each in DELIMITERS if each in heading), ",")


def read_records(readline: ReadLine, delimiter: str | None = None) -> Iterator[Record | Broken]:
    """Every record that is not empty, in order; without a delimiter, that of the first line."""
    lines = _Lines(readline)
    if delimiter is None:
        delimiter = delimiter_of(lines.peek())
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            yield Broken(line, lines.first().rstrip("\r\n")[:200], _problem(error, delimiter))
            lines.give_back()
            continue
        if cells:
            yield Record(line, cells)


class _TooLongError(Exception):
    """A record has more than `MOST_CHARACTERS`."""


class _Lines:
    """The lines of a file, those of the current record remembered."""

    def __init__(self, readline: ReadLine) -> None:
        self._readline = readline
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._number = 0

    def peek(self) -> str:
        """The next line."""
        line = self._readline(MOST_CHARACTERS)
        self._again.append(line)
        return line

    def begin(self) -> int:
        """A record begins: the number of its line."""
        self._taken.clear()
        self._size = 0
        return self._number + 1

    def first(self) -> str:
        """The first line of the current record."""
        return self._taken[0] if self._taken else ""

    def give_back(self) -> None:
        """Have all lines of the current record but the first read again."""
        self._again.extendleft(reversed(self._taken[1:]))
        self._number -= max(len(self._taken) - 1, 0)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._readline(MOST_CHARACTERS)
        if not line:
            raise StopIteration
        self._number += 1
        self._taken.append(line)
        self._size += len(line)
        if self._size >= MOST_CHARACTERS:
            self._skip(line)
            raise _TooLongError
        return line

    def _skip(self, line: str) -> None:
        """Leave out what is left of a line that was too long to be read at once."""
        while line and line[-1] not in "\r\n" and not self._again:
            line = self._readline(MOST_CHARACTERS)


def _problem(error: Exception, delimiter: str) -> str:
    text = str(error)
    if isinstance(error, _TooLongError):
        return f"the row is longer than {MOST_CHARACTERS:,} characters: is a quote never closed?"
    if "end of data" in text:
        return "a quote that is opened in this row is never closed: close it, or double a quote that belongs to the text"
    if "field limit" in text:
        return (
            f"a cell is longer than {csv.field_size_limit():,} characters: is a quote never closed?"
        )
    if "expected after" in text:
        name = {",": "comma", ";": "semicolon", "\t": "tab"}[delimiter]
        return f'a closing quote is followed by something else than a {name}: double a quote that belongs to the text ("")'
    return f"the row is no CSV ({text})"
