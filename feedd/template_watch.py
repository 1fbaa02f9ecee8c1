"""The thread that looks at the directory of templates, every second: what has changed there is read, and what is wrong with it is logged."""

import contextlib
import threading
import time

from feedd import logs
from feedd.app import App
from feedd.errors import StoreError, Unavailable
from feedd.stored_templates import said

POLL_S = 1.0
JUDGE_S = 0.5  # at a time
MOST_BUSY = 0.05  # of the time at most: many files are looked at less often
STOP_WITHIN_S = 3.0

log = logs.get_logger("feedd")


class TemplateWatch:
    """Keeps the templates in step with their directory, as one thing to start and stop."""

    def __init__(self, app: App, *, poll_s: float = POLL_S) -> None:
        self._app = app
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._unjudged: list[str] = []  # files that were read, and not looked through yet
        self._thread = threading.Thread(target=self._run, name="template-watch", daemon=True)

    def start(self) -> None:
        """Begin; the directory is read at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while True:
            rest_s = self._poll_s
            try:
                rest_s = max(rest_s, self._look() / MOST_BUSY)
                self._judge()
            except (StoreError, Unavailable) as error:
                log.error(logs.STORE_ERROR, error=str(error))
            except Exception:  # the next look may go better
                log.exception(logs.TEMPLATES_ERROR)
            if self._stop.wait(rest_s):
                return

    def _look(self) -> float:
        """Read what has changed. Gives how long it took to see that nothing has; 0 where something had."""
        began = time.monotonic()
        done = self._app.templates.refresh()
        took_s = time.monotonic() - began
        if done.trouble is not None:
            log.error(logs.TEMPLATES_ERROR, error=done.trouble)
        for refused in done.refused:
            log.warning(logs.TEMPLATE_REFUSED, file=refused.file, reason=refused.reason)
        if any(done.settled):
            log.info(logs.TEMPLATES_READ, **done.settled._asdict())
        self._unjudged = list(dict.fromkeys([*self._unjudged, *done.read]))
        return 0.0 if done.read else took_s

    def _judge(self) -> None:
        """Say what is wrong with what was read: as much of it as does not keep the next look waiting."""
        until = time.monotonic() + JUDGE_S
        while self._unjudged and time.monotonic() < until and not self._stop.is_set():
            file = self._unjudged[0]
            problem = self._app.templates.problem_of_file(file)
            if problem is not None:
                log.warning(
                    logs.TEMPLATE_BROKEN, file=file, problem=said(problem), hint=problem.hint
                )
            self._unjudged.pop(0)
