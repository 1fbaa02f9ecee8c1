"""A line of a file, and a mark below the characters that are meant."""

import shutil
import unicodedata

from feedd.cli.show import plain

_WIDE = 130  # columns, where no terminal says how many
_MARGIN = 10  # columns beside the line


def pointed(line: str, column: int, length: int = 1) -> tuple[str, str]:
    """The line, as far as it is shown, and the marks below it. `column` is from 1; both are safe to print."""
    line = line.expandtabs(1).rstrip("\r\n")
    at = min(column - 1, len(line))
    most = max(40, shutil.get_terminal_size((_WIDE, 0)).columns - _MARGIN)
    start = 0 if len(line) <= most else max(0, at - most // 2)
    end = min(len(line), start + most)
    before, meant, after = line[start:at], line[at : min(at + length, end)], line[at + length : end]
    lead, cut = "…" if start else "", "…" if end < len(line) else ""
    shown = [plain(part) for part in (before, meant, after)]
    marks = " " * (len(lead) + _width(shown[0])) + "^" * max(1, _width(shown[1]))
    return f"{lead}{''.join(shown)}{cut}", marks


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )
