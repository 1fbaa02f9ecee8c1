"""The command for the service manager: install-service."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from feedd.cli.completing import scripts
from feedd.cli.options import Options, options_of
from feedd.cli.show import say
from feedd.errors import Unavailable, UsageError

BOOTED = Path("/run/systemd/system")  # sd_booted(3)


def install_service(
    context: typer.Context,
    *,
    show: Annotated[
        bool, typer.Option("--print", help="Only show the unit; nothing is written.")
    ] = False,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Below this directory instead of /.")
    ] = None,
    packaged: Annotated[
        bool, typer.Option("--packaged", help="Into /usr/lib and /usr/share, as packages do.")
    ] = False,
    executable: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The program; this one if left out.")
    ] = None,
    user: Annotated[str, typer.Option(help="Who the service runs as.")] = "feedd",
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that were changed by hand.")
    ] = False,
) -> None:
    """Install feedd as a systemd service: unit, user, directories, man page, completion, a first configuration."""
    from feedd import service
    from feedd.cli.manual import manual

    config = _config(options_of(context))
    here = root is None and not show
    program = str(executable) if executable else this_program(here=here)
    if executable:
        service.check_executable(executable)
    texts = service.rendered(executable=program, user=user, config=config)
    if show:
        typer.echo(texts["feedd.service"], nl=False)
        return
    if root is None:
        _check_machine()
    else:
        root = root.absolute()
    texts |= {"feedd.1": manual()} | {f"feedd.{shell}": text for shell, text in scripts().items()}
    base = root or Path("/")
    done = service.install(texts, root=base, packaged=packaged, force=force)
    done.append(service.install_config(config, root=base))
    for path, outcome in done:
        say(f"{path}  {outcome}")
    if root is None:
        say("\nNow type:")
        say("  systemd-sysusers && systemd-tmpfiles --create feedd.conf")
        say("  systemctl daemon-reload")
        say("  systemctl enable --now feedd")


def _config(options: Options) -> Path:
    from feedd import service

    if options.state_dir is not None:
        raise UsageError(
            "the service keeps its data in /var/lib/feedd",
            hint="Leave --state-dir out. To have it elsewhere, see docs/systemd.md.",
        )
    if options.config is None:
        return service.DEFAULT_CONFIG
    config = options.config.absolute()
    service.check_executable(config, option="--config")
    return config


def this_program(*, here: bool) -> str:
    """What starts this feedd. It has to lie where the service sees it and the Python that runs it; a unit that is not
    installed `here` only comes with a word about that.
    """
    from feedd import service

    python = Path(sys.executable)
    beside = python.with_name("feedd")
    program = beside if beside.exists() else python
    for path in (python.resolve(), program):
        try:
            service.check_executable(path)
        except UsageError as error:
            if here or error.code != "hidden":
                raise
            say(f"feedd: {error}", stderr=True)
            break
    return str(program) if program == beside else f"{program} -m feedd"


def _check_machine() -> None:
    if not BOOTED.is_dir() or shutil.which("systemctl") is None:
        raise Unavailable(
            "this machine is not run by systemd",
            hint="`feedd run` works under any service manager. --print shows the unit, --root DIR writes the files for"
            " another machine.",
        )
    if os.geteuid() != 0:
        raise UsageError("only root can install a service", hint="sudo feedd install-service")
