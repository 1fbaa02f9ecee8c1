"""Characters that a tag has from somewhere else: word processors, HTML editors, JSON, other template languages. Pure."""

import html
import re
import unicodedata

from feedd.templates.spelling.draft import Draft

_DASHES = re.compile(r"^\{[{%]([-~+])|([-~])[%}]\}$")
_CURLY = re.compile(r"[“”„‟«»″]([^“”„‟«»″\"]*)[“”«»″]|[‘’‚‛`´′]([^‘’‚‛`´′]*)[‘’`´′]")
_MIXED = re.compile(
    r"(\")([^\"“”„‟″]*)[“”„‟″]|[“”„‟″]([^\"“”„‟″]*)(\")|(')([^'‘’‛′]*)[‘’‛′]|[‘’‛′]([^'‘’‛′]*)(')"
)
_ENTITY = re.compile(r"&(?:#\d{2,5}|#[xX][0-9a-fA-F]{2,4}|[a-zA-Z]{2,6});")
_MARKUP = re.compile(
    r"</?(?:a|b|big|br|code|div|em|font|h[1-6]|i|li|p|s|small|span|strong|sub|sup|td|th|tr|u|o:p)\b[^<>]{0,300}>",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\([\"'])")
_BRACES = re.compile(r"\{\{-?\s*([^{}]*?)\s*-?\}\}")


def outer_braces(draft: Draft) -> None:
    """`{{% x %}}` and `{{{ x }}}`."""
    text = draft.text
    if re.match(r"\{\{\s*%", text) and re.search(r"%\s*\}\}$", text):
        inner = re.sub(r"^\{\{\s*%|%\s*\}\}$", "", text).strip()
        draft.rewrite(f"{{% {inner} %}}", "one brace too many: tags are written {% … %}")
    elif text.startswith("{{{"):
        inner = text.strip("{}").strip()
        if text.startswith("{{{{"):
            draft.rewrite(f"{{{{ {inner} }}}}", "two braces are enough")
            return
        draft.rewrite(
            f"{{{{ {inner}|safe }}}}",
            "three braces are Handlebars; here a value that is HTML already is marked by a filter",
        )


def whitespace_control(draft: Draft) -> None:
    """`{%- -%}` and `{{- -}}`."""
    first = True
    while found := _DASHES.search(draft.text):
        group = 1 if found[1] else 2
        if first:
            message = f"there is no whitespace control: the {found[group]} must go"
            draft.tell(found.start(group), found.end(group), message)
        draft.swap(found.start(group), found.end(group), "")
        first = False


def invisible(draft: Draft) -> None:
    """Characters that nobody sees."""
    for at in range(len(draft.text) - 1, -1, -1):
        sign = draft.masked[at]
        if unicodedata.category(sign) == "Cf" or (sign.isspace() and sign != " "):
            name = unicodedata.name(sign, "control character").lower()
            draft.mend(
                at, at + 1, " " if sign.isspace() else "",
                f"an invisible character stands in the tag ({name})",
            )  # fmt: skip
    draft.tell_once()


def entities(draft: Draft) -> None:
    """`&quot;` and others, which an HTML editor made of what was written."""
    for found in reversed(list(_ENTITY.finditer(draft.masked))):
        sign = html.unescape(found[0])
        if sign != found[0]:
            sign = " " if sign == "\xa0" else sign
            draft.tell(
                *found.span(),
                f"an HTML editor has made {found[0]} of {sign if sign.strip() else 'a space'} inside the tag",
            )  # fmt: skip
            draft.swap(*found.span(), sign)
    draft.tell_once()


def markup(draft: Draft) -> None:
    """Tags of HTML within a tag of the template."""
    for found in reversed(list(_MARKUP.finditer(draft.masked))):
        draft.mend(*found.span(), "", "HTML stands inside the tag")
    draft.tell_once()


def escaped_quotes(draft: Draft) -> None:
    r"""`\"x\"`, copied out of JSON or a program."""
    for found in reversed(list(_ESCAPED.finditer(draft.masked))):
        draft.mend(*found.span(), found[1], "quotes must not be escaped in a tag")
    draft.tell_once()


def curly_quotes(draft: Draft) -> None:
    """Quotes of word processors."""
    while found := _CURLY.search(draft.masked):
        group = 1 if found[1] is not None else 2
        text = draft.text[found.start(group) : found.end(group)]
        quote = '"' if (group == 1 and '"' not in text) or "'" in text else "'"
        draft.mend(
            *found.span(), f"{quote}{text}{quote}",
            f"{found[0][0]} {found[0][-1]} are quotes of a word processor; tags take straight ones",
        )  # fmt: skip


def mixed_quotes(draft: Draft) -> None:
    """`"there”`: one of a word processor, the other straight."""
    while found := _MIXED.search(draft.masked):
        group = next(n for n in (2, 3, 6, 7) if found[n] is not None)
        quote = found[1] or found[4] or found[5] or found[8]
        text = draft.text[slice(*found.span(group))]
        draft.mend(
            *found.span(), f"{quote}{text}{quote}",
            f"{found[0][0]} {found[0][-1]} are no pair of quotes: tags take straight ones",
        )  # fmt: skip


def inner_braces(draft: Draft) -> None:
    """`{% if {{ x }} %}`: a name needs no braces inside of a tag."""
    while found := _BRACES.search(draft.masked, 2):
        name = draft.text[found.start(1) : found.end(1)]
        lost = not draft.is_block and found.end() == len(draft.text)  # Django ends the tag there
        draft.mend(
            *found.span(), f"{name} }}}}" if lost else name,
            "braces within a tag: there a name stands alone",
        )  # fmt: skip


RULES = (
    outer_braces,
    whitespace_control,
    markup,
    entities,
    invisible,
    curly_quotes,
    mixed_quotes,
    escaped_quotes,
    inner_braces,
)
