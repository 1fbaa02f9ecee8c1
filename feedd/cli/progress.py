"""Progress bars of syncs that take a while, on a terminal. Rich is imported once one has taken a while."""

import time
from functools import cached_property
from typing import TYPE_CHECKING, Self

from feedd.cli.show import console, is_plain
from feedd.model import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

SHOWN_AFTER_S = 0.7
_STAGES = {"wait": "waiting", "fetch": "fetching", "read": "reading", "store": "storing"}


class Bars:
    """One bar for each running sync, below what is printed; none where nobody would see them."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._tasks: dict[str, object] = {}

    @cached_property
    def _bars(self) -> "RichProgress":
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        return RichProgress(
            TextColumn("{task.fields[feed]:<12}"),
            TextColumn("{task.fields[stage]:<9}"),
            BarColumn(),
            TextColumn("{task.fields[size]}"),
            TimeElapsedColumn(),
            console=console(stderr=True),
            transient=True,
            disable=not console(stderr=True).is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if "_bars" in self.__dict__:  # made for the first that was shown
            self._bars.stop()

    def show(self, feed: str, progress: Progress | None) -> None:
        """Show how far a sync is."""
        if time.monotonic() - self._begun < SHOWN_AFTER_S or is_plain(stderr=True):
            return
        self._bars.start()
        if feed not in self._tasks:
            self._tasks[feed] = self._bars.add_task("", feed=feed, stage="waiting", size="")
        task = self._tasks[feed]
        if progress is not None:
            self._bars.update(
                task,  # type: ignore[arg-type]
                total=progress.total_bytes,
                completed=progress.done_bytes,
                stage=_STAGES.get(progress.stage, progress.stage),
                size=_size(progress),
            )

    def remove(self, feed: str) -> None:
        """The sync has ended."""
        task = self._tasks.pop(feed, None)
        if task is not None:
            self._bars.remove_task(task)  # type: ignore[arg-type]


def _size(progress: Progress) -> str:
    parts = []
    if progress.done_bytes:
        parts.append(f"{progress.done_bytes / 1e6:,.1f} MB")
    if progress.records:
        parts.append(f"{progress.records:,} records")
    return ", ".join(parts)
