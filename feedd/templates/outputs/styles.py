"""Style sheets, written into the elements that they are for: many mail programs read no others. Pure.

css-inline finds out which declarations an element gets. It reads HTML as browsers do and writes anew what it has read, which would tear
mails apart: fragments become pages, loose rows of tables vanish, conditions for Outlook become comments. So the elements of a copy are
numbered, and of what comes back only the `style` attributes are taken over: every other byte stays as it is, the style sheets too,
since rules for small screens cannot stand in an element.
"""

import re
from collections import Counter
from html import unescape

import css_inline

_S = "[ \t\n\f\r]"
_ATTRIBUTE = (
    r"[ \t\n\f\r/]*+[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+"
    rf"(?:{_S}*+={_S}*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>\"'][^ \t\n\f\r>]*+)?+)?+"
)
# Comments, elements whose content is no markup, and the beginnings of all others
_TOKEN = re.compile(
    r"<(?:!--(?:.*?--!?>|.*)|/(?P<ended>[a-z][^ \t\n\f\r/>]*+)?[^>]*+"
    rf"|(?P<raw>style|script|title|textarea)(?=[ \t\n\f\r/>])(?P<of_raw>(?:{_ATTRIBUTE})*+)[ \t\n\f\r/]*+>.*?(?:</(?P=raw)|\Z)"
    rf"|(?P<name>[a-z][^ \t\n\f\r/>]*+)(?P<attributes>(?:{_ATTRIBUTE})*+))",
    re.IGNORECASE | re.DOTALL,
)
_STYLE = re.compile(
    rf"[ \t\n\f\r/]*+style{_S}*+={_S}*+(?:\"([^\"]*+)\"|'([^']*+)'|([^ \t\n\f\r>\"'][^ \t\n\f\r>]*+))",
    re.IGNORECASE,
)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_MEDIA = re.compile(
    rf"{_S}media{_S}*+=(?!{_S}*+[\"']?(?:all|screen)[\"' \t\n\f\r>])", re.IGNORECASE
)
_SHEET = re.compile(r"<(?<=<)style\b", re.IGNORECASE)
_NUMBERED = re.compile(r' data-feedd-number="([0-9]{1,7})"')

_FOREIGN = re.compile("<(?:svg|math)", re.IGNORECASE)
_OPENING = re.compile("<[a-z]", re.IGNORECASE)

_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_SHAPING = frozenset({
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
})  # fmt: skip
_MOST_OPEN = 1_000  # it ends the process at about 10,000
_MOST_SHAPING = 20

_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, keep_link_tags=True, keep_at_rules=True, load_remote_stylesheets=False
)


def inline(html: str) -> str:
    """The same HTML, each element with the declarations that its style sheets have for it; if they cannot be read, just the same."""
    if _SHEET.search(html) is None:
        return html
    tokens = list(_TOKEN.finditer(html))
    if _is_tangled(tokens) or _hides_many(html, tokens):
        return html
    try:
        told = _INLINER.inline(_numbered(html, tokens))
    except (css_inline.InlineError, ValueError):
        return html
    styles = _styles_of(told)
    parts, last, number = [], 0, 0
    for token in tokens:
        if token["name"]:
            if styles.get(number):
                start, end, old = _style_in(token)
                if unescape(old) != unescape(styles[number]):
                    parts += [html[last:start], f' style="{styles[number]}"']
                    last = end
            number += 1
    return "".join(parts) + html[last:]


def _is_tangled(tokens: list[re.Match[str]]) -> bool:
    """Whether more elements are open at once than a mail has: css-inline needs a stack as deep, and each paragraph in a hundred
    bold texts that are never closed is bold a hundred times."""
    opened: Counter[str] = Counter()
    total = shaping = 0
    for token in tokens:
        begun, ended = token.group("name", "ended")
        if begun:
            name, step = begun.lower(), 1
            if name in _VOID:
                continue
        elif ended and opened[ended.lower()]:
            name, step = ended.lower(), -1
        else:
            continue
        opened[name] += step
        total += step
        if name in _SHAPING:
            shaping += step
        if total > _MOST_OPEN or shaping > _MOST_SHAPING:
            return True
    return False


def _hides_many(html: str, tokens: list[re.Match[str]]) -> bool:
    """Whether there are more elements in `<style>` and the like than a mail has: within drawings and formulas they hold some."""
    if _FOREIGN.search(html) is None:
        return False
    return sum(len(_OPENING.findall(token[0])) for token in tokens if token["raw"]) > _MOST_OPEN


def _numbered(html: str, tokens: list[re.Match[str]]) -> str:
    """A copy whose elements have numbers, without the style sheets for other media: css-inline would take those for all."""
    parts, last, number = [], 0, 0
    for token in tokens:
        if token["name"]:
            end = token.end("name")
            parts += [html[last:end], f' data-feedd-number="{number}"']
            last, number = end, number + 1
        elif token["of_raw"] and token["raw"].lower() == "style" and _MEDIA.search(token["of_raw"]):
            parts.append(html[last : token.start()])
            last = token.end()
    return "".join(parts) + html[last:]


def _styles_of(told: str) -> dict[int, str]:
    """The styles that came back, by number; an element that was made two is told by the first."""
    styles: dict[int, str] = {}
    for tag in _TOKEN.finditer(told):
        attributes = tag["attributes"]
        if attributes and "style=" in attributes and (number := _NUMBERED.search(attributes)):
            styles.setdefault(int(number[1]), _style_in(tag)[2].rstrip("; "))
    return styles


def _style_in(tag: re.Match[str]) -> tuple[int, int, str]:
    """Where the style of a tag stands, or would, and what it is."""
    at = tag.end("name")
    if "style" not in tag["attributes"].lower():
        return at, at, ""
    while (found := _ONE_ATTRIBUTE.match(tag.string, at, tag.end("attributes"))) is not None:
        style = _STYLE.fullmatch(found[0])
        if style:
            return at, found.end(), style[1] or style[2] or style[3] or ""
        at = found.end()
    return tag.end("name"), tag.end("name"), ""
