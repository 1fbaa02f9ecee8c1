"""The texts of tidy HTML, without a tree: tags that are nested as they should be, and nothing special in them. Pure.

A parser repairs; where there is nothing to repair, its tree says what the tags say in their order. So this reads only
what leaves a parser nothing to decide, which is most of what shops write: a parser made anew for each description is
the dearest thing that happens to a record.
"""

import re

_MAX_LENGTH = 100_000
_MAX_DEPTH = 50
_BLANKS = " \t\n"

# An end or not, the name, without content or not. The values of attributes do not matter.
_TAG = re.compile(
    r'<(/?)([A-Za-z][A-Za-z0-9]*+)(?:[ \t\n]++[A-Za-z-]++="[^"<>&]*+")*+[ \t\n]*+(/?)>'
)
_REFERENCE = re.compile("&(amp|lt|gt|quot|nbsp);")
_MEANT = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "nbsp": "\xa0"}
# What a parser may drop or replace. (In ASCII these are control characters, which `bytes` finds sooner.)
_UNSURE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_UNSURE_ASCII = bytes([*range(9), *range(11, 32), 127])

_LISTS = frozenset(["ul", "ol"])
_CELLS = frozenset(["td", "th"])
_VOID = frozenset(["br", "hr", "img"])
_INLINE = frozenset(
    ["a", "b", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"]
)
_HEADINGS = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6"])
# What holds blocks and texts ("" is the document), and what holds texts.
_FLOW = frozenset(["", "div", "blockquote", "section", "li", *_CELLS])
_TEXTS = _FLOW | _HEADINGS | _INLINE
_PARENTS: dict[str, frozenset[str]] = {
    **dict.fromkeys([*_INLINE, "br", "img"], _TEXTS),
    **dict.fromkeys([*_HEADINGS, *_LISTS, "div", "blockquote", "section", "table", "hr"], _FLOW),
    **dict.fromkeys(["thead", "tbody"], frozenset(["table"])),
    "li": _LISTS,
    "tr": frozenset(["table", "thead", "tbody"]),
    **dict.fromkeys(_CELLS, frozenset(["tr"])),
}
_BORDERS = {
    name: "" if name in _INLINE or name == "img" else " " if name in _CELLS else "\n"
    for name in _PARENTS
}


def tidy_parts(markup: str) -> list[str] | None:
    """The texts in order, with a line break around each block; None where HTML is not that tidy."""
    if len(markup) > _MAX_LENGTH or not _is_sure(markup):
        return None
    pieces = _TAG.split(markup)
    if markup.count("<") != len(pieces) // 4:
        return None
    parts: list[str] = []
    open_names = [""]
    before = "\n"
    for written, end, found, alone in zip(*(iter([*pieces, "", "", ""]),) * 4, strict=True):
        name = found.lower()
        after = _BORDERS.get(name) if name else "\n"
        if after is None:
            return None
        parent = open_names[-1]
        if written:
            text = _text(written, at_border=bool(before or after), parent=parent)
            if text is None:
                return None
            parts.append(text)
        parts.append(after)
        before = after
        if end:
            if open_names.pop() != name or alone:
                return None
        elif name:
            if parent not in _PARENTS[name] or len(open_names) > _MAX_DEPTH:
                return None
            if name not in _VOID:
                if alone:
                    return None
                open_names.append(name)
    return parts if len(open_names) == 1 else None


def _is_sure(markup: str) -> bool:
    if "]]>" in markup:
        return False
    if not markup.isascii():
        return _UNSURE.search(markup) is None
    return len(markup.encode().translate(None, _UNSURE_ASCII)) == len(markup)


def _text(written: str, *, at_border: bool, parent: str) -> str | None:
    """The text between two tags; None where a parser may drop it, or read it in another way."""
    if not written.strip(_BLANKS):
        return " " if at_border else None
    if parent not in _TEXTS:
        return None
    if "&" in written:
        chunks = _REFERENCE.split(written)
        if any("&" in chunk or not chunk.strip(_BLANKS) for chunk in chunks[::2] if chunk):
            return None
        chunks[1::2] = [_MEANT[name] for name in chunks[1::2]]
        written = "".join(chunks)
    return written.replace("\n", " ")
