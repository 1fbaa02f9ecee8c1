"""In which line of a TOML text each key stands; the standard library's parser does not say. Pure.

It reads texts that are valid TOML (https://toml.io/en/v1.0.0) already, so it looks at borders only: names, brackets,
strings, comments. In a text that is not, it stops where it no longer understands.
"""

import re
from contextlib import suppress

KeyPath = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\'')
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([btnfr"\\]))')
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_DEEPEST = 100


class _LostError(Exception):
    """The text is not what it should be here."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table, key and array element, by its path; array elements are numbers."""
    reader = _Reader(text)
    with suppress(_LostError):
        reader.document()
    return reader.lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a path, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._arrays: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table, 0)
            self._skip(_GAP)

    def _header(self) -> KeyPath:
        line = self._line
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        table: KeyPath = ()
        for name in self._names():
            table = (*table, name)
            self.lines.setdefault(table, line)
            if table in self._arrays:
                table = (*table, self._arrays[table])
        if array:
            whole = table[:-1] if table and isinstance(table[-1], int) else table
            self._arrays[whole] = self._arrays.get(whole, -1) + 1
            table = (*whole, self._arrays[whole])
        self.lines[table] = line
        self._expect("]]" if array else "]")
        return table

    def _pair(self, table: KeyPath, depth: int) -> None:
        line = self._line
        path = table
        for name in self._names():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._skip(_SPACE)
        self._value(path, depth)

    def _names(self) -> list[str]:
        names = [self._name()]
        while self._text.startswith(".", self._at):
            self._at += 1
            names.append(self._name())
        return names

    def _name(self) -> str:
        self._skip(_SPACE)
        if found := _BARE.match(self._text, self._at):
            name = found.group()
        elif found := _QUOTED.match(self._text, self._at):
            basic, literal = found.groups()
            name = literal if basic is None else _ESCAPE.sub(_unescaped, basic)
        else:
            raise _LostError
        self._at = found.end()
        self._skip(_SPACE)
        return name

    def _value(self, path: KeyPath, depth: int) -> None:
        if depth > _DEEPEST:
            raise _LostError
        start = self._text[self._at : self._at + 1]
        if start == "[":
            self._list("]", path, depth)
        elif start == "{":
            self._list("}", path, depth)
        else:
            self._skip(_STRING if start in {'"', "'"} else _SCALAR)

    def _list(self, end: str, path: KeyPath, depth: int) -> None:
        """The elements of an array, or the pairs of an inline table."""
        self._at += 1
        self._skip(_GAP)
        index = 0
        while not self._text.startswith(end, self._at):
            if end == "}":
                self._pair(path, depth + 1)
            else:
                self.lines[(*path, index)] = self._line
                self._value((*path, index), depth + 1)
            index += 1
            self._skip(_GAP)
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip(_GAP)
            elif not self._text.startswith(end, self._at):
                raise _LostError
        self._at += 1

    def _expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise _LostError
        self._at += len(sign)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _LostError
        self._line += found.group().count("\n")
        self._at = found.end()


def _unescaped(match: re.Match[str]) -> str:
    short, long, letter = match.groups()
    code = short or long
    return chr(int(code, 16)) if code else _ESCAPES[letter]
