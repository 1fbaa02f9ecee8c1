"""How the values of configuration keys are read: from what TOML gives to what feedd uses.

A reader takes a `Node` and gives the value, or raises `WrongValueError`; one that reads several things notes the
problem of each on its node. To add a kind of value: a reader here, and a row in `tests/test_settings.py`.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from feedd.settings.file import Node, home
from feedd.settings.secret import EXAMPLE, KINDS, Secret, SecretError, look_up

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_ENDLESS_S = 1e12  # what comes near it is a slip; infinity and not-a-number are beyond it
_UNITS = {unit.lower(): factor for unit, factor in _BYTES.items()}
_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}


class WrongValueError(Exception):
    """A value cannot be used: what is wrong, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}. {hint}")


Reader = Callable[[Node], Any]


class Key(NamedTuple):
    """One key of the configuration: what documentation, checks and reading go by.

    `field` is where the value goes in the settings; `kind`, `default` and `help` are what people read.
    """

    name: str
    field: str
    read: Reader
    kind: str
    default: str
    help: str


def read_keys(node: Node, keys: Sequence[Key], *, also: Sequence[str] = ()) -> dict[str, Any]:
    """The values of a table by their fields; unknown keys and wrong values are noted as problems."""
    known = {key.name: key for key in keys}
    values: dict[str, Any] = {}
    for name in node.value:
        child = node.child(name)
        if name in known:
            try:
                values[known[name].field] = known[name].read(child)
            except WrongValueError as error:
                child.problem(error.message, error.hint)
        elif name not in also:
            child.problem("there is no such key", did_you_mean(name, [*known, *also]))
    return values


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint that names the nearest of the known words, or all of them."""
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"The keys here are {', '.join(known)}."


def expect(value: Any, kind: type, example: str) -> None:
    """Refuse a value that is not of that kind; `example` is how it is written.

    Raises:
        WrongValueError: it is of another kind.
    """
    if type(value) is not kind:
        found = _KINDS.get(type(value), "a date or time")
        raise WrongValueError(f"is {found}, not {_KINDS[kind]}", f"Write it so: {example}")


def flag(node: Node) -> bool:
    """true or false."""
    expect(node.value, bool, f"{node.path[-1]} = true")
    return bool(node.value)


def text(example: str) -> Reader:
    """Text in one line, not empty."""

    def read(node: Node) -> str:
        expect(node.value, str, example)
        if not node.value.strip() or not node.value.isprintable():
            raise WrongValueError(
                "is empty" if not node.value.strip() else "holds a control character",
                f"Write it so: {example}",
            )
        return str(node.value.strip())

    return read


def choice(*words: str) -> Reader:
    """One of some words."""

    def read(node: Node) -> str:
        example = " or ".join(f'"{word}"' for word in words)
        expect(node.value, str, example)
        if node.value not in words:
            close = get_close_matches(node.value.lower(), words, n=1)
            hint = f'Did you mean "{close[0]}"?' if close else f"Write {example}."
            raise WrongValueError(f"{node.value!r} is not one of its values", hint)
        return str(node.value)

    return read


def duration(least_s: float, most_s: float, example: str) -> Reader:
    """A length of time in seconds: a number of seconds, or text such as `1h30m`."""

    def read(node: Node) -> float:
        seconds = seconds_of(node.value, example)
        if not least_s <= seconds <= most_s:
            bound = f"at least {least_s:g} s" if seconds < least_s else f"at most {most_s:g} s"
            raise WrongValueError(f"is {seconds:g} s; it is {bound}", f"Write it so: {example}")
        return seconds

    return read


def size(node: Node) -> int:
    """A number of bytes: a number, or text such as `100MB` or `2GiB`."""
    example = 'max_bytes = "100MB"'
    value = node.value
    if type(value) is str:
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", value)
        if match is None or match[2].lower() not in _UNITS or len(match[1]) > 20:
            raise WrongValueError(
                f"{value!r} is not a size",
                f"Write it so: {example}; the units are {', '.join(_BYTES)}",
            )
        value = round(float(match[1]) * _UNITS[match[2].lower()])
    expect(value, int, example)
    if not 0 < value < 2**63:
        raise WrongValueError("is no size that a feed could have", f"Write it so: {example}")
    return int(value)


def share(node: Node) -> float:
    """A part of a whole, 0 to 1: `"30%"` or `0.3`."""
    hint = 'Write a part of the whole: "30%" or 0.3'
    value = node.value
    if type(value) is str:
        match = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%\s*", value)
        if match is None:
            raise WrongValueError(f"{value!r} is not a percentage", hint)
        value = float(match[1]) / 100
    if type(value) not in {int, float} or not 0 <= value <= 1:
        meant = type(value) is int and 1 < value <= 100
        raise WrongValueError(
            f"{value!r} is not between 0 and 1", f'Did you mean "{value}%"?' if meant else hint
        )
    return float(value)


def directory(example: str) -> Callable[[Node], Path]:
    """A path, absolute or relative to its file; `~/` is the home directory."""

    def read(node: Node) -> Path:
        expect(node.value, str, example)
        if not node.value or "\0" in node.value:
            raise WrongValueError("is not a path", f"Write it so: {example}")
        if node.value == "~" or node.value.startswith("~/"):
            return home(node.place.environ) / str(node.value[2:])
        return node.place.base_dir / str(node.value)

    return read


def each(read_one: Reader, example: str) -> Reader:
    """A list, as a tuple; what is wrong with an element is noted at its place."""

    def read(node: Node) -> tuple[Any, ...]:
        expect(node.value, list, example)
        values = []
        for index in range(len(node.value)):
            child = node.child(index)
            try:
                values.append(read_one(child))
            except WrongValueError as error:
                child.problem(error.message, error.hint)
        return tuple(values)

    return read


def address(node: Node) -> tuple[str, int] | None:
    """`HOST:PORT`, an IPv6 host in brackets; None for `""`."""
    example = 'listen = "127.0.0.1:8030", or listen = "" for none'
    expect(node.value, str, example)
    if not node.value:
        return None
    match = re.fullmatch(r"(\[([0-9a-fA-F:.%]+)\]|[A-Za-z0-9.-]+):([0-9]{1,5})", node.value)
    if match is None or int(match[3]) > 65_535:
        raise WrongValueError(f"{node.value!r} is not HOST:PORT", f"Write it so: {example}")
    return match[2] or match[1], int(match[3])


def network(node: Node) -> str:
    """A network such as `10.1.0.0/16`, or one address."""
    key = next((each for each in reversed(node.path) if isinstance(each, str)), "allow_private")
    example = f'{key} = ["10.1.0.0/16"]'
    expect(node.value, str, example)
    try:
        return str(ipaddress.ip_network(node.value))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(node.value, strict=False)
    except ValueError:
        raise WrongValueError(
            f"{node.value!r} is not a network", f"Write it so: {example}"
        ) from None
    raise WrongValueError(
        f"{node.value!r} has bits set outside its network", f'Did you mean "{meant}"?'
    )


def secret(node: Node) -> Secret:
    """A secret, from where its reference says."""
    hint = f"Write where the secret is: {EXAMPLE}"
    if type(node.value) is not dict:
        raise WrongValueError("stands here in plain text", hint)
    kinds = list(node.value)
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise WrongValueError("does not say where the secret is", hint)
    name = node.value[kinds[0]]
    if type(name) is not str or not name.strip() or "\0" in name:
        raise WrongValueError(f"{kinds[0]} needs a name in quotes", hint)
    reference = f"{kinds[0]} {name}"
    if not node.place.with_secrets:
        return Secret(None, reference)
    try:
        value = look_up(kinds[0], name, environ=node.place.environ, base_dir=node.place.base_dir)
    except SecretError as error:
        raise WrongValueError(error.message, error.hint) from error
    if not value.isprintable():
        raise WrongValueError(
            f"the secret at {reference} holds a line break or another control character",
            "Put nothing but the secret there.",
        )
    return Secret(value, reference)


def seconds_of(value: Any, example: str) -> float:
    """A length of time in seconds, from a number or from text such as `1h30m`. Raises WrongValueError."""
    if type(value) is str:
        parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|d|w)\s*", value.strip())
        spelled = re.sub(r"\s", "", value)
        if not parts or "".join(number + unit for number, unit in parts) != spelled:
            raise WrongValueError(
                f"{value!r} is not a length of time",
                f"Write it so: {example}; the units are {', '.join(_SECONDS)}, as in 1h30m",
            )
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if type(value) not in {int, float} or not -_ENDLESS_S < value < _ENDLESS_S:
        raise WrongValueError("is not a length of time", f"Write it so: {example}")
    return float(value)
