"""Filters as other template languages write them: names, arguments, spaces. Pure."""

import re
from collections.abc import Callable, Collection

from feedd.templates.spelling.dates import DATE, TEXT_DATE, django_date
from feedd.templates.spelling.draft import STRING, VALUE, Draft, nearest

LIQUID = {
    "abs_url": "", "add_days": "days_later", "asset_url": "", "at": "lookup", "base64": "base64_encode", "ceiling": "ceil",
    "date_format": "date", "datetime": "date", "divided_by": "divide", "e": "escape", "escape_html": "escape",
    "fallback": "default", "file_url": "", "float": "", "format_date": "date", "handle": "slugify", "handleize": "slugify",
    "html": "safe", "image_url": "", "img_tag": "", "img_url": "", "int": "", "json": "", "link_to": "", "payment_button": "", "payment_terms": "", "placeholder_svg_tag": "", "script_tag": "", "stylesheet_tag": "", "lowercase": "lower", "md5": "md5_hash",
    "minus": "floatsub", "mod": "modulo", "newline_to_br": "linebreaksbr", "nl2br": "linebreaksbr", "number": "floatformat",
    "number_format": "floatformat", "otherwise": "default", "plus": "floatadd", "product_img_url": "", "raw": "safe",
    "replace": "find_replace", "reversed": "reverse", "sha1": "sha_1", "sha256": "sha_256", "shuffle": "",
    "slug": "slugify", "sort_by": "dictsort", "strftime": "date", "strip_tags": "striptags", "substr": "slice",
    "substring": "slice", "subtract": "floatsub", "sum": "sum_list", "t": "", "times": "multiply", "titlecase": "title",
    "title_case": "title", "to_json": "", "tojson": "", "to_lower": "lower", "to_upper": "upper", "tolower": "lower",
    "toupper": "upper", "translate": "", "trim": "strip", "trunc": "truncate", "ucfirst": "capfirst", "ucwords": "title",
    "unescape": "safe", "uppercase": "upper", "url": "", "url_decode": "urldecode", "url_encode": "urlencode",
    "where": "list_where", "within": "",
}  # fmt: skip
"""What filters of other languages are called here; nothing where there is no such filter."""
MONEY = frozenset(
    {
        "currency", "currency_format", "format_currency", "format_money", "money", "money_with_currency",
        "money_without_currency", "money_without_trailing_zeros", "to_currency", "usd",
    }
)  # fmt: skip
"""Filters of other languages for what is a tag here."""
_NOW = re.compile(r"\{\{\s*([\"']?)now\1\s*\|\s*date:[\"']([^\"']*)[\"']\s*\}\}$")
_PIPE = rf"\|\s*(\w+)\s*:\s*({STRING}|[-\w.]+)"
_SPACED_COLON = re.compile(rf"\|\s*\w+(\s*:\s+|\s+:\s*)(?={STRING}|[-\w.])")
_CALL = re.compile(r"\|\s*(\w+)\s*\(([^()]*)\)")
_NO_COLON = re.compile(rf"\|\s*(\w+)(\s*=\s*|\s+)({STRING})")
_MORE = re.compile(rf"{_PIPE}((?:\s*,\s*(?:\w+\s*[:=]\s*)?(?:{STRING}|[-\w.]+))+)")
_NAMED = re.compile(rf"\|\s*(\w+)\s*:\s*(\w+)\s*[=:]\s*({VALUE})")
_NO_BAR = re.compile(rf"\{{\{{\s*[\w.]+(\s+)(?:default|lookup)\s*[:=]\s*{STRING}")
_NO_NAME = re.compile(rf"(\|)\s*{STRING}(?=\s*[|}}])")
_BARE_SLICE = re.compile(r"\|\s*slice:\s*(-?\d*:-?\d*)(?=[\s|}%])")
_NAME = re.compile(r"(\s*)\|\s*(\w+)")
_EMPTY = re.compile(r"\|\s*(?=[|}%])|\|\s*(\w+)\s*:\s*(?=[|}%])")
_AFTER_PIPE = re.compile(r"\s*\|\s+|\s+\|\s*")

_Known = Collection[str]


def calls(draft: Draft) -> None:
    """`|default('x')`."""
    while found := _CALL.search(draft.masked):
        inner = draft.text[found.start(2) : found.end(2)].strip()
        new = f"|{found[1]}:{inner}" if inner else f"|{found[1]}"
        draft.mend(
            *found.span(), new, "a filter's argument stands after a colon, not in parentheses"
        )


def missing_colons(draft: Draft) -> None:
    """`|default 'x'` and `|default='x'`."""
    while found := _NO_COLON.search(draft.masked):
        draft.mend(*found.span(2), ":", f"a colon is missing between {found[1]} and its argument")


def spaced_colons(draft: Draft) -> None:
    """`|default: 'x'`, as in Liquid."""
    while found := _SPACED_COLON.search(draft.masked):
        at = found.start(1) + found[1].index(":")
        after = found.end(1) > at + 1
        draft.tell(
            at + 1 if after else found.start(1), found.end(1) if after else at,
            f"no space may stand {'after' if after else 'before'} the colon of a filter",
        )  # fmt: skip
        draft.swap(*found.span(1), ":")


def more_arguments(draft: Draft) -> None:
    """`|replace: "a", "b"`: filters take one argument."""
    while found := _MORE.search(draft.masked):
        name = found[1]
        first = draft.text[found.start(2) : found.end(2)]
        rest = re.split(r"\s*,\s*(?=(?:\w+\s*[:=]\s*)?[\"'\w-])", draft.text[slice(*found.span(3))])
        arguments = [first, *(each for each in rest if each)]
        draft.tell(*found.span(3), f"a filter takes one argument, and {name} has {len(arguments)}")
        draft.swap(found.start(2), found.end(3), _together(name, arguments))


def _together(name: str, arguments: list[str]) -> str:
    """The one argument that says the same."""
    bare = [each.strip("\"'") for each in arguments]
    if name in ("replace", "find_replace", "replace_first", "replace_last"):
        return f'"{bare[0]}|{bare[1]}"'
    if name in ("slice", "substring", "substr") and all(re.fullmatch(r"-?\d+", x) for x in bare):
        start, count = int(bare[0]), int(bare[1])
        return f'"{start or ""}:{start + count}"'
    if name == "where":
        return f'"{bare[0]}={bare[1]}"'
    if name in ("pluralize", "yesno"):
        return f'"{",".join(bare)}"'
    return arguments[0]


def dates(draft: Draft) -> None:
    """`|date:"%Y"`, or of a text: this alone is no error, but what is mended is mended wholly."""
    for found in reversed(list(TEXT_DATE.finditer(draft.masked))):
        draft.swap(found.end(1), found.end(1), "|format_date_string")
    for found in reversed(list(DATE.finditer(draft.masked))):
        form = draft.text[slice(*found.span(2))]
        draft.swap(*found.span(2), django_date(form))
    if now := _NOW.match(draft.text):
        draft.swap(0, len(draft.text), f'{{% now "{now[2]}" %}}')


def missing_bars(draft: Draft) -> None:
    """`{{ first_name default:"there" }}` and `{{ first_name|"there" }}`."""
    if found := _NO_BAR.match(draft.masked):
        draft.mend(*found.span(1), "|", "a | is missing before the filter")
    while found := _NO_NAME.search(draft.masked):
        draft.mend(*found.span(1), "|default:", "a filter's name is missing after |")


def bare_slices(draft: Draft) -> None:
    """`|slice:0:3`."""
    while found := _BARE_SLICE.search(draft.masked):
        draft.mend(*found.span(1), f'"{found[1]}"', "a part of a list stands in quotes")


def named_arguments(draft: Draft) -> None:
    """`|default: allow_false: true` and `|truncate: length=20`."""
    while found := _NAMED.search(draft.masked):
        value = draft.text[slice(*found.span(3))]
        draft.mend(
            found.start(2), found.end(3), value,
            f"arguments of filters have no names: {found[2]} must go",
        )  # fmt: skip


def empty(draft: Draft) -> None:
    """`{{ x| }}` and `{{ x|default: }}`."""
    while found := _EMPTY.search(draft.masked):
        if found[1]:
            draft.tell(*found.span(), f"an argument is missing after {found[1]}:")
            draft.swap(found.end(1), found.end(), ':"" ')
        else:
            before = draft.text[found.start() - 1]
            gap = "" if before.isspace() or draft.text[found.end()] == "|" else " "
            draft.mend(*found.span(), gap, "a filter's name is missing after |")


def doubled(known: _Known) -> Callable[[Draft], None]:
    """A rule for `{{ x||upper }}`."""

    def rule(draft: Draft) -> None:
        if draft.is_block:
            return
        for found in reversed(list(re.finditer(r"\|\s*\|(?=\s*(\w+))", draft.masked))):
            if found[1] in known:
                draft.mend(*found.span(), "|", "one | too many")

    return rule


def tight_pipes(draft: Draft) -> None:
    """`{% if x | length %}`: in `{% %}` a space ends a value."""
    while draft.is_block and (found := _AFTER_PIPE.search(draft.masked)):
        draft.mend(*found.span(), "|", "in {% … %} no space may stand around the | before a filter")


def names(known: _Known) -> Callable[[Draft], None]:
    """A rule for filters that there are not."""

    def rule(draft: Draft) -> None:
        amount = False
        for found in reversed(list(_NAME.finditer(draft.masked, 2))):
            name = found[2]
            if name in known or len(name) > 40:
                continue
            if name in MONEY:
                draft.tell(
                    *found.span(2), f"{name} is no filter: amounts are written by a tag",
                    f"write {{% currency_format {_first(draft.inner)} %}}" if draft.is_block else None,
                )  # fmt: skip
                draft.swap(found.start(), found.end(), "")
                amount = True
                continue
            _renamed(draft, found, known)
        dates(draft)
        if amount and not draft.is_block:
            draft.swap(0, len(draft.text), f"{{% currency_format {draft.inner} %}}")

    return rule


def _first(inner: str) -> str:
    """The first value of an expression, as the argument of a tag."""
    words = inner.partition("|")[0].split()
    return words[-1] if words else "event.price"


def _renamed(draft: Draft, found: re.Match[str], known: _Known) -> None:
    name = found[2]
    alike = None if nearest(name, known, 0.72) else nearest(name, LIQUID, 0.85)
    other = LIQUID.get(name, LIQUID.get(name.lower(), LIQUID.get(alike or "")))
    if other == "" or (other is not None and other not in known):
        draft.tell(*found.span(2), f"there is no filter {name}", "leave it out")
        argument = re.compile(rf"\s*:\s*{VALUE}").match(draft.masked, found.end())
        draft.swap(found.start(), argument.end() if argument else found.end(), "")
        return
    near = other or nearest(name, known, 0.72)
    if near is None:
        draft.tell(
            *found.span(2),
            f"there is no filter {name}",
            "filters are listed in docs/template-reference.md",
        )
        return
    why = "is called" if other else "- did you mean"
    draft.mend(
        *found.span(2), near, f"there is no filter {name}{' here; it' if other else ''} {why} {near}"
        + ("" if other else "?"),
    )  # fmt: skip


RULES = (missing_bars, calls, bare_slices, named_arguments, missing_colons, spaced_colons, more_arguments, dates, empty, tight_pipes)  # fmt: skip
