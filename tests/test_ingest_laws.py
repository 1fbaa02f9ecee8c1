"""Laws of ingestion, on generated sequences of bodies: against a plain model, and with and without fingerprints."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feeds import live, open_rejects, stream, take_in
from hypothesis import given, settings
from hypothesis import strategies as st

from feedd import intake, reconcile
from feedd.diff import apply
from feedd.formats import FORMATS
from feedd.making import Here, Promise
from feedd.model import Slices
from feedd.reading import Reading
from feedd.store.changes import read_changes
from feedd.store.database import Database, open_database
from feedd.store.feeds import forget_fingerprints, read_feed
from feedd.store.migrate import migrate

# few ids and few values, so that repeats, swaps, comebacks and conflicts are common
RECORDS = st.one_of(
    st.builds(
        lambda item_id, title, price, spaced: json.dumps(
            {"id": item_id, "title": title} | ({"price": price} if price is not None else {}),
            indent=1 if spaced else None,
        ),
        st.sampled_from("abcdefgh"),
        st.sampled_from(["Mug", "Bowl"]),
        st.sampled_from([None, 1, 2, "free"]),
        st.booleans(),
    ),
    st.builds(lambda item_id: json.dumps({"id": item_id}), st.sampled_from("abc")),
    st.sampled_from(
        [
            '{"title": "no id"}',
            "null",
            '{"id": 1.5, "title": "x"}',
            '{"id":"a","title":"x","n":1e999}',
        ]
    ),
)
BODIES = st.lists(st.lists(RECORDS, max_size=10), min_size=1, max_size=6)
FEW = settings(max_examples=max(25, settings().max_examples // 2))


def body_of(records: list[str]) -> bytes:
    return f"[{','.join(records)}]".encode()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def fresh(folder: Path) -> Database:
    template = folder / "catalog.db"
    if not template.exists():
        made = open_database("catalog", state_dir=folder, url=None)
        migrate(made)
        made.checkpoint()
        made.close()
    state = Path(tempfile.mkdtemp(dir=folder))
    shutil.copy(template, state)
    return open_database("catalog", state_dir=state, url=None)


def rejects_of(catalog: Database, feed: str) -> list[Any]:
    return sorted(open_rejects(catalog, feed), key=str)


class Later:
    """Makes items only when they are asked for, as helpers do that are slow."""

    def __init__(self, here: Here, ahead: int) -> None:
        self._here = here
        self.ahead = ahead

    def start(self, slices: Slices) -> Promise:
        return lambda: self._here.make(slices)


@contextlib.contextmanager
def batches_of(records: int, flush_rows: int, ahead: int) -> Iterator[None]:
    """Have small bodies come in several batches, be made late, and be put aside in several parts, as large ones are."""

    @contextlib.contextmanager
    def later(_job: Any, body: Any, _hire: Any) -> Iterator[Later]:
        yield Later(body.recipe.maker(body.plan), ahead)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "BATCH_RECORDS", records)
        patch.setattr(reconcile, "FLUSH_ROWS", flush_rows)
        patch.setattr(intake, "_maker", later)
        yield


BATCHES = st.tuples(
    st.sampled_from([1, 2, 3, 100]),
    st.sampled_from([1, 2, 2_000]),
    st.sampled_from([0, 1, 3]),
)
# the same small world in every format: ids that repeat, values that change, records that cannot be used
AS_XML = st.one_of(
    st.builds(
        "<item><id>{}</id>{}<title>{}</title>{}</item>".format,
        st.sampled_from("abcdefgh"),
        st.sampled_from(["", " ", "<!-- -->"]),
        st.sampled_from(["Mug", "Bowl", "<![CDATA[Mug]]>"]),
        st.sampled_from(["", "<price>1</price>", "<price>2</price>", "<price>free</price>"]),
    ),
    st.sampled_from(["<item><id>a</id></item>", "<item><title>x</title></item>", "<item/>", "<item><id>a</id>&no;</item>"]),
)  # fmt: skip
IN_FORMATS = {
    "json": (BODIES, body_of),
    "jsonl": (
        st.lists(st.lists(RECORDS.filter(lambda text: "\n" not in text), min_size=1, max_size=10), min_size=1, max_size=6),
        lambda records: "".join(f"{record}\n" for record in records).encode(),
    ),
    "xml": (
        st.lists(st.lists(AS_XML, max_size=10), min_size=1, max_size=6),
        lambda records: f"<feed>{''.join(records)}</feed>".encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", IN_FORMATS)
@settings(max_examples=max(15, settings().max_examples // 4))
@given(data=st.data(), batches=BATCHES)
def test_a_sync_equals_the_same_sync_without_fingerprints_in_one_batch(
    folder: Path, form: str, data: st.DataObject, batches: Any
) -> None:
    bodies, written = IN_FORMATS[form]
    quick, slow = fresh(folder), fresh(folder)
    for records in data.draw(bodies):
        with batches_of(*batches):
            syncs_agree(quick, slow, "shop", "shop", written(records), folder, form)
    quick.close()
    slow.close()


@settings(max_examples=10)
@given(data=st.data(), batches=BATCHES)
def test_a_sync_equals_the_same_sync_without_fingerprints_on_every_database(
    place: intake.Place, tmp_path: Path, data: st.DataObject, batches: Any
) -> None:
    form = data.draw(st.sampled_from(sorted(IN_FORMATS)))
    bodies, written = IN_FORMATS[form]
    catalog = place.open_catalog()
    names = f"quick-{uuid.uuid4()}", f"slow-{uuid.uuid4()}"
    for records in data.draw(bodies):
        with batches_of(*batches):
            syncs_agree(catalog, catalog, *names, written(records), tmp_path, form)
    catalog.close()


def syncs_agree(
    quick: Database, slow: Database, one: str, other: str, body: bytes, folder: Path, form: str
) -> None:
    """Sync a body into two feeds, of which only one has fingerprints: nobody can tell them apart."""
    reading = Reading(schema="item", format=form)
    first = take_in(quick, folder, body, feed=one, reading=reading)
    forget_fingerprints(slow, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "BATCH_RECORDS", 4096)
        patch.setattr(reconcile, "FLUSH_ROWS", 2_000)
        second = take_in(slow, folder, body, feed=other, reading=reading)
    assert first.counts == second.counts
    assert first.status == second.status
    assert live(quick, one) == live(slow, other)
    assert changes_of(quick, one) == changes_of(slow, other)
    assert rejects_of(quick, one) == rejects_of(slow, other)
    assert read_feed(quick, one).warnings == read_feed(slow, other).warnings


def changes_of(catalog: Database, feed: str) -> list[Any]:
    """(item, kind, fields) of every change of a feed."""
    page = read_changes(catalog, limit=10_000, feeds=[feed])
    return [(change.item, change.kind, dict(change.fields)) for change in page]


OFFERS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "2", "9"]), st.sampled_from(["p", "https://a.example/p"])),
    max_size=5,
)  # fmt: skip
ROWS_OF_TREES = st.lists(
    st.tuples(st.sampled_from("123"), st.sampled_from(["Shoes", "Boots"]), st.sampled_from("0123")), max_size=4
)  # fmt: skip
DOCUMENTS = st.lists(
    st.tuples(OFFERS, ROWS_OF_TREES, st.booleans(), st.sampled_from(["", "https://a.example", "https://b.example"])),
    min_size=1,
    max_size=5,
)  # fmt: skip


def yml_of(offers: Any, rows: Any, *, tree_first: bool, url: str) -> bytes:
    """A document with a category tree, before its offers or behind them."""
    tree = "".join(f'<category id="{i}" parentId="{p}">{name}</category>' for i, name, p in rows)
    records = "".join(
        f'<offer id="{i}"><name>Mug</name><categoryId>{c}</categoryId><url>{link}</url></offer>'
        for i, c, link in offers
    )
    parts = [f"<categories>{tree}</categories>", f"<offers>{records}</offers>"]
    inner = "".join(parts if tree_first else parts[::-1])
    return f"<yml_catalog><shop><url>{url}</url>{inner}</shop></yml_catalog>".encode()


@FEW
@given(documents=DOCUMENTS)
def test_a_change_around_the_records_changes_what_it_would_without_fingerprints(
    folder: Path, documents: list[Any]
) -> None:
    quick, slow = fresh(folder), fresh(folder)
    reading = Reading(schema="yandex-yml")
    for offers, rows, tree_first, url in documents:
        body = yml_of(offers, rows, tree_first=tree_first, url=url)
        forget_fingerprints(slow, "shop")
        one = take_in(quick, folder, body, reading=reading)
        other = take_in(slow, folder, body, reading=reading)
        assert one.counts == other.counts
        assert live(quick) == live(slow)
        assert stream(quick) == stream(slow)
    quick.close()
    slow.close()


def test_records_are_met_unchanged_when_nothing_around_them_matters(folder: Path) -> None:
    catalog = fresh(folder)
    reading = Reading(schema="yandex-yml")
    offers, rows = [("a", "1", "p")], [("1", "Shoes", "0")]
    first = yml_of(offers, rows, tree_first=True, url="https://a.example")
    renamed = yml_of(offers, [("1", "Boots", "0")], tree_first=False, url="https://a.example")
    take_in(catalog, folder, first, reading=reading)
    assert live(catalog)["a"]["categories"] == ["Shoes"]
    assert live(catalog)["a"]["link"] == "https://a.example/p"
    dated = first.replace(b"<yml_catalog>", b'<yml_catalog date="2026-03-31">')
    decoded: list[int] = []
    form = FORMATS["xml"]

    def decode(slices: Slices, layout: Any) -> Any:
        decoded.append(len(slices.raws))
        return form.decode(slices, layout)

    FORMATS["xml"] = dataclasses.replace(form, decode=decode)
    try:
        take_in(catalog, folder, dated, reading=reading)
        assert sum(decoded) == 0
        take_in(catalog, folder, renamed, reading=reading)
        assert sum(decoded) == 1
    finally:
        FORMATS["xml"] = form
    assert live(catalog)["a"]["categories"] == ["Boots"]
    catalog.close()


@FEW
@given(bodies=BODIES)
def test_a_sync_does_what_a_plain_model_does(folder: Path, bodies: list[list[str]]) -> None:
    catalog = fresh(folder)
    model: dict[str, dict[str, Any]] = {}
    for records in bodies:
        wanted: dict[str, dict[str, Any]] = {}
        seen: set[str] = set()
        for text in records:
            try:
                record = json.loads(text)
            except ValueError:
                continue
            if not isinstance(record, dict) or not isinstance(record.get("id"), str):
                continue
            seen.add(record["id"])
            if (
                "n" in record
            ):  # a number no machine holds: a reject, whose id can be read all the same
                continue
            if "title" in record:
                usable = {k: v for k, v in record.items() if v != "free"}
                wanted.setdefault(record["id"], usable)
        missing = model.keys() - seen
        held = bool(missing) and (
            len(missing) == len(model) or (len(missing) > 5 and len(missing) > 0.3 * len(model))
        )
        model = {k: v for k, v in model.items() if held or k not in missing} | wanted
        record_of_sync = take_in(catalog, folder, body_of(records))
        assert live(catalog) == model
        assert record_of_sync.status == ("held" if held else "applied")
        assert read_feed(catalog, "shop").items == len(model)
    catalog.close()


@FEW
@given(bodies=BODIES)
def test_the_stream_is_gapless_and_its_changes_lead_from_each_version_to_the_next(
    folder: Path, bodies: list[list[str]]
) -> None:
    catalog = fresh(folder)
    last_known: dict[str, dict[str, Any]] = {}
    since = 0
    for records in bodies:
        take_in(catalog, folder, body_of(records))
        now = live(catalog)
        for change in read_changes(catalog, since=since, limit=1000):
            assert change.seq == since + 1
            since += 1
            if change.kind == "added":
                assert change.fields == {}
                last_known[change.item] = now[change.item]
            elif change.kind in ("updated", "restored"):
                last_known[change.item] = apply(last_known[change.item], change.fields)
                assert last_known[change.item] == now[change.item]
            else:
                assert change.fields == {}
                assert change.item not in now
    catalog.close()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_of_the_stream_add_up_to_the_whole(
    place: intake.Place, tmp_path: Path, size: int
) -> None:
    catalog = place.open_catalog()
    for price in range(3):
        for feed in ("one", "two"):
            body = [{"id": str(n), "title": "Mug", "price": price} for n in range(12)]
            take_in(catalog, tmp_path, body, feed=feed)
    whole = read_changes(catalog, limit=1000)
    assert [change.seq for change in whole] == list(range(1, 73))
    pages, since = [], 0
    while page := read_changes(catalog, since=since, limit=size):
        pages += page
        since = page[-1].seq or 0
    assert pages == whole
    backwards, before = [], None
    while page := read_changes(catalog, before=before, limit=size, descending=True):
        backwards += page
        before = page[-1].seq
    assert backwards == whole[::-1]
    catalog.close()
