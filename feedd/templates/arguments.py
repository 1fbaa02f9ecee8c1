"""The arguments of tags: `name=value` pairs, checked when a template is compiled as far as they are constant.

A value that is not understood is a mistake of the template where it is written there; where it comes from a variable, the
tag finds nothing. Nor does it where the variable is one that nothing has set.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

from django.template import TemplateSyntaxError
from django.template.base import kwarg_re

from feedd.templates.message import Message
from feedd.templates.variables import Expression

_ABSENT: Any = object()
_WORDS = {"True": True, "False": False, "None": None}
_NAME = re.compile(r"[A-Za-z]\w*")
_YES, _NO = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}
_SPAN = re.compile(r"(\d{1,6})\s*(m|min|h|d|w)")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# in all time zones moments have a year
_EARLIEST_S = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LATEST_S = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
_POSITION = re.compile(r"\d{1,18}")


class Mistake(TemplateSyntaxError):
    """A tag that is written wrongly, with what to write instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NotUnderstood(Exception):
    """A value that means nothing where it stands; `hint` is what is meant to stand there."""

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


Read = Callable[[Any, Message | None], Any]


class Arguments(NamedTuple):
    """What a tag is given: values without a name, those with one, and the variable that it sets."""

    values: list[Expression]
    named: dict[str, Expression]
    variable: str | None


def arguments(
    parser: Any, bits: Sequence[str], *, tag: str, names: Sequence[str], sets: str | None = None
) -> Arguments:
    """What stands in a tag behind its name. `sets` is an example of the variable that it sets, None where it sets none.

    Raises:
        TemplateSyntaxError: a name is unknown or comes twice, or the variable is missing; says what to write.
    """
    bits, variable = list(bits), None
    if sets is not None:
        if len(bits) < 2 or bits[-2] != "as" or not _NAME.fullmatch(bits[-1]):
            raise Mistake(
                f"the tag '{tag}' must end with the name of the variable that it sets",
                f"Write `as {sets}` at its end.",
            )
        variable = bits[-1]
        del bits[-2:]
    found = Arguments([], {}, variable)
    for bit in bits:
        match = kwarg_re.match(bit)
        name = match[1] if match else None
        if bit.endswith(",") or bit == ",":
            raise Mistake(
                f"the tag '{tag}' has a comma between its words",
                'Write name="value" name="value", with a space and no comma between them.',
            )
        if bit.endswith(":"):
            raise Mistake(f"the tag '{tag}' has a ':' behind a name", f'Write {bit[:-1]}="value".')
        if bit == "=" or bit.endswith("=") or bit.startswith("="):
            raise Mistake(
                f"the tag '{tag}' has a space beside a '='", 'Write name="value", without spaces.'
            )
        if match is None or name is None:
            if found.named:
                raise Mistake(
                    f"the tag '{tag}' does not understand '{bit}' at this place",
                    'What follows a name="value" is another one.',
                )
            found.values.append(parser.compile_filter(bit))
        elif name not in names:
            raise Mistake(f"the tag '{tag}' has no '{name}='", _nearest(name, names))
        elif name in found.named:
            raise Mistake(f"the tag '{tag}' has '{name}=' twice")
        else:
            found.named[name] = parser.compile_filter(match[2])
    return found


def check(tag: str, named: Mapping[str, Expression], reads: Mapping[str, Read]) -> None:
    """See that values which stand in the template itself are understood. Raises TemplateSyntaxError."""
    for name, expression in named.items():
        value = constant(expression)
        if value is not _ABSENT:
            try:
                reads[name](value, None)
            except NotUnderstood as error:
                raise Mistake(
                    f"the tag '{tag}' does not understand {name}={expression.token}", error.hint
                ) from None


def is_constant(expression: Expression) -> bool:
    """Whether a value is the same in every message."""
    return constant(expression) is not _ABSENT


def constant(expression: Expression) -> Any:
    """The value that stands in the template itself; `_ABSENT` where it is a variable."""
    if expression.filters:
        return _ABSENT
    if not expression.is_var:
        return expression.var
    if expression.var.lookups is None:
        return expression.var.literal
    return _WORDS.get(expression.var.var, _ABSENT)


def word_or_value(expression: Expression, context: Any) -> Any:
    """The value; None where it is missing. A name that nothing has in this message is the word itself."""
    value = expression.resolve(context, ignore_failures=True)
    if _is_blank(value) and not expression.filters and _is_unknown(expression, context):
        return expression.var.var
    return value


def given(read: Read, expression: Expression, context: Any) -> Any:
    """What an argument is given: what its value means.

    A name that nothing has in this message is a word without its quotes, or a slip: where there are but some words it is taken as
    one of them, elsewhere it means nothing. What is blank of a person is no condition; a slip does not become that.

    Raises:
        NotUnderstood: the value means nothing there.
    """
    value = expression.resolve(context, ignore_failures=True)
    if _is_blank(value) and _is_unknown(expression, context):
        if expression.filters or read in (text, ids):
            raise NotUnderstood("Write a text in quotes.")
        value = expression.var.var
    return read(value, context.message)


def _is_blank(value: Any) -> bool:
    return value is None or value == ""


def _is_unknown(expression: Expression, context: Any) -> bool:
    """Whether a value begins with one name alone, which nothing has."""
    if not expression.is_var or expression.var.lookups is None:
        return False
    return len(expression.var.lookups) == 1 and expression.var.var not in context


def _nearest(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return (
        f"Write {close[0]}=." if close else f"There are: {', '.join(f'{each}=' for each in names)}."
    )


# what values mean; each gives None for what is blank, and raises NotUnderstood


def text(value: Any, _message: Message | None = None) -> str | None:
    """A text."""
    if isinstance(value, bool | list | dict | tuple):
        raise NotUnderstood("Write a text in quotes.")
    return None if value is None or value == "" else plain(value)


def plain(value: Any) -> str:
    """A value as text; of one that is marked as safe, the text alone."""
    return str.__str__(value) if isinstance(value, str) else str(value)


def number(value: Any, _message: Message | None = None) -> float | None:
    """A number, or a text that is one."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = float("nan")
        if abs(found) < float("inf"):
            return found
    raise NotUnderstood("Write a number, such as 49.90.")


def truth(value: Any, _message: Message | None = None) -> bool | None:
    """True or False, or a text that says so."""
    if value is None or value == "":
        return None
    said = plain(value).casefold()
    if said in _YES | _NO:
        return said in _YES
    raise NotUnderstood("Write True or False.")


def one_of(words: Sequence[str], *, either_way: bool = False) -> Read:
    """One of some words; `either_way` with a `-` before it too."""

    def read(value: Any, _message: Message | None = None) -> str | None:
        if value is None or value == "":
            return None
        word = plain(value)
        if word in words or (either_way and word.removeprefix("-") in words):
            return word
        reverse = ", each with - before it the other way round" if either_way else ""
        raise NotUnderstood(f"There are: {', '.join(words)}{reverse}.")

    return read


def count(most: int) -> Read:
    """A number of things from 1 to `most`."""

    def read(value: Any, _message: Message | None = None) -> int | None:
        found = number(value)
        if found is None:
            return None
        if found < 1 or found > most or found != int(found):
            raise NotUnderstood(f"Write a whole number from 1 to {most}.")
        return int(found)

    return read


class Since(NamedTuple):
    """The beginning of a window: a position in the change stream, or a moment in seconds since 1970."""

    seq: int | None = None
    at: float | None = None


def ago(message: Message, days: int) -> Since:
    """The window that begins so many days before the message."""
    return Since(at=(message.now - timedelta(days=days)).timestamp() // 60 * 60)


def since(value: Any, message: Message | None = None) -> Since | None:
    """`7d`, `24h`, `30m`, a date or time, or the number of a change.

    Windows begin at full minutes, so that messages which are sent together have the same one.
    """
    hint = 'Write since="7d" (or 24h, 30m, 2w), a date such as "2026-01-31", or the number of a change.'
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        raise NotUnderstood(hint)
    said = plain(value).strip()
    if _POSITION.fullmatch(said):
        return Since(seq=int(said))
    if span := _SPAN.fullmatch(said):
        if message is None:
            return Since()
        try:
            then = message.now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            return Since(seq=0)
    else:
        try:
            then = datetime.fromisoformat(str(value) if isinstance(value, date) else said)
        except ValueError:
            raise NotUnderstood(hint) from None
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC if message is None else message.now.tzinfo)
    return Since(at=min(max(then.timestamp() // 60 * 60, _EARLIEST_S), _LATEST_S))


def ids(value: Any, _message: Message | None = None) -> tuple[str, ...]:
    """Item ids: a list of them, or a text with commas between them. What is blank names no items."""
    if value is None:
        return ()
    each = value.split(",") if isinstance(value, str) else value
    if not isinstance(each, list | tuple):
        each = [each]
    return tuple(found for found in map(item_id, each) if found)


def item_id(value: Any) -> str:
    """The id of an item, as catalogs have it; empty where a value is none."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return plain(value).strip() if isinstance(value, str | int | float | Decimal) else ""
