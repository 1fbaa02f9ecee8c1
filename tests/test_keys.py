"""API keys: made, found, replaced and revoked, and what each may do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedd import intake, keyring
from feedd.errors import NotFound, UsageError
from feedd.keyring import Keyring
from feedd.scopes import RESOURCES, allows, check_scopes
from feedd.store import keys
from feedd.store.database import Database, open_database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def people(place: intake.Place) -> Iterator[Database]:
    database = open_database("people", state_dir=Path(place.state_dir), url=place.url)
    yield database
    database.close()


def private(people: Database, *scopes: str) -> tuple[str, str]:
    """The prefix and the text of a new private key."""
    made, text = keys.create_key(
        people, kind="private", name="site", scopes=scopes or ("read",), now=NOW
    )
    return made.prefix, text


def test_a_private_key_opens_until_it_is_revoked(people: Database) -> None:
    made, text = keys.create_key(people, kind="private", name="site", scopes=("read",), now=NOW)
    assert text.startswith("pk_")
    assert keys.find_private_key(people, text, NOW) == made
    for wrong in (text[:-1] + "!", made.prefix, "", "pk_ÿ"):
        assert keys.find_private_key(people, wrong, NOW) is None
    assert keys.revoke_key(people, text, NOW).revoked_at == NOW
    assert keys.find_private_key(people, text, NOW) is None
    with pytest.raises(NotFound):
        keys.revoke_key(people, text, NOW)


def test_the_text_of_a_private_key_is_not_stored(people: Database) -> None:
    _, text = private(people)
    with people.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_keys").all()
    assert text[12:] not in repr(rows)


def test_a_public_key_is_six_characters_and_opens_nothing(people: Database) -> None:
    made, text = keys.create_key(people, kind="public", name="pages", scopes=(), now=NOW)
    assert len(text) == 6
    assert keys.find_private_key(people, text, NOW) is None
    assert keys.list_keys(people) == [made]
    private(people)
    assert keys.public_keys(people, NOW) == {text: None}


@pytest.mark.parametrize("kind", ["private", "public"])
def test_a_replaced_key_goes_on_as_long_as_it_was_told(people: Database, kind: str) -> None:
    scopes = ("profiles:read",) if kind == "private" else ()
    first, _ = keys.create_key(people, kind=kind, name="site", scopes=scopes, now=NOW)
    old, new, text = keys.rotate_key(people, first.prefix, NOW, keep=HOUR)
    assert (old.prefix, old.expires_at, old.revoked_at) == (first.prefix, NOW + HOUR, None)
    assert (new.kind, new.name, new.scopes, new.expires_at) == (kind, "site", scopes, None)
    assert text.startswith(new.prefix)
    assert new.prefix != old.prefix
    assert keys.list_keys(people) == [old, new]
    if kind == "public":
        assert keys.public_keys(people, NOW) == {old.prefix: NOW + HOUR, new.prefix: None}
        assert keys.public_keys(people, NOW + HOUR) == {new.prefix: None}


def test_a_replaced_key_ends_and_a_shorter_end_stands(people: Database) -> None:
    prefix, text = private(people)
    keys.rotate_key(people, prefix, NOW, keep=HOUR)
    assert keys.find_private_key(people, text, NOW + HOUR / 2) is not None
    assert keys.find_private_key(people, text, NOW + HOUR) is None
    old, _, _ = keys.rotate_key(people, prefix, NOW, keep=2 * HOUR)
    assert old.expires_at == NOW + HOUR
    with pytest.raises(NotFound):
        keys.rotate_key(people, prefix, NOW + HOUR)
    with pytest.raises(NotFound):
        keys.revoke_key(people, prefix, NOW + HOUR)


def test_a_key_that_is_replaced_for_good_ends_at_once(people: Database) -> None:
    prefix, text = private(people)
    old, _, fresh = keys.rotate_key(people, prefix, NOW)
    assert (old.revoked_at, old.expires_at) == (NOW, None)
    assert keys.find_private_key(people, text, NOW) is None
    assert keys.find_private_key(people, fresh, NOW) is not None


def test_two_keys_never_begin_alike(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(("pk_AAAAAAAA1", "pk_AAAAAAAA2", "pk_BBBBBBBB3"))
    monkeypatch.setattr(keys, "_new_text", lambda kind: next(texts))
    private(people)
    assert private(people) == ("pk_BBBBBBBB", "pk_BBBBBBBB3")


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_looked_up_once_in_a_while(people: Database) -> None:
    clock = Clock()
    ring = Keyring(people, clock=clock)
    _, text = private(people)
    assert ring.known(text) is None
    found = ring.find(text)
    assert found is not None
    assert ring.known(text) == found
    keys.revoke_key(people, text, NOW)  # by another process
    assert ring.find(text) == found
    clock.now = keyring.FRESH_S + 0.1
    assert ring.known(text) is None
    assert ring.find(text) is None


def test_what_this_process_does_to_a_key_counts_at_once(people: Database) -> None:
    ring = Keyring(people, clock=Clock())
    made, text = ring.create(kind="private", name="site", scopes=("read",))
    _, token = ring.create(kind="public", name="pages", scopes=())
    assert ring.find(text) == made
    assert ring.is_public(token)
    ring.revoke(token)
    assert not ring.is_public(token)
    _, _, fresh = ring.rotate(made.prefix, keep=timedelta(0))
    assert ring.find(text) is None
    assert ring.find(fresh) is not None


def test_a_key_that_is_at_hand_ends_in_time(people: Database) -> None:
    today = [NOW]
    ring = Keyring(people, clock=Clock(), now=lambda: today[0])
    made, text = ring.create(kind="private", name="site", scopes=("read",))
    _, token = ring.create(kind="public", name="pages", scopes=())
    for prefix in (made.prefix, token):
        ring.rotate(prefix, keep=HOUR)
    assert ring.find(text) is not None
    assert ring.is_public(token)
    today[0] += HOUR
    assert ring.known(text) is None
    assert ring.find(text) is None
    assert ring.knows_public(token) is False


def test_a_public_key_that_is_not_known_is_looked_for_once_a_second(people: Database) -> None:
    clock = Clock()
    ring = Keyring(people, clock=clock)
    assert not ring.is_public("abc123")
    _, token = keys.create_key(people, kind="public", name="pages", scopes=(), now=NOW)
    assert ring.knows_public(token) is False
    clock.now = 1.1
    assert ring.knows_public(token) is None
    assert ring.is_public(token)
    assert ring.knows_public(token) is True
    assert not ring.is_public("pk_" + token)


def test_a_public_key_is_known_while_others_are_made(people: Database) -> None:
    ring = Keyring(people, clock=Clock())
    _, token = ring.create(kind="public", name="pages", scopes=())
    assert ring.is_public(token)

    class Asked(str):
        """A key; while it is looked up, another one is made."""

        __slots__ = ()

        def __hash__(self) -> int:
            ring.create(kind="private", name="site", scopes=("read",))
            return hash(str(self))

    assert ring.knows_public(Asked(token)) is not False
    assert ring.is_public(token)


def test_scopes_say_what_a_key_may_do() -> None:
    for resource in RESOURCES:
        assert allows(("read",), resource, "read")
        assert not allows(("read",), resource, "write")
        assert allows((f"{resource}:write",), resource, "write")
        assert not allows((f"{resource}:write",), resource, "read")
        assert not allows((f"{resource}:read", f"{resource}:write"), "api-keys", "read")
    assert allows(("profiles:read", "write"), "api-keys", "write")


def test_scopes_are_checked_and_put_in_order() -> None:
    assert check_scopes(["profiles:read", "write", "read", "read"]) == (
        "read",
        "write",
        "profiles:read",
    )
    for wrong in (
        [],
        ["all"],
        ["profiles"],
        ["profiles:all"],
        [":read"],
        ["people:read"],
        [""],
        ["a:profiles:read"],
    ):
        with pytest.raises(UsageError) as caught:
            check_scopes(wrong)
        assert "read" in caught.value.hint
