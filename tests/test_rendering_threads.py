"""Many threads that render at once, a configuration that is read again meanwhile, and a database that fails."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from feedd.errors import StoreError, Unavailable
from feedd.rendering import Recipient, Rendered, Renderer, Source
from feedd.rendering.lookups import Bodies, Lookups, Told, View, WebFeedBodies
from feedd.templates.wire import Account, AskFeed, Question

SHOWS = Source(html="{{ feeds.blog.word }}")
NOBODY = Recipient(values=b"{}")


class Words(Lookups):
    """A catalog that knows one word; `wait` keeps who asks waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.word = "old"
        self.open = self.most_open = self.asked = 0
        self.fails_at = 0
        self.asking = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._lock = threading.Lock()

    @contextmanager
    def view(self, at: int | None, read: Bodies | None = None) -> Iterator[View]:
        del at, read
        with self._lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            yield WordView(self, self.word)
        finally:
            with self._lock:
                self.open -= 1

    def answer(self, word: str) -> bytes:
        self.asking.set()
        self.may_go_on.wait(20)
        self.asked += 1
        if self.asked == self.fails_at:
            raise StoreError("the catalog database does not answer")
        return b'{"body": {"word": "%s"}, "digest": "d", "fetched_at": null}' % word.encode()


class WordView(View):
    def __init__(self, words: Words, word: str) -> None:
        super().__init__(WebFeedBodies())
        self._words = words
        self._word = word

    def answer(self, question: Question, told: Told) -> bytes:
        assert isinstance(question, AskFeed)
        told[question.name] = "asked again with every view"
        return self._words.answer(self._word)


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
def renderer(words: Words) -> Iterator[Renderer]:
    made = Renderer(Account, words)
    yield made
    words.may_go_on.set()
    made.close()


def shown(renderer: Renderer) -> bytes:
    return renderer.render(SHOWS, NOBODY).html


def test_who_waits_for_a_process_holds_no_connection(renderer: Renderer, words: Words) -> None:
    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(shown, renderer) for _ in range(12)]
        assert {each.result(30) for each in done} == {b"old"}
    assert words.most_open == 1


def test_nothing_of_an_old_configuration_outlives_it(renderer: Renderer, words: Words) -> None:
    words.may_go_on.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(shown, renderer)
        assert words.asking.wait(20)
        second = threads.submit(shown, renderer)  # waits for the one process
        words.word = "new"
        renderer.reload(processes=1)
        words.may_go_on.set()
        assert first.result(30) == b"old"
        assert second.result(30) == b"new"
    assert shown(renderer) == b"new"


def test_what_was_done_before_a_failure_is_not_lost(renderer: Renderer, words: Words) -> None:
    words.fails_at = 41
    asks_each = Source(html="{{ feeds|lookup:number }}{{ number }}")
    people = [Recipient(values=b'{"number": "n%d"}' % n) for n in range(100)]
    done: list[object] = []
    with pytest.raises(StoreError):
        done.extend(renderer.render_many(asks_each, people))
    assert [each.html[-3:] for each in done if isinstance(each, Rendered)][-1] == b"n39"
    assert len(done) == 40
    assert shown(renderer) == b"old"


def test_a_process_that_cannot_be_started_is_told(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(Unavailable, match="does not start"):
        shown(renderer)
    monkeypatch.undo()
    assert shown(renderer) == b"old"


def test_half_a_character_in_a_template_is_no_bug(renderer: Renderer) -> None:
    assert renderer.render(Source(html="a\ud800b"), NOBODY).html == b"a?b"
    assert renderer.check("a\ud800b") == ()
