"""What stands before the command: which configuration, which state directory; and what that comes to."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from feedd.cli.show import counted, say
from feedd.errors import ConfigError
from feedd.model import ChangeKind

if TYPE_CHECKING:
    from feedd.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


class Options(Struct, frozen=True):
    """The options of the program itself."""

    config: Path | None = None
    state_dir: Path | None = None

    def settings(self, *, with_secrets: bool) -> "Settings":
        """The settings they lead to. Without secrets: enough to find the daemon, and quick; with them, those that
        reading what is stored takes.

        Raises:
            ConfigError: something is wrong; holds all of it.
        """
        from feedd.settings import load

        return load(
            self.config,
            state_dir=self.state_dir,
            environ=os.environ,
            cwd=Path.cwd(),
            with_secrets=with_secrets,
            only_database=True,
        )

    def socket(self) -> Path:
        """Where the daemon listens. One that runs can be asked although its configuration has been broken since.

        Raises:
            ConfigError: the configuration cannot be used, and no daemon is known.
        """
        from feedd.settings import find_socket

        try:
            return self.settings(with_secrets=False).socket
        except ConfigError as error:
            found = find_socket(
                self.config, state_dir=self.state_dir, environ=os.environ, cwd=Path.cwd()
            )
            if found is None or not found.exists():
                raise
            say(
                f"feedd: the configuration has {counted(len(error.problems), 'problem')} (feedd check);"
                " the daemon runs on with what it had",
                stderr=True,
            )
            return found

    def checked_settings(self) -> "Settings":
        """The settings with their secrets and every schema read and checked; the log masks the secrets from now on.

        Raises:
            ConfigError: something is wrong; holds all of it.
        """
        from feedd.checks import address_problem, schema_problem
        from feedd.redaction import register_secrets
        from feedd.settings import load, secret_values

        settings = load(
            self.config,
            state_dir=self.state_dir,
            environ=os.environ,
            cwd=Path.cwd(),
            check_schema=schema_problem,
            check_address=address_problem,
        )
        register_secrets(secret_values(settings))
        return settings


class Wanted(Struct, frozen=True):
    """Which changes: of one feed, of some kinds, touching one of some fields; None and empty ask nothing."""

    feed: str | None = None
    kinds: tuple[ChangeKind, ...] = ()
    fields: tuple[str, ...] = ()


def options_of(context: typer.Context) -> Options:
    """The options that stood before the command."""
    options: Options = context.obj
    return options
