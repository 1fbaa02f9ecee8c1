"""Where a field comes from: paths into a record, and texts that are put together from several of them. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from feedd.coerce import COERCIONS, Noted
from feedd.coerce.outcome import scalar_text

Path = tuple[str, ...]

# Stands for the scheme and host of the feed's base in a template.
SITE = "$site"

_FILTER = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")
_LOWEST = re.compile(r"\[lowest ([^\[\]]+)\]")
_PART = re.compile(r"\{([^{}]+)\}")
_price = COERCIONS["price"]


class Template(NamedTuple):
    """A text with paths in braces, such as `{vendor} {model}`. `parts` are literal texts and paths in turn."""

    text: str
    parts: tuple[str | Path, ...]


def parse_path(text: str | Sequence[str]) -> Path:
    """The steps of a dotted path; a list holds them as they are, for keys that contain dots.

    `0` is the first element of a list, `*` every element, `[key=value]` those in which a key has a value (`value*`:
    one that begins so), `[lowest key]` the one in which an amount is lowest; `@name` is an XML attribute, `#text` an
    element's own text.

    Raises:
        ValueError: the path or one of its steps is empty.
    """
    path = tuple(text.split(".")) if isinstance(text, str) else tuple(text)
    if not path or not all(isinstance(step, str) and step for step in path):
        raise ValueError(f"{text!r} is not a path; write one such as images.0.src")
    return path


def parse_source(text: str | Sequence[str]) -> Path | Template:
    """A path, or the template that a text with braces is.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(text, str) or "{" not in text:
        return parse_path(text)
    pieces = _PART.split(text)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise ValueError(f"{text!r} is not a template; write one such as {{vendor}} {{model}}")
    parts = [parse_path(piece) if index % 2 else piece for index, piece in enumerate(pieces)]
    return Template(text, tuple(parts))


def reach(value: Any, steps: Path) -> Any:
    """What stands below a value, or None. One element stands for a list of one, as XML writes it."""
    for index, step in enumerate(steps):
        if type(value) is dict and step in value:
            value = value[step]
        elif step == "*":
            return _below(_elements(value), steps[index + 1 :])
        elif step[0] == "[":
            if (match := _FILTER.fullmatch(step)) is not None:
                chosen = [each for each in _elements(value) if _holds(each, match[1], match[2])]
                return _below(chosen, steps[index + 1 :])
            match = _LOWEST.fullmatch(step)
            value = None if match is None else _lowest(_elements(value), match[1])
        elif type(value) is list and step.isdecimal():
            value = value[int(step)] if len(step) < 10 and int(step) < len(value) else None
        elif step != "0":
            return None
    return value


def filled(template: Template, part: Callable[[Path], Any]) -> str | list[str] | None:
    """The text of a template, None where one of its parts is not there; a part that is a list makes it a list.

    `part` gives the value at a path.
    """
    made: str | list[str] = ""
    for index, piece in enumerate(template.parts):
        value = part(piece) if index % 2 and isinstance(piece, tuple) else piece
        if type(value) is not list:
            text = scalar_text(value)
            if text is None or (not text and index % 2):
                return None
            made = made + text if isinstance(made, str) else [each + text for each in made]
            continue
        texts = [text for each in value if (text := scalar_text(each))]
        if not texts:
            return None
        made = [made + text if isinstance(made, str) else made[0] + text for text in texts]
    return made


def _elements(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _below(values: list[Any], steps: Path) -> list[Any]:
    """What stands below several elements, as one list also where the steps choose several again."""
    if len(steps) == 1 and not (steps[0][0] in "*[" or steps[0].isdecimal()):  # as most paths end
        name = steps[0]
        return [
            inner for each in values if type(each) is dict and (inner := each.get(name)) is not None
        ]
    found = [reach(each, steps) for each in values] if steps else values
    if any(step == "*" or (step[0] == "[" and _FILTER.fullmatch(step)) for step in steps):
        found = [inner for each in found for inner in _elements(each)]
    return [each for each in found if each is not None]


def _holds(value: Any, key: str, wanted: str) -> bool:
    """Whether an element has a value under a key, or among a list there."""
    inner = value.get(key) if type(value) is dict else None
    texts = [scalar_text(each) for each in _elements(inner)]
    if wanted.endswith("*"):
        return any(text is not None and text.startswith(wanted[:-1]) for text in texts)
    return wanted in texts


def _lowest(values: list[Any], key: str) -> Any:
    """The first of the elements with the lowest amount under a key; the first at all where none has one."""
    lowest: float | None = None
    chosen = values[0] if values else None
    for each in values:
        amount = _price(each[key]) if type(each) is dict and key in each else None
        if type(amount) is Noted:
            amount = amount.value
        if isinstance(amount, int | float) and (lowest is None or amount < lowest):
            lowest, chosen = amount, each
    return chosen
