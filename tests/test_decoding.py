"""What is said of JSON that cannot be used: where, what is wrong, what to write."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from feedd.people.decoding import read
from feedd.people.limits import PayloadProblem


class Size(Struct, forbid_unknown_fields=True):
    unit: Literal["cm", "inch"]
    width: Annotated[int, Meta(ge=1)] | None = None
    names: Annotated[list[str], Meta(min_length=1, max_length=2)] = []
    more: Any = None


class Shelf(Struct):
    sizes: list[Size]
    by_name: dict[str, Size] = {}


DECODER = msgspec.json.Decoder(Shelf)


@pytest.mark.parametrize(
    ("text", "pointer", "said"),
    [
        (b"", "/at", 'at: is empty. Send JSON: {"data": {…}}.'),
        (b" \n", "/at", 'at: is empty. Send JSON: {"data": {…}}.'),
        (b"{", "/at", "at: is not JSON: it breaks off"),
        (b"\x1f\x8b", "/at", "at: is not JSON: invalid character (byte 0)"),
        (b'{"sizes": [{"unit": "\xff"}]}', "/at", "at: is not JSON: it is not UTF-8 text"),
        (b"[]", "/at", "at: is a list, not an object"),
        (b"{}", "/at/sizes", "at.sizes: is missing"),
        (b'{"sizes": [{"unit": "mm"}]}', "/at/sizes/0/unit", 'at.sizes.0.unit: is \'mm\', which is not supported. Write "cm" or "inch".'),
        (b'{"sizes": [{"unit": 1}]}', "/at/sizes/0/unit", "at.sizes.0.unit: is a whole number, not text"),
        (b'{"sizes": [{"unit": "cm", "width": "9"}]}', "/at/sizes/0/width", "at.sizes.0.width: is text, not a whole number or null"),
        (b'{"sizes": [{"unit": "cm", "width": 0}]}', "/at/sizes/0/width", "at.sizes.0.width: is not a number of at least 1"),
        (b'{"sizes": [{"unit": "cm", "names": []}]}', "/at/sizes/0/names", "at.sizes.0.names: does not have at least 1 element"),
        (b'{"sizes": [{"unit": "cm", "names": ["a", "b", "c"]}]}', "/at/sizes/0/names", "at.sizes.0.names: does not have at most 2 elements"),
        (b'{"sizes": [{"unit": "cm", "a/b": 1}]}', "/at/sizes/0/a~1b", "at.sizes.0.a/b: is not a field that is known. Supported: unit, width, names, more."),
        (b'{"sizes": [{"unit": "cm", "more": {"a": [1, {"b": 1e999}]}}]}', "/at/sizes/0/more/a/1/b", "at.sizes.0.more.a.1.b: is a number that is too large to be kept"),
        (b'{"sizes": [], "by_name": {"x": {"unit": 1e999}}}', "/at/by_name/x/unit", "at.by_name.x.unit: is a number that is too large to be kept"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: bytes, pointer: str, said: str) -> None:
    with pytest.raises(PayloadProblem) as caught:
        read(DECODER, text, "/at")
    assert (caught.value.pointer, str(caught.value)) == (pointer, said)


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/data", "data"),
        ("/data/type", "type"),
        ("/data/attributes/email", "email"),
        ("/data/attributes/profiles/data/3", "profiles.data.3"),
        ("/data/attributes/profiles/data/3/attributes/location/city", "location.city"),
        ("/properties/a~1b", "properties.a/b"),
    ],
)
def test_a_place_is_told_without_what_is_around_it(pointer: str, place: str) -> None:
    problem = PayloadProblem(pointer, "is wrong", hint="Write it well.")
    assert str(problem) == f"{place}: is wrong. Write it well."
    assert problem.source == {"pointer": pointer}


def test_all_that_was_sent_is_the_body() -> None:
    with pytest.raises(PayloadProblem) as caught:
        read(DECODER, b"nonsense")
    assert str(caught.value) == "the body is not JSON: invalid character (byte 4)"
    assert caught.value.source == {"pointer": ""}
