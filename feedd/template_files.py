"""The directory of templates: which files are there, and what is in them.

`NAME.html` is a template, `NAME.txt` beside it its text; NAME is the path below the directory. Whatever else lies there is left alone;
what cannot be used is told with the reason, and so is what may be meant as a template. Nothing outside of the directory is ever read.
"""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from feedd.settings.secret import open_at_once
from feedd.store.templates import MOST_TEMPLATES, FileSources, Sources

MOST_BYTES = 1024 * 1024
MOST_NAME = 255
MOST_LEVELS = 16
HTML, TEXT = ".html", ".txt"
OTHERS = (".htm", ".liquid")  # which may be meant as templates, and are none
Stamp = tuple[int, ...]  # of a file: it is another one when the file is


class Refused(NamedTuple):
    """A file or folder that cannot be used, by its path below the directory, and why."""

    file: str
    reason: str


class Unusable(Exception):
    """A file cannot be used; `refused` says which, and why."""

    def __init__(self, file: str, reason: str) -> None:
        self.refused = Refused(file, reason)
        super().__init__(f"{file}: {reason}")


class NoDirectory(Exception):
    """The directory cannot be read; says why."""


class Scan(NamedTuple):
    """What lies in the directory: templates by name, each with the stamps of its files; what is refused; folders that are closed.

    `is_empty` where nothing lies there at all, as where a disk is not mounted.
    """

    stamps: dict[str, tuple[Stamp, ...]]
    refused: tuple[Refused, ...]
    closed: tuple[str, ...]
    is_empty: bool = False

    def has(self, file: str) -> bool:
        """Whether a template's file is there, or may be: what cannot be looked at, or used, is not gone."""
        if file.removesuffix(HTML) in self.stamps or file.startswith(self.closed):
            return True
        return any(each.file == file for each in self.refused)


def scan(directory: Path) -> Scan:
    """Look at all files of the directory, and of the folders in it. Raises NoDirectory."""
    files: dict[str, Stamp] = {}
    refused: list[Refused] = []
    closed: list[str] = []
    waiting, is_empty = [""], False
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(directory / folder) as entries:
                found = list(entries)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            if not folder:
                raise NoDirectory(f"the directory {directory} {reason}") from error
            refused.append(Refused(folder, reason))
            closed.append(folder)
            continue
        is_empty = is_empty or not (folder or found)
        for entry in found:
            path = folder + entry.name
            try:
                stamp = _stamp(entry, path)
            except Unusable as error:
                refused.append(error.refused)
                continue
            if isinstance(stamp, tuple):
                files[path] = stamp
            elif stamp:
                waiting.append(f"{path}/")
    names = sorted(path.removesuffix(HTML) for path in files if path.endswith(HTML))
    refused += [
        Refused(f"{name}{HTML}", f"is one too many: {MOST_TEMPLATES:,} are read")
        for name in names[MOST_TEMPLATES:]
    ]
    stamps = {
        name: tuple(files.get(f"{name}{kind}", ()) for kind in (HTML, TEXT))
        for name in names[:MOST_TEMPLATES]
    }
    return Scan(stamps, tuple(sorted(refused)), tuple(closed), is_empty)


def read_file(directory: Path, name: str) -> FileSources:
    """What is in the files of a template. Raises Unusable."""
    html = _read(directory, f"{name}{HTML}")
    if html is None:
        raise Unusable(f"{name}{HTML}", "is gone")
    return FileSources(
        file=f"{name}{HTML}",
        name=name,
        sources=Sources(html=html, text=_read(directory, f"{name}{TEXT}")),
    )


def _stamp(entry: "os.DirEntry[str]", path: str) -> Stamp | bool:
    """The stamp of a file of a template; else whether it is a folder to look into. Raises Unusable."""
    is_hidden = entry.name.startswith(".")
    if entry.is_dir(follow_symlinks=False):
        if path.count("/") >= MOST_LEVELS:
            raise Unusable(path, f"lies more than {MOST_LEVELS} folders deep")
        return not is_hidden
    if entry.name.endswith(OTHERS) and not is_hidden:
        raise Unusable(path, "is no template: the names of templates end in .html")
    if not entry.name.endswith((HTML, TEXT)):
        if entry.is_symlink() and entry.is_dir():
            raise Unusable(path, "is a link to a folder, which is not followed")
        return False
    if is_hidden:
        raise Unusable(path, "is hidden: its name begins with a point")
    if not path.isprintable() or len(path) > MOST_NAME:
        raise Unusable(
            path, f"has a name that is longer than {MOST_NAME} characters, or not readable text"
        )
    try:
        found = entry.stat()
    except OSError as error:
        raise Unusable(path, f"cannot be read: {error.strerror or error}") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(directory: Path, path: str) -> str | None:
    """The text of a file below the directory; None where there is none. Raises Unusable."""
    try:
        with open_at_once(directory / path) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unusable(path, "is not a file")
            if not _is_below(directory, path, found):
                raise Unusable(path, "is a link that leads out of the directory")
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(path, f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise Unusable(path, f"is larger than {MOST_BYTES // 1024:,} KB")
    if b"\0" in content:
        raise Unusable(path, "holds a NUL character")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unusable(path, f"is not UTF-8 text, see line {line}") from error


def _is_below(directory: Path, path: str, opened: os.stat_result) -> bool:
    """Whether what was opened lies below the directory, wherever links lead."""
    root, real = os.path.realpath(directory), os.path.realpath(directory / path)
    return real.startswith(f"{root}{os.sep}") and os.path.samestat(opened, os.lstat(real))
