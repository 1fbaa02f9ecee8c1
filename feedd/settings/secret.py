"""Secrets: named in the configuration by where they are, never written in it, never shown."""

import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

from msgspec import Struct

KINDS = ("env", "file", "credential")
EXAMPLE = '{ env = "SHOP_TOKEN" }, { file = "/etc/feedd/shop.token" } or { credential = "shop" }'

_MAX_BYTES = 64 * 1024


class SecretError(Exception):
    """A secret cannot be had: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}. {hint}")


class Secret:
    """A value that only `reveal` gives away. Two are equal when they are named alike and hold the same."""

    __slots__ = ("_value", "reference")

    def __init__(self, value: str | None, reference: str = "") -> None:
        """`value` None: named, but not looked up. `reference` says where it is, such as `env SHOP_TOKEN`."""
        self._value = value
        self.reference = reference

    def reveal(self) -> str:
        """The secret itself, for the one place that needs it."""
        if self._value is None:
            raise RuntimeError(f"{self!r} was loaded without looking secrets up")
        return self._value

    @property
    def is_resolved(self) -> bool:
        """Whether there is something to reveal."""
        return self._value is not None

    def __repr__(self) -> str:
        return f"Secret({self.reference or '***'})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._value, self.reference) == (other._value, other.reference)

    def __hash__(self) -> int:
        return hash((self._value, self.reference))


class Basic(Struct, frozen=True):
    """A user name and a password, as RFC 7617 sends them."""

    username: str
    password: Secret


class Bearer(Struct, frozen=True):
    """A token, as RFC 6750 sends it."""

    token: Secret


def look_up(kind: str, name: str, *, environ: Mapping[str, str], base_dir: Path) -> str:
    """The value of a secret; files lose the line end that editors leave.

    Raises:
        SecretError: it is missing, empty, or open to everybody.
    """
    if kind == "env":
        value = _from_environment(name, environ)
    elif kind == "file":
        path = base_dir / name
        value = _from_file(path, private=True)
    else:
        value = _from_file(_credential_path(name, environ), private=False)
    if not value:
        raise SecretError(f"the secret at {kind} {name} is empty", "Put the secret there.")
    return value


def open_at_once(path: Path) -> BufferedReader:
    """A file to be read; a pipe with nobody at its other end is opened too, and gives nothing, instead of waiting."""
    return open(path, "rb", opener=_not_waiting)


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise SecretError(
            f"the environment variable {name} is not set",
            f"Set {name} where feedd is started (for systemd: Environment= or EnvironmentFile=).",
        )
    return environ[name]


def _credential_path(name: str, environ: Mapping[str, str]) -> Path:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SecretError(
            f"there is no systemd credential {name}: feedd was not started by systemd",
            f"Add LoadCredential={name}:PATH to the unit, or use env or file here.",
        )
    if "/" in name or name in {".", ".."}:
        raise SecretError(
            f"{name!r} is not the name of a credential",
            "Write the name that LoadCredential= gives.",
        )
    return Path(folder) / name


def _from_file(path: Path, *, private: bool) -> str:
    try:
        with open_at_once(path) as file:
            content = file.read(_MAX_BYTES + 1)
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise SecretError(
            f"the secret file {path} cannot be read: {reason}",
            "Check the path, and that the user who runs feedd may read it.",
        ) from error
    if private and mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SecretError(
            f"the secret file {path} is open to every user of this machine",
            f"Close it: chmod o-rwx {path}",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SecretError(
            f"the secret file {path} is not text", "Put the secret there as UTF-8 text."
        ) from error
    if len(content) > _MAX_BYTES:
        raise SecretError(
            f"the secret file {path} is too large", "It holds the secret and nothing else."
        )
    return text.removesuffix("\n").removesuffix("\r")
