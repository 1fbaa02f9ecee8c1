"""Tags as other template languages call them. Pure."""

import re
from collections.abc import Callable, Collection

from feedd.templates.spelling.draft import STRING, VALUE, Draft, nearest

BLOCKS: dict[str, tuple[str, ...]] = {
    "autoescape": (),
    "blocktrans": ("plural",),
    "blocktranslate": ("plural",),
    "cache": (),
    "catalog": (),
    "comment": (),
    "customobject": (),
    "customobjects": (),
    "filter": (),
    "for": ("empty",),
    "if": ("elif", "else"),
    "ifchanged": ("else",),
    "language": (),
    "localize": (),
    "localtime": (),
    "partialdef": (),
    "spaceless": (),
    "timezone": (),
    "verbatim": (),
    "with": (),
}
"""Tags that end with a tag of their own, and what may stand between the two."""
FOREIGN: dict[str, tuple[str, ...]] = {"case": ("when", "else"), "unless": ("else", "elsif"), "each": ("else",)}  # fmt: skip
"""The same for tags of other languages."""

SAME = {
    "catalog_lookup": "catalog",
    "coupon": "coupon_code",
    "endeach": "endfor",
    "endforeach": "endfor",
    "currency": "currency_format",
    "currencyformat": "currency_format",
    "elseif": "elif",
    "elsif": "elif",
    "end_for": "endfor",
    "end_if": "endif",
    "endraw": "endverbatim",
    "endunless": "endif",
    "fi": "endif",
    "format_currency": "currency_format",
    "manage_preferences_url": "manage_preferences_link",
    "money": "currency_format",
    "preferences_link": "manage_preferences_link",
    "raw": "verbatim",
    "preferences_url": "manage_preferences_link",
    "unsubscribe_url": "unsubscribe_link",
    "update_preferences": "manage_preferences",
    "view_in_browser": "web_view",
    "view_in_browser_link": "web_view_link",
    "view_in_browser_url": "web_view_link",
    "web_version": "web_view",
    "web_view_url": "web_view_link",
    "webview": "web_view",
    "webview_link": "web_view_link",
}
"""Tags that have another name here, with the same arguments."""
_NONE = "there are no other templates to take in: put the text itself here"
_LAYOUT = "a message is one template: leave it out, and put the text itself here"
_PRODUCTS = (
    'write {% items "shop" limit=4 as products %} and {% for item in products %}…{% endfor %}'
)
MISSING = {
    "block": _LAYOUT,
    "css": "write <style>…</style>",
    "from": _NONE,
    "js": "mails run no scripts: leave it out",
    "break": 'a loop cannot be left: take fewer values, {% for item in items|slice:":4" %}',
    "catalog-recommendations": _PRODUCTS,
    "catalog_recommendations": _PRODUCTS,
    "case": "write {% if x == 'a' %}…{% elif x == 'b' %}…{% else %}…{% endif %}",
    "continue": "write {% if … %}…{% endif %} around what stands in the loop",
    "csrf_token": "a mail has no forms of Django: leave it out",
    "debug": "leave it out: feedd render shows what a template sees",
    "decrement": "write {{ forloop.revcounter }} within a loop",
    "echo": "write {{ … }}",
    "extends": _LAYOUT,
    "form": "write the form in HTML",
    "import": _NONE,
    "include": _NONE,
    "increment": "write {{ forloop.counter }} within a loop",
    "javascript": "mails run no scripts: leave it out",
    "layout": _LAYOUT,
    "liquid": "write each line as a tag of its own",
    "lorem": "write the text itself",
    "macro": "there are no macros: put the text itself where it is needed",
    "media": 'write <img src="…"> with the address of the picture',
    "paginate": 'take a part of the list: {% for item in items|slice:":4" %}',
    "partial": _NONE,
    "product_feed": _PRODUCTS,
    "product_recommendations": _PRODUCTS,
    "recommendations": _PRODUCTS,
    "recommended_products": _PRODUCTS,
    "render": _NONE,
    "schema": "leave it out: it belongs to themes",
    "section": _NONE,
    "static": "write the whole address: https://…",
    "style": "write <style>…</style>",
    "stylesheet": "write <style>…</style>",
    "tablerow": "write {% for item in items %}<td>…</td>{% endfor %}",
    "track_opened": "leave it out",
    "trans": "write the text itself",
    "translate": "write the text itself",
    "trending_products": _PRODUCTS,
    "url": "write the whole address: https://…",
    "when": "write {% elif x == 'b' %}",
}
"""Tags that there are not, and what is written in their place."""
LINKS = frozenset(
    {
        "unsubscribe", "unsubscribe_link", "manage_preferences", "manage_preferences_link", "web_view",
        "web_view_link", "current_day", "current_weekday", "current_month", "current_month_name", "current_year",
    }
)  # fmt: skip
"""Tags that are often written as names."""

_ASSIGN = re.compile(r"\{%\s*(?:assign|set|let|var|define)\s+(\w+)\s*=\s*(.+?)\s*%\}$")
_CAPTURE = re.compile(r"\{%\s*(capture|set)\s+[\"']?(\w+)[\"']?\s*%\}$")
_UNLESS = re.compile(r"\{%\s*unless\s+(.*?)\s*%\}$", re.DOTALL)
_ELSE_IF = re.compile(r"\{%\s*else\s+if\s+")
_END = re.compile(r"\{%\s*(?:end\s+|/\s*|end-|end_)(\w+)\s*%\}$")
_NOTE = re.compile(r"\{%\s*(?:#|//|--)\s*(.*?)\s*%\}$")
_AMOUNT = re.compile(
    rf"(\{{%\s*currency_format\s+[\w.]+(?:\s*\|\s*\w+(?::{VALUE})?)*)(\s*,\s*{VALUE}|\s+{STRING}|\s+[\d.]+|\s+\w+=\S+)+(?=\s*%\}})"
)
_BARE = re.compile(r"(?<=[\s=])((?:-?[A-Za-z]\w*-|-(?=[A-Za-z])|\d+(?=[A-Za-z-]))[\w:-]*)(?=\s)")
_ENDED = re.compile(r"\{%\s*(end\w+|else|empty)\s*[:;.]?\s*%\}$")

_Known = Collection[str]


def ends(known: Collection[str] = tuple(BLOCKS)) -> set[str]:
    """Every tag that stands within or ends another."""
    blocks = [name for name in BLOCKS if name in known]
    return {f"end{name}" for name in blocks} | {each for name in blocks for each in BLOCKS[name]}


def in_wrong_braces(known: _Known) -> Callable[[Draft], None]:
    """A rule for `{{ if x }}` and `{% person.first_name %}`."""
    words = {*known, *ends(known)}

    def rule(draft: Draft) -> None:
        if not draft.is_block:
            found = re.match(r"\{\{\s*(\w+)(?=[\s}])", draft.masked)
            if found and (found[1] in words or found[1] in SAME) and "|" not in draft.masked:
                name = found[1]
                draft.rewrite(
                    f"{{% {draft.inner} %}}", f"{name} is a tag: it is written in {{% … %}}"
                )
        elif re.match(r"\{%\s*[A-Za-z_]\w*(?:\.\w+|\s*\|\s*\w+|\s*%\})", draft.masked):
            command = re.split(r"[.|\s]", draft.inner)[0]
            told = command in words or command in SAME or command in MISSING
            if not told and ("." in draft.inner or "|" in draft.inner or command.endswith("_name")):
                draft.rewrite(f"{{{{ {draft.inner} }}}}", "a value is written in {{ … }}")

    return rule


def assignments(draft: Draft) -> None:
    """`{% assign x = y %}`, `{% capture x %}`."""
    if found := _ASSIGN.match(draft.masked):
        name, value = (draft.text[slice(*found.span(n))] for n in (1, 2))
        draft.replace(
            f"{{% with {name}={value} %}}",
            f"there is no {draft.command}: a name is given for a part of the template",
            f"write @…{{% endwith %}} around where {name} is used",
        )
    elif found := _CAPTURE.match(draft.text):
        name = found[2]
        draft.replace(
            f"{{% with {name}=event.title %}}", f"there is no {found[1]}: text cannot be kept under a name",
            f"write the text where {name} is used, or @…{{% endwith %}} for a value",
        )  # fmt: skip


def renamed(draft: Draft) -> None:
    """`{% elsif %}`, `{% unless x %}`, `{% else if x %}`, `{% end if %}`, `{% raw %}`."""
    if not draft.is_block:
        return
    if found := _UNLESS.match(draft.text):
        draft.rewrite(_negated(found[1]), "unless is not known: {% if not … %} says it")
    elif found := _ELSE_IF.match(draft.text):
        draft.mend(draft.text.index("else"), found.end(), "elif ", "else if is written elif")
    elif found := _END.match(draft.text):
        draft.rewrite(f"{{% end{found[1]} %}}", f"the end of {found[1]} is written in one word")
    elif found := _NOTE.match(draft.text):
        draft.rewrite(f"{{# {found[1]} #}}", "a note is written in {# … #}")
    elif (found := _ENDED.match(draft.text)) and draft.inner != found[1]:
        draft.rewrite(f"{{% {found[1]} %}}", f"nothing may follow {found[1]}")
    elif new := SAME.get(draft.command):
        at = draft.text.index(draft.command)
        draft.mend(at, at + len(draft.command), new, f"{draft.command} is called {new} here")
        if new == "catalog":
            _drop_alias(draft)


def _negated(condition: str) -> str:
    """`{% if %}` for the opposite of a condition."""
    ors, ands = (re.split(rf"\s+(?:{each})\s+", condition) for each in (r"or|\|\|", "and|&&"))
    if len(ors) > 1 and len(ands) > 1:
        return f"{{% if {condition} %}}{{% else %}}"
    parts, joint = (ors, " and ") if len(ors) > 1 else (ands, " or ")
    return f"{{% if {joint.join(f'not {part}' for part in parts)} %}}"


def _drop_alias(draft: Draft) -> None:
    if found := re.search(r"\s+as\s+\w+", draft.masked):
        draft.mend(*found.span(), "", "the item of a catalog block is always called catalog_item")


def missing(draft: Draft) -> None:
    """`{% include %}` and others that there are not."""
    name = draft.command
    if name == "case":
        what = draft.inner.removeprefix("case").strip() or "x"
        hint = (
            f"write {{% if {what} == 'a' %}}…{{% elif {what} == 'b' %}}…{{% else %}}…{{% endif %}}"
        )
        draft.replace(draft.text, "there is no case", hint)
    elif name in MISSING:
        draft.replace(draft.text, f"there is no tag {name}", MISSING[name])


def names(known: _Known) -> Callable[[Draft], None]:
    """A rule for tags that are misspelled."""
    words = sorted({*known, *ends(known)})

    def rule(draft: Draft) -> None:
        name = draft.command
        told = {*words, *MISSING, *FOREIGN} | {f"end{each}" for each in (*FOREIGN, *MISSING)}
        if not name or name == "end" or name in told or len(name) > 40 or draft.form:
            return
        at = draft.text.index(name, 2)
        for word in words:  # {%if:x %}, {% forx in xs %} and {% endif; %}
            if re.fullmatch(rf"{word}[^\w\s-].*", name):
                draft.mend(at + len(word), at + len(word), " ", f"a space is missing after {word}")
                return
        near = nearest(name, [word for word in words if word not in MISSING], 0.7)
        if near:
            draft.mend(at, at + len(name), near, f"there is no tag {name} - did you mean {near}?")

    return rule


def spaced_equals(draft: Draft) -> None:
    """`{% with a = b %}`."""
    while draft.command == "with" and (found := re.search(r"\s+=\s*|=\s+", draft.masked)):
        draft.mend(*found.span(), "=", "no space may stand beside the = of a name")


def named_items(draft: Draft) -> None:
    """`{% catalog id=event.ProductID %}`."""
    if found := re.match(
        r"\{%\s*catalog\s+((?!catalog_)\w*(?:id|item|product|sku)\s*=\s*)", draft.masked
    ):
        draft.mend(*found.span(1), "", "the id of the item stands without a name")


def bare_texts(draft: Draft) -> None:
    """`{% catalog mug-1 %}`, `{% items order=-price as xs %}`, `{% changes since=7d as xs %}`."""
    while draft.command in ("catalog", "items", "changes") and (
        found := _BARE.search(draft.masked)
    ):
        draft.mend(*found.span(1), f'"{found[1]}"', f"{found[1]} is a text: it stands in quotes")


def joined_names(draft: Draft) -> None:
    """`{% with a=b, c=d %}` and `{% catalog a, unpublished="cancel" %}`."""
    commands = ("with", "catalog", "items", "changes")
    while draft.command in commands and (found := re.search(r"\s*,\s*(?=\w+=)", draft.masked)):
        draft.mend(
            *found.span(),
            " ",
            f"{draft.command} has a comma between its words where a space belongs",
        )


def more_than_an_amount(draft: Draft) -> None:
    """`{% currency_format item.price "EUR" %}`."""
    found = _AMOUNT.match(draft.masked)
    if found:
        draft.mend(
            *found.span(2), "", "it takes an amount alone: currency and decimals are the account's"
        )


def quoted_names(draft: Draft) -> None:
    """`{% load "x" %}` and `{% render_variable "preview_text" %}`."""
    if draft.command == "render_variable" and (found := re.search(STRING, draft.masked)):
        bare = draft.text[found.start() + 1 : found.end() - 1]
        draft.mend(*found.span(), bare, "the name stands without quotes")


RULES = (
    assignments,
    renamed,
    missing,
    spaced_equals,
    named_items,
    joined_names,
    bare_texts,
    more_than_an_amount,
    quoted_names,
)
