"""Every problem of a template: what the engine refuses, and what it takes though its author cannot have meant it.

Errors are what keeps a template from being rendered; there is one exactly if the engine refuses it. Warnings are the rest.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from feedd.templates.engine import compiled
from feedd.templates.hints import explained, place
from feedd.templates.pieces import REFUSALS, Judge, Piece, pieces
from feedd.templates.spelling import Draft, Finding
from feedd.templates.spelling.lists import Lists
from feedd.templates.spelling.names import Names, bound
from feedd.templates.structure import MOST, Structure, in_wrong_braces
from feedd.templates.surroundings import doubts
from feedd.templates.wire import Known, Problem

LARGEST = 1024**2


def problems(source: str, known: Known = Known()) -> list[Problem]:  # noqa: B008 it is frozen
    """All problems of a source in its order, at most MOST_PROBLEMS. Names of others than the `known` are told as well."""
    if len(source) > LARGEST:
        return [Problem(line=1, column=1, message="the template is larger than 1 MB", hint="a mail of that size is cut off or refused by most mailboxes")]  # fmt: skip
    refused = _refused(source)
    judge = Judge()
    found = _pieces(source, judge)
    findings = _wrong(source, found, refused) if refused is not None else []
    doubtful = [*_loose(found), *_names(found, known), *doubts(source)]
    told = [(each.at, each.at + each.length) for each in findings]
    findings += [each for each in doubtful if not any(a <= each.at < b for a, b in told)]
    return _placed(source, findings)


def _pieces(source: str, judge: Judge) -> list[Piece]:
    """The tags of a source, up to the one with which there are more problems than are told."""
    found, count = [], 0
    for piece in pieces(source, judge):
        found.append(piece)
        count += len(piece.findings)
        if count > MOST:
            break
    return found


def first_problem(source: str) -> Problem | None:
    """What a refused template is refused for, in words for its author."""
    return next((each for each in problems(source) if each.severity == "error"), None)


def _refused(source: str) -> Exception | None:
    try:
        compiled(source)
    except REFUSALS as error:
        return error
    return None


def _wrong(source: str, found: list[Piece], refused: Exception) -> list[Finding]:
    """What the engine refuses: tags that do not compile, tags that do not belong together, and what it says itself."""
    for piece in found:
        meant = in_wrong_braces(piece)
        if meant:
            piece.mended = f"{{% {meant} %}}"
            piece.sound = False
            piece.findings = [
                Finding(piece.start, piece.end - piece.start, f"{meant} is a tag: it is written in {{% … %}}", f"write {{% {meant} %}}")
            ]  # fmt: skip
    cut_short = sum(len(piece.findings) for piece in found) > MOST
    structure = [] if cut_short else Structure(found).walk()
    findings = [each for piece in found for each in piece.findings if each.severity == "error"]
    findings += structure
    if not findings:
        start, end = place(refused)
        if isinstance(refused, RecursionError):
            return [Finding(0, 1, "tags are nested too deeply", "close blocks before others begin")]
        return [explained(refused, source[start:end], start)]
    return findings


def _loose(found: list[Piece]) -> Iterator[Finding]:
    for piece in found:
        yield from (each for each in piece.findings if each.severity == "warning")


def _names(found: list[Piece], known: Known) -> Iterator[Finding]:
    Structure(found).walk()  # marks what stands within a catalog block
    tags = [(piece.mended, bound(piece.mended)) for piece in found]
    names = Names({name for _, given in tags for name in given}, known, Lists(tags))
    for number, piece in enumerate(found):
        if number > 20_000:
            return
        draft = Draft(piece.text, piece.start) if piece.sound and not piece.loose else piece.draft
        if draft is not None:
            doubtful = names.findings(draft, in_catalog=piece.in_catalog)
            yield from (each for each in doubtful if each.length)  # none where a tag is rewritten
        if piece.sound and not piece.loose:
            meant = in_wrong_braces(piece)
            if meant:
                yield Finding(
                    piece.start, piece.end - piece.start, f"{meant} is a tag: between {{{{ }}}} it is blank",
                    f"write {{% {meant} %}}, or leave it out", "warning",
                )  # fmt: skip


def _placed(source: str, findings: list[Finding]) -> list[Problem]:
    starts = [0, *(found.end() for found in re.finditer("\n", source))]
    placed: dict[tuple[int, str], Problem] = {}
    for each in sorted(findings, key=lambda each: (each.at, each.severity)):
        line = bisect_right(starts, each.at)
        problem = Problem(
            line=line, column=each.at - starts[line - 1] + 1, length=each.length, message=each.message,
            hint=each.hint, severity=each.severity,
        )  # fmt: skip
        placed.setdefault((each.at, each.message), problem)
    return list(placed.values())[:MOST]
