"""What is wrong with the templates that are stored: looked for in threads of its own, and kept beside each template.

A check takes some hundredths of a second, and there may be thousands of templates. So nobody waits for all of them: what has been found
is stored with what has found it, and whoever asks is told what there is after a moment.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2s
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from feedd import templates
from feedd.errors import StoreError, Unavailable
from feedd.model import Template
from feedd.rendering import RenderFailed
from feedd.store import templates as store
from feedd.store.database import Database
from feedd.store.templates import Outline, Sources, sources_of
from feedd.templates.wire import Known, Problem

Check = Callable[[str, Known], Sequence[Problem]]
Problems = tuple[Problem, ...]
PARTS = ("html", "text")
STOP_WITHIN_S = 6.0  # longer than one check may take
AGAIN_AFTER_S = 60.0  # what could not be looked through, as where the machine has much to do
_MOST_KNOWN = 10_000
MOST_WARNINGS = 20  # of a template that are kept


class Verdict(Struct, frozen=True):
    """What a check has found; another one (`by`) may find something else."""

    by: str
    problems: Problems = ()


class Under(NamedTuple):
    """What a check goes by: the names that there are; `by` says which check it is, under which names."""

    by: str
    known: Known


class Checks:
    """Finds what is wrong with sources, and remembers it. For any thread.

    `under` tells what to go by now, `at_once` how many are looked through at a time.
    """

    def __init__(
        self,
        people: Database,
        check: Check,
        *,
        under: Callable[[], Under],
        at_once: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._check = check
        self._under = under
        self._at_once = at_once
        self._clock = clock
        self._found: dict[tuple[str, str], Problems] = {}  # by what found it, and the digest
        self._failed: dict[str, tuple[float, Problems]] = {}  # when, and with what; by the digest
        self._waiting: dict[str, int] = {}  # numbers of templates, in their order
        self._unended: set[str] = set()  # those, and the ones that are being looked through
        self._threads: set[threading.Thread] = set()
        self._news = threading.Condition()

    def problems(self, sources: Sources) -> Problems:
        """What is wrong with sources, with place and hint. Raises Overloaded."""
        return self._problems(sources, self._under())

    def _problems(self, sources: Sources, under: Under) -> Problems:
        digest = sources.digest
        found = self._found.get((under.by, digest))
        if found is None:
            try:
                found = tuple(self._look(sources, under.known))
                self._found[under.by, digest] = found
                self._failed.pop(digest, None)
            except RenderFailed as error:
                # it may be read another time, when the machine has less to do
                found = (Problem(line=1, column=1, message=error.message, hint=error.hint or None),)
                self._failed[digest] = self._clock(), found
            if len(self._found) > _MOST_KNOWN:
                self._found.clear()
            if len(self._failed) > _MOST_KNOWN:
                self._failed.clear()
        return found

    def problems_of(self, template: Template) -> Problems:
        """What is wrong with a template, which is stored. Raises Overloaded, StoreError."""
        known = self.known(template)
        return self._judge(template) if known is None else known

    def known(self, template: Outline | Template) -> Problems | None:
        """What is wrong with a template; None where nobody has looked yet."""
        by = self._under().by
        if template.verdict is not None:
            verdict = _decode(template.verdict)
            if verdict.by == by:
                return verdict.problems
        found = self._found.get((by, template.digest))
        if found is None and template.digest in self._failed:
            tried_at, failed = self._failed[template.digest]
            found = failed if self._clock() - tried_at < AGAIN_AFTER_S else None
        return found

    def look_through(self, numbers: Mapping[str, int], within_s: float) -> None:
        """Have templates looked through, by digest, and wait for that; after `within_s` it goes on without anybody waiting."""
        with self._news:
            self._waiting |= {d: n for d, n in numbers.items() if d not in self._unended}
            self._unended |= numbers.keys()
            for _ in range(min(self._at_once(), len(self._waiting)) - len(self._threads)):
                thread = threading.Thread(target=self._run, name="template-check", daemon=True)
                self._threads.add(thread)
                thread.start()
            self._news.wait_for(lambda: self._unended.isdisjoint(numbers), within_s)

    def stop(self) -> None:
        """Look through no more."""
        with self._news:
            self._unended -= self._waiting.keys()
            self._waiting.clear()
            self._news.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        try:
            while (following := self._next()) is not None:
                digest, number = following
                try:
                    for template in store.read_templates(self._people, [number]):
                        self._judge(template)
                except (StoreError, Unavailable):
                    pass  # it is not looked at yet, and that is told
                finally:
                    with self._news:
                        self._unended.discard(digest)
                        self._news.notify_all()
        finally:
            with self._news:
                self._threads.discard(threading.current_thread())

    def _next(self) -> tuple[str, int] | None:
        with self._news:
            digest = next(iter(self._waiting), None)
            if digest is None:
                self._threads.discard(threading.current_thread())
                return None
            return digest, self._waiting.pop(digest)

    def _judge(self, template: Template) -> Problems:
        under = self._under()
        problems = self._problems(sources_of(template), under)
        if template.digest not in self._failed:
            verdict = _encode(Verdict(under.by, problems)).decode()
            store.keep_verdict(self._people, template.number, template.digest, verdict)
        return problems

    def _look(self, sources: Sources, known: Known) -> Iterator[Problem]:
        warnings = 0
        for part in PARTS:
            source = getattr(sources, part)
            for problem in self._check(source, known) if source else ():
                warnings += problem.severity == "warning"
                if problem.severity == "error" or warnings <= MOST_WARNINGS:
                    yield replace(problem, part=part)


def errors(problems: Problems) -> Iterator[Problem]:
    """Those that keep a template from being rendered."""
    return (each for each in problems if each.severity == "error")


def going_by(known: Known) -> Under:
    """What a check under those names goes by."""
    names = blake2s(msgspec.json.encode(known), digest_size=8).hexdigest()
    return Under(f"{checker()}-{names}", known)


@cache
def checker() -> str:
    """What checks here: an upgrade of feedd's or of Django's may make it find something else."""
    digest = blake2s(metadata.version("django").encode(), digest_size=8)
    for path in sorted(Path(templates.__file__ or "").parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_decode = msgspec.json.Decoder(Verdict).decode
_encode = msgspec.json.encode
