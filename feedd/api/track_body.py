"""How a track or identify call brings its payload: in the query or in a body, as a form or JSON, in base64 or plain. Pure.

Old clients differ, and so does what is between them and feedd: base64 comes in either alphabet, with its padding or without it, with
`+` become a space, encoded for a URL twice, and broken into lines. All of that is one payload.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

PARAMETERS = (b"data", b"test", b"i", b"callback")
_MOST_FIELDS = 100
_JSON_STARTS = (b"{", b"[", b'"')
_ALPHABET = bytes.maketrans(b"-_ ", b"+/+")
_BOM = b"\xef\xbb\xbf"
_BOUNDARY = re.compile(rb'boundary="?([^",;]{1,100})')
_NAME = re.compile(rb'\bname="?(data|test|i|callback)"?\s*(?:;|\r?\n|$)', re.IGNORECASE)

_NO_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")

Fields = Mapping[bytes, bytes]


def unquoted(text: bytes) -> bytes:
    """What is percent-encoded, decoded.

    A payload in a form has an escape for every fourth of its letters. `unquote_to_bytes` takes one after the other in Python, and
    that would be half of all that a call costs; quoted-printable is the same with another sign, and is decoded in C.
    """
    if _NO_ESCAPE.search(text):
        return unquote_to_bytes(text)
    return a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))


def fields_of(text: bytes) -> dict[bytes, bytes]:
    """The parameters of a query, or of an urlencoded form; the last of each counts."""
    found = {}
    for pair in text.split(b"&", _MOST_FIELDS):
        name, _, value = pair.partition(b"=")
        if name in PARAMETERS:
            found[name] = value
    return {name: unquoted(raw.replace(b"+", b" ")) for name, raw in found.items()}


def body_fields(body: bytes, content_type: bytes) -> dict[bytes, bytes]:
    """The parameters that a body brings; a body that is JSON is all `data`, whatever its type says."""
    kind = content_type.lower()
    start = body.lstrip()[:1]
    if start in _JSON_STARTS or b"json" in kind:
        return {b"data": body} if start else {}
    if kind.startswith(b"multipart/form-data"):
        return _parts_of(body, content_type)
    found = fields_of(body.strip())
    if b"data" not in found and start:
        found[b"data"] = unquoted(body)  # base64 with nothing around it
    return found


def _parts_of(body: bytes, content_type: bytes) -> dict[bytes, bytes]:
    """The parameters of a multipart form (RFC 7578)."""
    boundary = _BOUNDARY.search(content_type)
    found = {}
    if boundary is not None:
        for part in body.split(b"--" + boundary[1], _MOST_FIELDS)[1:]:
            head, _, content = part.partition(b"\r\n\r\n")
            if (name := _NAME.search(head)) is not None:
                found[name[1].lower()] = content.removesuffix(b"\r\n")
    return found


def json_of(data: bytes) -> bytes | None:
    """The JSON that is in `data`, plain or in base64; None where it is neither."""
    text = data.strip().removeprefix(_BOM)
    if not text.startswith(_JSON_STARTS) and b"%" in text:
        text = unquoted(text).strip()
    if text.startswith(_JSON_STARTS):
        return text
    packed = text.translate(_ALPHABET, b"\r\n\t=")
    try:
        return a2b_base64(packed + b"=" * (-len(packed) % 4), strict_mode=True).removeprefix(_BOM)
    except Base64Error:
        return None
