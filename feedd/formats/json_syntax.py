"""The grammar of JSON (RFC 8259), as far as finding and checking records needs it. Pure."""

import re

import msgspec

# Possessive, so that a string of ten megabytes neither backtracks nor fills the matcher's stack.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# Some languages write these where no number is; JSON knows none of them, but where they end is certain.
NO_NUMBER = rb"-?(?:NaN|nan|Infinity|inf)"

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_TOKEN = re.compile(
    rb"[ \t\n\r]*+(?:"
    rb"([\[\]{},:])"
    rb'|("(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+|true|false|null|"
    + NO_NUMBER
    + rb")"
)
_REST = re.compile(rb"[ \t\n\r]*+\Z")
_BEHIND = re.compile(r"trailing characters \(byte (\d+)\)")


def syntax_error(raw: bytes) -> str | None:
    """What is malformed in some JSON, or None where it is one well-formed value.

    Only the grammar counts here: numbers of any size, NaN and infinity, strings that are not UTF-8 and escapes of half a surrogate
    pair are well-formed, although no value can be made of them.
    """
    try:
        _decode_raw(raw)
    except msgspec.DecodeError as error:
        return None if _is_well_formed(raw) else str(error)
    except RecursionError:
        return None if _is_well_formed(raw) else "JSON is malformed"
    return None


def value_end(data: bytes, at: int) -> int:
    """Where the JSON value that starts at an index ends, with the white space behind it.

    The length of the data if it goes on to there, or beyond; `at` if that cannot be told. The decoder knows it and says so in
    words only, but ten times faster than a regular expression: so what it says is used to skip a value, and proves nothing.
    """
    try:
        _decode_raw(memoryview(data)[at:])
    except msgspec.DecodeError as error:
        message = str(error)
        if found := _BEHIND.search(message):
            return at + int(found[1]) - 1
        return len(data) if "truncated" in message else at
    except RecursionError:
        return at
    return len(data)


def _is_well_formed(raw: bytes) -> bool:
    """Whether the bytes are one JSON value, at any depth. Slow, and only asked where the fast check refuses."""
    closers: list[bytes] = []
    # what may come next: "value", "first" (a value or the end of the array), "key", "first key", ":" or "after"
    state = "value"
    at = 0
    while token := _TOKEN.match(raw, at):
        at = token.end()
        mark, text = token[1], token[2]
        if state in ("key", "first key") and text is not None:
            state = ":"
        elif state == ":" and mark == b":":
            state = "value"
        elif state in ("value", "first") and mark in (b"{", b"["):
            closers.append(b"}" if mark == b"{" else b"]")
            state = "first key" if mark == b"{" else "first"
        elif state in ("value", "first") and mark is None:
            state = "after"
        elif state in ("after", "first", "first key") and closers and mark == closers[-1]:
            closers.pop()
            state = "after"
        elif state == "after" and closers and mark == b",":
            state = "key" if closers[-1] == b"}" else "value"
        else:
            return False
        if state == "after" and not closers:
            break
    return state == "after" and not closers and _REST.match(raw, at) is not None
