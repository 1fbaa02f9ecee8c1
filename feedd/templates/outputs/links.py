"""Links that work in a mail: whole addresses, and none that runs something on the reader's machine. Pure.

A mail has no address of its own, so that `/sale` leads nowhere: it is made absolute below the shop's website. A link that begins
with `javascript:` or the like becomes `#…`, wherever in the template it came from, and also where it is only shown as text. Both put
something at the beginning of a value, so that it does not matter where the value ends, and every other byte stays as it is.

Every message passes here, and most have nothing to mend. What tells them apart is one search for equals signs that follow the
name of a link and are not followed by `https://` or the like; `docs/performance.md` says what was measured.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from urllib.parse import quote, urljoin, urlsplit

_S = "[ \t\n\f\r]"  # what HTML takes for white space
_UP_TO_VALUE = rf"{_S}*+[\"']?+{_S}*+"
_RASTER = "image/(?:png|gif|jpe?g|webp|avif|bmp)[;,]"  # SVG may hold scripts
_GOOD = rf"https?://|mailto:|tel:|sms:|cid:|data:{_RASTER}|[#\"'>]"
_NAMED = "(?<=href=)|(?<=src=)|(?<=action=)|(?<=background=)|(?<=poster=)|(?<=[ \t\n\f\r/\"']data=)"
# A plain character first, which is found fast; only then what must and must not stand around it.
_SUSPECT = re.compile(
    rf"=(?:(?<=[eorntm][fcndrtae]=)(?:(?:{_NAMED}){_UP_TO_VALUE}(?!{_GOOD})|(?<=srcset=)|(?<=srcdoc=)|(?<=attributename=)"
    rf"|(?<=content=){_UP_TO_VALUE}(?![A-Za-z#\"'>]))|(?<={_S}=))",
    re.IGNORECASE | re.ASCII,
)
_SUSPECT_STYLE = re.compile(
    rf"\((?<=url\(){_S}*+(?:[\"']|&quot;|&#39;|&#x27;)?+{_S}*+(?!{_GOOD})",
    re.IGNORECASE | re.ASCII,
)
_VALUE = re.compile(rf"{_S}*+([\"']?+){_S}*+")

_UNQUOTED = re.compile("[^ \t\n\f\r>]*+")
_LINKS = frozenset({
    "action", "background", "data", "dynsrc", "formaction", "href", "lowsrc", "poster", "src",
})  # fmt: skip
_LISTS = frozenset({"imagesrcset", "srcset"})
_SHOWS_IMAGES = frozenset({"body", "img", "input", "source", "table", "td", "th", "tr"})
_LONGEST_NAME = 40
_NAME_BACKWARDS = re.compile("[^ \t\n\f\r/\"'<>=]*+")

# A tag from its `<` up to the `=` of an attribute, or to within a style.
_OPENING = "<([A-Za-z][^ \t\n\f\r/>\"'<=]*+)"
_ATTRIBUTE = rf"[ \t\n\f\r/]*+[^ \t\n\f\r/>=\"'<]++(?:{_S}*+={_S}*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>\"']++)?+)?+"
_UP_TO_NAME = re.compile(rf"{_OPENING}(?:{_ATTRIBUTE})*+{_S}*+")
_UP_TO_STYLE = re.compile(
    rf"{_OPENING}(?:{_ATTRIBUTE})*?[ \t\n\f\r/]*+style{_S}*+={_S}*+(?:\"[^\"]*+|'[^']*+)",
    re.IGNORECASE,
)
_STYLE_ELEMENT = re.compile(r"<style\b[^>]*+>(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_LONGEST_TAG = 16_384
_MOST_BACK = 4  # how many `<` are tried for the beginning of a tag: attributes may hold some

# What clients leave out of a scheme or read over, and what a scheme is written with.
_IGNORED = "\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"
_PIECE = re.compile(
    rf"[A-Za-z0-9+.\-]++|[{_IGNORED}]++|:|&#[xX]([0-9A-Fa-f]++);?+|&#([0-9]++);?+|&[A-Za-z][A-Za-z0-9]*+;?+"
)
_LEFT_OUT = re.compile(f"[{_IGNORED}]++")
_SCHEME = re.compile(r"[A-Za-z0-9+.\-]*+")
_MOST_SCHEMES = 4
# Whatever runs, reads files or opens programs; a single letter is a drive.
_DENIED = re.compile(
    "(?:java|vb|live|j|ecma)script|mocha|data|file|blob|filesystem|view-source|jar|mhtml|res|resource|chrome.*|moz-.*"
    r"|about|ms-.*|search.*|shell|hcp|mk|its|smb|ldaps?|wyciwyg|vnd\..*|[a-z]"
)
_IMAGE = re.compile(_RASTER)
_DRAWING = re.compile(r"image/svg\+xml[;,]")
_SHARE = re.compile(r"\\\\|\\/|/\\")  # a file on another machine, or (in browsers) another site

# How a relative link begins. What begins with a brace or the like is filled in by whoever sends the mail.
_HEAD = re.compile(r"(?:\.\.?/)+|/|(?![{\[%*$<&\\#\"'>])(?=.)", re.DOTALL)
_PATH = re.compile(r"[A-Za-z0-9._~-]*+(?:/(?![/\\])|\?)")  # surely no scheme
_LIKE_ATTRIBUTE = re.compile(rf"[A-Za-z:_-]*+{_S}*+=")  # a slash before it would make it one
_REFRESH = re.compile(
    rf"{_S}*+[0-9.]++{_S}*+[;,]?+{_S}*+(?:url{_S}*+={_S}*+)?+[\"']?+{_S}*+", re.IGNORECASE
)
_CANDIDATE = re.compile(r"[ \t\n\f\r,]*+([^ \t\n\f\r\"'>]++)(?:(?<!,)[ \t\n\f\r]++[^,\"'>]*+)?+")
_BASE = re.compile(
    r"<base\s[^>]*?href\s*=\s*[\"']?(https?://[^\s\"'<>]+)", re.IGNORECASE | re.ASCII
)

_Edit = tuple[int, int, str]


def absolute(html: str, base: str | None) -> str:
    """The same HTML with links and images made absolute below `base`, a website's address, and with no link that runs something.

    With no base, relative links stay as they are. `//cdn.example/a` becomes https. Doing it twice is doing it once.
    """
    equals = [found.start() for found in _SUSPECT.finditer(html)]
    styles = [found.span() for found in _SUSPECT_STYLE.finditer(html)]
    if not equals and not styles:
        return html
    parts, last = [], 0
    for start, end, text in sorted(_Links(html, base).edits(equals, styles)):
        if start >= last:
            parts += [html[last:start], text]
            last = end
    return "".join(parts) + html[last:]


class _Links:
    """The links of one text that are to be mended."""

    def __init__(self, html: str, base: str | None) -> None:
        self._html = html
        self._given = base
        self._folder: str | None = None
        self._styles: list[tuple[int, int]] | None = None

    def edits(self, equals: list[int], styles: list[tuple[int, int]]) -> Iterator[_Edit]:
        """What is to be put where, in no order, for the equals signs and `url(`s at the given places."""
        for place in equals:
            yield from self._in_attribute(place)
        for start, at in styles:
            yield from self._denied(at, drawings=True) or (
                self._relative(at)
                if self._is_style(start) and not _LIKE_ATTRIBUTE.match(self._html, at)
                else ()
            )

    def _in_attribute(self, equals: int) -> Iterator[_Edit]:
        html = self._html
        start, name = _name_before(html, equals)
        found = _VALUE.match(html, equals + 1)
        at, mark = (found.end(), found[1]) if found else (equals + 1, "")
        if name in _LINKS or name in _LISTS:
            tag = self._tag_of(equals)
            drawings = name not in ("href", "action", "formaction", "data") and tag in _SHOWS_IMAGES
            places = _candidates(html, at) if name in _LISTS and mark else (at,)
            for place in places:
                yield from self._denied(place, drawings=drawings) or (
                    () if tag is None else self._relative(place)
                )
        elif name == "content":
            yield from self._refresh(at, mark, equals)
        elif (name == "srcdoc" and _runs(_value(html, at, mark))) or (
            name == "attributename" and "href" in _plain(_value(html, at, mark)).lower()
        ):
            yield start, start, "data-"  # as an attribute that means nothing

    def _denied(self, at: int, *, drawings: bool) -> tuple[_Edit, ...]:
        """The link, made harmless, if it has a scheme that a mail must not have; `drawings`: SVG may be here."""
        if _PATH.match(self._html, at):
            return ()
        end = _denied(self._html, at)
        if end is None or (drawings and _DRAWING.match(_head(self._html, end))):
            return ()
        return ((at, end, "#"),)

    def _relative(self, at: int) -> Iterator[_Edit]:
        """The link, made absolute, if it is relative."""
        html = self._html
        if (skipped := _LEFT_OUT.match(html, at)) is not None:
            at = skipped.end()
        head = _HEAD.match(html, at)
        if head is None or (_PATH.match(html, at) is None and _scheme(html, at) is not None):
            return
        if html.startswith("//", at):
            yield at, at, "https:"
        elif html[at : at + 4].lower() == "www.":
            yield at, at, "https://"
        elif base := self._base():
            yield at, head.end(), _joined(base, head[0])

    def _refresh(self, at: int, mark: str, equals: int) -> Iterator[_Edit]:
        """`<meta http-equiv="refresh" content="0; url=…">`."""
        plain = _plain(_value(self._html, at, mark))
        found = _REFRESH.match(plain)
        if found and (not plain.isprintable() or _denied(plain, found.end()) is not None):
            yield at, at, "#"
        elif (
            (found := _REFRESH.match(self._html, at))
            and "url" in found[0].lower()
            and self._tag_of(equals)
        ):
            yield from self._relative(found.end())

    def _base(self) -> str:
        """The address that a relative link is below of; empty if there is none."""
        if self._folder is None:
            named = _BASE.search(self._html) if "<base" in self._html else None
            self._folder = folder_of(named[1] if named else self._given or "")
        return self._folder

    def _tag_of(self, equals: int) -> str | None:
        """The name of the tag that an attribute is in, by the place of its `=`; None in text.

        What looks like a tag is taken for one also in a comment: Outlook reads those.
        """
        for opening in self._openings(equals):
            if (found := _UP_TO_NAME.fullmatch(self._html, opening, equals)) is not None:
                return found[1].lower().rpartition(":")[2]
        return None

    def _is_style(self, place: int) -> bool:
        """Whether a place is in a `style` attribute or a `<style>`."""
        if any(_UP_TO_STYLE.fullmatch(self._html, each, place) for each in self._openings(place)):
            return True
        if self._styles is None:
            self._styles = [found.span(1) for found in _STYLE_ELEMENT.finditer(self._html)]
        element = bisect(self._styles, (place, place)) - 1
        return element >= 0 and place < self._styles[element][1]

    def _openings(self, place: int) -> Iterator[int]:
        """Where the tag around a place may begin, the likeliest first."""
        opening = place
        for _ in range(_MOST_BACK):
            opening = self._html.rfind("<", max(0, place - _LONGEST_TAG), opening)
            if opening < 0:
                return
            yield opening


def _name_before(html: str, equals: int) -> tuple[int, str]:
    """Where the name before a `=` begins, and the name in small letters, with no prefix."""
    end = equals
    while end and html[end - 1] in " \t\n\f\r":
        end -= 1
    found = _NAME_BACKWARDS.match(html[max(0, end - _LONGEST_NAME) : end][::-1])
    start = end - found.end() if found else end
    return start, html[start:end].lower().rpartition(":")[2]


def _value(html: str, at: int, mark: str) -> str:
    """An attribute's value as it is written, up to the quote that ends it."""
    if mark:
        end = html.find(mark, at)
        return html[at:] if end < 0 else html[at:end]
    found = _UNQUOTED.match(html, at)
    return found[0] if found else ""


def _candidates(html: str, at: int) -> Iterator[int]:
    """Where the links of a `srcset` begin (https://html.spec.whatwg.org/#parsing-a-srcset-attribute)."""
    while (found := _CANDIDATE.match(html, at)) is not None:
        yield found.start(1)
        at = found.end()


def _runs(html: str) -> bool:
    """Whether the HTML in an attribute has links that do not stay as they are, or pages within it."""
    plain = _plain(html)
    return "srcdoc" in plain.lower() or absolute(plain, None) != plain


def _denied(text: str, at: int) -> int | None:
    """Where a scheme that a mail must not have ends, if a link begins with one; SVG is denied here too."""
    start = at
    for _ in range(_MOST_SCHEMES):  # some clients have taken `feed:javascript:`
        found = _scheme(text, at)
        if found is None:
            return start if start == at and _SHARE.match(_head(text, at)) else None
        name, at = found
        if _DENIED.fullmatch(name):
            return None if name == "data" and _IMAGE.match(_head(text, at)) else at
    return at


def _scheme(text: str, at: int) -> tuple[str, int] | None:
    """The scheme that begins there, as a client reads it, and where the text goes on after its colon."""
    name = []
    while (piece := _PIECE.match(text, at)) is not None:
        at = piece.end()
        before, colon, _ = _decoded(piece).partition(":")
        before = _LEFT_OUT.sub("", before)
        if not _SCHEME.fullmatch(before):
            return None
        name.append(before)
        if colon:
            return "".join(name).lower(), at
    return None


def _decoded(piece: re.Match[str]) -> str:
    """What a piece of a scheme stands for."""
    if piece[0][0] != "&":
        return piece[0]
    digits, base = (piece[1], 16) if piece[1] else (piece[2], 10)
    if not digits:
        return unescape(piece[0])
    number = int(digits.lstrip("0")[:8] or "0", base)
    return chr(number) if number < 0x110000 else "\ufffd"


def _head(text: str, at: int) -> str:
    """The beginning of what follows, as a client reads it: enough to tell a type by."""
    return _LEFT_OUT.sub("", _plain(text[at : at + 200])).lower()


def _plain(text: str) -> str:
    """A text without its character references; one with a number of thousands of digits is not for reading, and gives a NUL."""
    try:
        return unescape(text)
    except ValueError:
        return "0\0"


_joined = lru_cache(maxsize=128)(urljoin)


@lru_cache(maxsize=32)
def folder_of(website: str) -> str:
    """The address that links are put below: `https://shop.example/de` gives `https://shop.example/de/`; what could end a value is
    percent-encoded."""
    parts = urlsplit(quote(website, safe=":/?#[]@!$&()*+,;=%~-._"))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    folder, _, file = parts.path.rpartition("/")
    if "." not in file and file:
        folder = parts.path
    return f"{parts.scheme}://{parts.netloc}{folder}/"
