"""Names that compile and are blank all the same: misspelled ones, and those of other template languages. Pure."""

import re
from collections.abc import Collection, Iterator

from feedd.templates.spelling.draft import STRING, Draft, Finding, nearest
from feedd.templates.spelling.filters import DATE, STRFTIME, TEXT_DATE, django_date
from feedd.templates.spelling.tags import LINKS, SAME

ROOTS = (
    "catalog_id", "catalog_item", "email", "event", "feeds", "first_name", "forloop", "full_name", "last_name", "message",
    "now", "object", "object_filter", "organization", "person", "phone_number", "preview_text", "today", "web_feeds",
)  # fmt: skip
KNOWN: dict[str, tuple[str, ...]] = {
    "person": (
        "city", "country", "created", "email", "external_id", "first_name", "full_name", "id", "image", "last_name",
        "location", "organization", "phone_number", "properties", "region", "timezone", "title", "zip",
    ),
    "organization": (
        "city", "country", "full_address", "homepage", "name", "region", "street_address", "street_address2",
        "url", "zip_code",
    ),
    "catalog_item": (
        "categories", "currency_code", "currency_symbol", "description", "featured_image", "history", "id", "metadata",
        "price", "title", "url", "variant",
    ),
    "forloop": ("counter", "counter0", "first", "last", "parentloop", "revcounter", "revcounter0"),
}  # fmt: skip
"""Names that everybody's values have. Those of persons may have any other besides."""
OTHERWISE = {
    "catalog_item": {
        "custom_metadata": "metadata", "image_full_url": "featured_image.full.src", "name": "title",
        "image_thumbnail_url": "featured_image.thumbnail.src", "image_url": "featured_image.full.src",
    },
    "organization": {"address": "full_address", "address1": "street_address", "website": "url", "zip": "zip_code"},
}  # fmt: skip
"""What other names of a value's mean here."""
OF_PEOPLE = {
    "email": "email", "first_name": "first_name", "firstname": "first_name", "firstName": "first_name",
    "last_name": "last_name", "lastname": "last_name", "lastName": "last_name", "full_name": "full_name", "name": "full_name",
}  # fmt: skip
PEOPLE = ("contact", "customer", "recipient", "subscriber")
"""What others call the person that a message is for."""
OF_SHOPS = {"address": "full_address", "name": "name", "url": "url"}
SHOPS = ("company", "shop", "store")
"""What others call whose message it is."""
CLOSED = ("forloop",)
"""Values that have no other names than those."""
LOOPS = {
    "index": "counter", "index0": "counter0", "index1": "counter", "length": "counter", "revindex": "revcounter",
    "revindex0": "revcounter0", "rindex": "revcounter", "rindex0": "revcounter0", "count": "counter", "iteration": "counter",
}  # fmt: skip
WORDS = {"true": "True", "false": "False", "null": "None", "nil": "None", "none": "None"}
_Told = tuple[str, str, int]
_GIVEN = {
    "preview_text": "{% render_variable preview_text %}",
    "today": '{% today "%Y-%m-%d" as today %}',
}
_NOTHING = ("blank", "empty")
_OPERATORS = frozenset({"and", "or", "not", "in", "is", "as", "by", "reversed", "True", "False", "None"})  # fmt: skip
_PATH = re.compile(r"(?<![\w.|:$%@/#'\"\x1a-])([A-Za-z_]\w*)((?:\.\w+)*)(?!\w|\(|=(?!=))")
_ARGUMENT = re.compile(r"\|\s*(default|lookup|append|prepend|default_if_none|date|join|split):([A-Za-z_]\w*)(?![\w.])")  # fmt: skip
_ALWAYS = re.compile(rf"\s(?:==|!=)\s*{STRING}\s+(?:or|and)\s+({STRING})(?=\s+(?:or|and)\s|\s*%)")
_QUOTED_NUMBER = re.compile(r"\s(?:[<>]=?)\s*([\"']\x1a+[\"'])")
_BARE_CANCEL = re.compile(r"\b(?:unpublished|out_of_stock)=(cancel)\b")
_BRACED = re.compile(r"[\"']\s*\{\{\s*([^{}\"']+?)\s*\}\}\s*[\"']")
_SAME_OBJECT = re.compile(rf"\s(is(?:\s+not)?)\s+(?={STRING}|\d)|{STRING}\s+(is(?:\s+not)?)\s")
_NOW = re.compile(r"\{\{\s*(now|'\x1a{3}'|\"\x1a{3}\")\s*\|\s*date:")
_ITEMS = re.compile(r"(?:^|[._])items$", re.IGNORECASE)
_MANY = re.compile(r"(?:s|list|cart|collection|tags)$", re.IGNORECASE)


def bound(text: str) -> set[str]:
    """The names that a tag gives to values."""
    if found := re.match(r"\{%\s*for\s+([\w\s,]+?)\s+in\s", text):
        return {name.strip() for name in found[1].split(",")}
    if re.match(r"\{%\s*with\s", text):
        return set(re.findall(r"(\w+)=(?!=)", text)) | set(re.findall(r"\sas\s+(\w+)", text))
    return set(re.findall(r"\sas\s+(\w+)", text)) if text.startswith("{%") else set()


class Names:
    """What is asked of each tag: `given` are the names that the template itself gives, `feeds` the web feeds there are."""

    def __init__(self, given: Collection[str], feeds: Collection[str] | None) -> None:
        self.given = given
        self.feeds = feeds
        self.roots = sorted({*ROOTS, *given})

    def findings(self, draft: Draft, *, in_catalog: bool) -> Iterator[Finding]:
        """What is doubtful in a tag."""
        yield from _dates(draft, self.given)
        yield from self._arguments(draft)
        yield from _dots(draft)
        masked = draft.masked
        start = 2
        if draft.is_block:
            command = re.match(r"\{%\s*\w+", masked)
            start = command.end() if command else 2
        in_condition = draft.command in ("if", "elif")
        if in_condition:
            yield from _same_object(draft)
            yield from _quoted(draft)
        yield from _block(draft)
        if draft.command in (
            "comment",
            "load",
            "today",
            "now",
            "autoescape",
            "templatetag",
            "render_variable",
        ):
            return
        for found in _PATH.finditer(masked, start):
            root, rest = found[1], found[2][1:].split(".") if found[2] else []
            if root in _OPERATORS:
                continue
            told = self._name(root, rest, in_catalog) or _size(found, masked, in_condition)
            if told is None and in_condition and not rest and root not in self.given:
                told = _word(root)
            if told:
                message, hint, step = told
                start_, end_ = _step(found, step)
                at, end = draft.places[start_], draft.places[end_]
                yield Finding(at, end - at, message, hint, "warning")

    def _name(self, root: str, rest: list[str], in_catalog: bool) -> _Told | None:
        if root in self.given:
            return None
        if root in LINKS and not rest:
            return f"{root} is a tag, and as a name it is blank", f"write {{% {root} %}}", 0
        if not rest and SAME.get(root) in LINKS:
            return f"{root} is blank: a tag gives the address", f"write {{% {SAME[root]} %}}", 0
        if root in PEOPLE and len(rest) == 1 and rest[0] in OF_PEOPLE:
            return (
                f"{root} is not known: who it is for is called person",
                f"write person.{OF_PEOPLE[rest[0]]}",
                0,
            )
        if root in SHOPS and len(rest) == 1 and rest[0] in OF_SHOPS:
            return (
                f"{root} is not known: whose mail it is is called organization",
                f"write organization.{OF_SHOPS[rest[0]]}",
                0,
            )
        if rest and rest[-1] in LINKS:
            return f"{root} has no {rest[-1]}", f"write {{% {rest[-1]} %}}", -1
        if root in _GIVEN:
            return f"{root} is blank unless a tag gives it", f"write {_GIVEN[root]}", 0
        if root == "loop":
            right = LOOPS.get(rest[0], rest[0]) if rest else "counter"
            return "loop is Jinja: here it is forloop", f"write forloop.{right}", 0
        if root == "catalog_item" and not in_catalog:
            return (
                "catalog_item is known within {% catalog %} only",
                "write {% catalog event.ProductID %}…{% endcatalog %} around it", 0,
            )  # fmt: skip
        is_feed = root in ("feeds", "web_feeds") and bool(rest)
        if is_feed and self.feeds is not None and rest[0] not in self.feeds:
            return self._feed(root, rest[0])
        if root not in self.roots:
            near = nearest(root, self.roots, 0.84) if len(root) > 3 else None
            if near is None or near.rstrip("s") == root.rstrip("s"):  # items, and item of a loop
                return None
            return f"{root} is not known", f"did you mean {near}?", 0
        return _attribute(root, rest) if rest else None

    def _feed(self, root: str, name: str) -> _Told:
        near = nearest(name, self.feeds or (), 0.6)
        there = ", ".join(sorted(self.feeds or ())) or "none"
        return (
            f"there is no web feed {name}",
            f"did you mean {root}.{near}?" if near else f"the configuration has [web_feeds.…]: {there}", 1,
        )  # fmt: skip

    def _arguments(self, draft: Draft) -> Iterator[Finding]:
        for found in _ARGUMENT.finditer(draft.masked):
            name = found[2]
            if name not in self.roots and name not in ("True", "False", "None"):
                at, end = (draft.places[n] for n in found.span(2))
                yield Finding(
                    at, end - at, f"{name} without quotes is taken for a name, and that name is not known",
                    f"for the text write |{found[1]}:'{name}'", "warning",
                )  # fmt: skip


def _step(found: re.Match[str], step: int) -> tuple[int, int]:
    """Where one of the names stands that dots join."""
    names = found[0].split(".")
    step %= len(names)
    start = found.start() + sum(len(name) + 1 for name in names[:step])
    return start, start + len(names[step])


def _attribute(root: str, rest: list[str]) -> _Told | None:
    name = rest[0]
    known = KNOWN.get(root)
    if known is None or name in known or name.lower() in known:
        return None
    if root == "forloop" and name in LOOPS:
        return f"forloop has no {name}", f"write forloop.{LOOPS[name]}", 1
    if other := OTHERWISE.get(root, {}).get(name):
        return f"{root} has no {name}, as far as is known", f"write {root}.{other}", 1
    near = nearest(name, known, 0.6 if root in CLOSED else 0.86)
    return (
        (f"{root} has no {name}, as far as is known", f"did you mean {root}.{near}?", 1)
        if near
        else None
    )


def _size(found: re.Match[str], masked: str, in_condition: bool) -> _Told | None:
    path = found[0]
    before, _, last = path.rpartition(".")
    after = masked[found.end() :]
    if last in ("size", "length") or (last == "count" and _ITEMS.search(before)):
        compared = in_condition and re.match(r"\s*(==|!=|<|>)", after)
        if before and (compared or _MANY.search(before)):
            return f".{last} is not known: a filter counts", f"write {before}|length", -1
    elif last in ("first", "last") and before != "forloop" and _MANY.search(before):
        return f".{last} is not known: it is a filter", f"write {before}|{last}", -1
    elif (middle := re.search(r"^(.*s)\.first\.(.+)$", path)) and not path.startswith("forloop"):
        return (
            ".first is not known within a name",
            f"write {middle[1]}.0.{middle[2]}",
            middle[1].count(".") + 1,
        )
    return None


def _word(root: str) -> _Told | None:
    if root in WORDS:
        return f"{root} is taken for a name, which is blank", f"write {WORDS[root]}", 0
    if root in _NOTHING:
        return (
            f"{root} is taken for a name, which is blank",
            "write {% if not x %}, or {% if x %}",
            0,
        )
    return None


def _dots(draft: Draft) -> Iterator[Finding]:
    for found in re.finditer(r"(?<=\w)(?:\.\.+(?=\w)|\.+(?=\s*[|}%]))", draft.masked):
        if (
            not draft.masked[found.start() - 1].isdigit()
            or draft.masked[found.start() - 2].isalpha()
        ):
            at = draft.places[found.start()]
            yield Finding(
                at,
                len(found[0]),
                "a dot too many: nothing is called so",
                "write event.Items.0.Name",
                "warning",
            )


def _same_object(draft: Draft) -> Iterator[Finding]:
    for found in _SAME_OBJECT.finditer(draft.masked):
        group = 1 if found[1] else 2
        at = draft.places[found.start(group)]
        sign = "!=" if found[group].endswith("not") else "=="
        yield Finding(
            at, len(found[group]), f"{found[group]} does not compare texts or numbers",
            f"write {sign}", "warning",
        )  # fmt: skip


def _quoted(draft: Draft) -> Iterator[Finding]:
    for found in _ALWAYS.finditer(draft.masked):
        at = draft.places[found.start(1)]
        text = draft.text[slice(*found.span(1))]
        left = re.search(r"(\S+)\s*$", draft.text[: found.start()])
        yield Finding(
            at, len(text), "a text alone is always true: each comparison names both of its values",
            f"write {left[1] if left else 'a'} == {text}", "warning",
        )  # fmt: skip
    for found in _QUOTED_NUMBER.finditer(draft.masked):
        text = draft.text[slice(*found.span(1))]
        if re.fullmatch(r"-?\d+(\.\d+)?", text[1:-1]):
            yield Finding(
                draft.places[found.start(1)], len(text), "in quotes it is a text, which is not compared with numbers",
                f"write {text[1:-1]}", "warning",
            )  # fmt: skip


def _block(draft: Draft) -> Iterator[Finding]:
    if draft.is_block and (found := _BRACED.search(draft.text)):
        at = draft.places[found.start()]
        yield Finding(
            at, len(found[0]), "within quotes nothing is put in: a name stands alone in a tag",
            f"write {found[1]}", "warning",
        )  # fmt: skip
    if draft.command == "catalog" and (found := _BARE_CANCEL.search(draft.masked)):
        at = draft.places[found.start(1)]
        yield Finding(
            at, len(found[1]), "without quotes it is a name, and the word only where nothing is called so",
            f'write {found[0][:-6]}"cancel"', "warning",
        )  # fmt: skip


def _dates(draft: Draft, given: Collection[str]) -> Iterator[Finding]:
    now = _NOW.match(draft.masked)
    first = DATE.search(draft.masked)
    if now and draft.text[slice(*now.span(1))].strip("\"'") == "now":
        right = django_date(draft.text[slice(*first.span(2))]) if first else "F j, Y"
        yield Finding(
            draft.places[now.start(1)], len(now[1]), "now is not known as a value: a tag tells the time",
            f'write {{% now "{right}" %}}', "warning",
        )  # fmt: skip
        return
    of_text = {
        found.start(3)
        for found in TEXT_DATE.finditer(draft.masked)
        if found[2] == "today" or found[2] not in given
    }
    for found in DATE.finditer(draft.masked):
        form = draft.text[slice(*found.span(2))]
        name = found.start() + found[0].index("date")
        read = "|format_date_string" if name in of_text else ""
        if STRFTIME.search(form):
            at = draft.places[found.start(2)]
            yield Finding(
                at, len(form), "dates are written with Django's letters, not with %",
                f'write {read}|date:"{django_date(form)}"', "warning",
            )  # fmt: skip
        elif read:
            yield Finding(
                draft.places[name], 4, "a date that stands in a text is blank here until it is read",
                f"write {read}|date:{draft.text[found.start(1):found.end()]}", "warning",
            )  # fmt: skip
