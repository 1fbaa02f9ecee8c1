"""Links in messages to people's own pages: made here, read here, and telling nobody else anything."""

import string
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import KINDS, Elsewhere
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st
from test_access import Caller
from test_backup import back_up, put_back

from feedd import intake
from feedd.app import App
from feedd.errors import StoreError
from feedd.links import FRESH_S, PAGES, LinkTo, PersonalLinks, public_url
from feedd.people.operations import SetProfile
from feedd.people.values import Action, Identifiers
from feedd.previews import Preview
from feedd.settings import Settings
from feedd.store.database import Database, open_database
from feedd.store.own_secrets import LINKS as PURPOSE
from feedd.store.own_secrets import add_secret, own_secrets, read_secrets
from feedd.templates.wire import Position

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHO = Identifiers(email="jane.doe@example.com")
# for what the databases have no part in
ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
LETTERS = string.ascii_letters + string.digits + "-_"
STREAM = "0197a6f2c1d07b3e"
ABOUT = LinkTo(
    profile="01JQZX3M8N4T5V6W7X8Y9ZABCD", template="UqXb3f", position=Position(STREAM, 7)
)


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    found = people_of(place)
    yield found
    found.close()


def people_of(place: intake.Place) -> Database:
    return open_database("people", state_dir=Path(place.state_dir), url=place.url)


def settings(**more: object) -> Settings:
    places = {"state_dir": Path("/x"), "socket": Path("/x/s")}
    return Settings(**(places | more))  # type: ignore[arg-type]


def links_of(
    people: Database, clock: list[float] | None = None, stream: str = STREAM
) -> PersonalLinks:
    found = settings(public_url="https://mail.shop.example/feedd")
    clock = clock or [0.0]
    return PersonalLinks(lambda: found, people, lambda: stream, clock=lambda: clock[0])


class Kept(PersonalLinks):
    """Links under a secret of one test run."""

    def _known(self, *, makes: bool = False) -> list[AESSIV]:
        return [SEAL]


SEAL = AESSIV(AESSIV.generate_key(512))
LINKS = Kept(settings, None, str)  # type: ignore[arg-type]  # it is not asked


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def test_a_link_is_read_as_what_it_was_made_of(people: Database) -> None:
    links = links_of(people)
    made = links.all_of(ABOUT)
    assert made.unsubscribe.startswith("https://mail.shop.example/feedd/unsubscribe/")
    assert made.manage_preferences.startswith("https://mail.shop.example/feedd/preferences/")
    assert made.web_view.startswith("https://mail.shop.example/feedd/view/")
    for kind in PAGES:
        assert links.read(kind, token_of(getattr(made, kind))) == ABOUT
    assert links_of(people).all_of(ABOUT) == made  # in another process, at another time


@ON_SQLITE
def test_a_token_opens_one_kind_of_page_and_shows_nothing(people: Database) -> None:
    links = links_of(people)
    token = token_of(links.make("web_view", ABOUT))
    assert links.read("unsubscribe", token) is None
    other = links.make(
        "web_view", LinkTo(profile=ABOUT.profile, template="UqXb3g", position=ABOUT.position)
    )
    assert len(token_of(other)) == len(token)
    assert token_of(other)[:20] != token[:20]
    assert ABOUT.profile is not None
    assert ABOUT.profile not in token


@ON_SQLITE
def test_no_other_token_opens_anything(people: Database) -> None:
    links = links_of(people)
    token = token_of(links.make("web_view", ABOUT))
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        assert links.read("web_view", token[:place] + other + token[place + 1 :]) is None
    for wrong in ("", "A", token[:-1], token + "A", token + "=", f" {token}", "é", "A" * 5_000, "\ud800", "....", token.lower()):  # fmt: skip
        assert links.read("web_view", wrong) is None


@ON_SQLITE
def test_the_last_letter_of_a_token_stands_as_it_was_written(people: Database) -> None:
    links = links_of(people)
    for seq in range(3):
        token = token_of(links.make("web_view", LinkTo(profile="x" * seq)))
        same = [token[:-1] + last for last in LETTERS]
        assert [each for each in same if links.read("web_view", each)] == [token]


@given(st.text(max_size=120) | st.text(LETTERS, max_size=120))
def test_no_text_opens_anything(text: str) -> None:
    assert LINKS.read("web_view", text) is None


def test_a_new_secret_signs_and_older_ones_still_open(people: Database) -> None:
    clock = [0.0]
    links = links_of(people, clock)
    old = token_of(links.make("unsubscribe", ABOUT))
    add_secret(people, PURPOSE, NOW)
    clock[0] += FRESH_S + 1
    new = token_of(links.make("unsubscribe", ABOUT))
    assert new != old
    for token in (old, new):
        assert links.read("unsubscribe", token) == ABOUT
        assert links_of(people).read("unsubscribe", token) == ABOUT


@ON_SQLITE
def test_a_link_of_another_stream_has_no_place(people: Database) -> None:
    token = token_of(links_of(people).make("web_view", ABOUT))
    found = links_of(people, stream="another").read("web_view", token)
    assert found == LinkTo(profile=ABOUT.profile, template=ABOUT.template)


@ON_SQLITE
def test_known_secrets_go_on_where_the_database_fails(
    people: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    links = links_of(people, clock)
    token = token_of(links.make("unsubscribe", ABOUT))
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    (nowhere / "people.db").write_text("no database " * 500)
    broken = open_database("people", state_dir=nowhere, url=None)
    monkeypatch.setattr(people, "engine", broken.engine)
    clock[0] += FRESH_S + 1
    assert token_of(links.make("unsubscribe", ABOUT)) == token
    assert links.read("unsubscribe", token) == ABOUT
    with pytest.raises(StoreError):  # there are none to go on with
        links_of(people).read("unsubscribe", token)
    broken.close()


def test_a_secret_is_written_when_the_first_link_is_made_alone(people: Database) -> None:
    links = links_of(people)
    assert links.read("unsubscribe", "A" * 60) is None
    assert read_secrets(people, PURPOSE) == []
    token = token_of(links.make("unsubscribe", ABOUT))
    only = "PRAGMA query_only = " if people.sqlite else "SET default_transaction_read_only = "
    with people.connect() as connection:  # which is the next one's too
        connection.exec_driver_sql(f"{only}on")
    other = links_of(people)
    assert other.read("unsubscribe", token) == ABOUT
    assert token_of(other.make("unsubscribe", ABOUT)) == token
    with pytest.raises(StoreError, match=r"read-?only"):
        add_secret(people, PURPOSE, NOW)


def test_daemons_that_begin_together_have_one_secret(place: intake.Place) -> None:
    found: list[list[bytes]] = []
    barrier = threading.Barrier(4)

    def begin() -> None:
        database = people_of(place)
        barrier.wait()
        found.append(own_secrets(database, "x", NOW))
        database.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert {len(each) for each in found} == {1}
    assert len({each[0] for each in found}) == 1


@pytest.mark.parametrize(("place", "kind"), [KINDS, KINDS[::-1]], indirect=["place"])
def test_links_are_read_after_a_restore(
    people: Database, place: intake.Place, kind: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    token = token_of(links_of(people).make("unsubscribe", ABOUT))
    back_up(place, tmp_path / "backup")
    other = elsewhere(kind)
    put_back(tmp_path / "backup", other)
    restored = people_of(other)
    assert links_of(restored).read("unsubscribe", token) == ABOUT
    restored.close()


@ON_SQLITE
def test_a_secret_is_shown_nowhere(people: Database) -> None:
    links = links_of(people)
    links.make("unsubscribe", ABOUT)
    secret = own_secrets(people, PURPOSE, NOW)[0]
    assert repr(secret)[2:-1] not in repr(vars(links))
    assert len(secret) == 64


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "http://127.0.0.1:8030"),
        ({"listen": ("0.0.0.0", 80)}, "http://localhost:80"),
        ({"listen": ("::", 80)}, "http://localhost:80"),
        ({"listen": ("::1", 8030)}, "http://[::1]:8030"),
        ({"listen": None}, "http://localhost"),
        ({"listen": None, "public_url": "https://a.example"}, "https://a.example"),
    ],
)
def test_with_no_public_address_links_lead_to_where_it_listens(
    given: dict[str, object], address: str
) -> None:
    assert public_url(settings(**given)) == address


def test_a_message_has_the_links_of_whom_it_is_for(tmp_path: Path) -> None:
    app = App(
        settings(state_dir=tmp_path, socket=tmp_path / "x.sock", public_url="https://a.example")
    )
    profile = app.persons.answer(SetProfile(who=WHO, action=Action(who=WHO))).profile
    html = "{% unsubscribe_link %} {% manage_preferences_link %} {% web_view_link %}"
    asked = Preview(html=html, profile=WHO)
    found = app.previews.render(asked)
    assert found.html is not None
    assert found.html == app.previews.render(asked).html
    assert found.position is not None
    for kind, link in zip(PAGES, found.html.split(), strict=True):
        about = app.links.read(kind, token_of(link))
        assert about == LinkTo(profile=profile.id, position=found.position)
    app.close()


@pytest.mark.parametrize("source", ["Hi {{ first_name }}", "{% unsubscribe_link %}"])
def test_links_are_made_where_a_template_leads_to_one(tmp_path: Path, source: str) -> None:
    app = App(settings(state_dir=tmp_path, socket=tmp_path / "x.sock"))
    assert app.previews.render(Preview(html=source)).html is not None
    assert len(read_secrets(app.people, PURPOSE)) == ("unsubscribe" in source)
    app.close()


def test_the_pages_say_the_same_whatever_the_token(tmp_path: Path) -> None:
    app = App(Settings(state_dir=tmp_path, socket=tmp_path / "x.sock"))
    links = app.links.all_of(ABOUT)
    caller = Caller(app)
    told = set()
    for kind, word in PAGES.items():
        for token in (token_of(getattr(links, kind)), "wrong", "A" * 500):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
                found = caller(method, f"/{word}/{token}")
                assert found.headers["cache-control"] == "no-store"
                told.add((found.status_code, found.text if method != "HEAD" else None))
    (status, text), without = sorted(told, key=lambda each: each[1] is None)
    assert (status, without) == (404, (404, None))
    assert "campaigns" in text
    app.close()
