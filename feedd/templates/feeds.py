"""`feeds.NAME` and `web_feeds.NAME` of a template: asked for when a template first names one, and once a message.

    feeds.NAME        the last good body of a web feed, blank where there is none
    web_feeds.NAME    what is known of it: `fetched_at` (a time), `age_seconds`, `status` (ok or failing), `error`

The daemon answers `AskFeed` with an object of `body`, `digest`, `fetched_at`, `status` and `error` (`WebFeedBody.answer`), or with null. Where
nothing was ever fetched and that has failed, the digest is empty.
"""

from typing import Any

from feedd.templates.message import Message
from feedd.templates.moments import Moment
from feedd.templates.wire import AskFeed, UsedFeed


class _Lazy(dict[str, Any]):
    """A dict that looks up what it does not have yet."""

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # a template may ask for anything
        except (KeyError, TypeError):
            return False
        return True


class Feeds(_Lazy):
    """The bodies of web feeds by their names, for one message; `about` is what is known of each."""

    def __init__(self, message: Message) -> None:
        super().__init__()
        self._message = message
        self._answers: dict[str, dict[str, Any] | None] = {}
        self.about = About(self)

    def __missing__(self, name: str) -> Any:
        answer = self.answer(name)
        if not answer["digest"]:
            raise KeyError(name)
        self[name] = body = answer["body"]
        return body

    def facts(self, name: str) -> dict[str, Any]:
        """What is known of one beside its body. Raises KeyError."""
        answer = self.answer(name)
        found = {"status": answer["status"], "error": answer["error"]}
        if answer["fetched_at"] is None:
            return found
        now = self._message.now
        fetched_at = Moment.fromisoformat(answer["fetched_at"]).astimezone(now.tzinfo)
        age_seconds = max(int((now - fetched_at).total_seconds()), 0)
        return found | {"fetched_at": fetched_at, "age_seconds": age_seconds}

    def answer(self, name: str) -> dict[str, Any]:
        """What the daemon says of one. Raises KeyError: there is none of that name, or nobody has tried to fetch it."""
        if not isinstance(name, str):
            raise KeyError(name)
        if name not in self._answers:
            answer = self._message.ask(AskFeed(name))
            self._answers[name] = answer
            if answer is not None and answer["digest"]:
                used = UsedFeed(name, answer["digest"], answer["fetched_at"])
                self._message.feeds[used] = None
        found = self._answers[name]
        if found is None:
            raise KeyError(name)
        return found


class About(_Lazy):
    """What is known of web feeds by their names."""

    def __init__(self, feeds: Feeds) -> None:
        super().__init__()
        self._feeds = feeds

    def __missing__(self, name: str) -> Any:
        self[name] = facts = self._feeds.facts(name)
        return facts
