"""The program: its options, its table of commands, and one place where errors become messages and exit codes."""

import errno
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from feedd import __version__
from feedd.cli import keys, operating, reading, syncing
from feedd.cli.options import AsJson, Options, options_of
from feedd.cli.show import counted, emit, plain, say
from feedd.errors import (
    ConfigError,
    ConfigProblem,
    FeeddError,
    FeedError,
    StateInUse,
    StoreError,
    Unavailable,
    UsageError,
)
from feedd.settings import Settings

EXIT_CODES: dict[type[FeeddError], int] = {
    ConfigError: 2,
    Unavailable: 1,
    UsageError: 2,
    StateInUse: 75,
    FeedError: 1,
    StoreError: 1,
}
INTERRUPTED = 130


def main() -> None:
    """Run the program with the arguments of the process, and end it."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 closed by `>&-`
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a shop's Hebrew must not end a command
            stream.reconfigure(errors="backslashreplace")
    try:
        build()(prog_name="feedd")
    except FeeddError as error:
        say("feedd:", plain_lines(str(error)), stderr=True)
        sys.exit(exit_code(error))
    except UnicodeEncodeError:  # Python keeps such bytes of an argument as half characters
        say("feedd: an argument is not UTF-8 text", stderr=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise
        say("feedd: cannot write:", error.strerror or "", stderr=True)
        sys.exit(1)


def exit_code(error: FeeddError) -> int:
    """What a shell is told of an error."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def plain_lines(text: str) -> str:
    """Text of several lines, each safe to print."""
    return "\n".join(plain(line) for line in text.splitlines())


def build() -> typer.Typer:
    """The program with all its commands."""
    program = typer.Typer(
        name="feedd",
        help="Keeps product catalogs in step with the feeds they come from, and says what changed.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(root)
    for command in (
        run,
        demo,
        check,
        reading.feeds,
        syncing.resync,
        operating.cancel,
        reading.changes,
        reading.item,
        reading.rejects,
    ):
        program.command()(command)
    key = typer.Typer(no_args_is_help=True, help="API keys for the HTTP side.")
    key.command("create")(keys.create)
    key.command("list")(keys.list_)
    key.command("revoke")(keys.revoke)
    program.add_typer(key, name="key")
    return program


def _version(wanted: bool) -> None:
    if wanted:
        say(f"feedd {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The configuration file.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where feedd keeps its data.")
    ] = None,
    version: Annotated[  # noqa: ARG001 the callback does it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which this is.")
    ] = False,
) -> None:
    context.obj = Options(config, state_dir)


def run(context: typer.Context) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    from feedd import daemon, logs

    options = options_of(context)
    logs.configure(sys.stderr)

    def load() -> Settings:
        settings = options.checked_settings()
        logs.set_level(settings.log_level)
        return settings

    raise typer.Exit(daemon.run(load))


def demo(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End by itself after so many seconds.")
    ] = None,
) -> None:
    """Show what feedd does: the real daemon and a small shop whose prices change while you watch."""
    from feedd.cli.demo import run_demo

    raise typer.Exit(run_demo(seconds))


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
