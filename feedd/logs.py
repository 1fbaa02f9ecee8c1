"""The log: structured events, pretty on a terminal and JSON lines otherwise, with nothing secret in them. Owns structlog.

Whatever is logged, by feedd or by a library, goes through one pipeline: secrets are masked, control characters are
escaped (a feed cannot forge a line), exceptions are rendered without the values of variables.
"""

import json as stdlib_json
import logging
import re
import textwrap
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from feedd.model import Refresh, SyncRecord
from feedd.redaction import MASK, escaped, redact_text

DAEMON_READY = "daemon.ready"
DAEMON_STOPPING = "daemon.stopping"
DAEMON_UNWELL = "daemon.unwell"
DAEMON_STOPPED_LATE = "daemon.stopped_late"
CONFIG_RELOADED = "config.reloaded"
CONFIG_REFUSED = "config.refused"
SYNC_DONE = "sync.done"
SYNC_ERROR = "sync.error"
STORE_ERROR = "store.error"
RECORD_ERROR = "record.error"
REQUEST_ERROR = "request.error"  # a bug
REQUEST_LEFT = "request.left"  # by a client that is gone
KEY_WRONG = "key.wrong"
KEY_BLOCKED = "key.blocked"
TRACK_DROPPED = "track.dropped"
TRACK_REFUSED = "track.refused"
RETENTION_DONE = "retention.done"
PACKING_ERROR = "packing.error"
WEB_FEED_REFRESHED = "web_feed.refreshed"
WEB_FEED_ERROR = "web_feed.error"
WEBHOOK_DELIVERED = "webhook.delivered"
WEBHOOK_FAILED = "webhook.failed"
WEBHOOK_DEAD = "webhook.dead"
WEBHOOK_DISABLED = "webhook.disabled"
WEBHOOK_ERROR = "webhook.error"
ALERT_RAISED = "alert.raised"
PEOPLE_TOLD = "people.told"
TELLING_RESTARTED = (
    "telling.restarted"  # the catalog was restored or made anew: it begins at the end
)
TELLING_GAP = "telling.gap"  # changes that are no longer kept were never looked at
TELLING_ERROR = "telling.error"
RULE_CHANGED = "rule.changed"
TEMPLATES_READ = "templates.read"
TEMPLATES_ERROR = "templates.error"
TEMPLATE_REFUSED = "template.refused"
TEMPLATE_BROKEN = "template.broken"
RENDER_BUG = "render.bug"  # of feedd's own, while a message was rendered
RENDER_WORKER_DIED = "render.worker_died"  # and took at most one message with it
JOB_DONE = "job.done"
JOB_ERROR = "job.error"

_OURS = "feedd"
_DEEPEST = 8
_FIRST = ("timestamp", "level", "event")
_MANY_LINES = ("exception", "stack")
_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|(^|[_-])token|secret|authorization|api[_-]?key|cookie|credential",
    re.IGNORECASE,
)


class _Handler(logging.StreamHandler[TextIO]):
    """The one handler that `configure` installs, so that it can be told from those of others."""


def configure(stream: TextIO, level: str = "info", json: bool | None = None) -> None:
    """Send the log to a stream; `json` None means: unless the stream is a terminal. May be called again."""
    terminal = stream.isatty()
    as_json = not terminal if json is None else json
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a shop's Hebrew must not end the daemon
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=_pipeline(as_json=as_json, colors=terminal),
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    set_level(level)


def set_level(level: str) -> None:
    """Log from this level on; libraries are heard from `warning` on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger(_OURS).setLevel(number)
    logging.getLogger().setLevel(max(number, logging.WARNING))


def get_logger(name: str = _OURS) -> structlog.stdlib.BoundLogger:
    """A logger. Events are constants `noun.verb`; everything that varies is a key."""
    ours = name == _OURS or name.startswith(f"{_OURS}.")
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name if ours else f"{_OURS}.{name}")
    return logger


def sync_line(feed: str, record: SyncRecord) -> dict[str, Any]:
    """The keys of the one line that is logged for a sync, whatever it did."""
    line: dict[str, Any] = {
        "feed": feed,
        "status": str(record.status),
        "trigger": record.trigger,
        "sync": record.id,
        "duration_s": None if record.duration_s is None else round(record.duration_s, 3),
        "size_bytes": record.size_bytes,
    }
    if record.counts is not None:
        line |= {name: getattr(record.counts, name) for name in record.counts.__struct_fields__}
    if record.error is not None:
        line |= {"code": record.error.code, "error": record.error.message}
        line["hint"] = record.error.hint or None
    return {key: value for key, value in line.items() if value is not None}


def refresh_line(done: Refresh) -> dict[str, Any]:
    """The keys of the one line that is logged for a refresh of a web feed."""
    line: dict[str, Any] = {
        "web_feed": done.web_feed,
        "outcome": done.outcome,
        "duration_s": done.duration_s,
        "size_bytes": done.size_bytes,
        "fetched_at": None if done.fetched_at is None else done.fetched_at.isoformat(),
    }
    if done.error is not None:
        line |= {"code": done.error.code, "error": done.error.message}
        line["hint"] = done.error.hint or None
    return {key: value for key, value in line.items() if value is not None}


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: plain values only, nothing secret and nothing that could forge a line."""
    return {escaped(str(key)): _redacted(str(key), value) for key, value in event.items()}


def _redacted(key: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_KEY.search(key):
        return MASK
    if isinstance(value, int | float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {
            escaped(redact_text(str(k))): _redacted(str(k), v, depth + 1) for k, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [_redacted("", each, depth + 1) for each in value]
    text = redact_text(str(value)).rstrip("\n")
    if key in _MANY_LINES:
        return "\n".join(escaped(line) for line in text.splitlines())
    return escaped(text)


def _set_off(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the lines of an exception are indented, so that none can be taken for an event."""
    shown = {key: textwrap.indent(event[key], "    ") for key in _MANY_LINES if key in event}
    return {**event, **shown}


def _to_json(event: EventDict, **_options: Any) -> str:
    first = {key: event.pop(key) for key in _FIRST if key in event}
    return stdlib_json.dumps({**first, **event}, ensure_ascii=False)


def _pipeline(*, as_json: bool, colors: bool) -> list[Processor]:
    pretty = structlog.dev.ConsoleRenderer(
        colors=colors,
        sort_keys=False,
        pad_event_to=15,
        exception_formatter=structlog.dev.plain_traceback,
    )
    render: list[Processor] = (
        [structlog.processors.JSONRenderer(serializer=_to_json)] if as_json else [_set_off, pretty]
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # the plain traceback: no values of variables
        redact,
        *render,
    ]
