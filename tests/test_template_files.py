"""Templates in their directory: what is read of it, what is refused, and what becomes of templates whose files change."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from feedd import intake
from feedd.errors import NotFound, UsageError
from feedd.rendering import RenderFailed
from feedd.settings import Settings, WebFeedSettings
from feedd.settings.template_keys import TemplateSettings
from feedd.store import templates
from feedd.store.database import Database, open_database
from feedd.store.people_tables import TEMPLATE_DIRECTORIES
from feedd.stored_templates import (
    COMPARED_EVERY_S,
    NOT_YET,
    BadTemplate,
    Refreshed,
    StoredTemplates,
)
from feedd.template_checks import AGAIN_AFTER_S
from feedd.template_files import MOST_BYTES
from feedd.templates.wire import Failed, Known, Problem

NOTHING = templates.Settled()
# for what the databases have no part in
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)


class Shop:
    """Templates in a people database, and their directory. A source with the word BROKEN in it is."""

    def __init__(self, people: Database, folder: Path) -> None:
        self.people = people
        self.folder = folder
        self.folder.mkdir()
        (self.folder / "README.md").touch()
        self.clock = [0.0]
        self.go_on = threading.Event()
        self.settings = self.settings_of(folder)
        self.checked: list[str] = []
        self.known: set[Known] = set()
        self.templates = self.again()

    def settings_of(self, directory: Path | None) -> Settings:
        return Settings(
            state_dir=self.folder,
            socket=self.folder,
            templates=TemplateSettings(directory=directory),
        )

    def again(self, daemon: str = "a", folder: Path | None = None) -> StoredTemplates:
        """As another process has them, of the same daemon or of another one with its own folder."""
        other = self.settings_of(folder)
        return StoredTemplates(
            lambda: other if folder else self.settings,
            self.people,
            check=self.check,
            daemon=daemon,
            clock=lambda: self.clock[0],
        )

    def check(self, source: str, known: Known) -> list[Problem]:
        self.checked.append(source)
        self.known.add(known)
        if source.startswith("WAIT"):
            assert self.go_on.wait(20)
        if source == "SLOW":
            raise RenderFailed(Failed(kind="limit", code="too_slow", message="it takes too long"))
        warning = Problem(line=1, column=1, message="looks odd", severity="warning")
        error = Problem(line=2, column=3, message="is broken", hint="Mend it.")
        return [warning, error] if "BROKEN" in source else [warning]

    def write(self, name: str, text: str | bytes = "Hi") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def refresh(self) -> Refreshed:
        return self.templates.refresh()

    def names(self) -> list[str]:
        return [each.name for each in self.templates.views()]


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    yield database
    database.close()


@pytest.fixture
def shop(people: Database, tmp_path: Path) -> Shop:
    return Shop(people, tmp_path / "templates")


def test_files_become_templates_by_their_paths(shop: Shop) -> None:
    shop.write("welcome.html", "Hi {{ first_name }}")
    shop.write("welcome.txt", "Hello")
    shop.write("flows/cart/first.html", "\ufeffÅ\r\nb")
    shop.write("README.txt")
    shop.write("logo.png", b"\x89PNG")
    done = shop.refresh()
    assert (done.settled, done.refused, done.trouble) == (templates.Settled(added=2), (), None)
    assert sorted(done.read) == ["flows/cart/first.html", "welcome.html"]
    first, welcome = (shop.templates.named(name) for name in ("flows/cart/first", "welcome"))
    assert (first.html, first.text, first.file) == ("Å\r\nb", None, "flows/cart/first.html")
    assert (welcome.html, welcome.text, welcome.editor_type) == (
        "Hi {{ first_name }}",
        "Hello",
        "CODE",
    )
    assert shop.templates.get(welcome.id) == welcome == shop.templates.named("welcome.html")
    assert len(welcome.id) == 6
    assert welcome.created_at.microsecond == 0
    assert shop.refresh() == Refreshed(NOTHING)


def test_what_changes_is_read_again_under_the_same_id(shop: Shop) -> None:
    path = shop.write("a.html", "one")
    shop.write("b.html", "two")
    shop.refresh()
    ids = {each.name: each.id for each in shop.templates.views()}
    shop.write("a.html", "ONE")
    os.utime(path, ns=(1, 1))  # the same size, and a time that lies
    text = shop.write("b.txt", "text")
    assert shop.refresh().settled == templates.Settled(changed=2)
    text.unlink()
    path.unlink()
    assert shop.refresh().settled == templates.Settled(changed=1, removed=1)
    assert [(each.html, each.text) for each in shop.templates.read([2])] == [("two", None)]
    assert shop.names() == ["b"]
    shop.write("a.html", "again")
    assert shop.refresh().settled == templates.Settled(added=1)
    assert {each.name: each.id for each in shop.templates.views()} == ids
    shop.write("a.html", "again")  # written anew, and the same
    done = shop.refresh()
    assert (done.settled, done.read) == (NOTHING, ("a.html",))


def test_a_new_process_finds_what_changed_meanwhile(shop: Shop) -> None:
    for name in ("same.html", "gone.html"):
        shop.write(name)
    shop.refresh()
    (shop.folder / "gone.html").unlink()
    shop.write("new.html")
    shop.templates = shop.again()
    assert shop.names() == ["new", "same"]
    shop.settings = shop.settings_of(None)
    assert shop.refresh().settled == templates.Settled(removed=2)
    assert shop.refresh() == Refreshed(NOTHING)


@ON_SQLITE
def test_what_cannot_be_used_is_told_once_with_the_reason(shop: Shop) -> None:
    outside = shop.folder.parent / "secret.html"
    outside.write_text("secret")
    shop.write("fine.html")
    shop.write(".git/config.html")
    shop.write(".draft.html")
    shop.write("large.html", "x" * (MOST_BYTES + 1))
    shop.write("latin.html", "a\nb\xe9".encode("latin-1"))
    shop.write("nul.html", "a\0b")
    shop.write("text.html")
    shop.write("text.txt", b"\xff")
    os.mkfifo(shop.folder / "pipe.html")
    (shop.folder / "link.html").symlink_to(outside)
    (shop.folder / "inner.html").symlink_to(shop.folder / "fine.html")
    (shop.folder / "nowhere.html").symlink_to("nothing")
    (shop.folder / "loop").symlink_to(shop.folder)
    (shop.folder / "out").symlink_to(shop.folder.parent)
    shop.write("/".join("d" * 20) + "/deep.html")
    reasons = {each.file: each.reason for each in shop.refresh().refused}
    assert reasons.pop("/".join("d" * 17)) == "lies more than 16 folders deep"
    assert reasons == {
        ".draft.html": "is hidden: its name begins with a point",
        "large.html": "is larger than 1,024 KB",
        "latin.html": "is not UTF-8 text, see line 2",
        "nul.html": "holds a NUL character",
        "text.txt": "is not UTF-8 text, see line 1",
        "pipe.html": "is not a file",
        "link.html": "is a link that leads out of the directory",
        "nowhere.html": "cannot be read: No such file or directory",
        "loop": "is a link to a folder, which is not followed",
        "out": "is a link to a folder, which is not followed",
    }
    assert shop.names() == ["fine", "inner"]
    assert {each.file for each in shop.templates.refused()} > set(reasons)
    shop.write("fine.html", "changed")
    assert shop.refresh().refused == ()
    shop.write("latin.html", "a\nbé")
    assert shop.refresh().settled == templates.Settled(added=1)
    assert "latin.html" not in {each.file for each in shop.templates.refused()}


@ON_SQLITE
def test_a_file_with_an_unreadable_name_is_refused(shop: Shop) -> None:
    (shop.folder / os.fsdecode(b"\xff.html")).write_text("x")
    (shop.folder / "line\nbreak.html").write_text("x")
    assert len(shop.refresh().refused) == 2
    assert shop.names() == []


@ON_SQLITE
def test_what_cannot_be_read_any_more_stays_as_it_was(shop: Shop) -> None:
    shop.write("a.html", "good")
    shop.refresh()
    shop.write("a.html", b"\xff\xfe")
    done = shop.refresh()
    assert done.settled == NOTHING
    assert [each.file for each in done.refused] == ["a.html"]
    (view,) = shop.templates.views()
    assert view.problem == "a.html is not UTF-8 text, see line 1; this is what it was before"
    assert shop.templates.get(view.id).html == "good"
    shop.folder.rename(shop.folder.parent / "elsewhere")
    for trouble in (f"the directory {shop.folder} cannot be read: No such file or directory", None):
        assert shop.refresh() == Refreshed(NOTHING, trouble=trouble)
        assert shop.names() == ["a"]
    shop.folder.mkdir()
    for process in (shop.templates, shop.again()):  # as where a disk is not mounted
        done = process.refresh()
        assert done.settled == NOTHING
        assert done.trouble == (
            f"the directory {shop.folder} is empty: what was read from it stays. "
            "If that is meant to go, put some other file there"
        )
    assert shop.names() == ["a"]
    shop.write(".keep")
    assert shop.refresh().settled == templates.Settled(removed=1)
    (shop.folder / ".keep").unlink()
    assert shop.refresh() == Refreshed(NOTHING)  # nothing is missed


def test_daemons_with_other_directories_leave_each_other_alone(shop: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shop.write("welcome.html")
    shop.write("cart.html")
    (other / "welcome.html").write_text("Hi")
    (other / "new.html").write_text("Hi")
    shop.refresh()
    b = shop.again("b", other)
    assert b.refresh().settled == templates.Settled(added=1)
    assert shop.again().refresh().settled == NOTHING  # also when it begins anew
    assert shop.names() == ["cart", "new", "welcome"]
    for name in ("welcome.html", "cart.html"):
        (shop.folder / name).unlink()
    assert shop.refresh().settled == templates.Settled(removed=1)
    assert shop.names() == ["new", "welcome"]
    for name in ("welcome.html", "new.html"):
        (other / name).unlink()
    (other / "x").touch()
    assert shop.again("b", other).refresh().settled == templates.Settled(removed=2)


def test_what_a_daemon_has_said_counts_for_a_week(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").touch()
    shop.write("a.html")
    shop.refresh()
    b = shop.again("b", other)
    for ago, left in ((timedelta(days=6), ["a"]), (timedelta(days=8), [])):
        with shop.people.transaction() as connection:
            connection.execute(update(TEMPLATE_DIRECTORIES).values(seen_at=datetime.now(UTC) - ago))
        shop.clock[0] += COMPARED_EVERY_S + 1
        b.refresh()
        assert shop.names() == left
    assert shop.refresh().read == ("a.html",)  # it was there after all
    assert (shop.names(), shop.refresh()) == (["a"], Refreshed(NOTHING))
    with shop.people.connect() as connection:
        seen = connection.execute(select(TEMPLATE_DIRECTORIES.c.seen_at)).scalar_one()
    assert datetime.now(UTC) - seen < timedelta(minutes=1)


def test_a_directory_that_is_away_for_long_is_still_had(shop: Shop) -> None:
    shop.write("a.html")
    shop.refresh()
    shop.folder.rename(shop.folder.parent / "elsewhere")
    table = TEMPLATE_DIRECTORIES
    with shop.people.transaction() as connection:
        connection.execute(update(table).values(seen_at=datetime.now(UTC) - timedelta(days=6)))
    shop.clock[0] += COMPARED_EVERY_S + 1
    assert shop.refresh().trouble is not None
    with shop.people.connect() as connection:
        row = connection.execute(select(table)).one()
    assert datetime.now(UTC) - row.seen_at < timedelta(minutes=1)
    assert row.files == '["a.html"]'


@ON_SQLITE
def test_a_folder_that_is_closed_keeps_its_templates(shop: Shop) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is closed to root")
    shop.write("in/a.html")
    shop.refresh()
    (shop.folder / "in").chmod(0)
    done = shop.refresh()
    (shop.folder / "in").chmod(0o700)
    assert (done.settled, done.refused[0].file) == (NOTHING, "in/")


@ON_SQLITE
def test_many_files_are_written_in_parts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedd.stored_templates.BATCH_CHARACTERS", 10)
    for n in range(7):
        shop.write(f"{n}.html", "12345")
    assert shop.refresh().settled == templates.Settled(added=7)
    monkeypatch.setattr("feedd.template_files.MOST_TEMPLATES", 5)
    shop.write("8.html")
    done = shop.refresh()
    assert done.settled == NOTHING
    assert [each.file for each in done.refused] == ["5.html", "6.html", "8.html"]


# what is wrong with them


def test_problems_are_told_and_looked_for_once(shop: Shop) -> None:
    shop.write("a.html", "x\nBROKEN")
    shop.write("b.html", "fine")
    shop.write("b.txt", "BROKEN")
    shop.refresh()
    shop.settings = shop.settings_of(shop.folder)  # read anew, and the same for templates
    for process in (shop.templates, shop.templates, shop.again()):
        told = {each.name: each.problem for each in process.views()}
        assert told == {
            "a": "line 2, column 3: is broken",
            "b": "text, line 2, column 3: is broken",
        }
        problem = process.problem_of_file("a.html")
        assert problem is not None
        assert problem.hint == "Mend it."
        assert process.problem_of_file("none.html") is None
    assert sorted(shop.checked) == ["BROKEN", "fine", "x\nBROKEN"]
    shop.write("a.html", "x")  # what was found before is not of this
    shop.refresh()
    assert {each.problem for each in shop.again().views()} == {None, told["b"]}


@ON_SQLITE
def test_another_check_looks_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write("a.html")
    shop.refresh()
    shop.templates.views()
    monkeypatch.setattr("feedd.template_checks.checker", lambda: "after an upgrade")
    for _ in range(2):
        shop.again().views()
    assert len(shop.checked) == 2
    blog = WebFeedSettings(name="blog", url="https://blog.example/", every_s=900.0)
    shop.settings = replace(shop.settings, web_feeds={"blog": blog})
    for _ in range(2):
        shop.templates.views()
    assert len(shop.checked) == 3
    assert {each.web_feeds for each in shop.known} == {(), ("blog",)}


@ON_SQLITE
def test_nobody_waits_until_all_have_been_looked_through(shop: Shop) -> None:
    for n in range(4):
        shop.write(f"{n}.html", f"WAIT {n}")
    shop.refresh()
    assert {each.problem for each in shop.templates.views(0.01)} == {NOT_YET}
    shop.go_on.set()
    assert {each.problem for each in shop.templates.views()} == {None}
    assert len(shop.checked) == 4
    assert [each.problem for each in shop.again().views(0)] == [None] * 4


@ON_SQLITE
def test_what_could_not_be_looked_through_is_tried_again(shop: Shop) -> None:
    shop.write("a.html", "SLOW")
    shop.refresh()
    for tries in (1, 1, 2):
        (view,) = shop.templates.views()
        assert view.problem == "line 1, column 1: it takes too long"
        assert len(shop.checked) == tries
        shop.clock[0] += AGAIN_AFTER_S / 2 + 1
    for tries in (3, 4):
        with pytest.raises(BadTemplate, match="it takes too long"):
            shop.templates.create("b", templates.Sources(html="SLOW"))
        assert len(shop.checked) == tries


@ON_SQLITE
def test_what_waits_to_be_looked_through_does_not_keep_the_end_waiting(shop: Shop) -> None:
    for n in range(4):
        shop.write(f"{n}.html", f"WAIT {n}")
    shop.refresh()
    shop.templates.views(0.01)
    threading.Timer(0.05, shop.go_on.set).start()
    shop.templates.close()
    assert len(shop.checked) < 4


@ON_SQLITE
def test_broken_sources_are_not_taken_over_the_api(shop: Shop) -> None:
    good = shop.templates.create("a", templates.Sources(html="x"))
    for broken in ({"html": "BROKEN"}, {"html": "x", "text": "BROKEN"}):
        for change in (
            lambda given=broken: shop.templates.create("b", templates.Sources(**given)),
            lambda given=broken: shop.templates.change(good.id, given),
        ):
            with pytest.raises(
                BadTemplate, match=r"line 2, column 3: is broken\. Mend it\."
            ) as caught:
                change()
            assert caught.value.source == {"pointer": f"/data/attributes/{list(broken)[-1]}"}
    assert shop.names() == ["a"]


# over the API


def test_what_comes_from_a_file_is_changed_there_alone(shop: Shop) -> None:
    shop.write("a.html", "x")
    shop.refresh()
    found = shop.templates.named("a")
    for change in (
        lambda: shop.templates.change(found.id, {"name": "b"}),
        lambda: shop.templates.delete(found.id),
    ):
        with pytest.raises(UsageError, match=r"comes from the file a\.html") as caught:
            change()
        assert caught.value.code == "read_only"
    clone = shop.templates.clone(found.id)
    assert (clone.name, clone.html, clone.file) == ("Clone of a", "x", None)
    changed = shop.templates.change(clone.id, {"name": "a", "html": "y", "text": "t", "amp": "z"})
    assert (changed.name, changed.html, changed.text, changed.amp) == ("a", "y", "t", "z")
    assert changed.digest != found.digest == clone.digest
    assert shop.templates.named("a") == found  # the file's goes first
    assert shop.templates.clone(clone.id, "a").html == "y"
    (shop.folder / "a.html").unlink()
    shop.refresh()
    with pytest.raises(UsageError, match="2 templates are called 'a'"):
        shop.templates.named("a")
    assert shop.templates.delete(clone.id) == changed
    for missing in (clone.id, "none", "a\0b"):
        for ask in (shop.templates.get, shop.templates.delete, shop.templates.clone):
            with pytest.raises(NotFound, match="does not exist"):
                ask(missing)
    with pytest.raises(NotFound, match="feedd templates"):
        shop.templates.named("none")


@ON_SQLITE
def test_there_is_a_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST_TEMPLATES", 1)
    made = shop.templates.create("a", templates.Sources(html="x"))
    with pytest.raises(UsageError, match="There are 1 templates already"):
        shop.templates.clone(made.id)


def test_an_id_that_another_has_is_not_given_again(shop: Shop) -> None:
    shop.write("a.html")
    shop.refresh()
    taken = shop.templates.named("a").id
    (shop.folder / "a.html").unlink()
    shop.refresh()
    made = shop.templates.create("b", templates.Sources(html="x"))
    with shop.people.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE templates SET uid = '{taken}'")
    shop.write("a.html")
    shop.refresh()
    assert shop.templates.named("a").id not in (taken, made.id)
