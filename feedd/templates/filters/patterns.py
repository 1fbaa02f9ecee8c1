"""`resplit`: a text split wherever a regular expression matches, with expressions that cannot take long.

An expression may have no groups, so that nothing in it is repeated within a repetition, and what is repeated without
an end counts against the length of the text: see `_most_steps`.
"""

import re
import warnings
from typing import Any

from django.template import Library

from feedd.templates.bounded import text_of
from feedd.templates.failures import TooMuch

register = Library()

MAX_PATTERN = 100
MAX_STEPS = 100_000_000  # about a second

# one thing that matches a character or a place, and how often: a class, an escape, or anything that is no operator
_PIECE = re.compile(
    r"(?P<atom>\[\^?\]?(?:\\.|[^\]\\])*\]|\\[^\d]|[^\\()\[*+?{|])(?P<often>(?:[*+?]|\{\d*,?\d*\})?\??)|(?P<or>\|)",
    re.DOTALL,
)
_TIMES = re.compile(r"\{(\d*)(,?)(\d*)\}")


def _most_steps(pattern: str, length: int) -> int:
    """How many steps the expression may take at most in a text of this length.

    Raises:
        TooMuch: it has groups, or is not understood.
    """
    upto, steps, branch, last = 0, 0, 1, 1
    for match in _PIECE.finditer(pattern):
        if match.start() != upto:
            break
        upto = match.end()
        if match["or"]:
            steps, branch, last = steps + branch, 1, 1
        else:  # the last piece never has to be tried again: nothing after it can fail
            branch, last = branch * last, _choices(match["often"], length)
    if upto != len(pattern):
        raise _refused(pattern, "may have no groups and no references")
    return (steps + branch) * max(length, 1)


def _choices(often: str, length: int) -> int:
    if not often:
        return 1
    if often[0] == "?":
        return 2
    times = _TIMES.match(often)
    if times is None or (times[2] and not times[3]):
        return length + 1
    return 1 if not times[2] else max(int(times[3]) - int(times[1] or 0) + 1, 1)


def _refused(pattern: str, why: str) -> TooMuch:
    return TooMuch(
        "pattern_not_allowed",
        f"the expression {pattern[:MAX_PATTERN]!r} of resplit {why}",
        hint=r"""Split with |split:"," or with a simple expression, such as |resplit:'\s*,\s*'.""",
    )


@register.filter
def resplit(value: Any, arg: Any) -> list[str]:
    """The parts of a text between the matches of a regular expression.

    Raises:
        TooMuch: the expression is none, has groups, or could take long with a text of this length.
    """
    text, pattern = text_of(value), text_of(arg)
    if not text:
        return []
    if len(pattern) > MAX_PATTERN:
        raise _refused(pattern, f"may have {MAX_PATTERN} characters")
    if _most_steps(pattern, len(text)) > MAX_STEPS:
        raise _refused(pattern, f"could take long with a text of {len(text):,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # an expression may look like a coming one
            return re.split(pattern, text)
    except (re.error, OverflowError) as error:
        raise _refused(pattern, f"is not understood: {error}") from error
