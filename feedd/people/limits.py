"""How large and how deep what people send may be, and the error that says what is wrong with it. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from feedd.errors import UsageError

MAX_EVENT_PROPERTIES = 400  # at the top level
MAX_EVENT_BYTES = 5 * 1000 * 1000  # decoded from base64 or a form, still JSON
MAX_STRING_BYTES = 100 * 1024
MAX_PROFILE_BYTES = 100 * 1024
MAX_STORED_BYTES = (
    256 * 1024
)  # of a profile's properties, all together: whoever has a public key can add to them
MAX_PUBLIC_METRICS = 1_000  # beyond so many, nobody makes further ones with a public key
MAX_METRIC_LENGTH = 127
MAX_ID_LENGTH = 255
MAX_DEPTH = 64
PROFILE_FULL = f"the properties of the profile would have more than {MAX_STORED_BYTES // 1024} KB"
# what stands around a member of a resource: its document, the resources that it lies in
_ENVELOPE = re.compile(r"^(?:/.*)?/attributes(?=/)|^/data(?=/\D)")
_SURELY_SHORT = MAX_STRING_BYTES // 4  # characters: none takes more than four bytes


class PayloadProblem(UsageError):
    """A payload is good JSON and cannot be used. `source` points at the part that is wrong (RFC 6901)."""

    def __init__(
        self, pointer: str, message: str, *, code: str = "invalid", hint: str = ""
    ) -> None:
        self.pointer = pointer
        self.problem = message
        self.source = {"pointer": pointer}
        place = f"{_spoken(pointer)}:" if pointer else "the body"
        super().__init__(f"{place} {message}", code=code, hint=hint)

    def at(self, pointer: str) -> "PayloadProblem":
        """The same problem of another part."""
        return PayloadProblem(pointer, self.problem, code=self.code, hint=self.hint)


def below(pointer: str, name: str) -> str:
    """The pointer to a member of what a pointer leads to; of a long name its begin."""
    return f"{pointer}/{name[:100].replace('~', '~0').replace('/', '~1')}"


def _spoken(pointer: str) -> str:
    """A place in few words, for whoever has the pointer too: without what is around it in every document of JSON:API."""
    place = _ENVELOPE.sub("", pointer).removeprefix("/").replace("/", ".")
    return place.replace("~1", "/").replace("~0", "~")


def check_shape(value: Any, pointer: str, size_bytes: int, brackets: int) -> None:
    """Raise PayloadProblem when a decoded value is nested too deep or holds a string that is too long.

    `size_bytes` is how long its JSON is, `brackets` how many `{` and `[` that has: what is shorter than the longest string
    and has fewer brackets than the deepest nesting, which is nearly everything, needs no walk.
    """
    if size_bytes > MAX_STRING_BYTES or brackets > MAX_DEPTH:
        _walk(value, [], pointer)


def _walk(value: Any, steps: list[str | int], pointer: str) -> None:
    """Look at every text of a value; `steps` lead to it. Millions of small values are gone through without anything made of them."""
    if len(steps) > MAX_DEPTH - 1:
        raise too_deep(pointer)
    is_object = type(value) is dict
    members: Iterable[tuple[Any, Any]] = value.items() if is_object else enumerate(value)
    for step, inner in members:
        if is_object and len(step) > _SURELY_SHORT:
            _check_text(step, steps, pointer)
        kind = type(inner)
        if kind is str:
            if len(inner) > _SURELY_SHORT:
                _check_text(inner, [*steps, step], pointer)
        elif kind is dict or kind is list:
            steps.append(step)
            _walk(inner, steps, pointer)
            steps.pop()


def _check_text(text: str, steps: list[str | int], pointer: str) -> None:
    if len(text.encode()) > MAX_STRING_BYTES:
        place = "/".join(str(step)[:100].replace("~", "~0").replace("/", "~1") for step in steps)
        raise PayloadProblem(
            f"{pointer}/{place}" if place else pointer,
            f"is a text of more than {MAX_STRING_BYTES // 1024} KB",
            hint="Send where it can be read instead.",
        )


def too_deep(pointer: str) -> PayloadProblem:
    """The problem of a value that is nested too deep."""
    return PayloadProblem(
        pointer,
        f"is nested more than {MAX_DEPTH} levels deep",
        hint="Send it flatter, or the inner part as text.",
    )
