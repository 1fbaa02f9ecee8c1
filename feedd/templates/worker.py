"""The process that renders. It has no database, no secret, no environment, and after `confine` no file: only its pipe.

It dies with the daemon: the pipe closes, and it ends.
"""

import gc
import resource
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

import msgspec
from django.utils import timezone
from msgspec.structs import replace

from feedd.templates.check import problems
from feedd.templates.confine import confine, granted
from feedd.templates.failures import TooMuch, TooSlow, Unanswered
from feedd.templates.items import currency_symbol
from feedd.templates.outputs.plain_text import plain_text
from feedd.templates.outputs.styles import inline
from feedd.templates.render import TOO_DEEP, Renderer, Template, cleaned
from feedd.templates.wire import (
    Ask,
    AskFeed,
    AskHistory,
    AskItem,
    Begin,
    Check,
    Checked,
    Done,
    Failed,
    FromWorker,
    Load,
    Move,
    Position,
    Question,
    Work,
    decode_to_worker,
    encode,
)

# what loads languages, locales, code pages and modules only when it is first used
WARM = """{{ a|date }}{% now 'r F l P e' %}{% currency_format 1.5 %}{{ 1.5|floatformat:'2g' }}{{ '1,5'|plus:1 }}{{ 1.5|localize }}
{{ '2026-03-31'|days_later:1|format_date_string|timesince }}{{ '03-31-2026'|weeks_since }}{{ '31 Mar 2026'|format_date_string|date }}
{{ 'a@example.com www.example.com <b>&amp;</b>'|striptags|urlize }}{{ 'ä b'|slugify }}{{ '<b>a b</b>'|truncatewords_html:1 }}
{{ 'a'|md5_hash }}{{ 'a'|sha_1 }}{{ 'a'|sha_256 }}{{ 'YQ=='|base64_decode }}{{ '%61'|urldecode }}{{ 'a b'|resplit:'\\s' }}
{% barcode 'a' mode=html %}{% barcode 'a' %}{{ 'a b'|split|list_to_string }}{{ 1200000|intword }}{{ 5|apnumber }}{{ 3|ordinal }}{{ 5|json_script:'a' }}"""

PAGE = "<style>p { margin: 0 }</style><p>a <a href='https://shop.example/'>b</a></p><ul><li>&eacute;</li></ul>"

MOST_KEPT_BYTES = 16 * 1024**2  # of questions and answers, as JSON
MOST_ASKED_BYTES = 64 * 1024  # of a question
_decode_json = msgspec.json.decode


class Answers:
    """What the daemon has answered, for as long as it holds."""

    def __init__(self, pipe: Connection, answers: Connection) -> None:
        self._pipe = pipe
        self._answers = answers
        self._kept: dict[Question, tuple[Any, int]] = {}  # the answers, and their sizes in bytes
        self._size = 0

    def __call__(self, question: Question) -> Any:
        """The answer; None where there is nothing.

        Raises:
            TooMuch: the question is too long.
            Unanswered: something came between the question and its answer.
        """
        found = self._kept.get(question)
        if found is not None:
            return found[0]
        frame = encode(Ask(question))
        if len(frame) > MOST_ASKED_BYTES:
            size = MOST_ASKED_BYTES // 1024
            raise TooMuch(
                "too_large", f"what is looked up may have {size} KB in its name or conditions"
            )
        try:
            self._pipe.send_bytes(frame)
            answer = self._answers.recv_bytes()
        except BaseException as error:
            raise Unanswered from error
        value = cleaned(_decode_json(answer))
        size = len(frame) + len(answer)
        self._size += size
        if self._size > MOST_KEPT_BYTES:
            self._kept.clear()
            self._size = size
        self._kept[question] = value, size
        return value

    def move(self, move: Move, *, moved: bool) -> None:
        """Forget what may be otherwise from now on."""
        if move.forgets is None:
            self._kept.clear()
            self._size = 0
            return
        items = {item for _, item in move.forgets}
        feeds = set(move.feeds)
        for question, (answer, size) in list(self._kept.items()):
            if isinstance(question, AskItem | AskHistory):
                stale = question.item in items
            elif isinstance(question, AskFeed):
                # the daemon keeps in mind who has which web feed, and not what there was not
                stale = answer is None or question.name in feeds
            else:
                stale = moved
            if stale:
                del self._kept[question]
                self._size -= size


class Worker:
    """Does what it is told, one thing after the other."""

    def __init__(self, pipe: Connection, answers: Connection, begin: Begin) -> None:
        self._pipe = pipe
        self._limits = begin.limits
        self._account = begin.account
        self._answers = Answers(pipe, answers)
        self._renderer = Renderer(begin.account, begin.limits, self._answers)
        self._templates: dict[str, Template] = {}
        self._position = Position()
        self._size_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def warm_up(self) -> None:
        """Have everything imported that a message may need, while files can still be opened."""
        load = Load("", WARM, text="{{ a }}", subject="{{ a }}")
        self._renderer.render(
            Template(load), Work(name="", values=b"{}", now=0.0, wants_text=True), Position()
        )
        plain_text(inline(PAGE))
        timezone.get_default_timezone()  # which times without a zone are taken to be in
        currency_symbol(self._account.currency, self._account.locale)

    def serve(self) -> None:
        """Until the pipe closes, or a message has left this process in a state not worth keeping."""
        while True:
            told = decode_to_worker(self._pipe.recv_bytes())
            if isinstance(told, Load):
                for name in told.drop:
                    self._templates.pop(name, None)
                self._templates[told.name] = Template(told)
            elif isinstance(told, Move):
                self._answers.move(told, moved=told.position != self._position)
                self._position = told.position
            elif isinstance(told, Work | Check):
                answer = self._within_bounds(told)
                try:
                    frame = encode(answer)
                except (TypeError, ValueError) as error:
                    answer = _bug(error)
                    frame = encode(answer)
                self._pipe.send_bytes(frame)
                if isinstance(answer, Done | Failed) and answer.ends:
                    return

    def _within_bounds(self, told: Work | Check) -> FromWorker:
        """Do it; what takes too much time or memory ends this process once it has said so."""
        try:
            with granted(self._limits.cpu_s):
                answer = self._done(told)
            if isinstance(answer, Done):
                answer = replace(answer, ends=self._has_grown())
        except Unanswered as error:
            reason = error.__cause__
        except (TooSlow, Exception) as error:  # noqa: BLE001 it is told, and costs this message only
            reason = error
        else:
            return answer
        return self._ended(reason)

    def _ended(self, reason: BaseException | None) -> Failed:
        """Why a message has left this process in a state not worth keeping."""
        if isinstance(reason, TooSlow):
            return _ends(
                "too_slow", f"it takes more than {self._limits.cpu_s:g} s of processor time"
            )
        if isinstance(reason, RecursionError):
            return _ends("too_deep", TOO_DEEP)
        if isinstance(reason, MemoryError):
            reason = None  # and what it holds
            gc.collect()
            size = self._limits.memory_bytes // 1024**2
            return _ends("too_much_memory", f"it takes more than {size:,} MB of memory")
        if isinstance(reason, EOFError | OSError):  # the pipe
            raise reason
        return _bug(reason)

    def _has_grown(self) -> bool:
        """Whether a message has taken half of what there is: what it leaves behind may be in the way of the next one."""
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._size_kb
        return grown > self._limits.memory_bytes // 2 // 1024

    def _done(self, told: Work | Check) -> FromWorker:
        if isinstance(told, Check):
            return Checked(tuple(problems(told.source, told.known)))
        return self._renderer.render(self._templates[told.name], told, self._position)


def main(descriptor: int, answers: int) -> None:
    """Serve the pipe of that number, with answers from another; the first thing said is that this process is ready, or why not."""
    pipe = Connection(descriptor)
    try:
        begin = decode_to_worker(pipe.recv_bytes())
        if not isinstance(begin, Begin):
            return
        worker = Worker(pipe, Connection(answers), begin)
        worker.warm_up()
        confine(begin.limits.memory_bytes)
        gc.collect()
        gc.freeze()
        pipe.send_bytes(encode(Done(html=b"")))
    except Exception as error:  # noqa: BLE001 it goes to the daemon's log, where somebody can read it
        pipe.send_bytes(encode(_bug(error)))
        return
    try:
        worker.serve()
    except (EOFError, OSError):
        sys.exit(0)


def _ends(code: str, message: str) -> Failed:
    return Failed(kind="limit", code=code, message=message, ends=True)


def _bug(error: BaseException | None) -> Failed:
    """An error, as a failure that says where it came from."""
    told = "".join(traceback.format_exception(error)).encode("utf-8", "replace").decode()
    return Failed(kind="bug", code="bug", message=told, ends=True)
