"""Spreads the making of items over other processes, once there is enough of it.

A helper gets the recipe first, then batches of slices, one after the other, and answers each with what was made of it.
It ends when its pipe closes, so none outlives the process that it works for, however that ends.
"""

import contextlib
import gc
import itertools
import multiprocessing
import os
import signal
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import msgspec
from msgspec import Struct

from feedd.errors import FeedError, FormatError
from feedd.formats import FORMATS
from feedd.making import Here, Made, Promise
from feedd.model import Layout, Slices
from feedd.normalize import Plan, compile_plan, parse_source
from feedd.slots import Slots as SharedSlots
from feedd.slots import share, shared

SPREAD_BYTES = 16 * 1024 * 1024  # of a smaller body the most is done before a helper is there
SPREAD_AFTER = 2_000  # records made here first: most syncs never have as many new ones
# one in so many must be new, or finding them takes longer than making items of them
SPREAD_SHARE = 10
BATCH_RECORDS = 512
FEWEST = 16  # records worth the way to a helper
BATCHES_AHEAD = 6
MOST_HELPERS = 8
HELPER_NICENESS = 5  # below who asks: all wait for what that one writes
SWITCH_S = 0.0005  # a thread that has a helper's answer, or question, is let in soon
_END = b""
# before each question and answer: the slot of the question (-1: none), and how many bytes there lie in it (0: all follows)
_PLACE = struct.Struct("<bI")
_NO_SLOT = -1
_GC_EVERY = 100_000  # records hold no cycles, and looking for them often costs a tenth

Hire = Callable[[], list[Connection]]
_given: list[Connection] = []  # pipes to helpers of this process; those that were let go are closed
_giving = threading.Lock()
_pack = msgspec.msgpack.encode
_unpack_made = msgspec.msgpack.Decoder(list[Made]).decode
_unpack_head = msgspec.msgpack.Decoder(tuple[int, list[int], bytes]).decode
_unpack_error = msgspec.msgpack.Decoder(tuple[str, str, str]).decode


class Recipe(Struct, frozen=True, kw_only=True):
    """All that making an item of a slice hangs on, in values that another process can be given.

    `document` is a checked schema; `found` is what stands at the places around the records that it wants.
    """

    document: dict[str, Any]
    fields: dict[str, Any]
    items: str | None
    currency: str | None
    base: str | None
    format: str
    layout: Layout
    found: list[list[Any]]

    def plan(self) -> Plan:
        """The compiled schema, for the records of the one document."""
        plan = compile_plan(
            self.document,
            fields={name: parse_source(path) for name, path in self.fields.items()},
            items=self.items,
            default_currency=self.currency,
        )
        return plan.within(self.found, base=self.base)

    def maker(self, plan: Plan) -> Here:
        """Makes items in this process, by this recipe's plan."""
        form, layout = FORMATS[self.format], self.layout
        return Here(
            decode=lambda slices: form.decode(slices, layout),
            salvage=lambda raw, context: form.salvage(raw, context, layout),
            normalize=plan.normalize,
        )


def helpers_for(size_bytes: int) -> int:
    """How many helpers a body of that size is worth: one for each processor that this process may use."""
    processors = len(os.sched_getaffinity(0))
    if size_bytes < SPREAD_BYTES or processors < 2:  # a helper needs one of its own
        return 0
    return min(processors, MOST_HELPERS)


class Spread:
    """Makes items here until there are many of them, then in helpers, which `hire` is asked for once, in the background."""

    def __init__(self, here: Here, recipe: Recipe, hire: Hire) -> None:
        self._here = here
        self._recipe = recipe
        self._hire = hire
        self._made_here = 0
        self._hiring: threading.Thread | None = None
        self._crew: _Crew | None = None
        self._closed = False

    @property
    def ahead(self) -> int:
        """None is waited for here; helpers must have work in hand."""
        return BATCHES_AHEAD if self._crew is not None else 0

    def start(self, slices: Slices) -> Promise:
        """A promise of what is made of each of the slices, in order."""
        if self._crew is not None and len(slices.raws) >= FEWEST:
            return self._crew.start(slices)
        self._made_here += len(slices.raws)
        are_many = self._made_here * SPREAD_SHARE >= slices.position
        if self._hiring is None and self._made_here >= SPREAD_AFTER and are_many:
            self._hiring = threading.Thread(target=self._set_up, name="hire", daemon=True)
            self._hiring.start()
        return self._here.start(slices)

    def close(self) -> None:
        """Let the helpers go."""
        self._closed = True
        if self._hiring is not None:
            self._hiring.join()
        if self._crew is not None:
            self._crew.close()

    def _set_up(self) -> None:
        try:
            pipes = self._hire()
            if pipes and not self._closed:
                self._crew = _Crew(pipes, self._recipe)
                return
            for pipe in pipes:
                pipe.close()
        except OSError:
            return  # no more processes, or no memory for them: what can be made here is made here


class _Crew:
    """Helpers that have the recipe. Each has work in its pipe while it works, so none waits for this process's attention."""

    def __init__(self, pipes: Sequence[Connection], recipe: Recipe) -> None:
        self._interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        self._helpers: list[_Helper] = []
        try:
            for pipe in pipes:
                self._helpers.append(_Helper(pipe, recipe))
        except OSError:  # one has died already
            self.close()
            for pipe in pipes:
                pipe.close()
            raise

    def start(self, slices: Slices) -> Promise:
        """Hand the slices out, in batches."""
        position, raws, context = slices.position, slices.raws, slices.context
        answers = [
            min(self._helpers, key=_Helper.load).ask(
                _question(Slices(position + at, raws[at : at + BATCH_RECORDS], context))
            )
            for at in range(0, len(raws), BATCH_RECORDS)
        ]
        return lambda: [made for answer in answers for made in answer()]

    def close(self) -> None:
        """End the helpers, whatever they are at."""
        for helper in self._helpers:
            helper.close()
        sys.setswitchinterval(self._interval_s)


class _Helper:
    """One helper: what it was asked, and a thread that takes its answers, which come in the order of the questions."""

    def __init__(self, pipe: Connection, recipe: Recipe) -> None:
        self._pipe = pipe
        pipe.send(recipe)
        self._slots = share(pipe)
        self._open: deque[Future[bytes]] = deque()
        self._is_gone = False
        self._thread = threading.Thread(target=self._listen, name="spread", daemon=True)
        self._thread.start()

    def load(self) -> int:
        """How many questions wait for an answer."""
        return len(self._open)

    def ask(self, question: bytes) -> Promise:
        """A promise of its answer. Waits until the question is in its hands.

        Raises:
            FeedError: (`crashed`) it has died.
        """
        answer: Future[bytes] = Future()
        self._open.append(answer)
        slot = None if self._slots is None else self._slots.take(len(question))
        try:
            if self._is_gone:
                raise _crashed()
            if self._slots is None or slot is None:
                self._pipe.send_bytes(_PLACE.pack(_NO_SLOT, 0) + question)
            else:
                self._slots.put(slot, question)
                self._pipe.send_bytes(_PLACE.pack(slot, len(question)))
        except OSError as error:
            raise _crashed() from error
        return lambda: self._taken(answer.result())

    def _taken(self, message: bytes) -> list[Made]:
        """What is in an answer; its slot is free then."""
        with _content(self._slots, message) as content:
            made = _answered(content)
        slot, _ = _PLACE.unpack_from(message)
        if self._slots is not None and slot != _NO_SLOT:
            self._slots.give(slot)
        return made

    def close(self) -> None:
        """End it; nobody waits for its answers any more."""
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(_END)
        self._thread.join()
        self._pipe.close()
        if self._slots is not None:
            with contextlib.suppress(BufferError):  # an error that is on its way looks at it still
                self._slots.close()

    def _listen(self) -> None:
        try:
            while True:
                content = self._pipe.recv_bytes()
                self._open.popleft().set_result(content)
        except (EOFError, OSError):
            self._is_gone = True
            while self._open:
                self._open.popleft().set_exception(_crashed())


def _crashed() -> FeedError:
    return FeedError(
        "crashed",
        "a process that read this feed died",
        hint="The catalog stands. If it happens again, the feed may be too large for the memory there is.",
    )


def _question(slices: Slices) -> bytes:
    """Slices as a helper is asked for them: what is to be known of them, and all of them in a row."""
    head = _pack((slices.position, list(map(len, slices.raws)), slices.context))
    return b"".join((len(head).to_bytes(4, "little"), head, *slices.raws))


def _asked(content: memoryview) -> Slices:
    """The slices of a question."""
    size = 4 + int.from_bytes(content[:4], "little")
    position, lengths, context = _unpack_head(content[4:size])
    row = bytes(content[size:])
    ends = list(itertools.accumulate(lengths, initial=0))
    return Slices(position, [row[a:b] for a, b in itertools.pairwise(ends)], context)


def _content(slots: SharedSlots | None, message: bytes) -> memoryview:
    """What a message holds, or what lies in the slot that it tells of."""
    slot, size = _PLACE.unpack_from(message)
    if slots is None or not size:
        return memoryview(message)[_PLACE.size :]
    return slots.view(slot, size)


def _answered(content: memoryview) -> list[Made]:
    """What a helper has made.

    Raises:
        FormatError: it found that the body is not well-formed.
    """
    kind = bytes(content[:1])
    # let go whatever is raised: a slot that is looked at cannot be closed
    with content[1:] as body:
        if kind == b"m":
            return _unpack_made(body)
        code, message, hint = _unpack_error(body)
    if kind == b"f":
        raise FormatError(code, message, hint=hint)
    raise RuntimeError(message)


def calm_collector() -> None:
    """Have the collector leave alone what is shared with the fork server, and come seldom for the rest."""
    gc.freeze()
    gc.set_threshold(_GC_EVERY)


def leave_interrupts() -> None:
    """Have Ctrl-C, which a terminal sends to all processes at once, end the one that was started there: it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def give_way(steps: int) -> None:
    """Leave the processors to others who want them; a unit that filters system calls may forbid even that."""
    with contextlib.suppress(OSError):
        os.nice(steps)


def help_out(pipe: Connection) -> None:
    """What a helper does: make items of slices until it is ended, or who asks is gone."""
    leave_interrupts()
    calm_collector()
    give_way(HELPER_NICENESS)
    sys.setswitchinterval(SWITCH_S)
    try:
        recipe: Recipe = pipe.recv()
        slots = shared(pipe)
    except (EOFError, OSError):
        return
    questions: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_take_questions, args=(pipe, questions), daemon=True).start()
    maker = recipe.maker(recipe.plan())
    while True:
        question = questions.get()
        with _content(slots, question) as content:
            slices = _asked(content)
        answer = _made(maker, slices)
        slot, _ = _PLACE.unpack_from(question)
        try:
            if slots is not None and slot != _NO_SLOT and slots.put(slot, answer):
                pipe.send_bytes(_PLACE.pack(slot, len(answer)))
            else:
                pipe.send_bytes(_PLACE.pack(slot, 0) + answer)
        except OSError:
            return


def _take_questions(pipe: Connection, questions: "SimpleQueue[bytes]") -> None:
    """Take questions as they come: were they left in the pipe, two could wait for each other to read."""
    with contextlib.suppress(EOFError, OSError):
        while (question := pipe.recv_bytes()) != _END:
            questions.put(question)
    os._exit(0)


def _made(maker: Here, slices: Slices) -> bytes:
    try:
        return b"m" + _pack(maker.make(slices))
    except FormatError as error:
        return b"f" + _pack((error.info.code, error.info.message, error.info.hint))
    except Exception:  # noqa: BLE001 a bug must reach the log, not end as a silent death
        import traceback

        return b"b" + _pack(("bug", traceback.format_exc(), ""))


def hire(count: int) -> list[Connection]:
    """Start helpers of this process; gives the pipes to them.

    They may be fewer, or none: all that it has at once are no more than there are processors, however many bodies it reads.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["feedd.spread"])
    with _giving:
        _given[:] = [pipe for pipe in _given if not pipe.closed]
        most = max(2, len(os.sched_getaffinity(0)))
        pipes = start_helpers(context, min(count, most - len(_given)))
        _given.extend(pipes)
    return pipes


def start_helpers(
    context: Any, count: int, target: Callable[[Connection], None] = help_out
) -> list[Connection]:
    """The pipes to so many new helpers, from a fork server."""
    pipes = []
    for _ in range(count):
        ours, theirs = context.Pipe()
        context.Process(target=target, args=(theirs,), name="feedd-helper", daemon=True).start()
        theirs.close()
        pipes.append(ours)
    return pipes
