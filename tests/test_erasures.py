"""What is forgotten or no longer kept is not shown any more, by whoever has kept an answer with it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from feeds import item, live, take_in
from hypothesis import given, settings
from hypothesis import strategies as st
from test_catalog_tags import html
from test_ingest_laws import folder, fresh  # noqa: F401 a fixture
from test_retention import DAY_S, age, kept, swept
from test_shelf import BODY, shelf_of

from feedd import intake
from feedd.rendering import Renderer, RenderFailed
from feedd.rendering.lookups import Lookups
from feedd.store import forget
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.forget import forget_feed
from feedd.store.read import read_items
from feedd.templates import worker
from feedd.templates.queries import ChangesQuery, ItemsQuery, written
from feedd.templates.render import cleaned
from feedd.templates.wire import (
    Account,
    AskChanges,
    AskHistory,
    AskItem,
    AskItems,
    Move,
    Position,
    Question,
)

QUESTIONS: list[Question] = [
    *(AskItem(each) for each in "abc"),
    *(AskItem(each, "shop") for each in "abc"),
    *(AskHistory(feed, each) for feed in ("shop", "extra") for each in "ab"),
    AskItems("", written(ItemsQuery(limit=12))),
    AskItems("shop", written(ItemsQuery(order="-price", limit=2))),
    AskChanges("", written(ChangesQuery(limit=12))),
    AskChanges("", written(ChangesQuery(kind="removed", limit=12))),
]
FEEDS = st.sampled_from(["shop", "extra"])
STEPS = st.lists(
    st.one_of(
        st.tuples(FEEDS, BODY),
        st.tuples(FEEDS, BODY),
        st.tuples(st.just("forget"), FEEDS),
        st.tuples(st.just("retain"), st.booleans()),
    ),
    min_size=2,
    max_size=6,
)


def known(answer: Any) -> Any:
    """An answer without the times of last changes that are not kept: those are known until the item is changed again."""
    if isinstance(answer, list):
        return [known(each) for each in answer]
    if isinstance(answer, dict):
        gone = {"changed_at"} if answer.get("version", 0) is None else set()
        return {name: known(value) for name, value in answer.items() if name not in gone}
    return answer


class Keeper:
    """A shelf, and the answers of a worker, that have seen all that was before."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog
        self._lookups = Lookups(shelf_of(catalog))
        self._asked, asks = Pipe()
        self._replies, self._answered = Pipe()
        self.answers = worker.Answers(asks, self._answered)
        self._stands: Any = (None, None)
        self._pipes = (asks, self._answered, self._asked, self._replies)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()

    def check(self, at: int | None = None) -> None:
        """Whatever is asked, the answer is that which one gets who has never asked before."""
        with self._lookups.view(at) as view, shelf_of(self._catalog).view(at) as anew:
            position = Position(view.stream_id, view.seq)
            move = Move(position, *view.stale(*self._stands, {}))
            self.answers.move(move, moved=position != self._stands[0])
            self._stands = position, view.basis
            for question in QUESTIONS:
                right = anew.answer(question)  # type: ignore[arg-type]
                assert known(json.loads(view.answer(question, {}))) == known(json.loads(right))
                assert known(self.asked(question, right)) == known(cleaned(json.loads(right)))

    def asked(self, question: Question, answer: bytes) -> Any:
        """What a message gets; `answer` is for the case that it is not kept."""
        self._replies.send_bytes(answer)
        found = self.answers(question)
        (self._asked if self.was_asked() else self._answered).recv_bytes()
        return found

    def was_asked(self) -> bool:
        return self._asked.poll()


@settings(max_examples=max(8, settings().max_examples // 10))
@given(steps=STEPS, data=st.data())
def test_what_is_kept_of_answers_is_what_would_be_answered(
    folder: Path,  # noqa: F811
    steps: list[tuple[str, Any]],
    data: st.DataObject,
) -> None:
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patched:
        patched.setattr(forget, "BATCH", 2)
        catalog = ends.enter_context(closing(fresh(folder)))
        keeper = ends.enter_context(closing(Keeper(catalog)))

        def check() -> bool:
            keeper.check()
            return False

        for what, how in steps:
            if what == "forget":
                forget_feed(catalog, how, holder="test", stopped=check)
            elif what == "retain":
                age(catalog, 10)
                age(catalog, 10, what="items", column="removed_at")
                swept(catalog, kept(changes_s=DAY_S, removed_items_s=DAY_S if how else None))
            else:
                body = [item(item_id, **fields) for item_id, fields in how.items()]
                take_in(catalog, folder, body, feed=what, accept_removals=True)
            keeper.check()
            stream = read_stream(catalog)
            keeper.check(data.draw(st.integers(stream.oldest_seq - 1, stream.last_seq)))


@pytest.fixture
def catalog(place: intake.Place) -> Iterator[Database]:
    made = place.open_catalog()
    yield made
    made.close()


def test_what_is_forgotten_is_rendered_by_nobody(
    catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was removed before: of that, the change stream says nothing."""
    monkeypatch.setattr(forget, "BATCH", 1)
    renderer = Renderer(Account, Lookups(shelf_of(catalog)))
    removed = (
        '{% changes kind="removed" since=3 as xs %}{% for x in xs %}{{ x.title }} {% endfor %}'
    )
    one = '{% catalog "a" %}{{ catalog_item.title }} {{ catalog_item.history|length }}{% endcatalog %}'
    meanwhile = []

    def stopped() -> bool:
        meanwhile.append(html(renderer, removed))
        return False

    with closing(renderer):
        take_in(catalog, tmp_path, [item("a", "Mug"), item("b", "Bowl"), item("c", "Cup")])
        take_in(catalog, tmp_path, [item("c", "Cup")], accept_removals=True)
        assert (html(renderer, removed), html(renderer, one)) == ("Bowl Mug", "Mug 2")
        forget_feed(catalog, "shop", holder="test", stopped=stopped)
        assert (meanwhile[0], html(renderer, removed)) == ("Cup Bowl", "")
        for at in (None, 2):
            with pytest.raises(RenderFailed, match="a"):
                html(renderer, one, at)


def test_what_is_kept_no_longer_is_shown_no_longer(catalog: Database, tmp_path: Path) -> None:
    with closing(Keeper(catalog)) as keeper:
        take_in(catalog, tmp_path, [item("a"), item("b")])
        take_in(catalog, tmp_path, [item("b")], accept_removals=True)
        age(catalog, 10)
        age(catalog, 10, what="items", column="removed_at")
        take_in(catalog, tmp_path, [item("b", price=1)])
        for keep, erasures in (
            (kept(), 0),
            (kept(changes_s=DAY_S), 0),
            (kept(removed_items_s=DAY_S), 1),
            (kept(removed_items_s=DAY_S), 1),
        ):
            swept(catalog, keep)
            assert read_stream(catalog).erasures == erasures
            keeper.check()


def test_a_number_that_is_written_otherwise_is_left_as_it_is(
    catalog: Database, tmp_path: Path
) -> None:
    """No change tells of it, so nobody would forget how it was written."""
    with closing(Keeper(catalog)) as keeper:
        for number in (5, 5.0):
            take_in(catalog, tmp_path, [item("a", rating=number)])
            keeper.check()
            (found,) = read_items(catalog, limit=2)
            assert repr(found.fields["rating"]) == "5"
        take_in(catalog, tmp_path, [item("a", rating=5.0, price=1)])
        assert repr(live(catalog)["a"]["rating"]) == "5.0"
        keeper.check()


def test_answers_that_are_forgotten_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "MOST_KEPT_BYTES", 150)
    stays, goes = AskItem("stays"), AskItem("goes")
    asked = []
    ours, theirs = Pipe()
    replies, answered = Pipe()
    with ours, theirs, replies, answered:
        answers = worker.Answers(theirs, answered)
        for seq in range(10):
            answers.move(Move(Position("", seq), (("shop", "goes"),)), moved=True)
            for question in (stays, goes):
                replies.send_bytes(b"1")
                answers(question)
                asked.append(ours.poll())
                (ours if asked[-1] else answered).recv_bytes()
    assert asked == [True, True] + [False, True] * 9
