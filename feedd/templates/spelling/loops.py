"""`{% for %}` as other languages write it. Pure."""

import re

from feedd.templates.spelling.draft import STRING, Draft

_LIMIT = re.compile(r"\s*[,|]?\s*\b(limit|offset|cols)\s*[:=]\s*([\w.]+)")
_RANGE = re.compile(r"\(\s*([\w.]+?)\s*\.\.\s*([\w.|]+?)\s*\)|range\s*\(([^()]*)\)")
_EACH = re.compile(r"\{%\s*(foreach|each)\s+(\S+)\s+as\s+\$?(\w+)\s*%\}$")
_IN = re.compile(r"\{%\s*(foreach|each)\s+\$?(\w+)\s+(?:in|of)\s+(\S+)\s*%\}$")
_REVERSE = re.compile(r"\breverse\s*(?=%\}$)")


def _applies(draft: Draft) -> bool:
    return draft.is_block and draft.command == "for"


def each(draft: Draft) -> None:
    """`{% foreach xs as x %}`, `{% foreach x in xs %}`."""
    if found := _EACH.match(draft.text):
        draft.rewrite(f"{{% for {found[3]} in {found[2]} %}}", f"{found[1]} is not known")
    elif found := _IN.match(draft.text):
        draft.rewrite(f"{{% for {found[2]} in {found[3]} %}}", f"{found[1]} is called for here")


def missing_in(draft: Draft) -> None:
    """`{% for item event.Items %}`."""
    found = re.match(r"\{%\s*for\s+([A-Za-z_]\w*)(\s+)(?!in\b)[A-Za-z_][\w.]*\s*%\}$", draft.masked)
    if found and found[1] != "in":
        draft.mend(*found.span(2), " in ", "the word in is missing")


def limits(draft: Draft) -> None:
    """`limit:4 offset:2`."""
    if not _applies(draft):
        return
    found = list(_LIMIT.finditer(draft.masked))
    if not found:
        return
    given = {each[1]: each[2] for each in found}
    for each in reversed(found):
        draft.tell(
            each.start(1),
            each.end(),
            f"{each[1]} of a loop is not known: a filter takes a part of the list",
        )
        draft.swap(*each.span(), "")
    start, stop = given.get("offset", ""), given.get("limit", "")
    if start.isdigit() and stop.isdigit():
        stop = str(int(start) + int(stop))
    values = re.search(rf"\sin\s+((?:{STRING}|[^\s%])+)", draft.masked)
    if values and ("limit" in given or "offset" in given):
        draft.swap(values.end(1), values.end(1), f'|slice:"{"" if start == "0" else start}:{stop}"')


def ranges(draft: Draft) -> None:
    """`(1..5)` and `range(5)`."""
    found = _RANGE.search(draft.masked) if _applies(draft) else None
    if found:
        first, last = (found[1], found[2]) if found[2] else _of_range(found[3])
        wanted = '"12345"'
        if first.isdigit() and last.isdigit() and 0 <= int(first) <= int(last) <= 9:
            wanted = f'"{"".join(map(str, range(int(first), int(last) + 1)))}"'
        draft.mend(
            *found.span(), f"{wanted}|make_list",
            "there are no ranges: a loop goes through the values of a list, or the signs of a text",
        )  # fmt: skip


def _of_range(arguments: str) -> tuple[str, str]:
    parts = [part.strip() for part in arguments.split(",")]
    first, last = ("0", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    return first, str(int(last) - 1) if last.isdigit() else last


def words(draft: Draft) -> None:
    """`for x of xs`, `for (x in xs)`, `reverse`."""
    if not _applies(draft):
        return
    if found := re.match(r"\{%\s*for\s+\w+(?:\s*,\s*\w+)*\s+(of|from|:)\s+", draft.masked):
        draft.mend(*found.span(1), "in", f"a loop is written with in, not with {found[1]}")
    if found := re.match(r"(\{%\s*for\s*)\((?:(?:let|var|const)\s+)?([^()]*)\)", draft.masked):
        start = found.end(1)
        inner = draft.text[slice(*found.span(2))]
        draft.mend(start, found.end(), f" {inner}".replace("  ", " "), "a loop has no parentheses")
    if found := _REVERSE.search(draft.masked):
        draft.mend(*found.span(), "reversed ", "a loop the other way round is written reversed")
    if found := re.search(r"\s(if|where)\s+(.+?)\s*%\}$", draft.masked):
        condition = draft.text[slice(*found.span(2))]
        draft.tell(
            found.start(1), found.end(2), "a loop has no condition",
            f"write {{% if {condition} %}}…{{% endif %}} within the loop",
        )  # fmt: skip
        draft.swap(found.start(), found.end(2), "")


RULES = (each, missing_in, words, ranges, limits)
