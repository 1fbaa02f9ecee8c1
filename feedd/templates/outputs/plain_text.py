"""The plain text of a mail, from its HTML: what a reader sees, each link in parentheses behind its words. Pure.

inscriptis writes the text: white space, margins, lists. Before it does, the tree is made simple. Mails lay out with tables, so that a
cell is a part of its row's line where it holds a few words, and lines of its own where it holds more. What is hidden goes, images
become their alternative text, and attributes go: some styles (a margin of 100,000 em) would write any amount of text.
"""

import re
from collections.abc import Iterable, Iterator
from html import unescape

from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_engine import Inscriptis
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement as Layout
from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

# a margin behind it would be one behind each of its rows too
_APART = Layout(display=Display.block, margin_before=1)
_CONFIG = ParserConfig(css=STRICT_CSS_PROFILE | {"section": _APART})

_SKIPPED = frozenset({
    "audio", "canvas", "head", "iframe", "map", "object", "script", "select", "style", "svg", "template", "textarea",
    "title", "video",
})  # fmt: skip
_BECOMES = {
    "center": "div", "dd": "div", "dl": "section", "dt": "div", "fieldset": "section", "form": "section", "table": "section",
    "tbody": "span", "tfoot": "span", "thead": "span", "tr": "div", "caption": "div",
}  # fmt: skip
_LINES = frozenset({
    "address", "article", "aside", "blockquote", "br", "center", "dd", "div", "dl", "dt", "fieldset", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_FEW_CHARACTERS = 40
_MOST_LISTS = 5  # within each other; deeper ones are not indented further
_BETWEEN_CELLS = "\ufdd0"  # no character; white space would be made one space

_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?<![\w-])(?:max-height|opacity)\s*:\s*0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
_BRACES = re.compile("[{}]")
_CLASS = re.compile(r"\.([\w-]+)")

_SHOWN = re.compile(r"(?:https?|mailto|tel|sms):", re.IGNORECASE)
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?:style|script|title)\b.*?(?:</(?:style|script|title)|\Z)|</?([A-Za-z][A-Za-z0-9]*+)[^>]*+>?|<[!?/][^>]*+>?",
    re.DOTALL | re.IGNORECASE,
)
_MOST_TAGS = 40_000  # about 200 ms
_INVISIBLE = "\u00ad\u034f\u200b\u200c\u200d\u200e\u200f\u2060\u2800\ufeff"
_NEVER_SHOWN = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]++")
_EMPTY_LINES = re.compile("\n{3,}")


def plain_text(html: str) -> str:
    """The text of a mail, its lines ended by `\\n`; the same HTML always gives the same text."""
    if html.count("<") > _MOST_TAGS:
        return _rough(html)
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = document_fromstring(
            html.replace("\0", "\ufffd").encode("utf-8", "replace"), parser=parser
        )
    except etree.ParserError:  # nothing, or nothing but comments
        return ""
    if any(each.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for each in parser.error_log):
        # deeper than 256 elements: the parser has given up, and what is behind that is missing
        return _rough(html)
    _simplify(tree)
    return _tidy(Inscriptis(tree, _CONFIG).get_text())


def _simplify(tree: HtmlElement) -> None:
    """Leave of the tree what inscriptis makes readable text of."""
    hidden = _hidden_classes(tree.iter("style"))
    for element in [each for each in tree.iter() if _is_hidden(each, hidden)]:
        if element.getparent() is not None:
            element.drop_tree()
    for image in list(tree.iter("img")):
        image.tail = image.get("alt", "").strip() + (image.tail or "")
        image.drop_tree()
    for link in tree.iter("a"):
        _show_address(link)
    for cell in list(tree.iter("td", "th")):
        _place(cell)
    lists = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        is_list = element.tag in ("ul", "ol")
        lists += is_list if event == "start" else 0
        if event == "end":
            element.tag = (
                "div" if is_list and lists > _MOST_LISTS else _BECOMES.get(element.tag, element.tag)
            )
            lists -= is_list
            element.attrib.clear()
    for rule in tree.iter("hr"):
        rule.tag, rule.text = "div", "----------"


def _hidden_classes(styles: Iterable[HtmlElement]) -> frozenset[str]:
    """The classes that a style sheet hides on every screen, as it does with preview texts."""
    return frozenset(
        named[1]
        for style in styles
        for selectors, declarations in _rules(style.text or "")
        if _HIDDEN.search(declarations)
        for each in selectors.split(",")
        if (named := _CLASS.fullmatch(each.strip()))
    )


def _rules(css: str) -> Iterator[tuple[str, str]]:
    """The selectors and declarations of the rules that hold on every screen: none within `@media` or another at-rule."""
    depth, end, opened = 0, 0, 0
    for brace in _BRACES.finditer(css):
        if brace[0] == "{":
            opened = opened if depth else brace.start()
            depth += 1
        elif depth:
            depth -= 1
            selectors = css[end:opened].rpartition(";")[2].strip()
            if not depth and not selectors.startswith("@"):
                yield selectors, css[opened + 1 : brace.start()]
            end = end if depth else brace.end()


def _is_hidden(element: HtmlElement, classes: frozenset[str]) -> bool:
    return (
        element.tag in _SKIPPED
        or not isinstance(element.tag, str)
        or "hidden" in element.attrib
        or _HIDDEN.search(element.get("style", "")) is not None
        or (bool(classes) and not classes.isdisjoint(element.get("class", "").split()))
    )


def _show_address(link: HtmlElement) -> None:
    """Write where a link leads behind its words, unless they say it themselves."""
    after = link.getnext()
    if after is not None and after.tag == "a" and not link.tail:
        link.tail = " "  # what stands between them is a margin
    address = link.get("href", "").strip()
    if not _SHOWN.match(address):
        return
    words = "".join(link.itertext()).strip()
    if not words:
        link.text = f" {address} "
    elif words.rstrip("/") not in (address.rstrip("/"), address.partition(":")[2].strip("/")):
        etree.SubElement(link, "span").text = f" ({address})"


def _place(cell: HtmlElement) -> None:
    """Make a cell a part of its row's line, or lines of its own."""
    inner = _first(cell.iterdescendants(*_LINES), 2)
    size = 0
    for text in cell.itertext():
        size += len(text.strip())
        if size > _FEW_CHARACTERS:
            break
    if size > _FEW_CHARACTERS or len(inner) > 1 or (inner and inner[0].tag in ("br", "table")):
        cell.tag = "div"
        return
    cell.tag = "span"
    if inner:
        inner[0].tag = "span"
    before = cell.getprevious()
    if size and before is not None:
        cell.text = _BETWEEN_CELLS + (cell.text or "").lstrip()


def _first(elements: Iterable[HtmlElement], count: int) -> list[HtmlElement]:
    return [each for each, _ in zip(elements, range(count), strict=False)]


def _rough(html: str) -> str:
    """The text of HTML that is too deep or too much to be read as a tree."""

    def written(tag: re.Match[str]) -> str:
        return "\n" if tag[1] and tag[1].lower() in _LINES else ""

    return _tidy(unescape(_MARKUP.sub(written, html)))


def _tidy(text: str) -> str:
    """Lines without what nobody sees, and no more than one empty line."""
    text = _NEVER_SHOWN.sub("", text).replace(_BETWEEN_CELLS, f" {_BETWEEN_CELLS} ")
    lines = [
        " ".join([word for word in line.split() if word.strip(_INVISIBLE)])
        .strip(f" {_BETWEEN_CELLS}")
        .replace(f" {_BETWEEN_CELLS} ", "  ")
        for line in text.splitlines()
    ]
    text = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()
    return f"{text}\n" if text else ""
