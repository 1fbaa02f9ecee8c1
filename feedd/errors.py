"""Everything that feedd raises on purpose. Pure.

    FeeddError
    ├── ConfigError            the configuration is wrong: every problem with file and line      exit 2
    ├── UsageError             a command or request names something that is not there            exit 2
    ├── Unavailable            something of the machine is not to be had now, such as a port     exit 1
    │   └── Overloaded         more waits to be written than is kept waiting; try again           exit 1
    ├── StateInUse             another feedd holds the state directory                           exit 75
    ├── FeedError              this feed cannot be synced now; recorded, shown, next feed        exit 1
    │   ├── FetchError         it could not be fetched
    │   ├── FormatError        its body is not a whole document of a known format
    │   └── SyncStopped        the sync was stopped before its end (daemon stopping, lease lost)
    └── StoreError             the database cannot be used (wrong version, damaged)              exit 1

A bad record is not here: it is a value, `model.Reject`. Anything else that is raised is a bug.
"""

import errno
from typing import NamedTuple

from feedd.model import ErrorInfo


class FeeddError(Exception):
    """Base of the tree. `str()` is one sentence that says what is wrong and where."""


class ConfigProblem(NamedTuple):
    """One thing wrong with the configuration: where it is, what it is, what to write instead."""

    file: str
    line: int | None
    key: str
    message: str
    hint: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"


class ConfigError(FeeddError):
    """The configuration cannot be used; `problems` holds all of them."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class UsageError(FeeddError):
    """The caller asked for something that cannot be: an unknown feed, a cursor that is not one."""

    def __init__(self, message: str, *, code: str = "invalid", hint: str = "") -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(f"{message}. {hint}" if hint else message)


class NotFound(UsageError):
    """The thing asked for does not exist."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="not_found", hint=hint)


class TooOld(UsageError):
    """What was asked for lies before the changes that are kept; `oldest_seq` is the first of those."""

    def __init__(self, asked: str, oldest_seq: int, *, hint: str = "") -> None:
        self.oldest_seq = oldest_seq
        super().__init__(
            f"{asked} are no longer kept: the oldest change that is kept is {oldest_seq}",
            code="too_old",
            hint=hint or f"Read the items as they are now, then go on after {oldest_seq - 1}.",
        )


class Unavailable(FeeddError):
    """The machine does not give what feedd needs just now: an address to listen on, a running server."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)


class Overloaded(Unavailable):
    """So much waits to be written already that no more is taken: nothing of this was, and it may be sent again."""

    code = "overloaded"

    def __init__(self, message: str = "too much is waiting to be written") -> None:
        super().__init__(message, hint="Nothing of this was taken: send it again.")


class StateInUse(FeeddError):
    """Another process holds the state directory."""

    def __init__(self, state_dir: str, holder: str) -> None:
        self.state_dir = state_dir
        self.holder = holder
        super().__init__(f"{state_dir} is in use by {holder}")


class StoreError(FeeddError):
    """The database cannot be used as it is; the message says what to do."""


class FeedError(FeeddError):
    """A feed cannot be synced now. Carries what is recorded and shown."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(f"{message}. {hint}" if hint else message)

    @property
    def info(self) -> ErrorInfo:
        """The error as a value."""
        return ErrorInfo(code=self.code, message=self.message, hint=self.hint)


class FetchError(FeedError):
    """The body could not be had. `retry_after_s` is what the server asked for, in seconds."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s


class FormatError(FeedError):
    """The body is not a whole document of a known format, or holds no records where they were looked for."""


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # of an OSError
STOPPED = "stopped"  # the code of what feedd itself has ended, whichever stage noticed
CANCELLED = "cancelled"  # the code of what a person has ended


class SyncStopped(FeedError):
    """The sync was stopped before its commit; nothing of it was stored."""
