"""Profiles as clients ask for them: the published client of Klaviyo's API, which checks every answer, and plain HTTP, over TCP."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import KINDS, fresh_place
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

from feedd.api.resources import names_of
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.metrics import Metrics
from feedd.people.documents import ProfileAttributes
from feedd.people.limits import MAX_STORED_BYTES
from feedd.settings import Settings
from feedd.settings.secret import Secret

EMAILS = [f"u{n:02}@example.com" for n in (3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93)]


def profile(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": attributes, **more}}


def merge(into: str, *sources: str) -> dict[str, Any]:
    named = [{"type": "profile", "id": each} for each in sources]
    related = {"profiles": {"data": named}}
    return {"data": {"type": "profile-merge", "id": into, "relationships": related}}


class Shop:
    """A feedd on a port of loopback."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        database = None if url is None else Secret(url)
        settings = Settings(state_dir=folder / "state", socket=folder / "s", database=database, listen=("127.0.0.1", 0))  # fmt: skip
        self.app = App(settings)
        self.app.recorder.start()
        dispatcher = Dispatcher(self.app)
        self.http = HttpServer(self.app, dispatcher, settings, metrics=Metrics(self.app, dispatcher))  # fmt: skip
        self.http.start()
        self.key = self.app.create_key(kind="private", name="erp", scopes=("read", "write"))[1]
        self.public = self.app.create_key(kind="public", name="page", scopes=())[1]
        self.address = self.http.address() or ""
        self.client = KlaviyoAPI(self.key, max_retries=0, test_host=f"http://{self.address}")
        self.profiles = self.client.Profiles

    def close(self) -> None:
        self.app.recorder.stop()
        self.http.stop()
        self.app.close()

    def make(self, **attributes: Any) -> str:
        return str(self.profiles.create_profile(profile(attributes)).data.id)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = "") -> tuple[int, Any]:  # fmt: skip
        """The status and the document of an answer; None where it is empty."""
        connection = HTTPConnection(self.address, timeout=20)
        headers = {} if key is None else {"Authorization": f"Klaviyo-API-Key {key or self.key}"}
        text = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, quote(path, safe="/?=&,;:%[]()'\""), text, headers)
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response.status, json.loads(found) if found else None

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400) -> Any:
        answered, document = self.ask(method, path, body)
        assert answered == status, document
        (error,) = document["errors"]
        return error

    def attributes(self, id_: str) -> Any:
        status, document = self.ask("GET", f"/api/profiles/{id_}")
        assert status == 200, document
        return document["data"]["attributes"]


def opened(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[Shop]:
    with fresh_place(request, kind, folder / "state") as place:
        made = Shop(folder, place.url)
        yield made
        made.close()


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:  # fmt: skip
    yield from opened(request, "sqlite", tmp_path_factory.mktemp("profiles"))


@pytest.fixture(params=KINDS)
def each_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    yield from opened(request, request.param, tmp_path)


# one profile


def test_the_published_client_makes_reads_and_changes_a_profile(shop: Shop) -> None:
    everything = {
        "email": "Jane.Doe@example.com",
        "phone_number": "+1 415 555 0123",
        "external_id": "c-1",
        "first_name": "Jane",
        "last_name": "Doe",
        "organization": "Example",
        "locale": "en-US",
        "title": "Buyer",
        "image": "https://shop.example/jane.png",
        "location": {
            "address1": "1 Main Street",
            "address2": "2nd floor",
            "city": "Boston",
            "country": "United States",
            "latitude": 42.36,
            "longitude": "-71.06",
            "region": "MA",
            "zip": "02101",
            "timezone": "America/New_York",
            "ip": "127.0.0.1",
        },
        "properties": {"plan": "gold", "sizes": ["S"], "deep": {"a": [1, None]}},
    }
    made = shop.profiles.create_profile(profile(everything), additional_fields_profile=["subscriptions", "predictive_analytics"])  # fmt: skip
    consent = made.data.attributes.subscriptions.email.marketing
    assert (consent.can_receive_email_marketing, consent.consent) == (True, "NEVER_SUBSCRIBED")
    assert made.data.attributes.predictive_analytics.total_clv is None
    assert made.data.links.var_self.endswith(f"/api/profiles/{made.data.id}")

    found = shop.profiles.get_profile(made.data.id).data.attributes
    assert (found.email, found.phone_number) == ("jane.doe@example.com", "+14155550123")
    assert found.created == found.updated
    assert found.last_event_date is None
    assert found.subscriptions is None
    told = shop.attributes(made.data.id)
    for name in everything.keys() - {"email", "phone_number"}:
        assert told[name] == everything[name]
    assert told["created"].endswith("+00:00")

    changed = shop.profiles.update_profile(
        made.data.id,
        profile(
            {"external_id": None, "title": None, "location": {"city": "Oslo", "zip": None}, "properties": {"plan": None}},
            id=made.data.id,
            meta={"patch_properties": {"append": {"sizes": ["M", "S"]}, "unset": "deep"}},
        ),
    )  # fmt: skip
    attributes = changed.data.attributes
    assert attributes.first_name == "Jane"
    assert {attributes.title, attributes.external_id, attributes.location.zip} == {None}
    assert (attributes.location.city, attributes.location.region) == ("Oslo", "MA")
    assert attributes.properties == {"sizes": ["S", "M"]}


def test_a_profile_is_made_or_changed_by_any_identifier(shop: Shop) -> None:
    answered, made = shop.ask("POST", "/api/profile-import", profile({"email": "up@example.com", "_kx": "kx-1"}))  # fmt: skip
    assert answered == 201
    id_ = made["data"]["id"]
    for attributes, more in (
        ({"email": "UP@example.com", "title": "a"}, {}),
        ({"_kx": "kx-1", "title": "b"}, {}),
        ({"external_id": "up-1", "title": "c"}, {"id": id_}),
        ({"external_id": "up-1", "email": "up2@example.com"}, {}),
    ):
        answered, document = shop.ask("POST", "/api/profile-import/", profile(attributes, **more))
        assert (answered, document["data"]["id"]) == (200, id_)
    imported = shop.profiles.create_or_update_profile(profile({"email": "up2@example.com"}))
    assert imported.data.attributes.title == "c"


def test_devices_are_given_and_taken(shop: Shop) -> None:
    id_ = shop.make(email="device@example.com")

    def patched(**more: Any) -> None:
        answered, _ = shop.ask("PATCH", f"/api/profiles/{id_}", profile({}, id=id_, meta={"patch_identifiers": more}))  # fmt: skip
        assert answered == 200

    def listed(kx: str) -> list[str]:
        return [each.id for each in shop.profiles.get_profiles(filter=f'equals(_kx,"{kx}")').data]

    patched(append={"anonymous_id": ["d-1", "d-2"]})
    assert listed("d-1") == listed("d-2") == [id_]
    patched(unappend={"anonymous_id": "d-1"})
    assert (listed("d-1"), listed("d-2")) == ([], [id_])


def test_who_may_write_and_not_read_is_told_what_they_sent(shop: Shop) -> None:
    writer = shop.app.create_key(kind="private", name="site", scopes=("profiles:write",))[1]
    client = KlaviyoAPI(writer, max_retries=0, test_host=f"http://{shop.address}").Profiles
    sent = {"external_id": "told-1", "title": "Buyer", "location": {"city": "Oslo"}, "properties": {"plan": "gold"}}  # fmt: skip
    made = client.create_profile(profile({"email": "told@example.com", "phone_number": "+14155550166", "first_name": "Jane", **sent}))  # fmt: skip
    assert made.data.attributes.email == "told@example.com"

    def told(method: str, path: str, document: Any) -> Any:
        status, answer = shop.ask(method, path, document, key=writer)
        assert status == 200, answer
        assert answer["data"]["id"] == made.data.id
        return answer["data"]["attributes"]

    imports, one = "/api/profile-import", f"/api/profiles/{made.data.id}"
    assert told("POST", imports, profile({"external_id": "told-1"})) == {"external_id": "told-1"}
    assert told("POST", imports, profile(sent)) == sent
    assert told("PATCH", one, profile({})) == {}
    assert told("PATCH", f"{one}?additional-fields[profile]=subscriptions", profile({"title": None, "email": "", "properties": {"plan": None}})) == {"title": None}  # fmt: skip
    assert told("PATCH", f"{one}?fields[profile]=email,title", profile({"title": "x", "image": "y"})) == {"title": "x"}  # fmt: skip
    assert client.create_or_update_profile(profile(sent)).data.attributes.phone_number is None
    assert shop.ask("GET", one, key=writer)[0] == 403
    reader = shop.app.create_key(kind="private", name="erp", scopes=("profiles:write", "profiles:read"))[1]  # fmt: skip
    _, answer = shop.ask("PATCH", one, profile({}), key=reader)
    assert answer["data"]["attributes"]["email"] == "told@example.com"


# who is somebody else


def test_a_profile_that_is_there_is_not_made_again(shop: Shop) -> None:
    id_ = shop.make(email="twice@example.com", external_id="twice-1")
    for attributes, field, name in (
        ({"email": "Twice@example.com"}, "email", "email address"),
        ({"external_id": "twice-1", "email": "twice2@example.com"}, "external_id", "external_id"),
    ):
        error = shop.refused("POST", "/api/profiles", profile(attributes), status=409)
        assert error.pop("id")
        assert error == {
            "status": 409,
            "code": "duplicate_profile",
            "title": "Conflict.",
            "detail": f"A profile already exists with one of these identifiers. It has this {name}: "
            "change or merge that profile, or leave this out. Nothing was changed.",
            "source": {"pointer": f"/data/attributes/{field}"},
            "meta": {"duplicate_profile_id": id_},
        }
    with pytest.raises(ApiException) as caught:
        shop.profiles.create_profile(profile({"email": "twice@example.com"}))
    assert caught.value.status == 409
    assert shop.profiles.get_profiles(filter='equals(email,"twice2@example.com")').data == []


def test_identifiers_of_two_people_change_neither(shop: Shop) -> None:
    one = shop.make(email="one@example.com", title="one")
    two = shop.make(email="two@example.com", phone_number="+14155550199", title="two")
    taken = {"phone_number": "+14155550199", "title": "x"}
    for method, path, document, field in (
        ("POST", "/api/profile-import", profile(taken | {"email": "one@example.com"}), "phone_number"),
        ("POST", "/api/profile-import", profile(taken | {"email": "three@example.com"}), "phone_number"),
        ("POST", "/api/profile-import", profile({"email": "two@example.com", "title": "x"}, id=one), "email"),
        ("PATCH", f"/api/profiles/{one}", profile(taken, id=one), "phone_number"),
        ("PATCH", f"/api/profiles/{one}", profile({"email": "two@example.com", "title": "x"}), "email"),
    ):  # fmt: skip
        error = shop.refused(method, path, document, status=409)
        assert error["source"] == {"pointer": f"/data/attributes/{field}"}
        assert error["meta"] == {"duplicate_profile_id": two}
    assert [shop.attributes(each)["title"] for each in (one, two)] == ["one", "two"]


def test_one_of_many_who_make_the_same_profile_at_once_makes_it(each_shop: Shop) -> None:
    answers: list[tuple[int, Any]] = []
    barrier = threading.Barrier(8)

    def create(n: int) -> None:
        barrier.wait()
        attributes = {"email": "race@example.com", "external_id": f"race-{n}"}
        answers.append(each_shop.ask("POST", "/api/profiles", profile(attributes)))

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    (id_,) = [document["data"]["id"] for status, document in answers if status == 201]
    for status, document in answers:
        if status == 409:
            assert document["errors"][0]["meta"]["duplicate_profile_id"] == id_
    assert [each.id for each in each_shop.profiles.get_profiles().data] == [id_]


# nobody


def test_nobody_has_an_id_that_was_never_given(each_shop: Shop) -> None:
    for id_ in ("01JQZX3M8N4T5V6W7X8Y9ZABCD", "no", "%00", "a%0Ab", "%ED%A0%80"):
        for method, body in (("GET", None), ("PATCH", profile({"title": "x"}))):
            error = each_shop.refused(method, f"/api/profiles/{id_}", body, status=404)
            assert (error["code"], error["title"]) == ("not_found", "Not found.")
            assert error["detail"].startswith("A profile with id ") or id_ == "%00"
    for what in ("lists", "segments", "push-tokens", "relationships/lists", "conversations"):
        each_shop.refused("GET", f"/api/profiles/no/{what}", status=404)


def test_an_import_with_an_id_that_is_nobodys_is_not_found(shop: Shop) -> None:
    body = profile({"email": "new@example.com"}, id="01JQZX3M8N4T5V6W7X8Y9ZABCD")
    error = shop.refused("POST", "/api/profile-import", body, status=404)
    assert error["detail"] == "A profile with id 01JQZX3M8N4T5V6W7X8Y9ZABCD does not exist."
    assert error["source"] == {"pointer": "/data/id"}
    assert shop.profiles.get_profiles(filter='equals(email,"new@example.com")').data == []


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer", "status"),
    [
        ("POST", "/api/profiles", profile({}), "/data/attributes", 400),
        ("POST", "/api/profiles", profile({"email": None}), "/data/attributes", 400),
        ("POST", "/api/profiles", profile({"email": "x@example.com"}, id="01X"), "/data/id", 400),
        ("POST", "/api/profiles", profile({"email": "x"}), "/data/attributes/email", 400),
        ("POST", "/api/profiles", profile({"phone_number": "5"}), "/data/attributes/phone_number", 400),
        ("POST", "/api/profiles", profile({"age": 5}), "/data/attributes/age", 400),
        ("POST", "/api/profiles", {"data": {"type": "event", "attributes": {}}}, "/data/type", 400),
        ("POST", "/api/profiles", b"{", "", 400),
        ("POST", "/api/profiles", {"type": "profile"}, "/data", 400),
        ("POST", "/api/profiles", {"data": [profile({})["data"]]}, "/data", 400),
        ("POST", "/api/profiles", profile({"title": "x" * 102_400}), "/data", 413),
        ("POST", "/api/profile-import", profile({"title": "x"}), "/data/attributes", 400),
        ("PATCH", "/api/profiles/01X", profile({"title": "x"}, id="01Y"), "/data/id", 400),
        ("POST", "/api/profile-merge", merge("01X"), "/data/relationships/profiles/data", 400),
        ("POST", "/api/profile-merge", merge("01X", "01Y", "01Z"), "/data/relationships/profiles/data", 400),
        ("POST", "/api/profile-merge", merge("01\0X", "01Y"), "/data/id", 404),
        ("POST", "/api/profile-merge", {"data": {"type": "profile", "id": "1"}}, "/data/type", 400),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_pointed_at(shop: Shop, method, path, body, pointer, status) -> None:
    assert shop.refused(method, path, body, status=status)["source"] == {"pointer": pointer}


@pytest.mark.parametrize("path", ["/api/profiles", "/api/events", "/api/profile-bulk-import-jobs"])
def test_a_body_that_is_compressed_is_refused(shop: Shop, path: str) -> None:
    body = gzip.compress(json.dumps(profile({"email": "packed@example.com"})).encode())
    headers = {"Authorization": f"Klaviyo-API-Key {shop.key}", "Content-Encoding": "gzip"}
    connection = HTTPConnection(shop.address, timeout=20)
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    (error,) = json.loads(response.read())["errors"]
    connection.close()
    assert (response.status, error["code"]) == (415, "unsupported_encoding")
    assert error["source"] == {"pointer": ""}
    assert "gzip" in error["detail"]
    assert "uncompressed" in error["detail"]


def test_a_profile_does_not_grow_without_end(shop: Shop) -> None:
    id_ = shop.make(email="large@example.com")
    room = MAX_STORED_BYTES // 3
    for name in ("a", "b"):
        answered, _ = shop.ask("PATCH", f"/api/profiles/{id_}", profile({"properties": {name: "x" * room}}))  # fmt: skip
        assert answered == 200
    body = profile({"email": "larger@example.com", "properties": {"c": "x" * room}})
    error = shop.refused("PATCH", f"/api/profiles/{id_}", body)
    assert error["source"] == {"pointer": "/data/attributes/properties"}
    assert shop.attributes(id_)["email"] == "large@example.com"


# lists


@pytest.fixture(scope="module")
def listed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:  # fmt: skip
    """A shop with a dozen profiles that have an address and three that have none."""
    for made in opened(request, "sqlite", tmp_path_factory.mktemp("listed")):
        for n, email in enumerate(EMAILS):
            made.make(email=email, external_id=f"c-{n}")
        for n in range(3):
            made.make(external_id=f"none-{n}")
        yield made


def paged(shop: Shop, **asked: Any) -> list[Any]:
    """All of a list, by the links that each page gives for the next one."""
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = shop.profiles.get_profiles(page_cursor=cursor, page_size=4, **asked)
        found += page.data
        cursor, pages = page.links.next, pages + 1
        assert len(page.data) == 4 or cursor is None
    return found


@pytest.mark.parametrize("name", ["created", "email", "id", "updated"])
def test_lists_are_sorted_and_paged(listed: Shop, name: str) -> None:
    up = [each.id for each in paged(listed, sort=name)]
    assert [each.id for each in paged(listed, sort=f"-{name}")] == up[::-1]
    assert len(set(up)) == len(up) == 15
    if name == "email":
        emails = [each.attributes.email for each in paged(listed, sort=name)]
        assert emails == [*sorted(EMAILS), None, None, None]
    if name == "id":
        assert up == sorted(up)


def test_lists_are_filtered(listed: Shop) -> None:
    def emails(text: str, **more: Any) -> list[Any]:
        return [each.attributes.email for each in paged(listed, filter=text, **more)]

    (first,) = listed.profiles.get_profiles(filter=f'equals(email,"{EMAILS[0]}")').data
    assert first.attributes.external_id == "c-0"
    assert emails(f'equals(id,"{first.id}")') == [EMAILS[0]]
    assert emails(f'any(email,["{EMAILS[1].upper()}","{EMAILS[0]}","nobody"])', sort="email") == [EMAILS[1], EMAILS[0]]  # fmt: skip
    assert emails('any(external_id,["c-2","c-3"]),equals(external_id,"c-3")') == [EMAILS[3]]
    assert emails('equals(phone_number,"+14155550100")') == []
    assert emails("any(id,[])") == []
    assert len(emails("greater-than(created,2020-01-01T00:00:00Z)")) == 15
    assert len(emails("greater-or-equal(updated,2020-01-01),less-than(updated,2199-01-01)")) == 15
    assert emails("less-than(created,2020-01-01T00:00:00Z)") == []
    assert emails("less-or-equal(updated,0001-01-01T00:00:00Z)") == []


def test_a_list_by_change_goes_on_where_a_reader_was(each_shop: Shop) -> None:
    ids = [each_shop.make(email=f"r{n}@example.com") for n in range(5)]
    (last,) = each_shop.profiles.get_profiles(filter='equals(email,"r4@example.com")').data
    each_shop.profiles.update_profile(ids[1], profile({"title": "new"}, id=ids[1]))
    since = last.attributes.updated.isoformat().replace("+00:00", "Z")
    found = each_shop.profiles.get_profiles(filter=f"greater-or-equal(updated,{since})")
    assert found.data[-1].id == ids[1]
    assert found.data[-1].attributes.title == "new"


def test_what_a_list_does_not_support_is_told_with_what_it_does(listed: Shop) -> None:
    error = listed.refused("GET", '/api/profiles?filter=equals(subscriptions.email.marketing.suppression.reason,"X")')  # fmt: skip
    assert error["source"] == {"parameter": "filter"}
    for supported in ("any(email,…)", "equals(_kx,…)", "greater-than(updated,…)"):
        assert supported in error["detail"]
    for query, parameter in (
        ("sort=title", "sort"),
        ("sort=-subscriptions.email.marketing.suppression.timestamp", "sort"),
        ("page[size]=101", "page[size]"),
        ("include=lists", "include"),
        ("fields[list]=name", "fields[list]"),
        ("fields[profile]=age", "fields[profile]"),
        ("additional-fields[profile]=lists", "additional-fields[profile]"),
        ("page[cursor]=x", "page[cursor]"),
    ):
        error = listed.refused("GET", f"/api/profiles?{query}")
        assert error["source"] == {"parameter": parameter}
        assert "upported" in error["detail"] or "page" in error["detail"]


def test_a_cursor_of_another_list_is_refused(listed: Shop) -> None:
    for first, then in (
        ("sort=email", "sort=-email"),
        ("sort=id", ""),
        ("filter=greater-than(created,2020-01-01)", "filter=greater-than(created,2021-01-01)"),
    ):
        _, page = listed.ask("GET", f"/api/profiles?page[size]=2&{first}")
        cursor = page["links"]["next"].rpartition("=")[2]
        listed.refused("GET", f"/api/profiles?{then}&page[cursor]={cursor}")


def test_chosen_fields_are_told_alone(listed: Shop) -> None:
    _, page = listed.ask("GET", "/api/profiles?page[size]=1&fields[profile]=email,location.city,subscriptions.email.marketing.consent")  # fmt: skip
    (only,) = page["data"]
    assert only["attributes"] == {
        "email": EMAILS[0],
        "location": {"city": None},
        "subscriptions": {"email": {"marketing": {"consent": "NEVER_SUBSCRIBED"}}},
    }
    names = ",".join(names_of(ProfileAttributes))
    answered, _ = listed.ask("GET", f"/api/profiles?fields[profile]={names}")
    assert answered == 200
    found = listed.profiles.get_profiles(additional_fields_profile=["subscriptions", "predictive_analytics"])  # fmt: skip
    assert found.data[0].attributes.subscriptions.sms.marketing.consent == "NEVER_SUBSCRIBED"


def test_a_text_that_was_cut_in_an_emoji_costs_nothing(shop: Shop) -> None:
    made = shop.ask(
        "POST", "/api/profiles", profile({"email": "cut@example.com", "title": "A\ud83d"})
    )
    assert (made[0], made[1]["data"]["attributes"]["title"]) == (201, "A\ufffd")


def test_a_plus_that_was_not_escaped_is_a_plus(shop: Shop) -> None:
    id_ = shop.make(email="plus+shop@example.com", phone_number="+14155550177")
    for condition in (
        'any(email,["plus+shop@example.com"])',
        'equals(phone_number,"+14155550177")',
    ):
        for text in (condition, condition.replace("+", "%2B")):
            _, page = shop.ask("GET", f"/api/profiles?filter={text}")
            assert [each["id"] for each in page["data"]] == [id_]


# merging


def test_a_profile_becomes_a_part_of_another_one(each_shop: Shop) -> None:
    into = each_shop.make(email="into@example.com", title="Buyer")
    gone = each_shop.make(email="gone@example.com", title="Other", organization="Example")
    merged = each_shop.profiles.merge_profiles(merge(into, gone))
    assert merged.data.id == into
    for id_ in (into, gone):
        found = each_shop.profiles.get_profile(id_).data
        assert (found.id, found.attributes.email) == (into, "into@example.com")
        assert (found.attributes.title, found.attributes.organization) == ("Buyer", "Example")
    assert [each.id for each in each_shop.profiles.get_profiles().data] == [into]
    each_shop.profiles.update_profile(gone, profile({"title": "Seller"}, id=gone))
    assert each_shop.attributes(into)["title"] == "Seller"
    again = each_shop.refused("POST", "/api/profile-merge", merge(into, gone))
    assert again["source"] == {"pointer": "/data/relationships/profiles/data/0/id"}
    for ids, pointer in (
        ((into, into), "/data/relationships/profiles/data/0/id"),
        ((into, "01X"), "/data/relationships/profiles/data/0/id"),
        (("01X", into), "/data/id"),
    ):
        status = 404 if "01X" in ids else 400
        error = each_shop.refused("POST", "/api/profile-merge", merge(*ids), status=status)
        assert error["source"] == {"pointer": pointer}


# from pages


def test_a_page_adds_to_a_profile_and_takes_nothing(shop: Shop) -> None:
    id_ = shop.make(email="page@example.com", external_id="page-1")
    body = profile({"email": "page@example.com", "external_id": "page-2", "anonymous_id": "p-1", "title": "x"})  # fmt: skip
    path = f"/client/profiles?company_id={shop.public}"
    assert shop.ask("POST", path, body, key=None) == (202, None)
    found = shop.attributes(id_)
    assert (found["external_id"], found["title"]) == ("page-1", "x")
    body = profile({"anonymous_id": "p-1", "email": None, "properties": {"seen": 1}})
    assert shop.ask("POST", path, body, key=None) == (202, None)
    found = shop.attributes(id_)
    assert (found["email"], found["properties"]) == ("page@example.com", {"seen": 1})
    assert shop.refused("POST", path, profile({"title": "x"}))["code"] == "invalid"
    error = shop.refused("POST", "/client/profiles?company_id=zz", body)
    assert error["source"] == {"parameter": "company_id"}


def test_a_key_without_the_scope_may_not(shop: Shop) -> None:
    _, key = shop.app.create_key(kind="private", name="bi", scopes=("profiles:read",))
    assert shop.ask("GET", "/api/profiles?page[size]=1", key=key)[0] == 200
    for path in ("profiles", "profile-import", "profile-merge"):
        status, document = shop.ask("POST", f"/api/{path}", profile({"email": "k@example.com"}), key=key)  # fmt: skip
        assert (status, document["errors"][0]["code"]) == (403, "permission_denied")
