"""The tags of a source one by one, each mended by itself: what is sound, what is not, and what only looks like a tag."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from django.template import TemplateSyntaxError
from django.template.base import UNKNOWN_SOURCE, DebugLexer, Origin, TokenType

from feedd.templates import hints
from feedd.templates.engine import OurParser, engine
from feedd.templates.spelling import Draft, Finding, rules
from feedd.templates.spelling.tags import BLOCKS, MISSING, ends

REFUSALS = (
    TemplateSyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError,
)  # fmt: skip
"""What Django's tags raise for what they cannot make sense of."""
MOST_SWALLOWED = 50
LONGEST_TAG = 1000  # longer ones are not looked into
_SAMPLES = {
    "if": "{% if x %}", "for": "{% for x in y %}", "with": "{% with x=1 %}", "autoescape": "{% autoescape on %}",
    "filter": "{% filter upper %}",
}  # fmt: skip
_OWNERS = {"elif": "if", "else": "if", "empty": "for"}
_SWALLOWED = re.compile(r"\{\{|\{%")
_LOOSE = re.compile(
    r"\{%(?P<block>[^%{}\n]{0,200}(?:\n[^%{}\n]{0,200}){0,20})(?P<end>%\}|\}\}?|%)?"
    r"|\{\{(?P<var>[^{}\n]{0,200}(?:\n[^{}\n]{0,200}){0,20})(?P<close>\}\}|\}|%\})?"
    r"|\{ (?=[{%])[{%](?P<apart>[^{}%\n]{1,200}?)[}%] ?\}"
    r"|(?<![{$\w])\{(?P<single>(?:person|event|organization|catalog_item)\.[\w.]+|first_name|last_name)\}(?!\})"
)


@dataclass
class Piece:
    """A tag: where it stands, what it says when mended, and whether it compiles as it is."""

    start: int
    end: int
    text: str
    sound: bool = True
    loose: bool = False
    mended: str = ""
    findings: list[Finding] = field(default_factory=list)
    in_catalog: bool = False
    draft: Draft | None = None

    @property
    def is_block(self) -> bool:
        """Whether it is a `{% … %}`, as far as can be told."""
        return self.mended.startswith("{%")

    @property
    def command(self) -> str:
        """The first word of the mended tag; none where it has become several tags."""
        return _command(self.mended) if self.mended.count("{%") == 1 else ""


class Judge:
    """Says whether tags compile, one by one, as they would in their template."""

    def __init__(self) -> None:
        made = engine()
        self._parser = OurParser(
            [], made.template_libraries, made.template_builtins, Origin(UNKNOWN_SOURCE)
        )
        self.tags: Collection[str] = self._parser.tags
        self.filters: Collection[str] = self._parser.filters
        self.rules = rules(self.tags, self.filters)

    def error(self, text: str) -> Exception | None:
        """What the engine has against a tag that stands alone; its block, if it is part of one, is added."""
        command = _command(text)
        if command in BLOCKS:
            return self._parse(f"{text}{{% end{command} %}}")
        owner = _OWNERS.get(command) or command.removeprefix("end")
        if command in ends() and owner in BLOCKS:
            opening = _SAMPLES.get(owner, f"{{% {owner} %}}")
            ending = "" if command.startswith("end") else f"{{% end{owner} %}}"
            if self._parse(f"{opening}{{% end{owner} %}}") is None:
                return self._parse(f"{opening}{text}{ending}")
            return None
        return self._parse(text)

    def fits(self, text: str) -> bool:
        """Whether a mended text compiles: a tag, or several."""
        return self._parse(text) is None or self.error(text) is None

    def _parse(self, text: str) -> Exception | None:
        parser = self._parser
        parser.tokens = list(reversed(DebugLexer(text).tokenize()))
        parser.command_stack = []
        try:
            parser.parse()
        except REFUSALS as e:
            return e
        return None


def _command(text: str) -> str:
    words = text[2:-2].split(None, 1) if text.startswith("{%") else []
    return words[0] if words else ""


def pieces(source: str, judge: Judge) -> Iterator[Piece]:
    """Every tag of a source that is read as one, and what looks like one. Notes and `{% verbatim %}` are passed over."""
    skipped = ""
    for piece in _raw(source, judge):
        if skipped:
            if re.match(rf"\{{%[-\s]*{skipped}\b", piece.text):
                skipped = ""
            else:
                continue
        if not piece.sound:
            _mend(piece, judge)
        if piece.command in ("comment", "verbatim") and not piece.loose:
            own = re.search(r"\w+", piece.text)
            closing = f"end{own[0] if own else ''}"
            if re.search(rf"\{{%[-\s]*{closing}\b", source[piece.end :]):
                skipped = closing
        yield piece


def _raw(source: str, judge: Judge, base: int = 0, swallowed: int = 0) -> Iterator[Piece]:
    for token in DebugLexer(source).tokenize():
        start, end = token.position
        text = source[start:end]
        if token.token_type == TokenType.TEXT:
            yield from _loose(text, base + start)
        elif token.token_type != TokenType.COMMENT:
            yield from _tag(text, base + start, judge, swallowed)


def _tag(text: str, start: int, judge: Judge, swallowed: int) -> Iterator[Piece]:
    """A tag; or, where it has swallowed the next ones, each of those before it, and it."""
    for number in range(swallowed, MOST_SWALLOWED):
        sound = bool(text[2:-2].strip()) and judge.error(text) is None
        cut = 0 if sound else _swallowed(text)
        if not cut:
            yield Piece(start, start + len(text), text, sound, mended=text)
            return
        yield _loose_piece(text[:cut], start, refused=True)
        text, start = text[cut:], start + cut
        first = DebugLexer(text).tokenize()[0]
        if first.token_type != TokenType.TEXT and first.position[1] < len(text):
            yield from _raw(text, judge, start, number + 1)  # whole tags were swallowed
            return
        if text.endswith("}}") != text.startswith("{{"):
            yield _loose_piece(text, start, refused=True)
            return


def _swallowed(text: str) -> int:
    """Where the next tag begins within one that is not closed; 0 where it does not."""
    for found in _SWALLOWED.finditer(text, 3):
        before = text[2 : found.start()]
        if text.startswith("{{"):
            if re.search(r"[^{}\s'\"]['\"]?\s*\}(?!\})", before):  # {{ a }, {{ b }}
                return found.start()
            if not before.rstrip().endswith(
                (":", "|", "=", "(", ",", "+", "-", '"', "'")
            ) and before.strip("{ "):
                return found.start()
        elif found[0] == "{%" or re.search(r"[}>]", before):
            return found.start()
    return 0


def _loose(text: str, start: int) -> Iterator[Piece]:
    for found in _LOOSE.finditer(text):
        if found["single"] is not None:
            mended = f"{{{{ {found['single']} }}}}"
        elif found["apart"] is not None:
            sign = found[0][2]
            mended = f"{{{sign} {found['apart'].strip()} {'}' if sign == '{' else sign}}}"
        else:
            if not re.match(r"[-\s#/]*[A-Za-z]", found["block"] or found["var"] or ""):
                continue
            yield _loose_piece(found[0], start + found.start())
            continue
        yield Piece(
            start + found.start(), start + found.end(), found[0], sound=True, loose=True, mended=mended,
            findings=[
                Finding(
                    start + found.start(), len(found[0]), f"{found[0]} is not read as a tag: it is shown as it stands",
                    f"write {mended}", "warning",
                )
            ],
        )  # fmt: skip


def _loose_piece(text: str, start: int, *, refused: bool = False) -> Piece:
    """What begins like a tag and does not end like one."""
    sign, closing = (text[1], "}}" if text[1] == "{" else "%}")
    lines = "\n" in text and text.endswith(("%}", "}}"))
    begun = re.match(r"\{[{%][^{}<>\n]*", text)
    length = len(text) if lines or begun is None else len(begun[0].rstrip())
    if begun is not None and text[begun.end() : begun.end() + 1] == "}":
        length = begun.end() + 1
    said = " ".join(text[2:length].strip("{}%\n -").split())
    mended = f"{{{sign} {said} {closing}"
    message = (
        "a tag must stand on one line: broken over lines it is shown as text"
        if lines
        else f"the tag is not closed: {closing} is missing"
    )
    hint = MISSING.get(_command(mended)) or (f"write {mended}" if len(mended) < 200 else None)
    finding = Finding(start, length, message, hint, "error" if refused else "warning")
    return Piece(
        start, start + len(text), text, not refused, loose=True, mended=mended, findings=[finding]
    )


def _hint(piece: Piece, draft: Draft) -> str:
    mended = draft.text
    if draft.form is not None:
        return draft.form.replace("@", mended)
    command = _command(mended)
    own = piece.text.startswith("{%") and re.search(rf"[%#-]\s*{command}\b", piece.text)
    whole = command not in BLOCKS or own or mended.count("{%") > 1
    return f"write {mended}" + ("" if whole else f"…{{% end{command} %}}")


def _mend(piece: Piece, judge: Judge) -> None:
    """Find what is wrong with a tag that does not compile."""
    if piece.loose:
        return
    error = judge.error(piece.text) or TemplateSyntaxError("Empty")
    draft = Draft(piece.text, piece.start)
    if len(piece.text) <= LONGEST_TAG:
        for rule in judge.rules:
            rule(draft)
    mended = draft.text
    piece.mended = mended
    if draft.form is not None:
        draft.findings = draft.findings[:1]
        piece.mended = re.sub(r"^\{%[-~+]?\s*", "{% ", piece.text)
    piece.findings = draft.findings or [hints.explained(error, piece.text, piece.start)]
    fits = judge.fits(mended)
    is_mended = draft.form is not None or (fits and mended != piece.text)
    right = _hint(piece, draft) if is_mended else None
    piece.draft = draft if fits and draft.form is None else None
    piece.findings = [
        replace(each, hint=(each.hint or "@").replace("@", right or hints.usage(piece.text)))
        for each in piece.findings
    ]
