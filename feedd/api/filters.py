"""The filter language of JSON:API lists: `equals(field,"value"),any(field,["a","b"])`, joined by AND. Pure.

The grammar is that of https://developers.klaviyo.com/en/docs/filtering_ : an operator, a field and a literal (string
in single or double quotes, number, boolean, null, date-time without quotes, or a list of them).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from feedd.errors import UsageError

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[a-z][a-z-]*")
_FIELD = re.compile(r"[A-Za-z_$][\w.$\-\[\]' ]*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_WORD = re.compile(r"[^\s,()\[\]\"']+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
MAX_LENGTH = 10_000
MAX_DEPTH = 20

Supported = Mapping[str, tuple[str, ...]]


class Condition(NamedTuple):
    """One `operator(field,value)`."""

    operator: str
    field: str
    value: Any


class FilterError(UsageError):
    """The filter cannot be read, or asks for what this list does not support."""

    source = {"parameter": "filter"}  # noqa: RUF012 never changed


def parse_filter(text: str | None, supported: Supported) -> list[Condition]:
    """The conditions of a filter, all of them supported: field -> operators.

    Raises:
        FilterError: says at which character, or what is supported instead.
    """
    if not text:
        return []
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter is longer than {MAX_LENGTH} characters")
    if "\0" in text:
        raise FilterError("the filter holds a NUL character, which no value has")
    reader = _Reader(text)
    conditions = reader.conditions()
    for condition in conditions:
        if condition.operator not in supported.get(condition.field, ()):
            listed = ", ".join(
                f"{operator}({field},…)"
                for field, operators in supported.items()
                for operator in operators
            )
            raise FilterError(
                f"{condition.operator}({condition.field},…) is not supported here",
                hint=f"Supported: {listed or 'no filters'}.",
            )
    return conditions


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = 0

    def conditions(self) -> list[Condition]:
        found = self._sequence()
        self._skip()
        if self.at != len(self.text):
            self._fail("expected ',' or the end")
        return found

    def _sequence(self) -> list[Condition]:
        found = self._condition()
        while self._accept(","):
            found += self._condition()
        return found

    def _condition(self) -> list[Condition]:
        operator = self._match(_NAME, "an operator such as equals")
        self._expect("(")
        if operator == "and":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._fail("and(…) is nested too deep")
            found = self._sequence()
            self._expect(")")
            self._depth -= 1
            return found
        field = self._match(_FIELD, "a field").strip()
        self._expect(",")
        value = self._value()
        self._expect(")")
        return [Condition(operator, field, value)]

    def _value(self) -> Any:
        if not self._accept("["):
            return self._scalar()
        values: list[Any] = []
        while not self._accept("]"):
            if values:
                self._expect(",")
            values.append(self._scalar())
        return values

    def _scalar(self) -> Any:
        self._skip()
        quoted = _STRING.match(self.text, self.at)
        if quoted:
            self.at = quoted.end()
            return _ESCAPE.sub(r"\1", quoted[1] if quoted[1] is not None else quoted[2])
        return _literal(self._match(_WORD, "a value"))

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        self._skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            self._fail(f"expected {what}")
        self.at = found.end()
        return found[0]

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at

    def _accept(self, char: str) -> bool:
        self._skip()
        if not self.text.startswith(char, self.at):
            return False
        self.at += 1
        return True

    def _expect(self, char: str) -> None:
        if not self._accept(char):
            self._fail(f"expected {char!r}")

    def _fail(self, what: str) -> NoReturn:
        raise FilterError(
            f"the filter cannot be read: {what} at character {self.at + 1}",
            hint='Write it like equals(feed,"shop"),any(id,["a","b"]).',
        )


def _literal(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    if word == "null":
        return None
    if _NUMBER.fullmatch(word):
        return float(word) if any(c in word for c in ".eE") else int(word)
    return word
