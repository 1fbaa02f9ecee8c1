"""The files of the systemd service: rendered for an installation, and put where they belong.

To add a file: one row in `FILES`, its text in `rendered`, its line in `docs/systemd.md`.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from feedd.errors import UsageError
from feedd.resources import shipped

DEFAULT_USER = "feedd"
DEFAULT_CONFIG = Path("/etc/feedd/feedd.toml")
# what ProtectHome= and PrivateTmp= hide from the service
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 it is refused
_SEAL = "written by feedd install-service; as it was written:"


class File(NamedTuple):
    """One file: its name in `rendered`, where it goes (an administrator's place, a package's), how a comment begins."""

    name: str
    place: str
    packaged: str
    comment: str = "#"


FILES = (
    File(
        "feedd.service", "etc/systemd/system/feedd.service", "usr/lib/systemd/system/feedd.service"
    ),
    File("feedd.sysusers.conf", "etc/sysusers.d/feedd.conf", "usr/lib/sysusers.d/feedd.conf"),
    File("feedd.tmpfiles.conf", "etc/tmpfiles.d/feedd.conf", "usr/lib/tmpfiles.d/feedd.conf"),
    File("feedd.1", "usr/local/share/man/man1/feedd.1", "usr/share/man/man1/feedd.1", '.\\"'),
    File(
        "feedd.bash",
        "usr/local/share/bash-completion/completions/feedd",
        "usr/share/bash-completion/completions/feedd",
    ),
    File(
        "feedd.zsh",
        "usr/local/share/zsh/site-functions/_feedd",
        "usr/share/zsh/vendor-completions/_feedd",
    ),
    File(
        "feedd.fish",
        "usr/local/share/fish/vendor_completions.d/feedd.fish",
        "usr/share/fish/vendor_completions.d/feedd.fish",
    ),
)


class Outcome(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    UPDATED = "updated"
    SAME = "is up to date"
    KEPT = "kept: it was changed by hand (--force replaces it)"
    REPLACED = "replaced; what it was is beside it, as .old"
    THERE = "is there already, and stays as it is"


def check_executable(path: Path, *, option: str = "--executable") -> None:
    """Refuse a program that the service could not see.

    Raises:
        UsageError: it lies in a directory that the unit hides (`hidden`), or a unit cannot name it.
    """
    for hidden in HIDDEN:
        if path.is_relative_to(hidden):
            raise UsageError(
                f"{path} lies below {hidden}, which the service does not see",
                code="hidden",
                hint="Install feedd elsewhere, and use that one: python3 -m venv /opt/feedd && /opt/feedd/bin/pip install feedd"
                f" && /opt/feedd/bin/feedd install-service. Or name another with {option}.",
            )
    check_word(str(path), "the path of the program")
    if not path.is_absolute():
        raise UsageError(f"{path} is not an absolute path", hint=f"{option} /usr/bin/feedd")


def check_word(text: str, what: str) -> None:
    """Refuse what would have to be quoted in a unit. Raises UsageError."""
    if not re.fullmatch(r"[A-Za-z0-9_./+-]+", text):
        raise UsageError(
            f"{what} ({text!r}) holds characters that a unit gives a meaning to",
            hint="Letters, digits and _ . / + - are plain.",
        )


def rendered(*, executable: str, user: str, config: Path) -> dict[str, str]:
    """The texts of unit, sysusers and tmpfiles for one installation, by name."""
    check_word(user, "the user")
    check_word(str(config), "the path of the configuration")
    folder = shipped("systemd")
    unit = (folder / "feedd.service").read_text()
    unit = unit.replace(
        "/usr/bin/feedd --config /etc/feedd/feedd.toml", f"{executable} --config {config}"
    )
    unit = re.sub(r"^(User|Group)=.*$", rf"\1={user}", unit, flags=re.MULTILINE)
    users = (folder / "feedd.sysusers.conf").read_text()
    directories = (folder / "feedd.tmpfiles.conf").read_text()
    return {
        "feedd.service": unit,
        "feedd.sysusers.conf": users.replace("u feedd ", f"u {user} "),
        "feedd.tmpfiles.conf": directories.replace("feedd feedd\n", f"{user} {user}\n"),
    }


def install(
    texts: Mapping[str, str], *, root: Path, packaged: bool, force: bool
) -> list[tuple[Path, Outcome]]:
    """Put the files below `root`; one that a person has changed is kept unless `force`.

    Raises:
        UsageError: a file cannot be written.
    """
    done = []
    for file in FILES:
        path = root / (file.packaged if packaged else file.place)
        done.append((path, _put(path, texts[file.name], file.comment, force=force)))
    return done


def install_config(path: Path, *, root: Path) -> tuple[Path, Outcome]:
    """A first configuration, where there is none. Raises UsageError."""
    target = root / path.relative_to("/")
    if target.exists() or target.is_symlink():
        return target, Outcome.THERE
    _write(target, (shipped("systemd") / "feedd.toml").read_text())
    return target, Outcome.WRITTEN


def _put(path: Path, text: str, comment: str, *, force: bool) -> Outcome:
    text = f"{text.rstrip()}\n{comment} {_SEAL} {_digest(text)}\n"
    try:
        old = path.read_text()
    except FileNotFoundError:
        _write(path, text)
        return Outcome.WRITTEN
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if old == text:
        return Outcome.SAME
    if _is_sealed(old, comment):
        _write(path, text)
        return Outcome.UPDATED
    if not force:
        return Outcome.KEPT
    _write(path.with_name(f"{path.name}.old"), old)
    _write(path, text)
    return Outcome.REPLACED


def _is_sealed(text: str, comment: str) -> bool:
    """Whether a file is as it was written, by whichever version."""
    content, _, last = text.rstrip("\n").rpartition("\n")
    return last == f"{comment} {_SEAL} {_digest(content)}"


def _digest(text: str) -> str:
    return sha256(text.rstrip().encode()).hexdigest()[:32]


def _write(path: Path, text: str) -> None:
    """Whole or not at all, readable for all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    old_mask = os.umask(0o022)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        os.umask(old_mask)
        temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "not text"
    return UsageError(f"{path} cannot be written: {reason}")
