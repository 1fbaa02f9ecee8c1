"""New SQLite files in the place of old ones, all or none: `kill -9` at any point leaves the old pair or leads to the new.

A mark is written once the new files are complete on the disk. Before it the old ones count, whatever lies in the
folder of new ones; after it whoever takes the state directory's lock next finishes the move. The old files are kept.
"""

import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

NEW = "restore.new"
MARK = "restore.mark"
UNFINISHED = "restore.mark.new"
_SUFFIXES = ("-wal", "-shm", "-journal", "")


def begin(state_dir: Path) -> Path:
    """An empty folder to make the new files in."""
    folder = state_dir / NEW
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def commit(state_dir: Path, names: Sequence[str], now: datetime) -> Path | None:
    """Put the new files in place; gives where the old ones are kept, None when there were none."""
    folder = state_dir / NEW
    for name in names:
        _sync(folder / name)
    _sync(folder)
    kept = f"before-restore-{now.strftime('%Y%m%dT%H%M%SZ')}"
    while (state_dir / kept).exists():
        kept += "+"
    mark = state_dir / UNFINISHED
    mark.write_text("\n".join([kept, *names]))
    _sync(mark)
    mark.rename(state_dir / MARK)
    _sync(state_dir)
    finish(state_dir)
    return state_dir / kept if (state_dir / kept).exists() else None


def is_pending(state_dir: Path) -> bool:
    """Whether a move was begun and has to be finished."""
    return (state_dir / MARK).exists()


def finish(state_dir: Path) -> None:
    """Finish a move that was begun, and clear away what was never finished. Only for the holder of the lock."""
    folder = state_dir / NEW
    if is_pending(state_dir):
        kept, *names = (state_dir / MARK).read_text().split("\n")
        for name in names:
            if (folder / name).exists():  # else it is in place already
                _put_aside(state_dir, name, state_dir / kept)
                (folder / name).rename(state_dir / name)
        _sync(state_dir)
        (state_dir / MARK).unlink()
        _sync(state_dir)
    (state_dir / UNFINISHED).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _put_aside(state_dir: Path, name: str, kept: Path) -> None:
    for old in [state_dir / f"{name}{suffix}" for suffix in _SUFFIXES]:
        if old.exists():
            kept.mkdir(mode=0o700, exist_ok=True)
            old.rename(kept / old.name)
    if kept.exists():
        _sync(kept)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
