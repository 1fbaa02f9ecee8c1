"""Names that compile and are blank all the same: misspelled ones, and those of other template languages. Pure."""

import re
from collections.abc import Collection, Iterator

from feedd.templates.spelling import catalogs, dates
from feedd.templates.spelling.draft import STRING, Draft, Finding, nearest
from feedd.templates.spelling.expressions import METHODS
from feedd.templates.spelling.lists import ITEM, OFTEN, Lists
from feedd.templates.spelling.tags import LINKS, SAME
from feedd.templates.wire import Known

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
WORDS = catalogs.TRUTHS
WEB_FEEDS = ("feed", "web_feed", "webfeed", "webfeeds")
"""What `feeds` and `web_feeds` are called by mistake."""
FACTS = ("age_seconds", "error", "fetched_at", "status")
"""What is known of a web feed."""
TEXTS = ("email", "first_name", "full_name", "last_name", "phone_number")
"""Names whose values are texts, of which nothing is reached by a dot."""
CALLED = {name: METHODS[name] for name in ("capitalize", "lower", "strip", "toLowerCase", "toUpperCase", "trim", "upper")}  # fmt: skip
"""What is a filter, and never the name of a property."""
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
_DEFINED = re.compile(r"(?<=\s)([\w.]+)\s+(is\s+(?:not\s+)?(?:defined|undefined|set|present))\b")
_NO_NAME = re.compile(r"(?<=[\s:|(])(\.)[A-Za-z_][\w.]*")
_BRACED = re.compile(r"[\"']\s*\{\{\s*([^{}\"']+?)\s*\}\}\s*[\"']")
_SAME_OBJECT = re.compile(rf"\s(is(?:\s+not)?)\s+(?={STRING}|\d)|{STRING}\s+(is(?:\s+not)?)\s")
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
    """What is asked of each tag: `given` are the names that the template itself gives, `lists` what is known of them."""

    def __init__(self, given: Collection[str], known: Known, lists: Lists) -> None:
        self.given = given
        self.feeds = known.web_feeds
        self.catalogs = known.catalogs
        self.lists = lists
        self.roots = sorted({*ROOTS, *given})

    def findings(self, draft: Draft, *, in_catalog: bool) -> Iterator[Finding]:
        """What is doubtful in a tag."""
        yield from dates.doubtful(draft, self.given)
        yield from self._arguments(draft)
        yield from _dots(draft)
        bare = list(catalogs.doubtful(draft, self.roots, self.catalogs))
        yield from bare
        told_already = {each.at for each in bare}
        masked = draft.masked
        start = 2
        if draft.is_block:
            command = re.match(r"\{%\s*\w+", masked)
            start = command.end() if command else 2
        in_condition = draft.command in ("if", "elif")
        if in_condition:
            yield from _same_object(draft)
            yield from _quoted(draft)
            yield from self._defined(draft)
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
            has_words = in_condition or draft.command == "with"
            if told is None and has_words and not rest and root not in self.given:
                told = _word(root)
            if told and draft.places[found.start()] not in told_already:
                message, hint, step = told
                start_, end_ = _step(found, step)
                at, end = draft.places[start_], draft.places[end_]
                yield Finding(at, end - at, message, hint, "warning")

    def _name(self, root: str, rest: list[str], in_catalog: bool) -> _Told | None:
        if root in self.given:
            return self.lists.told(root, rest) or _called(root, rest)
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
        if root in WEB_FEEDS and rest:
            return f"{root} is not known", f"write {_feeds(rest)}", 0
        if root == "web_feeds" and len(rest) > 1 and rest[1] not in FACTS:
            return _fact(rest)
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
        return (_attribute(root, rest) or _called(root, rest)) if rest else None

    def _defined(self, draft: Draft) -> Iterator[Finding]:
        for found in _DEFINED.finditer(draft.masked):
            start, end = (draft.places[place] for place in found.span(2))
            words = found[2].split()
            if words[-1] not in self.roots:
                negated = (len(words) > 2) != (words[-1] == "undefined")
                right = f"{'not ' if negated else ''}{found[1]}"
                yield Finding(
                    start, end - start, f"{' '.join(words)} is not known: a name alone asks for a value",
                    f"write {{% if {right} %}}", "warning",
                )  # fmt: skip

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
    if root == "catalog_item" and name in ITEM:
        return None
    if (
        root == "catalog_item"
        and name not in OTHERWISE[root]
        and (right := catalogs.slip(name, OFTEN))
    ):
        return f"{root} has no {name}, as far as is known", f"did you mean {root}.{right}?", 1
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


def _called(root: str, rest: list[str]) -> _Told | None:
    """What is written as a method, and is a filter."""
    last = rest[-1] if rest else ""
    path = ".".join((root, *rest[:-1]))
    if last in CALLED and path not in ("person", "event"):
        return f".{last} is not known: it is a filter", f"write {path}|{CALLED[last]}", -1
    if root in TEXTS and len(rest) == 1:
        right = METHODS.get(last)
        return (
            f"{root} is a text: {last} is blank",
            f"write {path}|{right}" if right else f"write {path}",
            1,
        )
    return None


def _feeds(rest: list[str]) -> str:
    """The name of a web feed's body, or of what is known of it."""
    root = "web_feeds" if len(rest) == 2 and rest[1] in FACTS else "feeds"
    return ".".join((root, *rest))


def _fact(rest: list[str]) -> _Told:
    name, asked = rest[:2]
    near = next((each for each in FACTS if each.startswith(asked)), None) or nearest(
        asked, FACTS, 0.6
    )
    return (
        f"nothing called {asked} is known of a web feed",
        f"did you mean web_feeds.{name}.{near}?" if near else f"the body is feeds.{'.'.join(rest)}", 2,
    )  # fmt: skip


def _dots(draft: Draft) -> Iterator[Finding]:
    for found in _NO_NAME.finditer(draft.masked):
        name = found[0][1:]
        at = draft.places[found.start()]
        yield Finding(
            at, len(found[0]), "a name is missing before the dot", f"write {name}, or event.{name}", "warning"
        )  # fmt: skip
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
