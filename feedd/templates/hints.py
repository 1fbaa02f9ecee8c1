"""What the engine says against a template, in words for its author."""

import re
from typing import Any

from django.template import TemplateSyntaxError

from feedd.templates.spelling import Finding

_VALUE = "a value is a name or a text in quotes, and filters after it: {{ person.first_name|default:'there' }}"
USAGE = {
    "autoescape": "{% autoescape off %}…{% endautoescape %}",
    "barcode": "{% barcode event.code %}",
    "catalog": "{% catalog event.ProductID %}{{ catalog_item.title }}{% endcatalog %}",
    "currency_format": "{% currency_format event.price %}",
    "cycle": "{% cycle 'odd' 'even' %}",
    "elif": "{% elif person.City == 'Boston' %}",
    "filter": "{% filter upper %}…{% endfilter %}",
    "firstof": "{% firstof person.first_name person.title 'there' %}",
    "for": "{% for item in event.Items %}…{% endfor %}",
    "has_category": '{% has_category catalog_item "Sale" as on_sale %}',
    "if": "{% if person.City == 'Boston' %}…{% endif %}",
    "items": '{% items "shop" limit=6 as products %}',
    "changes": '{% changes "shop" since="7d" as drops %}',
    "now": '{% now "F j, Y" %}',
    "regroup": "{% regroup event.Items by Brand as brands %}",
    "render_variable": "{% render_variable preview_text %}",
    "templatetag": "{% templatetag openblock %}",
    "today": '{% today "%Y-%m-%d" as today %}',
    "unsubscribe": "{% unsubscribe 'No more mail' %}",
    "unsubscribe_link": '<a href="{% unsubscribe_link %}">',
    "manage_preferences": "{% manage_preferences 'Preferences' %}",
    "manage_preferences_link": '<a href="{% manage_preferences_link %}">',
    "web_view": "{% web_view 'View in your browser' %}",
    "web_view_link": '<a href="{% web_view_link %}">',
    "widthratio": "{% widthratio value max_value 100 %}",
    "with": "{% with total=event.total %}…{% endwith %}",
}
"""How tags are written: what is told where no rule knows better."""
NUMBERS = frozenset(
    {
        "add", "at_least", "at_most", "center", "days_later", "divide", "divisibleby", "floatadd", "floatsub", "get_digit", "gt",
        "gte", "index", "ljust", "lt", "lte", "minus", "modulo", "multiply", "plus", "remainder", "rjust", "truncatechars",
        "truncatechars_html", "truncatewords", "truncatewords_html", "urlizetrunc", "wordwrap",
    }
)  # fmt: skip
"""Filters whose argument is a number."""
ARGUMENTS = {
    "dictsort": "'Price'", "dictsortreversed": "'Price'", "find_replace": "'old|new'", "list_where": "'Color=red'",
    "lookup": "'Product Name'", "map": "'Title'", "replace_first": "'old|new'", "replace_last": "'old|new'", "slice": "':3'",
    "stringformat": "'.2f'",
}  # fmt: skip
"""Such as an argument of other filters is."""
PLAINER = {
    "'for' statements should": "a loop names the value and the list",
    "'for' tag received an invalid argument": "the names of a loop are joined by commas: {% for key, value in person.items %}",
    "'with' expected": "a name and its value are missing",
    "'with' received": "a name and its value belong together: name=value",
    "'cycle' tag requires": "what it alternates between is missing",
    "'firstof' statement requires": "what it chooses from is missing",
    "'now' statement takes": "it takes one format in quotes",
    "'autoescape' ": "it is either on or off",
    "'regroup' tag": "it names the list, what it is grouped by, and the name for the groups",
    "'ifchanged'": "the condition is not understood",
    "Malformed template tag": "nothing may follow the name of this tag",
}
"""What Django says of its tags, for those who do not know Python."""
LISTS = "docs/template-reference.md"
_TOO_MANY = re.compile(r"'(\w+)' received too many positional arguments")
_TOO_FEW = re.compile(r"'(\w+)' did not receive value\(s\) for the argument\(s\): (.+)")
_TEXT_OF_LINK = ("manage_preferences", "unsubscribe", "web_view")
_REMAINDER = re.compile(r"Could not parse the remainder: '(.*)' from '(.*)'$", re.DOTALL)
_CHARACTERS = re.compile(r"Could not parse some characters: (.*)$", re.DOTALL)
_ARGUMENTS = re.compile(r"(\w+) requires (\d+) arguments, (\d+) provided")
_UNUSED = re.compile(r"Unused '(.+)' at end of if expression")
_NOT_EXPECTING = re.compile(r"Not expecting '(.+)' (?:in this position|as infix operator)")
_UNDERSCORE = re.compile(r"Variables and attributes may not begin with underscores: '(.*)'")
_UNKNOWN = re.compile(r"Invalid (block tag on line \d+|filter): '([^']*)'")


def explained(error: Exception, text: str, start: int) -> Finding:
    """What a tag is refused for, at the characters that are to blame."""
    said = str(error)
    hint = getattr(error, "hint", None)
    if not text[2:-2].strip():
        return Finding(start, len(text), "the tag is empty", hint or "leave it out")
    for look in (_unread, _filter_arguments, _tag_arguments, _condition, _underscores, _unknown):
        found = look(said, text)
        if found is not None:
            at, length, message, default = found
            return Finding(start + at, max(1, length), message, hint or default or usage(text))
    plainer = next((words for begin, words in PLAINER.items() if said.startswith(begin)), None)
    if plainer:
        return Finding(start, len(text), plainer, hint or usage(text))
    at, length = _named(said, text)
    return Finding(start + at, length, _plain(said), hint or usage(text))


def _named(said: str, text: str) -> tuple[int, int]:
    """Where the tag has what a message names in quotes; the whole tag where it names nothing of it."""
    command = text[2:].split(None, 1)[0] if text[2:].split() else ""
    for name in re.findall(r"'([^']+)'|\"([^\"]+)\"", said):
        bare = (name[0] or name[1]).strip()
        at = text.find(bare, 2 + len(command)) if bare and bare != command else -1
        if at >= 0:
            return at, len(bare)
    return 0, len(text)


_Found = tuple[int, int, str, str | None]


def _unread(said: str, text: str) -> _Found | None:
    if found := _REMAINDER.search(said):
        rest, whole = found[1], found[2]
    elif found := _CHARACTERS.search(said):
        parts = found[1].split("|")
        rest, whole = parts[1] if len(parts) > 2 else found[1], found[1]
    elif "Could not find variable at start of" in said:
        return 2, len(text) - 4, "a value is missing before the |", _VALUE
    else:
        return None
    base = max(text.find(whole), 2)
    at = text.find(rest, base + max(0, len(whole) - len(rest))) if rest else base
    at = at if at >= 0 else max(text.find(rest), 2)
    lead = len(rest) - len(rest.lstrip())
    bare = rest.strip()
    return at + lead, len(bare), f"{bare} is not understood here", _VALUE


def _filter_arguments(said: str, text: str) -> _Found | None:
    found = _ARGUMENTS.search(said)
    if found is None:
        return None
    name, wanted, given = found[1], int(found[2]), int(found[3])
    place = re.search(rf"\|\s*({re.escape(name)})\b", text)
    at = place.start(1) if place else 2
    if given < wanted:
        such = "20" if name in NUMBERS else ARGUMENTS.get(name, "'…'")
        return at, len(name), f"the filter {name} needs an argument", f"write |{name}:{such}"
    return at, len(name), f"the filter {name} takes no argument", f"write |{name}"


def _tag_arguments(said: str, text: str) -> _Found | None:
    if found := _TOO_MANY.search(said):
        name = found[1]
        one = name in _TEXT_OF_LINK
        message = f"{name} takes one text" if one else f"{name} takes less than is written here"
        return 0, len(text), message, None if name in USAGE else f"write {{% {name} %}}"
    if found := _TOO_FEW.search(said):
        return 0, len(text), f"{found[1]} needs more than is written here: {found[2]}", None
    return None


def _condition(said: str, text: str) -> _Found | None:
    if "Unexpected end of expression in if tag" in said:
        return len(text) - 3, 1, "the condition ends too early: something is missing", None
    found = _UNUSED.search(said) or _NOT_EXPECTING.search(said)
    if found is None:
        return None
    sign = found[1]
    bare = sign.strip("'\"")
    at = text.rfind(bare) if found.re is _UNUSED else text.find(f" {bare} ") + 1
    message = (
        f"{bare} follows without an operator: values are joined by and, or, ==, in …"
        if found.re is _UNUSED
        else f"{bare} cannot stand here: a value is missing beside it"
    )
    return max(at, 2), len(bare), message, None


def _underscores(said: str, text: str) -> _Found | None:
    found = _UNDERSCORE.search(said)
    if found is None:
        return None
    at = max(text.find(found[1]), 2)
    return at, len(found[1]), "a name that begins with _ cannot be reached", "leave it out"


def _unknown(said: str, text: str) -> _Found | None:
    found = _UNKNOWN.search(said)
    if found is None:
        return None
    kind = "filter" if found[1] == "filter" else "tag"
    at = max(text.find(found[2], 2), 2)
    return at, len(found[2]), f"there is no {kind} {found[2]}", f"{kind}s are listed in {LISTS}"


def usage(text: str) -> str:
    """How a tag like this one is written."""
    words = text[2:-2].split(None, 1) if text.startswith("{%") else []
    found = USAGE.get(words[0]) if words else None
    return f"it is written {found}" if found else _VALUE


def _plain(said: str) -> str:
    """The engine's own words, which begin like ours and end without a stop."""
    words = " ".join(said.split()).rstrip(".")
    return words[:1].lower() + words[1:] if words[1:2].islower() else words


def place(error: Any) -> tuple[int, int]:
    """Where in the source the engine stopped: the first and the last character of the tag; 0, 0 where it is not known."""
    position = getattr(getattr(error, "token", None), "position", None)
    return position if isinstance(error, TemplateSyntaxError) and position else (0, 0)
