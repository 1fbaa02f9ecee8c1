"""What becomes of a message: it is rendered, or there is a reason why not."""

import threading
import time
from datetime import datetime

from msgspec import Struct

from feedd import logs
from feedd.errors import FeeddError
from feedd.rendering.process import WorkerDied, WorkerHung, was_out_of_time
from feedd.templates.wire import Failed, Limits, Position, Used, UsedFeed

log = logs.get_logger("feedd")
OUTCOMES = ("rendered", "skipped", "failed")
ANSWERS_S = 20.0  # what the questions of one message may take
DEATHS_TOLD_EVERY_S = 60.0


class Deaths:
    """Says in the log when processes die; templates that are made to end them must not fill it. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._untold = 0
        self._told_at = float("-inf")

    def tell(self, error: WorkerDied | WorkerHung) -> None:
        """Say that one has died, and how many since that was said last. One that was out of time is no surprise."""
        if isinstance(error, WorkerHung) or was_out_of_time(error.signal_number):
            return
        now = time.monotonic()
        with self._lock:
            self._untold += 1
            if now - self._told_at < DEATHS_TOLD_EVERY_S:
                return
            deaths, self._untold, self._told_at = self._untold, 0, now
        log.warning(logs.RENDER_WORKER_DIED, signal=error.signal_number, deaths=deaths)


class Rendered(Struct, frozen=True, kw_only=True):
    """A message, with what it was made of: the same again at this position and time."""

    html: bytes
    text: str | None
    subject: str | None
    preview_text: str | None
    position: Position
    now: datetime
    items: tuple[Used, ...] = ()
    feeds: tuple[UsedFeed, ...] = ()


class RenderFailed(FeeddError):
    """There is no message. `failure.kind` is syntax (mend the template), lookup (skip the recipient), limit or error."""

    def __init__(self, failure: Failed) -> None:
        self.failure = failure
        self.code = failure.code
        self.message = failure.message
        self.hint = failure.hint or ""
        place = "" if failure.line is None else f"line {failure.line}, column {failure.column}: "
        super().__init__(f"{place}{failure.message}" + (f". {self.hint}" if self.hint else ""))


LOOKS_TOO_LONG = Failed(
    kind="limit",
    code="too_slow",
    message=f"what it looks up takes more than {ANSWERS_S:g} s",
    hint='Look at fewer changes, such as those since="1d", or use one list more than once.',
    ends=True,
)


def kind_of(outcome: Rendered | Failed) -> str:
    """The outcome in a word of `OUTCOMES`."""
    if isinstance(outcome, Rendered):
        return "rendered"
    return "skipped" if outcome.kind == "lookup" else "failed"


def without_bugs(outcome: Rendered | Failed) -> Rendered | Failed:
    """The same outcome; a bug of ours goes to the log, and who asked is told that there is one."""
    if not isinstance(outcome, Failed) or outcome.kind != "bug":
        return outcome
    log.error(logs.RENDER_BUG, report=outcome.message)
    return Failed(
        kind="error",
        code="internal",
        message="feedd itself has failed here",
        hint="Its log says how (render.bug). Other messages are not touched.",
    )


def ended(error: WorkerDied | WorkerHung, limits: Limits) -> Failed:
    """Why a message has taken its process with it."""
    if isinstance(error, WorkerHung):
        return Failed(
            kind="limit", code="too_slow", message=f"it takes more than {limits.wall_s:g} s"
        )
    if was_out_of_time(error.signal_number):
        message = f"it takes more than {limits.cpu_s:g} s of processor time"
        return Failed(kind="limit", code="too_slow", message=message)
    hint = "It may take too much memory. The messages after it were not touched."
    return Failed(kind="limit", code="crashed", message=str(error), hint=hint)


def too_long(limits: Limits) -> Failed:
    message = f"a template may have {limits.source_bytes:,} characters"
    return Failed(kind="limit", code="template_too_large", message=message)
