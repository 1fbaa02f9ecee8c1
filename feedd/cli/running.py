"""The commands that run the daemon: run, demo."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from feedd.cli.options import options_of

if TYPE_CHECKING:
    from feedd.settings import Settings


def run(context: typer.Context) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reads the configuration again."""
    from feedd import daemon, logs

    options = options_of(context)
    logs.configure(sys.stderr)

    def load() -> "Settings":
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
