"""Which tags of a source belong together, and which are left over."""

import re
from dataclasses import dataclass, replace

from feedd.templates.pieces import Piece
from feedd.templates.spelling import Finding
from feedd.templates.spelling.tags import BLOCKS, FOREIGN
from feedd.templates.wire import MOST_PROBLEMS

MOST = MOST_PROBLEMS
_AHEAD = 5000


@dataclass
class Open:
    """A block that is not closed yet."""

    name: str
    piece: Piece
    had_else: bool = False


class Structure:
    """Walks through the tags of a source and tells what is not closed, closes nothing, or stands in the wrong place."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self.findings: list[Finding] = []
        self._stack: list[Open] = []
        self._crossed: dict[str, int] = {}
        closings = {piece.command for piece in pieces}
        self._blocks = dict(BLOCKS)
        for name in {piece.command for piece in pieces}:
            if name not in BLOCKS and f"end{name}" in closings:
                self._blocks[name] = FOREIGN.get(name, ("else",))
        self._middles = {each for names in self._blocks.values() for each in names}

    def walk(self) -> list[Finding]:
        """What is wrong. Marks on the way which tags stand within a `{% catalog %}`."""
        for number, piece in enumerate(self.pieces):
            piece.in_catalog = any(each.name == "catalog" for each in self._stack)
            name = piece.command
            if name in self._blocks:
                self._stack.append(Open(name, piece))
            elif name.startswith("end") and (name == "end" or name[3:] in self._blocks):
                self._close(number, piece, name[3:])
            elif (
                name.startswith("end")
                and len(name) > 3
                and piece.sound is False
                and not piece.findings
            ):
                self._stray(piece, name[3:])
            elif name in self._middles:
                self._middle(number, piece, name)
            if len(self.findings) >= MOST:
                return self.findings
        for each in self._stack:
            self._unclosed(each)
        return self.findings

    def _close(self, number: int, piece: Piece, name: str) -> None:
        if not name and self._stack:
            name = self._stack[-1].name
            piece.findings = []
            self._tell(piece, "the end of a block says what it ends", f"write {{% end{name} %}}")
        at = next(
            (n for n in range(len(self._stack) - 1, -1, -1) if self._stack[n].name == name), None
        )
        if at is None:
            self._left_over(number, piece, name)
            return
        opened = self._stack[at]
        _told_once(opened.piece, piece)
        for each in self._stack[at + 1 :]:
            if self._closes_later(number, each.name) and each.name not in self._crossed:
                self._crossed[each.name] = len(self.findings)
                self._tell(
                    each.piece, f"{{% {each.name} %}} begins within {{% {name} %}} and must end within it",
                    f"write {{% end{each.name} %}} before {{% end{name} %}}",
                )  # fmt: skip
            else:
                self._unclosed(each)
        del self._stack[at:]
        for each_piece, other in ((piece, opened.piece), (opened.piece, piece)):
            if each_piece.loose and not other.loose:
                each_piece.findings = [
                    replace(each, severity="error") for each in each_piece.findings
                ]

    def _left_over(self, number: int, piece: Piece, name: str) -> None:
        if piece.loose:
            return
        if name in self._crossed:
            del self._crossed[name]
            return
        top = self._stack[-1] if self._stack else None
        if top is not None and not top.piece.loose and not self._closes_later(number, top.name):
            self._stack.pop()
            self._tell(
                piece, f"{{% end{name} %}} does not end {{% {top.name} %}}", f"write {{% end{top.name} %}}"
            )  # fmt: skip
            return
        self._stray(piece, name)

    def _stray(self, piece: Piece, name: str) -> None:
        self._tell(
            piece, f"{{% end{name} %}} ends nothing: no {{% {name} %}} is open here",
            f"leave it out, or write {{% {name} … %}} before it",
        )  # fmt: skip

    def _middle(self, number: int, piece: Piece, name: str) -> None:
        depth = next(
            (
                n
                for n in range(len(self._stack) - 1, -1, -1)
                if name in self._blocks[self._stack[n].name]
            ),
            None,
        )
        if piece.loose and depth is None:
            return
        if depth is None:
            self._misplaced(piece, name)
            return
        above = self._stack[depth + 1 :]
        if above and any(self._closes_later(number, each.name) for each in above):
            self._misplaced(piece, name)
            return
        for each in above:
            self._unclosed(each)
        del self._stack[depth + 1 :]
        opened = self._stack[depth]
        _told_once(opened.piece, piece)
        if opened.had_else and opened.name != "case":
            self._tell(
                piece, f"{{% {name} %}} stands after the {{% else %}} of the same block",
                "a block has one {% else %}, and it is the last part",
            )  # fmt: skip
        opened.had_else = opened.had_else or name in ("else", "empty")
        if piece.loose and not opened.piece.loose:
            piece.findings = [replace(each, severity="warning") for each in piece.findings]

    def _misplaced(self, piece: Piece, name: str) -> None:
        top = self._stack[-1].name if self._stack else None
        if top == "for" and name == "else":
            self._tell(
                piece,
                "a loop has no {% else %}",
                "write {% empty %}: what follows is shown for an empty list",
            )
            return
        owner = "for" if name == "empty" else "if"
        where = (
            f"{{% {top} %}} is open here, and has none"
            if top
            else f"no {{% {owner} %}} is open here"
        )
        self._tell(piece, f"{{% {name} %}} belongs to {{% {owner} %}}: {where}", f"leave it out, or write {{% {owner} … %}} before it")  # fmt: skip

    def _unclosed(self, opened: Open) -> None:
        if opened.piece.loose:
            return
        name = opened.name
        ending = f"{{% end{name} %}}"
        piece = opened.piece
        message = f"the {{% {name} %}} that begins here is not closed: {ending} is missing"
        hint = f"write {ending} where it ends"
        self.findings.append(Finding(piece.start, piece.end - piece.start, message, hint))

    def _tell(self, piece: Piece, message: str, hint: str) -> None:
        if any(each.severity == "error" for each in piece.findings):
            return  # one problem a tag: it is told already
        self.findings.append(Finding(piece.start, piece.end - piece.start, message, hint))

    def _closes_later(self, number: int, name: str) -> bool:
        depth = 0
        for piece in self.pieces[number + 1 : number + _AHEAD]:
            if piece.command == name:
                depth += 1
            elif piece.command == f"end{name}":
                if not depth:
                    return True
                depth -= 1
        return False


def _told_once(opening: Piece, other: Piece) -> None:
    """An end or a middle that is as foreign as its beginning is no problem of its own."""
    begun, own = _word(opening.text), _word(other.text)
    in_braces = opening.text.startswith("{{")
    foreign = in_braces == other.text.startswith("{{") if in_braces else begun not in BLOCKS
    fitting = own in (begun, f"end{begun}", "else", "elsif", "when")
    if foreign and fitting and not opening.sound and not other.loose:
        other.findings = []


def _word(text: str) -> str:
    found = re.search(r"[A-Za-z_]\w*", text)
    return found[0] if found else ""


def in_wrong_braces(piece: Piece) -> str | None:
    """`{{ else }}` and `{{ endif }}`, which compile as names; the tag that is meant."""
    found = re.fullmatch(r"\{\{\s*(else|empty|end\w+)\s*\}\}", piece.text)
    return found[1] if found and (found[1] in ("else", "empty") or found[1][3:] in BLOCKS) else None
