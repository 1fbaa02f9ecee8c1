"""The filter language of JSON:API lists: `equals(field,"value"),any(field,["a","b"])`, joined by AND. Pure.

The grammar is that of https://developers.klaviyo.com/en/docs/filtering_ : an operator, a field and a literal (string
in single or double quotes, number, boolean, date-time without quotes, or a list of them); `has(field)` takes none.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple, NoReturn

from feedd.errors import UsageError

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[a-z][a-z-]*")
_FIELD = re.compile(r"[\w$][\w.$\-\[\]' ]*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
# a time may stand behind its date with a space, and the + of an offset reads as one where a client has not escaped it
_WORD = re.compile(r"(?:\d{4}-\d\d-\d\d )?[^\s,()\[\]\"']+(?: \d\d:\d\d(?=\s*[,)\]]))?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
_SPACED_OFFSET = re.compile(r" (\d\d:\d\d)$")
_MOST_WHOLE = 2**62
MAX_LENGTH = 10_000
MAX_DEPTH = 20
LISTED = ("any", "contains-any")  # operators whose value is a list
UNSUPPORTED = ("or", "not")  # they join conditions, and no list knows them
BARE = "has"  # the operator that takes no value


class Word(NamedTuple):
    """A literal as it was written; `quoted` tells a string from the rest."""

    text: str
    quoted: bool


class Filterable(NamedTuple):
    """What a list can be asked of one of its fields: the operators, and how a value is read.

    `read` gives the value of a literal, or raises ValueError with what it has to be. `many` are further operators that take a list too.
    """

    operators: tuple[str, ...]
    read: Callable[[Word], Any]
    example: str
    many: tuple[str, ...] = ()


Supported = Mapping[str, Filterable]


class Condition(NamedTuple):
    """One `operator(field,value)`. The value is as its field has them; a list of them where the operator takes one."""

    operator: str
    field: str
    value: Any


class FilterError(UsageError):
    """The filter cannot be read, or asks for what this list does not support."""

    source = {"parameter": "filter"}  # noqa: RUF012 never changed


def texts(*operators: str, many: tuple[str, ...] = ()) -> Filterable:
    """A field that holds text; a number in the filter is the text that was written."""
    return Filterable(operators, _text, '"text"', many)


def choices(values: Sequence[str], *operators: str) -> Filterable:
    """A field that holds one of a few words."""

    def read(word: Word) -> str:
        if word.text not in values:
            raise ValueError(f"one of {', '.join(values)}")
        return str(word.text)

    return Filterable(operators, read, f'"{values[0]}"')


def wholes(*operators: str) -> Filterable:
    """A field that holds a whole number."""
    return Filterable(operators, _whole, "1")


def numbers(*operators: str) -> Filterable:
    """A field that holds a number."""
    return Filterable(operators, _number, "1.5")


def flags(*operators: str) -> Filterable:
    """A field that holds true or false."""
    return Filterable(operators, _flag, "true")


def times(*operators: str, zone: tzinfo = UTC) -> Filterable:
    """A field that holds a point in time; a value without an offset is in UTC, or in a zone."""
    return Filterable(operators, lambda word: _time(word, zone), "2026-01-31T00:00:00Z")


def relations() -> Filterable:
    """A relationship that is there or is not: `has(profile)`."""
    return Filterable((BARE,), _text, "")


def parse_filter(text: str | None, supported: Supported) -> list[Condition]:
    """The conditions of a filter, all of them supported.

    Raises:
        FilterError: says at which character, or what is supported instead.
    """
    if not text:
        return []
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter is longer than {MAX_LENGTH} characters")
    if "\0" in text:
        raise FilterError("the filter holds a NUL character, which no value has")
    return [_checked(each, supported) for each in _Reader(text).conditions()]


def described(supported: Supported) -> str:
    """What is supported, as a filter is written."""
    return ", ".join(
        f"{operator}({field})" if operator == BARE else f"{operator}({field},…)"
        for field, filterable in supported.items()
        for operator in filterable.operators
    )


def _checked(condition: Condition, supported: Supported) -> Condition:
    operator, field, value = condition
    filterable = supported.get(field)
    if filterable is None or operator not in filterable.operators:
        shown = f"{operator}({field})" if operator == BARE else f"{operator}({field},…)"
        raise FilterError(
            f"{shown} is not supported here",
            hint=f"Supported: {described(supported) or 'no filters'}.",
        )
    if operator == BARE:
        return condition
    if isinstance(value, list):
        if operator not in (*LISTED, *filterable.many):
            raise FilterError(f"{operator}({field},…) takes one value, not a list")
        return Condition(operator, field, [_read(condition, filterable, each) for each in value])
    found = _read(condition, filterable, value)
    return Condition(operator, field, [found] if operator in LISTED else found)


def _read(condition: Condition, filterable: Filterable, word: Word) -> Any:
    try:
        return filterable.read(word)
    except ValueError as error:
        raise FilterError(
            f"{condition.operator}({condition.field},…) takes {error}, not {word.text[:100]!r}",
            hint=f"Write it like {condition.operator}({condition.field},{filterable.example}).",
        ) from None


def _text(word: Word) -> str:
    return word.text


def _whole(word: Word) -> int:
    number = _number(word)
    if not isinstance(number, int) or abs(number) >= _MOST_WHOLE:
        raise ValueError("a whole number")
    return number


def _number(word: Word) -> int | float:
    if not _NUMBER.fullmatch(word.text):
        raise ValueError("a number")
    number = float(word.text)
    if abs(number) == float("inf"):
        raise ValueError("a number")
    return number if any(c in word.text for c in ".eE") else int(word.text)


def _flag(word: Word) -> bool:
    if word.text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return word.text.lower() == "true"


def _time(word: Word, zone: tzinfo) -> datetime:
    text = _SPACED_OFFSET.sub(r"+\1", word.text.strip())
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a date and time (ISO 8601)") from None


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
        if operator in UNSUPPORTED:
            raise FilterError(
                f"{operator}(…) is not supported",
                hint="Conditions joined by commas all hold; any(field,[…]) takes one of several values.",
            )
        field = self._match(_FIELD, "a field").strip()
        value: Any = None
        if operator != BARE:
            self._expect(",")
            value = self._value()
        self._expect(")")
        return [Condition(operator, field, value)]

    def _value(self) -> Word | list[Word]:
        if not self._accept("["):
            return self._scalar()
        values: list[Word] = []
        while not self._accept("]"):
            if values:
                self._expect(",")
            values.append(self._scalar())
        return values

    def _scalar(self) -> Word:
        self._skip()
        quoted = _STRING.match(self.text, self.at)
        if quoted:
            self.at = quoted.end()
            return Word(_ESCAPE.sub(r"\1", quoted[1] if quoted[1] is not None else quoted[2]), True)
        return Word(self._match(_WORD, "a value"), False)

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
