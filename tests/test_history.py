"""What happened to an item, and what it was at any change that is kept: the same as the catalog held then."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from feeds import item, live, take_in
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from test_api import Api
from test_ingest_laws import BODIES, FEW, body_of, folder, fresh  # noqa: F401 a fixture
from test_retention import DAY_S, age, kept, swept

from feedd import intake
from feedd.diff import apply, diff, undo
from feedd.errors import TooOld, UsageError
from feedd.store.changes import read_changes
from feedd.store.database import Database
from feedd.store.feeds import read_stream
from feedd.store.history import Absence, read_around, read_history, read_versions
from feedd.store.read import read_items

VALUES = st.recursive(
    st.integers(-2, 2) | st.booleans() | st.sampled_from(["", "a", 1.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner),
    max_leaves=4,
)
FIELDS = st.dictionaries(st.sampled_from("abc"), VALUES)


@given(old=FIELDS, new=FIELDS)
def test_undoing_a_change_gives_what_was_before(old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = diff(old, new)
    assert diff(undo(new, changed), old) == {}
    assert diff(apply(undo(new, changed), changed), new) == {}


def at(catalog: Database, seq: int, ids: set[str]) -> dict[str, dict[str, Any]]:
    """Id -> fields of the items that the feed had right after a change."""
    found = {}
    for item_id in ids:
        for version in read_versions(catalog, item_id, feeds=["shop"], seq=seq):
            if not isinstance(version, Absence):
                found[item_id] = version.fields
    return found


@FEW
@given(bodies=BODIES, cut=st.integers(0, 6))
def test_an_item_at_any_change_is_what_the_catalog_held_then(
    folder: Path,  # noqa: F811
    bodies: list[list[str]],
    cut: int,
) -> None:
    """After each sync the whole catalog is compared; within a sync, what its changes do one by one."""
    catalog = fresh(folder)
    held: dict[int, dict[str, dict[str, Any]]] = {0: {}}
    for number, records in enumerate(bodies):
        before = read_stream(catalog).last_seq
        model = dict(held[before])
        take_in(catalog, folder, body_of(records))
        now = live(catalog)
        for change in (
            read_changes(catalog, since=before, limit=1000)
            if before
            else read_changes(catalog, limit=1000)
        ):
            assert change.seq is not None
            if change.kind == "removed":
                model.pop(change.item)
            else:
                model[change.item] = now[change.item]
            held[change.seq] = dict(model)
        assert {name: model[name] for name in model} == now
        if number + 1 == cut:
            age(catalog, 10)
            oldest = read_stream(catalog).last_seq + 1
            swept(catalog, kept(changes_s=DAY_S))
            assert read_stream(catalog).oldest_seq == oldest
    ids = {each.id for each in read_items(catalog, removed=None, limit=1000)}
    first = read_stream(catalog).oldest_seq - 1
    for seq, expected in held.items():
        if seq >= first:
            assert at(catalog, seq, ids) == expected
        else:
            with pytest.raises(TooOld):
                read_versions(catalog, "a", feeds=["shop"], seq=seq)
    for each in read_items(catalog, removed=None, limit=1000):
        changes = read_history(catalog, each.key, limit=1000)
        whole = read_changes(catalog, items=[each.id], limit=1000)
        assert changes == whole
        assert read_history(catalog, each.key, limit=1000, descending=True) == whole[::-1]
    kept_changes = read_changes(catalog, limit=1000)
    around = read_around(catalog, kept_changes) if kept_changes else {}
    for change in kept_changes:
        if change.kind in ("updated", "restored"):
            before, after = around[change.seq or 0]
            assert after == held[change.seq or 0][change.item]
            assert apply(before, change.fields) == after
            assert change.kind == "restored" or before == held[(change.seq or 0) - 1][change.item]
    catalog.close()


@pytest.fixture
def api(place: intake.Place, tmp_path: Path) -> Any:
    made = Api(place, tmp_path)
    yield made
    made.close()


def lived(api: Api) -> None:
    """Changes 1 and 2 add a and b, 3 updates a, 4 removes a, 5 restores it otherwise; b stays."""
    b = item("b")
    for records in (
        [item("a", price=1), b],
        [item("a", price=2), b],
        [b],
        [item("a", "Bowl", price=2), b],
    ):
        api.sync("shop", records)


def test_the_history_of_an_item_is_a_list(api: Api) -> None:
    lived(api)
    path = "/api/catalog-items/$custom:::$default:::a/history"
    whole = api.get(path)
    told = [(c["id"], c["attributes"]["kind"], c["attributes"]["fields"]) for c in whole["data"]]
    assert told == [
        ("1", "added", {}),
        ("3", "updated", {"price": [1, 2]}),
        ("4", "removed", {}),
        ("5", "restored", {"title": ["Mug", "Bowl"]}),
    ]
    assert whole["meta"]["oldest_seq"] == 1
    assert api.pages(f"{path}?page[size]=1") == whole["data"]
    assert api.pages(f"{path}?page[size]=3&sort=-seq") == whole["data"][::-1]
    assert (
        api.get("/api/catalog-items/a/history?filter=equals(feed,'shop')")["data"] == whole["data"]
    )
    api.refused("GET", "/api/catalog-items/a/history?filter=equals(feed,'extra')", 404)
    api.refused("GET", "/api/catalog-items/a/history?at=3", 400)
    api.refused("GET", "/api/catalog-items/c/history", 404)


def test_an_item_is_shown_as_it_was(api: Api) -> None:
    lived(api)

    def was(seq: int, item_id: str = "a") -> Any:
        return api.get(f"/api/catalog-items/{item_id}?at={seq}")["data"]["attributes"]

    def absent(seq: int) -> str:
        return str(api.refused("GET", f"/api/catalog-items/a?at={seq}", 404)["detail"])

    assert [was(seq)["fields"]["price"] for seq in (1, 2, 3, 5)] == [1, 1, 2, 2]
    assert was(3)["fields"]["title"] == "Mug"
    changes = api.get("/api/catalog-changes")["data"]
    assert was(2)["changed_at"] == changes[0]["attributes"]["at"]
    assert was(5)["fields"] == api.get("/api/catalog-items/a")["data"]["attributes"]["fields"]
    assert was(2, "$custom:::$default:::a")["catalog"] == "$default"
    assert "added by change 1" in absent(0)
    assert "removed by change 4" in absent(4)
    assert "newest one is 5" in api.refused("GET", "/api/catalog-items/a?at=6", 400)["detail"]
    api.refused("GET", "/api/catalog-items/a?at=-1", 400)
    api.refused("GET", "/api/catalog-items/a?at=1&feed=extra", 404)
    api.refused("GET", "/api/catalog-items/c?at=1", 404)


def test_what_is_cut_off_is_told(api: Api) -> None:
    lived(api)
    age(api.app.catalog, 10)
    api.sync("shop", [item("b", price=7), item("a", "Bowl", price=2)])
    swept(api.app.catalog, kept(changes_s=DAY_S))
    error = api.refused("GET", "/api/catalog-items/a?at=3", 410)
    assert (error["code"], error["meta"]) == ("too_old", {"oldest_seq": 6})
    assert "earliest that can be shown is 5" in error["detail"]
    assert api.get("/api/catalog-items/b?at=5")["data"]["attributes"]["changed_at"] is None
    assert "price" not in api.get("/api/catalog-items/b?at=5")["data"]["attributes"]["fields"]
    assert api.get("/api/catalog-items/a/history")["data"] == []


def test_of_two_feeds_the_first_that_had_it_then_is_shown(api: Api) -> None:
    api.sync("extra", [item("a", "Second")])
    api.sync("shop", [item("a", "First")])
    assert api.app.item_at("a", seq=1).fields["title"] == "Second"
    assert api.app.item_at("a", seq=2).fields["title"] == "First"
    assert api.app.item_at("a", seq=2, feed="extra").fields["title"] == "Second"
    with pytest.raises(UsageError):
        api.app.item_at("a", seq=3)


def test_an_id_may_end_like_the_history_of_another(api: Api) -> None:
    api.sync("shop", [item("a"), item("a/history", "Log")])
    one = api.get(f"/api/catalog-items/{quote('a/history', safe='')}")["data"]
    assert one["attributes"]["fields"]["title"] == "Log"
    assert api.get(one["links"]["self"])["data"] == one
    own = api.get(f"/api/catalog-items/{quote('a/history', safe='')}/history")["data"]
    assert [change["attributes"]["item"] for change in own] == ["a/history"]
    assert api.get("/api/catalog-items/a%2Fhistory?at=2")["data"]["attributes"]["seq"] == 2
    of_a = api.get("/api/catalog-items/a/history")["data"]
    assert [change["attributes"]["item"] for change in of_a] == ["a"]


def test_the_history_of_one_item_reads_no_others(api: Api) -> None:
    """The stream is not walked for it: the changes of the item are found by its key."""
    from feedd.store.history import _of_item

    api.sync("shop", [item(str(n)) for n in range(2000)])
    for price in range(3):
        api.sync("shop", [item(str(n), price=price) for n in range(2000)])
    key = api.app.find_item("7").key
    query = _of_item(key, descending=False)
    explain = "EXPLAIN QUERY PLAN" if api.app.catalog.sqlite else "EXPLAIN"
    with api.app.catalog.connect() as connection:
        if not api.app.catalog.sqlite:
            connection.exec_driver_sql("ANALYZE")
        text = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {text}"))
    assert "ix_changes_item" in plan


def test_fields_are_found_whatever_their_names_and_values_hold(api: Api) -> None:
    odd = {'na"me': 1, "na\\me": 2, "näme": 3, "na\tme": 4, "big": 10**30, "nul": "a b"}
    api.sync("shop", [item("a"), item("b")])
    api.sync("shop", [item("a", **odd), item("b", price=3)])
    with (
        api.app.catalog.transaction() as connection
    ):  # as a normalizer that keeps NUL would store it
        replaced = text("UPDATE changes SET fields = replace(fields, 'a b', :nul)")
        connection.execute(replaced, {"nul": "\\u0000\\\\u0000"})
    for name in [*odd, "price"]:
        (change,) = api.app.changes(fields=[name])
        assert list(change.fields) == (["price"] if name == "price" else sorted(odd))
    assert api.app.changes(fields=["a", "name", "na", ""]) == []
