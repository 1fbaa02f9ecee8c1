"""Progress bars of syncs that take a while, on a terminal. Rich is imported once one has taken a while."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from feedd.cli.show import console, is_plain
from feedd.model import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SHOWN_AFTER_S = 0.7
_STAGES = {"wait": "waiting", "fetch": "fetching", "read": "reading", "store": "storing"}


class Bars:
    """One bar for each running sync, below what is printed; none where nobody would see them.

    What is printed between `hide` and the next `show` has the terminal for itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._begun_of: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}

    @cached_property
    def _bars(self) -> "RichProgress":
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        return RichProgress(
            TextColumn("{task.fields[feed]:<12}"),
            TextColumn("{task.fields[stage]:<9}"),
            BarColumn(),
            TextColumn("{task.fields[size]}"),
            # Rich's own clock stops for good when the first stage is complete
            TextColumn("{task.fields[took]}", style="progress.elapsed"),
            console=console(stderr=True),
            transient=True,
            disable=not console(stderr=True).is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.hide()

    def show(self, feed: str, progress: Progress | None) -> None:
        """Show how far a sync is; its time counts from the first call."""
        now = self._clock()
        begun = self._begun_of.setdefault(feed, now)
        if now - self._begun < SHOWN_AFTER_S or is_plain(stderr=True):
            return
        self._bars.start()
        took = str(timedelta(seconds=int(now - begun)))
        if feed not in self._tasks:
            self._tasks[feed] = self._bars.add_task(
                "", feed=feed, stage="waiting", size="", took=took
            )
        task = self._tasks[feed]
        self._bars.update(task, took=took)
        if progress is not None:
            self._bars.update(
                task,
                total=progress.total_bytes,
                completed=progress.done_bytes,
                stage=_STAGES.get(progress.stage, progress.stage),
                size=_size(progress),
            )

    def remove(self, feed: str) -> None:
        """The sync has ended: its bar goes, and the others are hidden until each is shown again."""
        self._begun_of.pop(feed, None)
        self.hide()

    def hide(self) -> None:
        """Take the bars off the terminal, before something is printed."""
        if "_bars" in self.__dict__:  # made for the first that was shown
            self._bars.stop()
            del self._bars  # started again, it would erase what was printed meanwhile
            self._tasks.clear()


def _size(progress: Progress) -> str:
    parts = []
    if progress.done_bytes:
        parts.append(f"{progress.done_bytes / 1e6:,.1f} MB")
    if progress.records:
        parts.append(f"{progress.records:,} records")
    return ", ".join(parts)
