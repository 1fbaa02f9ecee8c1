"""Conditions of `{% if %}` as other languages write them. Pure."""

import re

from feedd.templates.spelling.draft import STRING, VALUE, Draft

WORDS = {
    "AND": "and", "OR": "or", "NOT": "not", "IN": "in", "eq": "==", "ne": "!=", "neq": "!=", "gt": ">", "gte": ">=", "ge": ">=",
    "lt": "<", "lte": "<=", "le": "<=", "equals": "==", "is_not": "!=",
}  # fmt: skip
_OPERATORS = re.compile(r"===|!==|==|!=|<>|<=|>=|=>|=<|<|>|&&|\|\||=|!(?=[\w(\"'])")
_RIGHT = {
    "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=", "&&": "and", "||": "or", "=": "==", "!": "not ",
}  # fmt: skip
_CONTAINS = re.compile(
    rf"({STRING}|[\w.]+(?:\|\w+(?::{VALUE})?)*)\s+(not\s+)?(contains|includes)\s+({STRING}|[\w.]+)"
)
_DEFINED = re.compile(r"\s+is\s+(not\s+)?(defined|set|present|blank|empty|null|nil|undefined)\b")
_EXISTS = re.compile(r"\s+(exists|exist)\b")
_NOT = re.compile(rf"(?<![\w.])(?!(?:if|elif|and|or|not|in|is)\b)[\w.]+\s+(not)\s+(?={STRING})")
_TRAILING = re.compile(r"(\s*:|\s+then|\s*\{)\s*(?=-?%\})")


def _applies(draft: Draft) -> bool:
    return draft.is_block and draft.command.strip("(!") in ("if", "elif")


def operators(draft: Draft) -> None:
    """`&&`, `===`, `=`, and operators without spaces around them."""
    if not _applies(draft):
        return
    masked = draft.masked
    for found in reversed(list(_OPERATORS.finditer(masked, 2, len(masked) - 2))):
        start, end = found.span()
        sign = found[0]
        if sign == "||" and re.match(r"\s*\w+\s*:", masked[end:]):
            continue
        right = _RIGHT.get(sign, sign)
        left_gap = "" if masked[start - 1].isspace() else " "
        right_gap = "" if masked[end].isspace() or right.endswith(" ") else " "
        if right == sign and not left_gap and not right_gap:
            continue
        if right == sign:
            message = f"spaces must stand around {sign}"
        elif sign == "=":
            message = "one = is no comparison"
        else:
            message = f"{sign} is not known in a condition"
        draft.mend(start, end, f"{left_gap}{right}{right_gap}", message)


def words(draft: Draft) -> None:
    """`AND`, `eq`."""
    if not _applies(draft):
        return
    for found in reversed(list(re.finditer(r"(?<=\s)\w+(?=\s)", draft.masked))):
        if found[0] in WORDS:
            draft.mend(*found.span(), WORDS[found[0]], f"{found[0]} is written {WORDS[found[0]]}")


def negations(draft: Draft) -> None:
    """`a not "b"`."""
    while _applies(draft) and (found := _NOT.search(draft.masked)):
        draft.mend(*found.span(1), "!=", "not stands before a condition: two values differ with !=")


def contains(draft: Draft) -> None:
    """`a contains "b"`."""
    while _applies(draft) and (found := _CONTAINS.search(draft.masked)):
        whole, part = (draft.text[slice(*found.span(n))] for n in (1, 4))
        draft.tell(*found.span(3), f"{found[3]} is written the other way round, with in")
        draft.swap(*found.span(), f"{part} {found[2] or ''}in {whole}")


def defined(draft: Draft) -> None:
    """`x is defined`, `x is not empty`, `x exists`."""
    while _applies(draft) and (
        found := _DEFINED.search(draft.masked) or _EXISTS.search(draft.masked)
    ):
        before = draft.text[: found.start()]
        word = found[found.re.groups]
        missing = word in ("blank", "empty", "null", "nil", "undefined")
        negated = found.re.groups == 2 and found[1] is not None
        draft.mend(
            *found.span(), "", f"{found[0].strip()} is not known: a name alone asks for a value"
        )
        if missing != negated:
            name = re.search(r"\S+$", before)
            if name:
                draft.swap(name.start(), name.start(), "not ")


def trailing(draft: Draft) -> None:
    """`{% if x: %}`, `{% if x then %}`."""
    while _applies(draft) and (found := _TRAILING.search(draft.masked)):
        draft.mend(*found.span(), " ", f"{found[1].strip()} must not stand at the end")


def parentheses(draft: Draft) -> None:
    """`{% if (a or b) and c %}`."""
    masked = draft.masked
    if not _applies(draft) or not re.search(r"[()]", masked):
        return
    at = masked.index("(") if "(" in masked else masked.index(")")
    simple = re.fullmatch(r"\{%\s*(el)?if\s*\(([^()]*)\)\s*%\}", masked)
    mixed = " and " in masked and " or " in masked
    draft.tell(
        at, at + 1, "conditions have no parentheses",
        "and binds closer than or; for the other order nest one {% if %} in another" if mixed and not simple else None,
    )  # fmt: skip
    for found in reversed(list(re.finditer(r"[()]", masked))):
        before = masked[found.start() - 1]
        draft.swap(*found.span(), " " if found[0] == "(" and before.isalnum() else "")


RULES = (trailing, parentheses, operators, words, defined, negations, contains)
