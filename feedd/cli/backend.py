"""Where a command's answers come from: the running daemon, or the state directory itself when there is none."""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from feedd.cli.options import Options, Wanted
from feedd.cli.show import counted, say
from feedd.errors import ConfigError, StateInUse, UsageError
from feedd.model import (
    ApiKey,
    CatalogItem,
    Change,
    Delivery,
    DryRunLine,
    FeedView,
    Forgotten,
    ItemVersion,
    OpenReject,
    Orphan,
    Progress,
    Refresh,
    SyncRecord,
    TemplateView,
    Trial,
    WebFeedView,
    WebhookView,
)

if TYPE_CHECKING:
    from feedd.cli.local import Local
    from feedd.cli.remote import Remote
    from feedd.people.operations import Answer, Asking
    from feedd.previews import Preview, Previewed

STARTING_S = 5.0  # for so long a daemon may hold the state directory and not answer yet


class Resync(Protocol):
    """One resync that was asked for."""

    @property
    def progress(self) -> Progress | None:
        """How far it is, as far as is known."""
        ...

    def poll(self) -> SyncRecord | None:
        """Its record once it has ended, None before that. Raises what kept it from running."""
        ...

    def wait(self, seconds: float) -> None:
        """Give it that much time, or less where its end is noticed at once."""
        ...


Followed = tuple[int, Change | None]  # how far the stream has been followed, and the change there


class Templates(NamedTuple):
    """The templates, by name; files that cannot be used, and why; the directory where one is configured, and why it cannot be read."""

    found: list[TemplateView]
    refused: list[tuple[str, str]]
    directory: str | None = None
    trouble: str | None = None


class Backend(Protocol):
    """What the commands ask for. Lists are in their order; iterators fetch page by page.

    `is_local` where this process does the work itself.
    """

    is_local: bool

    def feeds(self) -> list[FeedView]: ...
    def resync(self, feed: str, *, accept_removals: bool, replay: bool) -> Resync: ...
    def dry_run(
        self, feed: str, *, accept_removals: bool, replay: bool
    ) -> Iterator[DryRunLine]: ...
    def cancel(self, feed: str) -> tuple[int, int]: ...
    def orphans(self) -> list[Orphan]: ...
    def forget(self, feed: str) -> Forgotten: ...
    def stream(self) -> tuple[str, int]: ...
    def changes(self, wanted: Wanted, *, since: int, limit: int) -> list[Change]: ...
    def newest_changes(self, wanted: Wanted, *, limit: int) -> list[Change]: ...
    def follow(self, wanted: Wanted, *, stream: str, since: int) -> Iterator[Followed]: ...
    def find_item(self, item_id: str, *, feed: str | None) -> CatalogItem: ...
    def item_at(self, item_id: str, *, feed: str | None, seq: int) -> ItemVersion: ...
    def history(self, item_id: str, *, feed: str | None) -> Iterator[Change]: ...
    def rejects(self, feed: str | None) -> Iterator[OpenReject]: ...
    def closed_rejects(self, feed: str | None) -> Iterator[OpenReject]: ...
    def warned_items(self, feed: str | None) -> Iterator[CatalogItem]: ...
    def create_key(
        self, *, kind: str, name: str, scopes: tuple[str, ...]
    ) -> tuple[ApiKey, str]: ...
    def list_keys(self) -> list[ApiKey]: ...
    def rotate_key(self, prefix: str, *, keep: timedelta) -> tuple[ApiKey, ApiKey, str]: ...
    def revoke_key(self, prefix: str) -> ApiKey: ...
    def templates(self) -> Templates: ...
    def web_feeds(self) -> list[WebFeedView]: ...
    def refresh_web_feed(self, name: str) -> Refresh: ...
    def webhooks(self) -> list[WebhookView]: ...
    def webhook_deliveries(self, name: str | None, status: str) -> Iterator[Delivery]: ...
    def replay_webhook(
        self, name: str, *, since: int | None, dead: bool, delivery: int | None
    ) -> int: ...
    def test_webhook(self, name: str) -> Trial: ...
    def drop_delivery(self, delivery: int) -> Delivery: ...
    def people(self, operation: "Asking[Answer]") -> "Answer": ...
    def preview(self, preview: "Preview") -> "Previewed": ...


@contextlib.contextmanager
def connect(
    options: Options,
    *,
    to_sync: bool = False,
    to_send: bool = False,
    to_try: bool = False,
    to_record: bool = False,
) -> Iterator[Backend]:
    """The running daemon; or without one the state directory, which is held while a command syncs.

    `to_send` looks up the secrets that sending to a webhook takes, as syncing does anyway. `to_try` is for what asks
    what the configuration would do: the one in the files, which the daemon may not have read yet. `to_record` makes the state
    directory where there is none.

    Raises:
        ConfigError: the configuration cannot be used.
        StateInUse: something that is no daemon holds the state directory.
        UsageError: the daemon's socket, or the state directory, is not this user's to use.
    """
    socket = options.socket()
    deadline = time.monotonic() + STARTING_S
    while (remote := _answering(socket)) is None:
        try:
            with contextlib.closing(
                _open_local(options, to_sync=to_sync, to_send=to_send, to_record=to_record)
            ) as local:
                yield local
                return
        except StateInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # a daemon that is just starting, or a command that has just ended
    beside = _open_beside(options, with_secrets=to_sync) if to_try else None
    if beside is None:
        yield remote
    else:
        with contextlib.closing(beside):
            yield beside


def _answering(socket: Path) -> "Remote | None":
    """The daemon that answers there, if one does; HTTP is not imported to see that there is no socket."""
    try:
        socket.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # it may be there, and is told what it is not
    from feedd.cli.remote import Remote

    remote = Remote(socket)
    return remote if remote.answers() else None


def _open_beside(options: Options, *, with_secrets: bool) -> "Local | None":
    """The state directory that a daemon holds, to look at; None where that is not this user's to do."""
    try:
        return _open_local(options, to_sync=False, to_send=with_secrets)
    except ConfigError as error:
        say(
            f"feedd: the configuration has {counted(len(error.problems), 'problem')} here (feedd check);"
            " the daemon answers by what it has read",
            stderr=True,
        )
    except (UsageError, StateInUse):
        pass
    return None


def _open_local(
    options: Options, *, to_sync: bool, to_send: bool, to_record: bool = False
) -> "Local":
    from feedd.cli.local import open_local

    takes_secrets = to_sync or to_send
    settings = options.checked_settings() if takes_secrets else options.settings(with_secrets=True)
    return open_local(settings, to_sync=to_sync, to_record=to_record)
