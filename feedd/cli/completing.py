"""What the shell completes: the names of feeds and web feeds; and the scripts that have it ask (Typer's own machinery)."""

import os
from pathlib import Path

import typer

from feedd.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")


def feed_names(context: typer.Context, incomplete: str) -> list[str]:
    """The configured feeds that begin so; none where the configuration cannot be read, as the command will say why."""
    return _names(context, "feeds", incomplete)


def web_feed_names(context: typer.Context, incomplete: str) -> list[str]:
    """The configured web feeds that begin so."""
    return _names(context, "web_feeds", incomplete)


def _names(context: typer.Context, kind: str, incomplete: str) -> list[str]:
    from feedd.settings import load

    given = context.find_root().params
    config, state_dir = given.get("config"), given.get("state_dir")
    try:
        settings = load(
            Path(config) if config else None,
            state_dir=Path(state_dir) if state_dir else None,
            environ=os.environ,
            cwd=Path.cwd(),
            with_secrets=False,
        )
    except ConfigError:
        return []
    return [name for name in getattr(settings, kind) if name.startswith(incomplete)]


def scripts() -> dict[str, str]:
    """For each shell what makes it ask feedd."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    return {
        shell: get_completion_script(prog_name="feedd", complete_var="_FEEDD_COMPLETE", shell=shell)
        for shell in SHELLS
    }
