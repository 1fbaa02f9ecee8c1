"""Names and values as JavaScript, Python, Jinja and Liquid write them. Pure."""

import re

from feedd.templates.spelling.draft import STRING, VALUE, Draft

METHODS = {
    "capitalize": "capfirst", "capitalise": "capfirst", "lower": "lower", "strip": "strip", "title": "title",
    "count": "length", "last": "last", "length": "length", "reverse": "reverse", "size": "length",
    "toLocaleUpperCase": "upper", "toLowerCase": "lower", "toUpperCase": "upper", "trim": "strip", "upper": "upper",
}  # fmt: skip
WITH_ARGUMENT = {
    "get": "lookup", "join": "join", "lookup": "lookup", "split": "split", "strftime": "date", "toFixed": "floatformat", "format": "date",
}  # fmt: skip
FUNCTIONS = {
    "abs": "abs", "capitalize": "capfirst", "count": "length", "float": "floatformat", "int": 'floatformat:"0"',
    "len": "length", "lower": "lower", "round": "floatformat", "size": "length", "str": "stringformat:\"s\"", "upper": "upper",
}  # fmt: skip
OPERATORS = {"*": "multiply", "/": "divide", "+": "floatadd", "-": "floatsub", "%": "modulo"}
_PATH = r"[A-Za-z_][\w]*(?:\.[\w]+)*"
_METHOD = re.compile(rf"({_PATH})\.(\w+)\(([^()]*)\)")
_FUNCTION = re.compile(r"(?<![\w.|])(\w+)\(([^()]*)\)")
_BRACKET = re.compile(rf"([\w.]+|\])\s*\[\s*({STRING}|-?\d*\s*:\s*-?\d*|-?\d+|[\w.]+)\s*\]")
_AFTER_LOOKUP = re.compile(rf"\|\s*lookup:{STRING}(\.(\w+))")
_BARE_KEY = re.compile(r"\|\s*lookup:(\$\w+)")
_AFTER_FIRST = re.compile(rf"({_PATH})\s*\|\s*first(\.\w+(?:\.\w+)*)")
_COMMA = re.compile(rf"\{{\{{\s*({_PATH}(?:\s*,\s*{_PATH})+)\s*\}}\}}$")
_DOLLAR = re.compile(r"(?<![\w.$\"'])([A-Za-z]\w*(?:\.\w+)*)\.(\$\w[\w.]*)")
_OPTIONAL = re.compile(r"\?\.|->|::")
_TERNARY = re.compile(r"\{\{\s*(.+?)\s*\?(?!\?)\s*(.+?)\s*:\s*(.+?)\s*\}\}$")
_INLINE_IF = re.compile(r"\{\{\s*(.+?)\s+if\s+(.+?)(?:\s+else\s+(.+?))?\s*\}\}$")
_OR = re.compile(rf"\{{\{{\s*(.+?)\s*(\bor\b|\|\||\?\?|\?:)\s*({VALUE})\s*\}}\}}$")
_ARITHMETIC = re.compile(
    rf"(?<![\w|:.\x1a\"'])({STRING}|{_PATH}(?:\|\w+(?::{VALUE})?)*|\d[\d.]*)\s*([*/+%]|\s-\s?|-(?=\d))\s*({STRING}|{_PATH}|\d[\d.]*)(?![\w(])"
)
_GROUPED = re.compile(rf"\(\s*({_PATH}|\d[\d.]*)\s*([*/+%-])\s*({_PATH}|\d[\d.]*)\s*\)")
_COMPARED = re.compile(r"\{\{\s*(.+?\s*(?:==|!=|<=|>=|<|>|\band\b|\bin\b).+?)\s*\}\}$")
_WORDS = re.compile(
    r"\{\{\s*([A-Za-z][\w.]*?)\.?((?:(?<=\.)[^\s|.{}\"'][^|.{}\"']*)?)\s*(?=\||\}\})"
)


def methods(draft: Draft) -> None:
    """`x.get("a")`, `x.toUpperCase()`."""
    while found := _METHOD.search(draft.masked):
        value, name = found[1], found[2]
        argument = draft.text[slice(*found.span(3))].strip()
        draft.mend(
            *found.span(), _called(value, name, argument), f"nothing can be called: {name}()"
        )


def _called(value: str, name: str, argument: str) -> str:
    first, _, second = (part.strip() for part in argument.partition(","))
    if name == "get" and first:
        return f"{value}|lookup:{first}" + (f"|default:{second}" if second else "")
    if name == "first":
        return f"{value}.0"
    if name in METHODS:
        return f"{value}|{METHODS[name]}"
    if name in WITH_ARGUMENT and first:
        return f"{value}|{WITH_ARGUMENT[name]}:{first}"
    if name in ("slice", "substring") and first:
        return f'{value}|slice:"{first}:{second}"'
    if name == "replace" and second:
        return f'{value}|find_replace:"{first.strip(chr(34) + chr(39))}|{second.strip(chr(34) + chr(39))}"'
    if name in ("items", "keys", "values"):
        return f"{value}.{name}"
    return f"{value}.{name}"


def functions(draft: Draft) -> None:
    """`len(x)`, `f()`."""
    while found := _FUNCTION.search(draft.masked):
        name = found[1]
        argument = draft.text[slice(*found.span(2))].strip()
        first, _, second = (part.strip() for part in argument.partition(","))
        if draft.is_block and name == draft.command.partition("(")[0] and not first:
            draft.mend(found.end(1), found.end(), "", f"nothing is called: {name}()")
        elif name in ("now", "today") and not first:
            draft.rewrite('{% now "F j, Y" %}', f"nothing can be called: {name}()")
        elif name in FUNCTIONS and first:
            wanted = FUNCTIONS[name] + (f":{second}" if second else "")
            draft.mend(
                *found.span(), f"{first}|{wanted}", f"nothing can be called: {name}() is a filter"
            )
        elif name in ("lookup", "default", "get") and second:
            filtered = f"{first}|{'lookup' if name == 'get' else name}:{second}"
            draft.mend(*found.span(), filtered, f"nothing can be called: {name} is a filter")
        else:
            draft.tell(
                *found.span(), f"nothing can be called: {name}() is not known",
                "a value is written by its name, {{ person.first_name }}, and changed by filters, {{ person.first_name|upper }}",
            )  # fmt: skip
            draft.swap(*found.span(), name)


def brackets(draft: Draft) -> None:
    """`items[0]`, `event["Items"]`, `x[:3]`."""
    while found := _BRACKET.search(draft.masked):
        key = draft.text[slice(*found.span(2))]
        before = draft.text[: found.end(1)].removesuffix(".")
        draft.tell(found.end(1), found.end(), f"square brackets are not known: [{key}]")
        draft.swap(len(before), found.end(), _step(before, key))


def _step(before: str, key: str) -> str:
    bare = key.strip("\"'")
    after_lookup = re.search(r"\|lookup:\S+$", before) is not None
    if ":" in key and key == bare:
        return f'|slice:"{key.replace(" ", "")}"'
    if key == "-1":
        return "|last"
    if key == bare and not key.isdigit():
        return f"|lookup:{key}"
    if re.fullmatch(r"[A-Za-z0-9]\w*", bare) and not after_lookup:
        return f".{bare}"
    quote = '"' if "'" in bare else "'"
    return f"|lookup:{quote}{bare}{quote}"


def after_lookups(draft: Draft) -> None:
    """`event|lookup:'Items'.0`: after one lookup every step is one."""
    while found := _AFTER_LOOKUP.search(draft.masked):
        draft.mend(
            *found.span(1),
            f"|lookup:'{found[2]}'",
            "after a lookup every step is a lookup, not a dot",
        )


def bare_keys(draft: Draft) -> None:
    """`person|lookup:$city`."""
    while found := _BARE_KEY.search(draft.masked):
        draft.mend(*found.span(1), f"'{found[1]}'", "the name after lookup stands in quotes")


def after_first(draft: Draft) -> None:
    """`{{ event.Items|first.Name }}`."""
    while found := _AFTER_FIRST.search(draft.masked):
        draft.mend(
            found.end(1), found.end(), f".0{found[2]}", "after a filter no dot leads any further"
        )


def loose_dots(draft: Draft) -> None:
    """`{{ event. Items }}`."""
    while found := re.search(r"(?<=\w)(?:\.\s+|\s+\.)(?=[A-Za-z_])", draft.masked):
        draft.mend(*found.span(), ".", "no space may stand beside a dot")


def lists(draft: Draft) -> None:
    """`{{ a, b }}`."""
    found = None if draft.is_block else _COMMA.match(draft.masked)
    if found:
        at = draft.masked.index(",")
        names = (name.strip() for name in found[1].split(","))
        draft.tell(at, at + 1, "one value stands in {{ }}")
        draft.swap(0, len(draft.text), " ".join(f"{{{{ {name} }}}}" for name in names))


def dollars(draft: Draft) -> None:
    """`person.$email`, `event.$value`."""
    while found := _DOLLAR.search(draft.masked):
        keys = found[2].split(".")
        draft.mend(
            found.end(1), found.end(), "".join(f"|lookup:'{key}'" for key in keys),
            f"a name with $ is not reached by a dot: .{found[2]}",
        )  # fmt: skip


def arrows(draft: Draft) -> None:
    """`person->name`, `person?.name`."""
    while found := _OPTIONAL.search(draft.masked):
        draft.mend(*found.span(), ".", f"names are joined by dots, not by {found[0]}")


def spaced_names(draft: Draft) -> None:
    """`event.Some Name`, `person.my-prop`: what a dot cannot reach."""
    if draft.is_block:
        return
    found = _WORDS.match(draft.masked)
    if not found or not found[2]:
        return
    name = found[2].rstrip()
    if re.fullmatch(r"\w+", name) or re.search(
        r"\s([*/+%=<>-]|and|or|in|if|is|not)\s|[()?,]|[=<>*]", name
    ):
        return
    end = found.start(2) + len(name)
    quote = '"' if "'" in name else "'"
    kind = "spaces" if " " in name else "such characters"
    draft.mend(
        found.start(2) - 1, end, f"|lookup:{quote}{name}{quote}",
        f"a name with {kind} is not reached by a dot: {name}",
    )  # fmt: skip


def spaced_names_in_tags(draft: Draft) -> None:
    """`{% if event.Product Name %}`: words with capitals that follow each other."""
    pattern = r"\b(person|event|item|catalog_item\.metadata|event\.extra)\.([A-Z]\w*(?: [A-Z]\w*)+)"
    while draft.is_block and (found := re.search(pattern, draft.masked)):
        draft.mend(
            found.end(1), found.end(), f"|lookup:'{found[2]}'",
            f"a name with spaces is not reached by a dot: {found[2]}",
        )  # fmt: skip


def conditions_within(draft: Draft) -> None:
    """`{{ x if y else z }}`, `{{ y ? x : z }}`, `{{ x or y }}`."""
    if draft.is_block:
        return
    if found := _OR.match(draft.masked):
        parts = [draft.text[slice(*found.span(n))] for n in (1, 3)]
        draft.tell(*found.span(2), f"{found[2]} is not known within {{{{ }}}}")
        draft.swap(0, len(draft.text), f"{{{{ {parts[0]}|default:{parts[1]} }}}}")
        return
    for pattern, order in ((_INLINE_IF, (2, 1, 3)), (_TERNARY, (1, 2, 3))):
        if found := pattern.match(draft.masked):
            condition, yes, no = (
                draft.text[slice(*found.span(n))] if found[n] else "" for n in order
            )
            otherwise = f"{{% else %}}{_shown(no)}" if no else ""
            draft.rewrite(
                f"{{% if {condition} %}}{_shown(yes)}{otherwise}{{% endif %}}",
                "a condition within {{ }} is not known",
            )
            return


def _shown(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else f"{{{{ {value} }}}}"


def comparisons(draft: Draft) -> None:
    """`{{ a == b }}`."""
    found = None if draft.is_block else _COMPARED.match(draft.masked)
    if found:
        condition = draft.text[slice(*found.span(1))]
        draft.rewrite(
            f"{{% if {condition} %}}yes{{% else %}}no{{% endif %}}",
            "values are compared in {% if %}, not in {{ }}",
        )


def arithmetic(draft: Draft) -> None:
    """`{{ a * b }}`."""
    if draft.is_block and draft.command not in ("if", "elif", "with", "currency_format", "catalog"):
        return
    while found := _GROUPED.search(draft.masked, 2) or _ARITHMETIC.search(draft.masked, 2):
        sign = found[2].strip()
        wanted = OPERATORS[sign]
        operands = [draft.text[slice(*found.span(n))] for n in (1, 3)]
        if sign == "+" and any(each[:1] in ("'", '"') for each in operands):
            wanted = "append"
        draft.tell(*found.span(2), f"{sign} is not known: filters calculate")
        draft.swap(*found.span(), f"{operands[0]}|{wanted}:{operands[1]}")


def trailing_signs(draft: Draft) -> None:
    """`{{ x; }}`, `{{ $x }}`, `{{ "a" ~ b }}`."""
    while found := re.search(r"\s*;+\s*(?=[}%]\}?$|[}%]\})", draft.masked):
        draft.mend(*found.span(), " ", "no semicolon in a tag")
    while found := re.search(r"(?<![\w.'\"])\$(?=[A-Za-z_])", draft.masked):
        draft.mend(*found.span(), "", "names do not begin with $ in a tag")
    while found := re.search(rf"\s*~\s*(?={VALUE})", draft.masked):
        draft.mend(*found.span(), "|append:", "~ is not known: a filter joins texts")


def unclosed_quote(draft: Draft) -> None:
    """`{{ x|default:'there }}`."""
    masked = draft.masked
    found = re.search(r"[\"']", re.sub(STRING, lambda m: "\x1a" * len(m[0]), masked))
    if found is None:
        return
    quote, end = found[0], len(draft.text.rstrip("}% "))
    if masked.count(quote) > 2:
        other = "'" if quote == '"' else '"'
        draft.tell(
            *found.span(), f"a {quote} too many: the text ends at the one before",
            f"a text that has {quote} in it stands between {other} and {other}",
        )  # fmt: skip
        return
    end = max(end, found.end())
    if draft.text[end - 1] != quote or end == found.end():
        draft.tell(*found.span(), f"the text that begins with {quote} does not end")
        draft.swap(end, end, quote)


RULES = (
    bare_keys,
    arrows,
    trailing_signs,
    methods,
    functions,
    brackets,
    after_lookups,
    after_first,
    loose_dots,
    lists,
    dollars,
    spaced_names_in_tags,
    comparisons,
    spaced_names,
    arithmetic,
)
