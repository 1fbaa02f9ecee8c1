"""JSON that people send, decoded; and what is wrong with what a decoder does not take, said to whoever sent it. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, inspect

from feedd.people.limits import PayloadProblem, below, too_deep

UNDECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_VALUE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_TYPES = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_BOUND = re.compile(r"Expected `(\w+)`( of length)? (>=|<=) (\d+)")
_MALFORMED = "JSON is malformed: "
_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_MOST_LEVELS = 64  # that are looked into for a number that is too large
_anything = msgspec.json.Decoder()
_object = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


def read(decoder: "msgspec.json.Decoder[Any]", text: bytes, pointer: str = "") -> Any:
    """What a decoder makes of JSON, which stands at `pointer` in what was sent.

    Raises:
        PayloadProblem: it is none, or has not the shape that it should have; says where, and what it should be.
    """
    try:
        return read_json(decoder, text)[0]
    except UNDECODED as error:
        raise decode_problem(error, pointer, text, decoder.type) from error


def read_json(decoder: "msgspec.json.Decoder[Any]", text: bytes) -> tuple[Any, bytes]:
    """What a decoder makes of JSON, and the text that was decoded in the end; raises what the decoder does.

    Texts that were cut in the midst of an emoji are mended; feeds have them too, and the same becomes of them.
    """
    try:
        return decoder.decode(text), text
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = _ESCAPE.sub(_mend, text)
        if mended == text:
            raise
        return decoder.decode(mended), mended


def _mend(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if match[1] else match[0]


def decode_problem(error: Exception, pointer: str, text: bytes, model: Any = Any) -> PayloadProblem:
    """What a decoder of `model` says of a text, which stands at `pointer` in what was sent."""
    if isinstance(error, RecursionError):
        return too_deep(pointer)
    if isinstance(error, UnicodeDecodeError):
        return PayloadProblem(pointer, "is not JSON: it is not UTF-8 text")
    if isinstance(error, msgspec.ValidationError):
        return shape_problem(error, pointer, text, model)
    if not text.strip():
        return PayloadProblem(pointer, "is empty", hint='Send JSON: {"data": {…}}.')
    said = str(error)
    why = said.removeprefix(_MALFORMED) if said.startswith(_MALFORMED) else "it breaks off"
    return PayloadProblem(pointer, f"is not JSON: {why}")


def shape_problem(
    error: Exception, pointer: str = "", text: bytes = b"", model: Any = Any
) -> PayloadProblem:
    """What msgspec says of JSON that has not the shape that `model` has; its words end with the place: `` - at `$.data[2].type` ``."""
    found = _PLACE.fullmatch(str(error))
    said, path = (found[1], found[2] or "") if found else (str(error), "")
    steps = [name or number for name, number in _STEP.findall(path)]
    if said == "Number out of range":
        return PayloadProblem(_overlarge(text, pointer), "is a number that is too large to be kept")
    for step in steps:
        pointer = below(pointer, step)
    if (field := _FIELD.fullmatch(said)) is not None:
        pointer = below(pointer, field[2])
        if field[1] == "missing required":
            return PayloadProblem(pointer, "is missing")
        known = ", ".join(_fields_at(model, steps))
        hint = f"Supported: {known}." if known else ""
        return PayloadProblem(pointer, "is not a field that is known", hint=hint)
    if (value := _VALUE.fullmatch(said)) is not None:
        allowed = " or ".join(f'"{each}"' for each in _values_at(model, steps))
        hint = f"Write {allowed}." if allowed else ""
        return PayloadProblem(pointer, f"is {value[1]}, which is not supported", hint=hint)
    return PayloadProblem(pointer, _told(said))


def _told(said: str) -> str:
    """A type or a bound that is not kept to, in words."""
    if (types := _TYPES.fullmatch(said)) is not None:
        wanted, got = (
            " or ".join(_NAMES.get(each, each) for each in side.split(" | "))
            for side in types.groups()
        )
        return f"is {got}, not {wanted}"
    if (bound := _BOUND.fullmatch(said)) is not None:
        kind, is_length, sign, number = bound.groups()
        most = "at least" if sign == ">=" else "at most"
        if not is_length:
            return f"is not a number of {most} {number}"
        unit = "character" if kind == "str" else "element"
        return f"does not have {most} {number} {unit}{'' if number == '1' else 's'}"
    return f"cannot be used: {said[:1].lower()}{said[1:]}"


def _fields_at(model: Any, steps: Sequence[str]) -> list[str]:
    """The names of the fields of what a model has at the end of these steps."""
    return [
        field.encode_name
        for each in _types_at(model, steps)
        if isinstance(each, inspect.StructType)
        for field in each.fields
    ]


def _values_at(model: Any, steps: Sequence[str]) -> list[Any]:
    """The values that are allowed at the end of these steps."""
    found: list[Any] = []
    for each in _types_at(model, steps):
        if isinstance(each, inspect.LiteralType):
            found += each.values
        elif isinstance(each, inspect.EnumType):
            found += [member.value for member in each.cls]
    return found


def _types_at(model: Any, steps: Sequence[str]) -> list[inspect.Type]:
    """What may stand at the end of these steps into a model."""
    found = _choices(inspect.type_info(model))
    for step in steps:
        found = [inner for each in found for inner in _inner(each, step)]
    return found


def _inner(kind: inspect.Type, step: str) -> Iterable[inspect.Type]:
    if isinstance(kind, inspect.StructType):
        return [
            each
            for field in kind.fields
            if field.encode_name == step
            for each in _choices(field.type)
        ]
    item = getattr(kind, "item_type", None) or getattr(kind, "value_type", None)
    return [] if item is None else _choices(item)


def _choices(kind: inspect.Type) -> list[inspect.Type]:
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    if isinstance(kind, inspect.UnionType):
        return [each for one in kind.types for each in _choices(one)]
    return [kind]


def _overlarge(text: bytes, pointer: str) -> str:
    """Where in JSON the number stands that no number of ours can hold, such as 1e999."""
    for _ in range(_MOST_LEVELS):
        is_object = text.lstrip()[:1] == b"{"
        if not is_object and text.lstrip()[:1] != b"[":
            return pointer
        members: Iterable[tuple[Any, Raw]] = (
            _object.decode(text).items() if is_object else enumerate(_list.decode(text))
        )
        for step, raw in members:
            try:
                _anything.decode(raw)
            except msgspec.ValidationError:
                pointer, text = below(pointer, str(step)), bytes(raw)
                break
            except UNDECODED:
                return pointer
        else:
            return pointer
    return pointer
