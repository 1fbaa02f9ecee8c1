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


class Meter:
    """One bar for a file that is gone through: how much of it, how many rows, how many a second."""

    def __init__(
        self, what: str, total_bytes: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._total = total_bytes
        self._clock = clock
        self._begun = clock()
        self._drawn = 0.0
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.hide()

    @property
    def took_s(self) -> float:
        """For how long it has been going on."""
        return self._clock() - self._begun

    def show(self, rows: int, done_bytes: int = 0, note: str = "") -> None:
        """Show how far it is; ten times a second is enough."""
        took = self.took_s
        if took < SHOWN_AFTER_S or took - self._drawn < 0.1 or is_plain(stderr=True):
            return
        self._drawn = took
        if self._bar is None:
            self._bar = self._made()
            self._bar.start()
        (task,) = self._bar.task_ids
        done = None if self._total is None else min(done_bytes, self._total)
        self._bar.update(
            task,
            completed=done or 0,
            rows=f"{rows:,} rows",
            speed=f"{rows / took:,.0f}/s",
            took=str(timedelta(seconds=int(took))),
            note=note,
        )
        self._bar.refresh()

    def hide(self) -> None:
        """Take the bar off the terminal, before something is printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _made(self) -> "RichProgress":
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        made = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            *[TextColumn(f"{{task.fields[{name}]}}") for name in ("rows", "speed", "note")],
            TextColumn("{task.fields[took]}", style="progress.elapsed"),
            console=console(stderr=True),
            transient=True,
            expand=True,
            auto_refresh=False,
            disable=not console(stderr=True).is_terminal,
        )
        made.add_task(self._what, total=self._total, rows="", speed="", note="", took="")
        return made
