"""The command that judges the configuration: check."""

from typing import TYPE_CHECKING

import typer

from feedd.cli.exits import exit_code
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import counted, emit, plain_lines, say
from feedd.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from pathlib import Path

    from feedd.settings import Settings


def check(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Name everything that is wrong with the configuration, where, and what to write instead."""
    try:
        settings = options_of(context).checked_settings()
        _check_directory(settings)
    except ConfigError as error:
        for problem in error.problems:
            _show_problem(problem, as_json=as_json)
        if not as_json:
            say(f"{counted(len(error.problems), 'problem')}.", stderr=True)
        raise typer.Exit(exit_code(error)) from None
    if as_json:
        return
    where = settings.config_path or "no configuration file (defaults)"
    web_feeds = f", {counted(len(settings.web_feeds), 'web feed')}" if settings.web_feeds else ""
    say(f"{where}: {counted(len(settings.feeds), 'feed')}{web_feeds}, no problems.")


def _check_directory(settings: "Settings") -> None:
    """Raise ConfigError where there is no directory of templates: the daemon runs without it, and a person wants to know."""
    directory = settings.templates.directory
    if directory is not None and not directory.is_dir():
        problem = ConfigProblem(
            file=str(settings.config_path),
            line=_line(settings.config_path, ("templates", "directory")),
            key="templates.directory",
            message=f"{directory} is not a directory",
            hint="Make it, or name another one. Until then templates of files stay as they were read last.",
        )
        raise ConfigError([problem])


def _line(path: "Path | None", key: tuple[str, ...]) -> int | None:
    """Where a key stands in a file that was read already."""
    from feedd.settings.lines import key_lines, line_of

    return None if path is None else line_of(key_lines(path.read_text("utf-8")), key)


def _show_problem(problem: ConfigProblem, *, as_json: bool) -> None:
    if as_json:
        emit(problem._asdict())
    else:
        say(plain_lines(str(problem)))
