"""What one render knows beyond its variables. Tags and filters get it as `context.message`."""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.template import Context

from feedd.templates.failures import TooMuch
from feedd.templates.wire import Account, Limits, Links, Position, Question, Used, UsedFeed

Answer = Callable[[Question], Any]


class Message:
    """One render: the moment, whose it is, and the lookups that it makes.

    `now` is aware and in the account's time zone. `ask` gives what the daemon answers, which nobody may change.
    """

    def __init__(
        self,
        *,
        account: Account,
        now: datetime,
        answer: Answer,
        limits: Limits,
        links: Links = Links(),  # noqa: B008 it is frozen
        position: Position = Position(),  # noqa: B008 it is frozen
        seed: str = "",
        preview_text: str = "",
    ) -> None:
        self.account = account
        self.now = now
        self.links = links
        self.position = position
        self.limits = limits
        self.preview_text = preview_text
        self.random = random.Random(seed)  # noqa: S311 the same mail twice, no secret
        self.items: dict[Used, None] = {}
        self.feeds: dict[UsedFeed, None] = {}
        self.written = 0
        self.iterations = 0
        self._answer = answer
        self._asked = 0

    def ask(self, question: Question, *, cost: int = 1) -> Any:
        """What the daemon answers; None where there is nothing. `cost` is as how many lookups the question counts.

        Raises:
            TooMuch: the message has asked too often.
        """
        self._asked += cost
        if self._asked > self.limits.lookups:
            raise TooMuch(
                "too_many_lookups",
                f"a message may look up {self.limits.lookups:,} things",
                hint="Look an item up once, outside of the loop, or take fewer with {% items … limit=12 as xs %}.",
            )
        return self._answer(question)

    def write(self, length: int) -> None:
        """Count what a loop has written. Raises TooMuch when it is more than a message may be."""
        self.written += length
        self.iterations += 1
        # what is written in loops within loops is counted at each of them
        if self.written > 8 * self.limits.output_bytes:
            raise too_large(self.limits)
        if self.iterations > self.limits.iterations:
            raise TooMuch(
                "too_many_turns", f"loops may turn {self.limits.iterations:,} times in a message"
            )


def too_large(limits: Limits) -> TooMuch:
    """The message would be larger than one may be."""
    return TooMuch("too_large", f"a message may have {limits.output_bytes:,} bytes")


class Rendering(Context):
    """Django's context with the message it is for."""

    def __init__(
        self, values: dict[str, Any], message: Message, *, autoescape: bool = True
    ) -> None:
        super().__init__(values, autoescape=autoescape, use_l10n=False, use_tz=True)
        self.message = message
