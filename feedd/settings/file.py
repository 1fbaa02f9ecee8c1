"""Configuration files: found, read, and kept with the line of every key, so that each problem has its place."""

import os
import pwd
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from feedd.errors import ConfigProblem
from feedd.settings.lines import KeyPath, key_lines, line_of
from feedd.settings.secret import open_at_once

DROP_INS = "feeds.d"

_MAX_BYTES = 16 * 1024 * 1024


class ConfigFile(Struct, frozen=True):
    """One TOML file: what it holds, and where in it."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int]


class Place(Struct, frozen=True, kw_only=True):
    """What is known while a file's values are read. Problems are collected, so that all are reported at once."""

    file: ConfigFile
    problems: list[ConfigProblem]
    environ: Mapping[str, str]
    with_secrets: bool = True

    @property
    def base_dir(self) -> Path:
        """What relative paths in the file are relative to."""
        return self.file.path.parent


class Node(NamedTuple):
    """One value of a file, with the path of keys that leads to it."""

    value: Any
    path: KeyPath
    place: Place

    def child(self, key: str | int) -> "Node":
        """The value below."""
        return Node(self.value[key], (*self.path, key), self.place)

    def problem(self, message: str, hint: str = "") -> None:
        """Note that something is wrong with this value."""
        self.place.problems.append(
            ConfigProblem(str(self.place.file.path), self.line, dotted(self.path), message, hint)
        )

    @property
    def line(self) -> int | None:
        """Where it stands in its file."""
        return line_of(self.place.file.lines, self.path)


def dotted(path: Sequence[str | int]) -> str:
    """A path of keys as TOML writes it."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", step)
            shown += ("." if shown else "") + (step if bare else f'"{step}"')
    return shown


def home(environ: Mapping[str, str]) -> Path:
    """The user's home directory; the root directory for a user without one."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user that no list of users knows, as in containers
        return Path("/")


def find_config(
    config: Path | None = None, *, environ: Mapping[str, str], cwd: Path
) -> Path | None:
    """The configuration file: the one named, or the first there is; None when there is none.

    One that was named, or that is there but cannot be looked at, is given too, so that reading it says why.
    """
    named = config or (Path(environ["FEEDD_CONFIG"]) if environ.get("FEEDD_CONFIG") else None)
    if named is not None:
        return cwd / named
    xdg = environ.get("XDG_CONFIG_HOME")
    user = Path(xdg) if xdg and Path(xdg).is_absolute() else home(environ) / ".config"
    for path in (
        cwd / "feedd.toml",
        user / "feedd" / "feedd.toml",
        Path("/etc/feedd/feedd.toml"),
    ):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return path
        return path
    return None


def find_drop_ins(config: Path, problems: list[ConfigProblem]) -> list[Path]:
    """The files in `feeds.d` beside the configuration, by name; editors' hidden files are left alone."""
    folder = config.parent / DROP_INS
    try:
        names = sorted(path.name for path in folder.iterdir())
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        hint = "Let the user who runs feedd read this directory."
        problems.append(
            ConfigProblem(str(folder), None, "", f"cannot be read: {error.strerror}", hint)
        )
        return []
    if mode & stat.S_IWOTH:
        problems.append(_open_to_all(folder, "directory"))
    return [folder / n for n in names if n.endswith(".toml") and not n.startswith(".")]


def read_config(path: Path, problems: list[ConfigProblem]) -> ConfigFile | None:
    """What a file holds; None, with the problem noted, when it cannot be used."""
    try:
        content = _content(path)
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        return ConfigFile(path, tomllib.loads(text), key_lines(text))
    except _UnreadableError as error:
        problems.append(error.problem)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "Save the file as UTF-8 in your editor."
        problems.append(ConfigProblem(str(path), line, "", "is not UTF-8 text", hint))
    except RecursionError:
        hint = "Nothing in this file needs brackets in brackets in brackets."
        problems.append(ConfigProblem(str(path), None, "", "is nested too deeply", hint))
    except ValueError as error:  # TOMLDecodeError, and a number with more digits than Python reads
        problems.append(_syntax_problem(path, text, str(error)))
    return None


class _UnreadableError(Exception):
    """A file cannot be read."""

    def __init__(self, problem: ConfigProblem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def _content(path: Path) -> bytes:
    try:
        with open_at_once(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_BYTES + 1) if stat.S_ISREG(mode) else b""
    except FileNotFoundError as error:
        raise _failed(path, "there is no such file", "Check --config and FEEDD_CONFIG.") from error
    except IsADirectoryError as error:
        hint = f"Name a file in it, such as {path / 'feedd.toml'}."
        raise _failed(path, "is a directory", hint) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        hint = "Let the user who runs feedd read it."
        raise _failed(path, f"cannot be read: {reason}", hint) from error
    if not stat.S_ISREG(mode):
        raise _failed(path, "is not a file", "feedd reads it again at each reload: use a file.")
    if mode & stat.S_IWOTH:
        raise _UnreadableError(_open_to_all(path, "file"))
    if len(content) > _MAX_BYTES:
        raise _failed(path, "is larger than 16 MiB", "Name the configuration, not a feed.")
    return content


def _failed(path: Path, message: str, hint: str) -> _UnreadableError:
    return _UnreadableError(ConfigProblem(str(path), None, "", message, hint))


def _open_to_all(path: Path, kind: str) -> ConfigProblem:
    message = f"every user of this machine can change this {kind}"
    return ConfigProblem(str(path), None, "", message, f"Close it: chmod o-w {path}")


def _syntax_problem(path: Path, text: str, message: str) -> ConfigProblem:
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = None
    if found:
        message = message[: found.start()]
        line = int(found[1]) if found[1] else text.rstrip().count("\n") + 1
    if "twice" in message or "overwrite" in message or "already" in message.lower():
        hint = "Each name stands once in a file: give one of the two another name, or join them."
    elif message.startswith("Invalid value"):
        hint = 'Text stands in quotes: every = "15m"; true and false are small.'
    elif "key/value" in message or "key" in message.lower():
        hint = "A line is NAME = VALUE, or a table such as [feeds.shop]. A name with dots or spaces stands in quotes."
    else:
        hint = "A line is NAME = VALUE, with text in quotes and every bracket closed."
    return ConfigProblem(str(path), line, "", f"is not TOML: {message}", hint)
