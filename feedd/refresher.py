"""Refreshes web feeds when it is their time: a few threads, one refresh of each at a time.

When that is, is decided by what is stored (`configured.due_of_web_feed`). Where several daemons share a database, each looks
once more when the time has come: what another one has refreshed meanwhile is not due.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from feedd import logs
from feedd.app import App
from feedd.errors import StoreError, SyncStopped, UsageError
from feedd.model import Refresh
from feedd.schedule import Scheduler

MOST_AT_ONCE = 16  # they wait for servers
PREFIX = "web:"  # of their names among those that the scheduler knows: no feed's has a colon
ELSEWHERE = timedelta(seconds=5)  # another daemon refreshes it just now
TROUBLE = timedelta(seconds=15)

log = logs.get_logger("feedd")


class Refresher:
    """The refreshes of all web feeds, as one thing to start and stop; `on_done` is called in a refresh's thread after it."""

    def __init__(
        self,
        app: App,
        scheduler: Scheduler,
        on_done: Callable[[Refresh], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._scheduler = scheduler
        self._on_done = on_done
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="web-feed")
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._known: set[str] = set()

    def start(self) -> None:
        """Enter what is new, and have who asks for a refresh wait for its turn. Raises StoreError."""
        self._app.web_feeds.register(datetime.now(UTC))
        self._app.web_feeds.on_asked = self.refresh

    def reload(self, changed: set[str]) -> None:
        """Take over another configuration: what is new in it, or changed, is refreshed at once."""
        try:
            self._app.web_feeds.register(datetime.now(UTC))
        except StoreError as error:  # the first refresh of each does the same
            log.error(logs.STORE_ERROR, error=str(error))
        configured = self._app.settings.web_feeds
        for name in self._known - set(configured):
            self._scheduler.remove(f"{PREFIX}{name}")
        for name in changed:
            if configured[name].enabled:
                self._hand_over(name, self._run)

    def schedule_all(self) -> None:
        """Work out anew when each is due."""
        for name in list(self._app.settings.web_feeds):
            if self._stop.is_set():
                return
            self._schedule(name)

    def refresh(self, name: str) -> Refresh:
        """Refresh a web feed now, in the calling thread; one that runs already is waited for first, and then done again.

        Raises:
            NotFound: there is no such web feed.
            UsageError: (`busy`) another daemon is refreshing it.
            SyncStopped: feedd is stopping.
            StoreError: the database cannot be used.
        """
        self._app.web_feeds.settings_of(name)
        not_before = None
        try:
            with self._turn(name):
                done = self._app.web_feeds.refresh(name, self._stop)
        except UsageError:
            not_before = datetime.now(UTC) + ELSEWHERE
            raise
        except StoreError:
            not_before = datetime.now(UTC) + TROUBLE
            raise
        finally:
            self._schedule(name, not_before)
        tell = log.info if done.error is None else log.warning
        tell(logs.WEB_FEED_REFRESHED, **logs.refresh_line(done))
        self._on_done(done)
        return done

    def stop(self) -> None:
        """Take no more, break off what runs, and wait for that; each comes again after the next start."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _turn(self, name: str) -> threading.Lock:
        with self._lock:
            return self._turns[name]

    def _schedule(self, name: str, not_before: datetime | None = None) -> None:
        if self._stop.is_set():
            return
        now = datetime.now(UTC)
        try:
            due = self._app.web_feeds.due(name, now)
        except UsageError:  # it left the configuration meanwhile
            due = None
        except StoreError as error:
            log.error(logs.STORE_ERROR, web_feed=name, error=str(error))
            due = now + TROUBLE
        self._known.add(name)
        key = f"{PREFIX}{name}"
        if due is None:
            self._scheduler.remove(key)
        else:
            self._scheduler.set(key, max(due, not_before or due), self._come)

    def _come(self, key: str) -> None:
        self._hand_over(key.removeprefix(PREFIX), self._run_if_due)

    def _hand_over(self, name: str, run: Callable[[str], None]) -> None:
        if not self._stop.is_set():
            self._pool.submit(run, name)

    def _run_if_due(self, name: str) -> None:
        if self._turn(name).locked():  # its end schedules the next
            return
        now = datetime.now(UTC)
        try:
            due = self._app.web_feeds.due(name, now)
        except (UsageError, StoreError):
            due = None
        if due is None or due > now:
            self._schedule(name)
        else:
            self._run(name)

    def _run(self, name: str) -> None:
        """Refresh one; what goes wrong is told by the log, as nobody waits for it."""
        try:
            self.refresh(name)
        except (UsageError, SyncStopped) as error:
            log.debug(logs.WEB_FEED_ERROR, web_feed=name, error=str(error))
        except StoreError as error:
            log.error(logs.STORE_ERROR, web_feed=name, error=str(error))
        except Exception:  # a bug with one must not end the thread before the next is due
            log.exception(logs.WEB_FEED_ERROR, web_feed=name)
