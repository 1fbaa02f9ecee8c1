"""The program: its options, and one place where errors become messages and exit codes."""

import atexit
import errno
import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from feedd import __version__
from feedd.cli.commands import CONTEXT, LazyGroup, fill
from feedd.cli.exits import exit_code
from feedd.cli.options import Options
from feedd.cli.show import plain, plain_lines, say
from feedd.errors import DISK_FULL, FeeddError


def main() -> None:
    """Run the program with the arguments of the process, and end it."""
    # imports make much and free nothing: a twentieth of a command
    gc.set_threshold(200_000, 20, 20)
    atexit.register(gc.freeze)  # nor is it worth a tenth of a second to look through what ends
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads that wait
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
        if error.errno not in (*DISK_FULL, errno.EIO):
            raise
        where = "the output" if error.filename is None else str(error.filename)
        advice = "" if error.errno == errno.EIO else ". Make room on its disk, and try again."
        say(f"feedd: cannot write {plain(where)}: {error.strerror}{advice}", stderr=True)
        sys.exit(1)


def build() -> LazyGroup:
    """The program with all its commands."""
    program = typer.Typer(
        name="feedd",
        cls=LazyGroup,
        help="Keeps product catalogs in step with the feeds they come from, and says what changed.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )
    program.callback()(root)
    group: Any = typer.main.get_command(program)
    fill(group)
    return group  # type: ignore[no-any-return]


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
