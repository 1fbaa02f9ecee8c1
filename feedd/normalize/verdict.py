"""Whether fields keep to their schema, and which must go where they do not. Pure.

The verdict is jsonschema-rs's; a field, or an element of a list, that it refuses is dropped with a warning. What
cannot be mended by dropping makes the record a reject.
"""

from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError

from feedd.coerce import excerpt
from feedd.model import Problem

_MAX_ROUNDS = 8
_IDENTITY = ("id", "title")

_HINTS = {
    "const": "Write exactly {expected_value}.",
    "enum": "Write one of: {options}.",
    "exclusiveMaximum": "Write a number below {limit}.",
    "exclusiveMinimum": "Write a number above {limit}.",
    "format": "Write a valid {format}.",
    "maxItems": "List at most {limit} of them.",
    "maxLength": "Shorten this to at most {limit} characters.",
    "maximum": "Write a number of at most {limit}.",
    "minItems": "List at least {limit} of them.",
    "minLength": "Write at least {limit} characters.",
    "minimum": "Write a number of at least {limit}.",
    "multipleOf": "Write a multiple of {multiple_of}.",
    "pattern": "Write it in the form that the schema asks for: {pattern}",
    "required": "Add {property} to the feed; the schema requires it.",
    "type": "Write this as {types}.",
    "uniqueItems": "List every value once.",
}


def compiled(document: dict[str, Any]) -> Draft202012Validator:
    """The validator of a bundled schema; formats are checked, and nothing is ever fetched.

    Raises:
        ValueError: the schema cannot be compiled (jsonschema-rs's ValidationError and ReferencingError are such).
    """
    return Draft202012Validator(document, retriever=_refuse, validate_formats=True)


def settle(
    validator: Draft202012Validator, fields: dict[str, Any], warnings: list[Problem]
) -> list[Problem]:
    """Drop from `fields` what the schema refuses, and say so in `warnings`; the problems that dropping cannot mend."""
    for _ in range(_MAX_ROUNDS):
        if validator.is_valid(fields):
            return []
        errors = list(validator.iter_errors(fields))
        fatal = [_problem(error, fields) for error in errors if not _droppable(error)]
        if fatal:
            return fatal
        _drop(errors, fields, warnings)
    return (
        []
        if validator.is_valid(fields)
        else [Problem(pointer="", rule="schema", hint="The item does not fit the schema.")]
    )


def gathered(problems: list[Problem]) -> list[Problem]:
    """The problems, those of one kind in one list as the first of them, whose hint counts the others."""
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        place, _, step = problem.pointer.rpartition("/")
        where = place if place and step.isdecimal() else problem.pointer
        alike.setdefault((where, problem.rule, problem.hint), []).append(problem)
    return [
        msgspec.structs.replace(first, hint=f"{first.hint} ({len(others)} more in this list.)")
        if others
        else first
        for first, *others in alike.values()
    ]


def pointer(*steps: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not part of the schema, and nothing is fetched")


def _path(error: ValidationError) -> list[str | int]:
    return list(error.instance_path)


def _unexpected(error: ValidationError) -> list[str]:
    return list(error.kind.as_dict().get("unexpected", ())) if not _path(error) else []


def _droppable(error: ValidationError) -> bool:
    path = _path(error)
    gone = path[:1] or _unexpected(error)
    return bool(gone) and not any(name in _IDENTITY for name in gone)


def _drop(errors: list[ValidationError], fields: dict[str, Any], warnings: list[Problem]) -> None:
    elements: set[tuple[str, int]] = set()
    names: set[str] = set()
    problems: list[Problem] = []
    for error in errors:
        path = _path(error)
        if len(path) > 1 and isinstance(path[1], int):
            place = (str(path[0]), path[1])
            if place not in elements:
                problems.append(_problem(error, fields, path[:2]))
            elements.add(place)
            continue
        for name in map(str, path[:1] or _unexpected(error)):
            if name not in names:
                problems.append(_problem(error, fields, [name]))
            names.add(name)
    warnings += gathered(problems)
    for name, index in sorted(elements, reverse=True):
        fields[name] = fields[name][:index] + fields[name][index + 1 :]
    names |= {name for name, _ in elements if not fields[name]}
    for name in names:
        fields.pop(name, None)


def _problem(
    error: ValidationError, fields: dict[str, Any], path: list[str | int] | None = None
) -> Problem:
    path = _path(error) if path is None else path
    value: Any = fields
    for step in path:
        value = value[step]
    kind = error.kind.as_dict()
    name = error.kind.name
    if name == "required" and not path:
        return Problem(pointer=pointer(kind["property"]), rule=name, hint=_hint(name, kind, error))
    return Problem(
        pointer=pointer(*path),
        rule=name,
        value=excerpt(value) if path else None,
        hint=_hint(name, kind, error),
    )


def _hint(name: str, kind: dict[str, Any], error: ValidationError) -> str:
    template = _HINTS.get(name)
    if template is None:
        return excerpt(error.message)
    words = {
        key: ", ".join(map(str, value)) if isinstance(value, list) else value
        for key, value in kind.items()
    }
    return template.format_map(words)
