"""What a v1 or v2 call brings: in its query, in a form of either kind, or as JSON, whatever its method. Pure.

Clients differ in where they put things: the old Python, Node and Ruby libraries send JSON with GET, PHP sends forms with GET, lists come as
repeated parameters, as `name[0]=…`, or as the text of JSON or of Python.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from feedd.errors import UsageError
from feedd.people.decoding import UNDECODED, decode_problem, read_json
from feedd.people.limits import MAX_DEPTH

MOST_FIELDS = 2_000
_MOST_LITERAL = 64 * 1024  # characters of a list in Python's spelling
# as many digits as every client keeps; what has more is somebody's id
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?", re.ASCII)
_BOM = b"\xef\xbb\xbf"
_ITEM = re.compile(r"(.+)\[\d*\]", re.DOTALL)  # as PHP and Rails write lists
_BOUNDARY = re.compile(rb'boundary="?([^",;]{1,100})', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]{1,1000})"', re.IGNORECASE)
_WORDS = {"true": True, "false": False, "True": True, "False": False, "null": None, "None": None}
_anything = msgspec.json.Decoder()
_decode = _anything.decode


class Parameters(Struct, frozen=True):
    """The parameters of a call: texts of its query or of a form, and members of a JSON object, which go first."""

    texts: dict[str, list[str]] = {}
    members: dict[str, Any] = {}

    def text(self, name: str) -> str | None:
        """A parameter as text, without space around it; None where it is not given, or is empty. The last one counts."""
        return self.raw(name).strip() or None

    def raw(self, name: str) -> str:
        """A parameter as it was sent; "" where it is not given."""
        if name in self.members:
            value = self.members[name]
            if value is None or isinstance(value, str):
                return value or ""
            return msgspec.json.encode(value).decode()
        return self.texts.get(name, [""])[-1]

    def values(self) -> Iterator[tuple[str, Any]]:
        """All of them by their names: JSON values, texts that are still to be read by `typed`, and lists whose elements have been."""
        yield from self.members.items()
        lists: dict[str, list[str]] = {}
        for name, texts in self.texts.items():
            item = _ITEM.fullmatch(name)
            if item is not None:
                lists.setdefault(item[1], []).extend(texts)
            elif name not in self.members:
                yield name, [typed(each) for each in texts] if len(texts) > 1 else texts[0]
        for name, texts in lists.items():
            yield name, [typed(each) for each in texts]

    def nested(self, name: str) -> dict[str, Any]:
        """An object whose members stand in a form one by one, as PHP and Rails write them: `name[a][b]=1`, `name[c][]=x`."""
        found: dict[str, Any] = {}
        for full, texts in self.texts.items():
            if full.startswith(f"{name}[") and full.endswith("]"):
                *steps, last = full[len(name) + 1 : -1].split("][")[:MAX_DEPTH]
                inner: Any = found
                for step in steps:
                    inner = inner.setdefault(step, {}) if isinstance(inner, dict) else None
                if isinstance(inner, dict):
                    values = [typed(each) for each in texts]
                    inner[last] = values[-1] if last else values
        return {key: _listed(value) for key, value in found.items()}


def _listed(value: Any) -> Any:
    """The same, with what is numbered, or has no names, as lists."""
    if not isinstance(value, dict):
        return value
    if list(value) == [""]:
        return value[""]
    inner = {key: _listed(each) for key, each in value.items()}
    return list(inner.values()) if all(key.isdecimal() for key in inner) else inner


def typed(text: str) -> Any:
    """The value that a text stands for, as clients write values into a query.

    A number (`12`, `-1.5`; `007` and `1e5` are texts), true, false, null, a list or an object as JSON or as Python writes it, or the text.
    """
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return float(text) if number[1] else int(text)
    if text in _WORDS:
        return _WORDS[text]
    return structured(text, text) if text[:1] in ("[", "{") else text


def structured(text: str, default: Any) -> Any:
    """The list or object that a text is, as JSON or as Python writes it; `default` where it is neither."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    if len(text) > _MOST_LITERAL:
        return default
    try:
        # through JSON, so that nothing is left that only Python has
        return _decode(json.dumps(ast.literal_eval(text), allow_nan=False))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, UnicodeError):
        return default


def query_texts(query: bytes) -> dict[str, list[str]]:
    """The parameters of a query. Raises UsageError where there are too many."""
    return _gathered(query.decode("latin-1"))


def body_parameters(body: bytes, content_type: str) -> Parameters:
    """The parameters that a body brings.

    Raises:
        UsageError: it says that it is JSON, or looks like it, and is no JSON object; or it has too many parameters.
    """
    text = body.removeprefix(_BOM).strip()
    if not text:
        return Parameters()
    kind = content_type.lower()
    if text[:1] in (b"{", b"[", b'"') or "json" in kind:
        return Parameters(members=_object(text))
    if kind.startswith("multipart/form-data"):
        return Parameters(texts=_parts(body, content_type.encode("latin-1", "replace")))
    return Parameters(texts=_gathered(text.decode("utf-8", "replace")))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = read_json(_anything, text)[0]
        if isinstance(found, str):  # JSON in JSON, as who gives a client text gets
            found = _decode(found)
    except UNDECODED as error:
        raise decode_problem(error, "", text) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(
            "the body is JSON, but not an object", hint='Write {"parameter": "value"}.'
        )
    return found


def _gathered(text: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise UsageError(f"there are more than {MOST_FIELDS:,} parameters") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _parts(body: bytes, content_type: bytes) -> dict[str, list[str]]:
    """The fields of a form of parts (RFC 7578)."""
    boundary = _BOUNDARY.search(content_type)
    found: dict[str, list[str]] = {}
    if boundary is not None:
        for part in body.split(b"--" + boundary[1], MOST_FIELDS)[1:]:
            head, _, content = part.partition(b"\r\n\r\n")
            if (name := _NAME.search(head)) is not None:
                value = content.removesuffix(b"\r\n").decode("utf-8", "replace")
                found.setdefault(name[1].decode("utf-8", "replace"), []).append(value)
    return found
