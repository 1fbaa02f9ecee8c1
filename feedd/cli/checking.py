"""The command that judges the configuration: check."""

import typer

from feedd.cli.exits import exit_code
from feedd.cli.options import AsJson, options_of
from feedd.cli.show import counted, emit, plain_lines, say
from feedd.errors import ConfigError, ConfigProblem


def check(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Name everything that is wrong with the configuration, where, and what to write instead."""
    try:
        settings = options_of(context).checked_settings()
    except ConfigError as error:
        for problem in error.problems:
            _show_problem(problem, as_json=as_json)
        if not as_json:
            say(f"{counted(len(error.problems), 'problem')}.", stderr=True)
        raise typer.Exit(exit_code(error)) from None
    if as_json:
        return
    where = settings.config_path or "no configuration file (defaults)"
    say(f"{where}: {counted(len(settings.feeds), 'feed')}, no problems.")


def _show_problem(problem: ConfigProblem, *, as_json: bool) -> None:
    if as_json:
        emit(problem._asdict())
    else:
        say(plain_lines(str(problem)))
