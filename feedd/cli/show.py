"""How answers look: tables and lines for people, JSON lines for programs. Owns Rich, with `progress`.

Feeds are hostile: whatever comes out of one goes through `plain`, or a title could move the cursor.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from feedd.redaction import escaped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_FORCED = ("FORCE_COLOR", "TTY_COMPATIBLE")  # what makes Rich see a terminal where there is none
_WIDE = 10_000  # where no terminal sets a width, nothing is cut off
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

STYLES = {
    "applied": "green",
    "unchanged": "green",
    "held": "yellow",
    "ok": "green",
    "failing": "red",
    "failed": "red",
    "running": "cyan",
    "new": "dim",
    "paused": "dim",
    "added": "green",
    "updated": "yellow",
    "removed": "red",
    "restored": "cyan",
}


@cache
def console(*, stderr: bool = False) -> "Console":
    """The terminal, or the file in its place."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            end_quietly()

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Quiet(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def is_plain(*, stderr: bool = False) -> bool:
    """Whether what Rich would print there is the text and nothing else: importing it takes a tenth of a second."""
    stream = sys.stderr if stderr else sys.stdout
    return not stream.isatty() and not any(name in os.environ for name in _FORCED)


def end_quietly() -> NoReturn:
    """End the command well: whoever reads the pipe (`| head`) has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)


def say(*parts: "str | Text", stderr: bool = False, sep: str = " ") -> None:
    """Print a line."""
    if is_plain(stderr=stderr):
        try:
            print(*parts, sep=sep, file=sys.stderr if stderr else sys.stdout, flush=True)
        except BrokenPipeError:
            end_quietly()
        return
    console(stderr=stderr).print(*parts, sep=sep, soft_wrap=True)


def emit(value: Any) -> None:
    """Print a value as one line of JSON, at once: whoever reads a pipe waits for it."""
    try:
        sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        end_quietly()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under headings; a heading that begins with `>` stands to the right. No lines in a pipe."""
    from rich import box
    from rich.table import Table

    lines = box.SIMPLE_HEAD if console().is_terminal else None
    made = Table(box=lines, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        made.add_row(*[text(cell) for cell in row])
    if not is_plain():
        console().print(made)
        return
    with console().capture() as captured:
        console().print(made)
    padded = captured.get().removesuffix("\n").split("\n")
    say("\n".join(line.rstrip(" ") for line in padded))  # not padded to the longest value


def text(value: Any, style: str | None = None) -> "str | Text":
    """A cell: coloured where it is a status or a kind of change, and safe to print."""
    shown = plain(value)
    if is_plain():
        return shown
    from rich.text import Text

    return Text(shown, style=STYLES.get(shown.strip(), "") if style is None else style)


def plain(value: Any) -> str:
    """A value as text that no terminal takes for a command; nothing for None, JSON for lists and objects."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return clock(value)
    if isinstance(value, str):
        return escaped(value)
    return escaped(msgspec.json.encode(value).decode())


def plain_lines(text: str) -> str:
    """Text of several lines, each safe to print."""
    return "\n".join(plain(line) for line in text.splitlines())


def clock(moment: datetime) -> str:
    """A moment in the time zone of the machine, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago a moment was."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"{_length(seconds)} ago" if seconds >= 1 else "just now"


def until(moment: datetime | None, now: datetime | None = None) -> str:
    """How long until a moment."""
    if moment is None:
        return "never"
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return f"in {_length(seconds)}" if seconds >= 1 else "now"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where that is due."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes, in MB from one on, and in bytes up to one kB."""
    if number < 1e3:
        return f"{number} B"
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:,.1f} kB"


def _length(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"
