"""The command `template check`: what is wrong with templates, where, and what to write instead."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from feedd.cli.options import AsJson, Options, options_of
from feedd.cli.pointing import pointed
from feedd.cli.show import counted, emit, plain, say, text
from feedd.errors import ConfigError, UsageError
from feedd.templates.wire import MOST_PROBLEMS

if TYPE_CHECKING:
    from feedd.rendering import Renderer
    from feedd.templates.wire import Known, Problem

KINDS = (".html", ".htm", ".txt", ".liquid")
MOST_BYTES = 4 * 1024 * 1024  # that are read of a file: what is larger is no template
_STYLES = {"error": "bold red", "warning": "yellow"}


class Source(NamedTuple):
    """A file: what it is called, and its text; or why it has none."""

    name: str
    text: str
    unreadable: str | None = None


def check(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|FILE", help="Templates, directories of them, or - for standard input."
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Name everything that is wrong with templates, where, and what to write instead."""
    sources = list(_sources(paths))
    if not sources:
        kinds = ", ".join(f"*{kind}" for kind in KINDS)
        raise UsageError("there is no template there", hint=f"Files called {kinds} are looked at.")
    errors = warnings = files = 0
    are_all = True
    for source, problems in _checked(sources, _known(options_of(context))):
        lines = source.text.split("\n")
        for problem in problems:
            errors += problem.severity == "error"
            warnings += problem.severity == "warning"
            if as_json:
                emit(_document(source, problem))
            else:
                _tell(source, problem, lines)
        files += bool(problems)
        are_all = are_all and len(problems) < MOST_PROBLEMS
    if not as_json:
        _sum_up(len(sources), files, errors, warnings)
        if not are_all:
            say(f"There are more: of a template, the first {MOST_PROBLEMS} are told.", stderr=True)
    if errors:
        raise typer.Exit(1)


def _sources(paths: Iterable[str]) -> Iterator[Source]:
    """Every template that is meant, each file once. Raises UsageError."""
    seen = set()
    for path in paths:
        if path == "-":
            yield _read("-", sys.stdin.buffer.read(MOST_BYTES + 1))
            continue
        for file in _files(Path(path)):
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                yield _opened(file)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(
            Path(folder, name)
            for folder, folders, names in os.walk(path)
            if not folders.sort()
            for name in names
            if name.endswith(KINDS) and not name.startswith(".")
        )
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    if not path.is_file():
        raise UsageError(f"{path} is no file")
    return [path]


def _opened(path: Path) -> Source:
    try:
        if not path.is_file():
            return Source(str(path), "", "it is no file")
        with path.open("rb") as file:
            return _read(str(path), file.read(MOST_BYTES + 1))
    except OSError as error:
        return Source(str(path), "", f"it cannot be read: {error.strerror}")


def _read(name: str, content: bytes) -> Source:
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        return Source(name, "", f"it holds a NUL character in line {line}")
    try:
        return Source(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Source(name, "", f"it is not UTF-8 text: a byte in line {line} is none")


def _known(options: Options) -> "Known":
    """The names that are configured, as far as a configuration says."""
    from feedd.rendering.values import known_of
    from feedd.templates.wire import Known

    try:
        settings = options.settings(with_secrets=False)
    except ConfigError:
        return Known()
    return Known() if settings.config_path is None else known_of(settings)


def _checked(
    sources: list[Source], known: "Known"
) -> Iterator[tuple[Source, tuple["Problem", ...]]]:
    """The problems of each, from a process that reads templates and nothing else."""
    from feedd.rendering import Renderer
    from feedd.rendering.lookups import Lookups
    from feedd.templates.wire import Account

    renderer = Renderer(Account, Lookups())
    try:
        for source in sources:
            yield source, _problems(renderer, source, known)
    finally:
        renderer.close()


def _problems(renderer: "Renderer", source: Source, known: "Known") -> tuple["Problem", ...]:
    from feedd.rendering import RenderFailed
    from feedd.templates.wire import Problem

    if source.unreadable is not None:
        is_other = "UTF-8" not in source.unreadable and "NUL" not in source.unreadable
        hint = None if is_other else "Save it as UTF-8."
        return (Problem(line=1, column=1, message=source.unreadable, hint=hint),)
    try:
        return renderer.check(source.text, known)
    except RenderFailed as error:
        return (Problem(line=1, column=1, message=error.message, hint=error.hint or None),)


def _document(source: Source, problem: "Problem") -> dict[str, str | int | None]:
    return {
        "file": source.name,
        "line": problem.line,
        "column": problem.column,
        "length": problem.length,
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
    }


def _tell(source: Source, problem: "Problem", lines: list[str]) -> None:
    where = f"{plain(source.name)}:{problem.line}:{problem.column}:"
    style = _STYLES[problem.severity]
    say(
        text(where, style="bold"), text(f"{problem.severity}:", style=style), plain(problem.message)
    )
    if problem.line <= len(lines) and source.text:
        line, marks = pointed(lines[problem.line - 1], problem.column, problem.length)
        number = f"{problem.line:5} | "
        say(text(number, style="dim"), f"{line}", sep="")
        say(text(f"{' ' * 5} | ", style="dim"), text(marks, style=style), sep="")
    if problem.hint:
        say(text(f"{' ' * 5} = ", style="dim"), text(problem.hint, style="green"), sep="")


def _sum_up(count: int, files: int, errors: int, warnings: int) -> None:
    found = [
        counted(number, noun)
        for number, noun in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    what = f"{' and '.join(found)} in {counted(files, 'file')}" if found else "no problems"
    say(f"{counted(count, 'template')} checked: {what}.", stderr=True)
