"""What Handlebars and Mustache write within `{{ }}`, and tags that stand within the wrong braces. Pure."""

import re

from feedd.templates.spelling.draft import Draft

_OPENING = re.compile(r"\{\{~?\s*#\s*(if|unless|each|with|foreach)\b\s*(.*?)\s*~?\}\}$", re.DOTALL)
_CLOSING = re.compile(r"\{\{~?\s*/\s*(if|unless|each|with|foreach)\s*~?\}\}$")
_ALIAS = re.compile(r"(.*?)\s+as\s+\|?\s*(\w+)[^|]*\|?$")
_SECTION = re.compile(r"\{\{\s*([#^])\s*([\w.]+)\s*\}\}$")
_END = re.compile(r"\{\{\s*/\s*([\w.]+)\s*\}\}$")
_OTHER = re.compile(r"\{\{\s*([>!&])\s*(.*?)\s*\}\}$", re.DOTALL)
_ELSE_IF = re.compile(r"\{\{\s*else\s*if\s+(.*?)\s*\}\}$")
_ENDS = {"if": "endif", "unless": "endif", "each": "endfor", "foreach": "endfor", "with": "endwith"}


def blocks(draft: Draft) -> None:
    """`{{#if x}}`, `{{#each xs}}`, `{{else if x}}`, `{{/if}}`."""
    if found := _OPENING.match(draft.text):
        draft.rewrite(
            _opened(found[1], found[2]), f"{{{{#{found[1]} …}}}} is Handlebars", _wrapped(found[1])
        )
    elif found := _CLOSING.match(draft.text):
        draft.rewrite(f"{{% {_ENDS[found[1]]} %}}", f"{{{{/{found[1]}}}}} is Handlebars")
    elif found := _ELSE_IF.match(draft.text):
        draft.rewrite(f"{{% elif {found[1]} %}}", "{{else if …}} is Handlebars")


def _opened(word: str, rest: str) -> str:
    rest = rest.replace("this.", "item.")
    if word == "unless":
        return f"{{% if not {rest} %}}"
    if word in ("each", "foreach"):
        alias = _ALIAS.match(rest)
        values, name = (alias[1], alias[2]) if alias else (rest, "item")
        return f"{{% for {name} in {values} %}}"
    if word == "with":
        return f"{{% with this={rest} %}}"
    return f"{{% if {rest} %}}"


def _wrapped(word: str) -> str | None:
    return "@; the values are written {{ item.title }} then" if word == "each" else None


def sections(draft: Draft) -> None:
    """`{{#items}}…{{/items}}`, `{{^items}}`, `{{> footer}}`, `{{! note }}`, `{{& html}}`."""
    if found := _SECTION.match(draft.text):
        name = found[2]
        if found[1] == "^":
            draft.rewrite(f"{{% if not {name} %}}", f"{{{{^{name}}}}} is Mustache")
        else:
            new = f"{{% if {name} %}}"
            draft.rewrite(
                new, f"{{{{#{name}}}}} is Mustache",
                f"write {new}…{{% endif %}}, or {{% for item in {name} %}}…{{% endfor %}} for a list",
            )  # fmt: skip
    elif found := _END.match(draft.text):
        draft.rewrite(
            "{% endif %}", f"{{{{/{found[1]}}}}} is Mustache", "write {% endif %} or {% endfor %}"
        )
    elif found := _OTHER.match(draft.text):
        sign, rest = found[1], found[2]
        if sign == "!":
            draft.rewrite(f"{{# {rest.strip('-! ')} #}}", "{{! … }} is Handlebars")
        elif sign == "&":
            draft.rewrite(f"{{{{ {rest}|safe }}}}", "{{& … }} is Mustache")
        else:
            draft.tell(
                0, len(draft.text), "{{> … }} is Handlebars",
                "there are no partials: put the text itself here",
            )  # fmt: skip


def this_and_index(draft: Draft) -> None:
    """`this.x`, `@index`, `../x` of an `{{#each}}`."""
    for pattern, new, message in (
        (r"@index\b", "forloop.counter0", "@index is Handlebars"),
        (r"@(first|last)\b", r"forloop.\1", "@first and @last are Handlebars"),
        (r"\.\./", "", "../ is Handlebars: names outside of a loop are seen within it"),
    ):
        for found in reversed(list(re.finditer(pattern, draft.masked))):
            draft.mend(*found.span(), found.expand(new), message)


RULES = (blocks, sections, this_and_index)
