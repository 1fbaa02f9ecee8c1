"""How large and how deep what people send may be, and the error that says what is wrong with it. Pure."""

from typing import Any

from feedd.errors import UsageError

MAX_EVENT_PROPERTIES = 400  # at the top level
MAX_EVENT_BYTES = 5 * 1000 * 1000  # decoded from base64 or a form, still JSON
MAX_STRING_BYTES = 100 * 1024
MAX_PROFILE_BYTES = 100 * 1024
MAX_METRIC_LENGTH = 127
MAX_ID_LENGTH = 255
MAX_DEPTH = 64


class PayloadProblem(UsageError):
    """A payload is good JSON and cannot be used. `source` points at the part that is wrong (RFC 6901)."""

    def __init__(
        self, pointer: str, message: str, *, code: str = "invalid", hint: str = ""
    ) -> None:
        self.pointer = pointer
        self.source = {"pointer": pointer}
        place = pointer.removeprefix("/").replace("/", ".") or "the payload"
        super().__init__(f"{place}: {message}", code=code, hint=hint)


def check_shape(value: Any, pointer: str, size_bytes: int, brackets: int) -> None:
    """Raise PayloadProblem when a decoded value is nested too deep or holds a string that is too long.

    `size_bytes` is how long its JSON is, `brackets` how many `{` and `[` that has: what is shorter than the longest string
    and has fewer brackets than the deepest nesting, which is nearly everything, needs no walk.
    """
    if size_bytes > MAX_STRING_BYTES or brackets > MAX_DEPTH:
        _walk(value, pointer)


def _walk(value: Any, pointer: str) -> None:
    level = [(value, pointer)]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[tuple[Any, str]] = []
        for each, place in level:
            if isinstance(each, str):
                _check_string(each, place)
            elif isinstance(each, dict):
                for name, inner in each.items():
                    _check_string(name, place)
                    deeper.append((inner, f"{place}/{_step(name)}"))
            elif isinstance(each, list):
                deeper.extend((inner, f"{place}/{n}") for n, inner in enumerate(each))
        level = deeper
        if not level:
            return
    raise too_deep(pointer)


def _step(name: str) -> str:
    """A name as a step of a pointer."""
    return name[:100].replace("~", "~0").replace("/", "~1")


def too_deep(pointer: str) -> PayloadProblem:
    """The problem of a value that is nested too deep."""
    return PayloadProblem(
        pointer,
        f"is nested more than {MAX_DEPTH} levels deep",
        hint="Send it flatter, or the inner part as text.",
    )


def _check_string(text: str, pointer: str) -> None:
    if len(text) * 4 > MAX_STRING_BYTES and len(text.encode()) > MAX_STRING_BYTES:
        raise PayloadProblem(
            pointer,
            f"is a text of more than {MAX_STRING_BYTES // 1024} KB",
            hint="Send where it can be read instead.",
        )
