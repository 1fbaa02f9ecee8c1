"""HTML as the text that a reader would see. Pure.

Tidy HTML is read tag by tag. Of anything else lxml's (libxml2's) HTML parser makes a tree; where it gives up, which it
does at a depth of 256, a plain reading of the tags takes its place.
"""

import re
from functools import cache
from html import unescape
from typing import Any

from feedd.coerce.tidy_markup import tidy_parts

_BLOCK_NAMES = """
    address article aside blockquote body br center dd details dialog div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section summary table tbody tfoot thead tr ul"""
_SILENT_NAMES = """
    applet audio canvas embed head iframe math noembed noframes noscript object script style svg template textarea
    title video"""
_INLINE_NAMES = """
    a abbr acronym area b base bdi bdo big button caption cite code col colgroup data del dfn em font i img input ins
    kbd label link map mark meta param picture q rp rt ruby s samp select small source span strike strong sub sup time
    track tt u var wbr"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset(["td", "th"])
_SILENT = frozenset(_SILENT_NAMES.split())
_NAMES = "|".join(sorted({*_BLOCKS, *_CELLS, *_SILENT, *_INLINE_NAMES.split()}))
# A tag has attributes with values, or one word at most: `a <b and c> d` is none. (The look at the next character saves
# trying a hundred names.)
_MARKUP = re.compile(
    rf"<(?=[a-z/!])(?:/?(?:{_NAMES})(?:\s*+/?|\s++[a-z]++\s*+/?|\s[^<>=]*+=[^<>]*+)>|!--|!doctype\s|!\[CDATA\[)",
    re.IGNORECASE,
)
# An end tag that ends nothing is no border for libxml2, but one for whoever wrote it.
_END = re.compile(r"</(?:p|div|li|br)\s*+>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>", re.IGNORECASE)
_PLAIN_SILENT = re.compile(
    r"<(script|style|template|textarea|title|iframe|noscript)\b(?:[^<]++|<(?!/\1\b))*+",
    re.IGNORECASE,
)
_PLAIN_COMMENT = re.compile(r"<!--(?:[^-]++|-(?!->))*+(?:-->)?+")
_PLAIN_BLOCK = re.compile(rf"</?(?:{'|'.join(sorted(_BLOCKS))})\b[^<>]*+>?+", re.IGNORECASE)
_PLAIN_TAG = re.compile(r"<[/!]?[A-Za-z][^<>]*+>?+")


def has_markup(value: str) -> bool:
    """Whether a text holds a tag of HTML, a comment or a CDATA section; `5 < 6`, `<3` and `<you>` are none."""
    return "<" in value and _MARKUP.search(value) is not None


def without_markup(value: str) -> str:
    """The same characters, with a space in every tag, so that none is one."""
    return _MARKUP.sub(lambda found: "< " + found[0][1:], value)


def readable(markup: str) -> str:
    """The text of some HTML: blocks, list items and table rows as lines, white space collapsed, references resolved,
    without scripts, styles and what stands in the head. Never raises."""
    parts = tidy_parts(markup)
    if parts is None:
        parts = repaired_parts(markup)
    return in_lines(parts)


def in_lines(parts: list[str]) -> str:
    """Texts as the lines that they make, without those that are blank."""
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def repaired_parts(markup: str) -> list[str]:
    """The texts of any HTML, with a line break around each block."""
    markup = _END.sub(r"\g<0> ", _CDATA.sub("", markup))
    parts = _parts_of(markup)
    return _plainly(markup) if parts is None else parts


def _parts_of(markup: str) -> list[str] | None:
    """The texts of the tree, with a line break around each block; None where the parser gave up."""
    etree = _etree()
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(markup.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if parser.error_log.filter_from_fatals():
        return None
    if root is None:
        return []
    parts: list[str] = []
    silent = 0
    for event, element in etree.iterwalk(root, ("start", "end")):
        tag = element.tag
        if event == "start":
            silent += tag in _SILENT
            parts.append("" if silent else _around(tag))
            if not silent and element.text:
                parts.append(element.text.replace("\n", " ") if tag != "pre" else element.text)
            continue
        if not silent:
            parts.append(_around(tag))
        silent -= tag in _SILENT
        if not silent and element.tail:
            parts.append(element.tail.replace("\n", " "))
    return parts


def _around(tag: Any) -> str:
    return "\n" if tag in _BLOCKS else " " if tag in _CELLS else ""


@cache
def _etree() -> Any:
    """lxml, imported when there is HTML to be read: commands that read none need not wait for it."""
    from lxml import etree

    return etree


def _plainly(markup: str) -> list[str]:
    """The text between the tags, whatever they enclose."""
    markup = _PLAIN_COMMENT.sub(" ", _PLAIN_SILENT.sub(" ", markup)).replace("\n", " ")
    return [unescape(_PLAIN_TAG.sub("", _PLAIN_BLOCK.sub("\n", markup)))]
