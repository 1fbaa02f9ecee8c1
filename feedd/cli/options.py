"""What stands before the command: which configuration, which state directory; and what that comes to."""

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from feedd.settings import Settings, load

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


class Options(Struct, frozen=True):
    """The options of the program itself."""

    config: Path | None = None
    state_dir: Path | None = None

    def settings(self, *, with_secrets: bool) -> Settings:
        """The settings they lead to. Without secrets: enough to find the daemon, and quick.

        Raises:
            ConfigError: something is wrong; holds all of it.
        """
        return load(
            self.config,
            state_dir=self.state_dir,
            environ=os.environ,
            cwd=Path.cwd(),
            with_secrets=with_secrets,
        )

    def checked_settings(self) -> Settings:
        """The settings with their secrets and every schema read and checked; the log masks the secrets from now on.

        Raises:
            ConfigError: something is wrong; holds all of it.
        """
        from feedd import logs
        from feedd.app import schema_problem
        from feedd.settings import secret_values

        settings = load(
            self.config,
            state_dir=self.state_dir,
            environ=os.environ,
            cwd=Path.cwd(),
            check_schema=schema_problem,
        )
        logs.register_secrets(secret_values(settings))
        return settings


def options_of(context: typer.Context) -> Options:
    """The options that stood before the command."""
    options: Options = context.obj
    return options
