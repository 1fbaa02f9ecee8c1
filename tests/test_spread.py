"""Making items in other processes: the same items, in the same order, and none outlives who asked for them."""

import itertools
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest
from feeds import live, open_rejects, stream, take_in

import feedd.slots
import feedd.workers
from feedd import intake, spread
from feedd.errors import FeedError, FormatError
from feedd.ingest import Stop
from feedd.making import Here, MadeItem
from feedd.model import Slices
from feedd.reading import Reading, compiled, document_of, layout_of
from feedd.store.commit import Body
from feedd.store.feeds import Lease
from feedd.workers import Workers

READING = Reading(schema="item")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two helpers for every body, from its first records on."""
    monkeypatch.setattr(spread, "SPREAD_AFTER", 1)
    monkeypatch.setattr(spread, "BATCH_RECORDS", 16)
    monkeypatch.setattr(intake, "helpers_for", lambda _size: 2)


def records(count: int, price: int = 1) -> list[dict[str, Any]]:
    """Products, every 50th of them without a title, every 70th under an id that was there before."""
    return [
        {"id": str(n - 1 if n % 70 == 0 else n), "price": price}
        | ({} if n % 50 == 0 else {"title": f"Mug {n}"})
        for n in range(1, count)
    ]


def recipe_of(reading: Reading, form: str) -> spread.Recipe:
    document = document_of(reading)
    plan = compiled(document, reading)
    return spread.Recipe(
        document=document,
        fields={},
        items=None,
        currency=None,
        base=None,
        format=form,
        layout=layout_of(plan, reading),
        found=[[] for _ in plan.wanted],
    )


@pytest.fixture
def crew() -> Iterator[Any]:
    """Makes a spread that has its helpers already; and their pids."""
    made = []

    def make(recipe: spread.Recipe) -> tuple[spread.Spread, list[int]]:
        before = helpers()
        one = spread.Spread(recipe.maker(recipe.plan()), recipe, partial(spread.hire, 2))
        one._set_up()
        made.append(one)
        return one, [pid for pid in helpers() if pid not in before]

    yield make
    for one in made:
        one.close()


def helpers() -> list[int]:
    """The pids of the helpers of this process: children of its fork server that do not serve themselves."""
    me = psutil.Process()
    return [p.pid for child in me.children() for p in child.children() if p.is_running()]


def slices_of(count: int) -> Slices:
    return Slices(1, [json.dumps(r).encode() for r in records(count)])


def wait_until_gone(pids: list[int]) -> None:
    for _ in range(500):
        if not any(psutil.pid_exists(pid) for pid in pids):
            return
        time.sleep(0.02)
    raise AssertionError("helpers live on")


@pytest.mark.usefixtures("many")
def test_a_catalog_is_the_same_whoever_makes_its_items(place: intake.Place, tmp_path: Path) -> None:
    catalog = place.open_catalog()
    for price in (1, 2):
        body = records(400, price)
        one = take_in(catalog, tmp_path, body, feed="spread")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intake, "helpers_for", lambda _size: 0)
            other = take_in(catalog, tmp_path, body, feed="alone")
        assert one.counts == other.counts
        assert live(catalog, "spread") == live(catalog, "alone")
    rejects = [reject[1:] for reject in open_rejects(catalog, "spread")]
    assert rejects == [reject[1:] for reject in open_rejects(catalog, "alone")]
    assert [seq for seq, *_ in stream(catalog)] == list(
        itertools.islice(itertools.count(1), len(stream(catalog)))
    )
    catalog.close()


def test_promises_are_kept_in_order_and_the_helpers_go_at_the_end(crew: Any) -> None:
    one, pids = crew(recipe_of(READING, "json"))
    assert len(pids) == 2
    assert one.ahead > 0
    promises = [one.start(slices_of(count)) for count in (300, 900, 600)]
    for count, promise in zip((300, 900, 600), promises, strict=True):
        wanted = one._here.make(slices_of(count))
        assert promise() == wanted
        assert sum(type(made) is MadeItem for made in wanted) > count * 0.9
    one.close()
    wait_until_gone(pids)


@pytest.mark.parametrize(
    ("slots", "slot_bytes"), [(2, 1024 * 1024), (16, 64), (16, 8 * 1024), (1, 32 * 1024)]
)
def test_what_finds_no_room_in_shared_memory_goes_through_the_pipe(
    crew: Any, monkeypatch: pytest.MonkeyPatch, slots: int, slot_bytes: int
) -> None:
    monkeypatch.setattr(feedd.slots, "SLOTS", slots)
    monkeypatch.setattr(feedd.slots, "SLOT_BYTES", slot_bytes)
    one, _ = crew(recipe_of(READING, "json"))
    counts = (20, 100, 600, 5, 900, 17)
    for _ in range(3):
        promises = [one.start(slices_of(count)) for count in counts]
        for count, promise in zip(counts, promises, strict=True):
            assert promise() == one._here.make(slices_of(count))
    for helper in one._crew._helpers:
        assert sorted(helper._slots._free) == list(range(slots))


def test_without_shared_memory_all_goes_through_the_pipe(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> int:
        raise PermissionError("memfd_create")

    monkeypatch.setattr(os, "memfd_create", refused)
    one, _ = crew(recipe_of(READING, "json"))
    assert one.start(slices_of(900))() == one._here.make(slices_of(900))


def help_out_without_nice(pipe: Connection) -> None:
    """A helper where the system call for it is refused, as by the unit's filter."""

    def refused(_steps: int) -> int:
        raise PermissionError("setpriority")

    os.nice = refused
    spread.help_out(pipe)


def test_a_helper_that_may_not_give_way_helps_all_the_same() -> None:
    recipe = recipe_of(READING, "json")
    context = multiprocessing.get_context("forkserver")

    def hire() -> list[Connection]:
        return spread.start_helpers(context, 1, target=help_out_without_nice)

    one = spread.Spread(recipe.maker(recipe.plan()), recipe, hire)
    one._set_up()
    assert one._crew is not None
    assert one.start(slices_of(400))() == one._here.make(slices_of(400))
    one.close()


def test_a_helper_that_dies_fails_the_sync_and_not_silently(crew: Any) -> None:
    one, pids = crew(recipe_of(READING, "json"))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until_gone(pids)
    with pytest.raises(FeedError, match="died") as caught:
        one.start(slices_of(400))()
    assert caught.value.code == "crashed"


def test_ctrl_c_is_for_who_asked_and_not_for_the_helpers(crew: Any) -> None:
    one, pids = crew(recipe_of(READING, "json"))
    one.start(slices_of(900))()  # a batch for each, so that both are there
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    assert one.start(slices_of(900))() == one._here.make(slices_of(900))
    assert all(psutil.pid_exists(pid) for pid in pids)


def test_what_a_helper_finds_wrong_with_the_whole_body_is_raised_here() -> None:
    def broken(slices: Slices) -> Any:
        raise FormatError("not_well_formed", f"record {slices.position}", hint="Look at it.")

    here = Here(decode=broken, salvage=lambda *_: None, normalize=lambda *_: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(FormatError, match="record 1") as caught:
        spread._answered(memoryview(spread._made(here, slices_of(20))))
    assert caught.value.hint == "Look at it."


def test_a_body_that_a_helper_finds_broken_is_told_as_that(
    place: intake.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "SPREAD_AFTER", 1)
    monkeypatch.setattr(intake, "helpers_for", lambda _size: 2)
    start, interval_s, before = spread.Spread.start, sys.getswitchinterval(), helpers()

    def start_with_helpers(self: spread.Spread, slices: Slices) -> Any:
        promise = start(self, slices)
        if self._hiring is not None:
            self._hiring.join()
        return promise

    monkeypatch.setattr(spread.Spread, "start", start_with_helpers)
    products = [b"<item><id>%d</id><title>Mug</title></item>" % n for n in range(8_000)]
    products[7_000] = b"<item><id>7000</id><title>Mug</tilte></item>"
    catalog = place.open_catalog()
    reading = Reading(schema="item", format="xml", items="item")
    with pytest.raises(FormatError, match="record 7001"):
        take_in(catalog, tmp_path, b"<all>%b</all>" % b"".join(products), reading=reading)
    catalog.close()
    assert sys.getswitchinterval() == interval_s
    wait_until_gone([pid for pid in helpers() if pid not in before])


def test_a_process_has_no_more_helpers_than_processors_whatever_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})
    crews = [spread.hire(2) for _ in range(3)]
    assert [len(pipes) for pipes in crews] == [2, 1, 0]
    crews[0][0].close()
    crews.append(spread.hire(2))
    assert len(crews[3]) == 1
    for pipe in itertools.chain.from_iterable(crews):
        pipe.close()


def test_helpers_that_come_too_late_go_at_once() -> None:
    recipe = recipe_of(READING, "json")
    pipes: list[Connection] = []

    def late() -> list[Connection]:
        pipes.extend(spread.hire(2))
        one._closed = True
        return pipes

    one = spread.Spread(recipe.maker(recipe.plan()), recipe, late)
    one._set_up()
    assert len(pipes) == 2
    assert all(pipe.closed for pipe in pipes)


def test_where_one_helper_cannot_be_asked_the_others_go() -> None:
    before, interval_s = helpers(), sys.getswitchinterval()
    pipes = spread.hire(2)
    pids = [pid for pid in helpers() if pid not in before]
    pipes[1].close()
    with pytest.raises(OSError, match="closed"):
        spread._Crew(pipes, recipe_of(READING, "json"))
    wait_until_gone(pids)
    assert sys.getswitchinterval() == interval_s


def test_where_no_helper_can_be_had_all_is_made_here() -> None:
    def nobody() -> list[Connection]:
        raise OSError("no more processes")

    recipe = recipe_of(READING, "json")
    one = spread.Spread(recipe.maker(recipe.plan()), recipe, nobody)
    one._made_here = spread.SPREAD_AFTER
    first = one.start(slices_of(100))()
    assert one._hiring is not None
    one._hiring.join()
    assert one.start(slices_of(100))() == first
    assert one.ahead == 0
    one.close()


@pytest.mark.parametrize(
    ("size", "processors", "helpers"),
    [(10**6, 8, 0), (10**9, 1, 0), (10**9, 2, 2), (10**9, 64, spread.MOST_HELPERS)],
)
def test_a_large_body_gets_a_helper_for_each_processor(
    monkeypatch: pytest.MonkeyPatch, size: int, processors: int, helpers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)))
    assert spread.helpers_for(size) == helpers


def test_all_children_together_have_a_helper_for_each_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    workers = Workers(intake.Place(state_dir=str(tmp_path)))
    for helping, more in ((0, 2), (1, 1), (2, 0)):
        workers._helping = helping
        pipes = workers._helpers(10**9)
        assert len(pipes) == more
        for pipe in pipes:
            pipe.close()
    workers._helping = 0
    body = Body(digest=b"", size_bytes=10**9, config_digest=b"", fetch_digest=b"")
    job = intake.Job(
        lease=Lease(
            feed_id=1, feed="shop", sync_id=1, epoch=1, holder="test", started_at=datetime.now(UTC)
        ),
        reading=READING,
        path=str(tmp_path / "none"),
        body=body,
        accepted=None,
        began_s=0.0,
    )
    with pytest.raises(FeedError, match="no body"):
        workers.read_body(job, lambda _: None, Stop())
    assert (workers._helping, workers.busy) == (0, 0)


def test_where_no_process_is_left_a_child_does_without_helpers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none_left(*_: Any, **__: Any) -> Any:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(feedd.workers, "start_helpers", none_left)
    assert Workers(intake.Place(state_dir=str(tmp_path)))._helpers(10**9) == []
