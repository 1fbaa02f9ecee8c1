"""Jobs as clients ask for them: the published client of Klaviyo's current API, and plain HTTP, over TCP."""

import json
from collections.abc import Iterator
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import pytest
from bulk import deletion_job, entry, event, event_job, import_job, profile
from conftest import fresh_place
from daemons import wait_for
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.metrics import Metrics
from feedd.people.values import Identifiers
from feedd.runner import Runner
from feedd.settings import Settings
from feedd.store import jobs as stored
from feedd.store.profiles import find_profile

JANE = "jane.doe@example.com"
JOE = "joe@example.com"
IMPORTS = "/api/profile-bulk-import-jobs"


class Shop:
    """A feedd on a port of loopback; its jobs wait until `runner` is started."""

    def __init__(self, settings: Settings) -> None:
        self.app = App(settings)
        self.app.recorder.start()
        dispatcher = Dispatcher(self.app)
        self.metrics = Metrics(self.app, dispatcher)
        self.http = HttpServer(self.app, dispatcher, settings, metrics=self.metrics)
        self.http.start()
        self.runner = Runner(self.app.jobs, on_progress=self.metrics.observe_job)
        _, self.key = self.app.create_key(kind="private", name="erp")
        self.address = self.http.address() or ""
        self.client = KlaviyoAPI(self.key, max_retries=0, test_host=f"http://{self.address}")

    def close(self) -> None:
        self.runner.stop()
        self.app.recorder.stop()
        self.http.stop()
        self.app.close()

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> tuple[int, Any, Message]:
        """The status, the document and the headers of an answer."""
        connection = HTTPConnection(self.address, timeout=20)
        headers = {"Authorization": f"Klaviyo-API-Key {key or self.key}"}
        text = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, text, headers)
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response.status, json.loads(found) if found else None, response.headers

    def get(self, path: str) -> Any:
        status, document, _ = self.ask("GET", path)
        assert status == 200, document
        return document

    def refused(self, path: str, body: Any, status: int = 400) -> dict[str, Any]:
        """The error of what is refused as a whole."""
        answered, document, _ = self.ask("POST", path, body)
        assert answered == status, document
        (error,) = document["errors"]
        return error  # type: ignore[no-any-return]

    def done(self, path: str) -> dict[str, Any]:
        """The attributes of a job, once it is done."""
        wait_for(lambda: self.get(path)["data"]["attributes"]["status"] == "complete")
        return self.get(path)["data"]["attributes"]  # type: ignore[no-any-return]

    def post(self, document: Any) -> str:
        """Ask for a job; the path of what the answer says of it."""
        status, _, headers = self.ask("POST", f"/api/{document['data']['type']}s", document)
        assert status == 202
        return str(headers["Location"]).removeprefix(f"http://{self.address}")


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Shop]:
    with fresh_place(request, "sqlite", tmp_path / "state") as place:
        settings = Settings(
            state_dir=tmp_path / "state", socket=tmp_path / "s", listen=("127.0.0.1", 0)
        )
        assert place.url is None
        made = Shop(settings)
        yield made
        made.close()


def is_known(shop: Shop, email: str) -> bool:
    return find_profile(shop.app.people, Identifiers(email=email)) is not None


def test_the_published_client_imports_profiles(shop: Shop) -> None:
    api = shop.client.Profiles
    rows = [profile(f"p{n}@example.com", first_name="A") for n in range(30)]
    made = api.bulk_import_profiles(import_job(*rows, profile("nobody"))).data
    assert (made.attributes.status, made.attributes.total_count) == ("queued", 31)
    shop.runner.start()
    shop.done(f"{IMPORTS}/{made.id}")
    found = api.get_bulk_import_profiles_job(made.id).data.attributes
    assert (found.completed_count, found.failed_count) == (30, 1)
    assert found.created_at <= found.started_at <= found.completed_at < found.expires_at
    (listed,) = api.get_bulk_import_profiles_jobs(
        filter="equals(status,'complete')", sort="-created_at", page_size=5
    ).data
    assert listed.id == made.id
    (error,) = api.get_errors_for_bulk_import_profiles_job(made.id).data
    assert error.attributes.code == "invalid"
    assert error.attributes.source.pointer.endswith("/data/30/attributes/email")
    assert error.attributes.original_payload == profile("nobody")
    first = api.get_profiles_for_bulk_import_profiles_job(made.id, page_size=20)
    rest = api.get_profiles_for_bulk_import_profiles_job(
        made.id, page_size=20, page_cursor=first.links.next
    )
    people = [*first.data, *rest.data]
    emails = [row["attributes"]["email"] for row in rows]
    assert [each.attributes.email for each in people] == emails
    assert rest.links.next is None
    ids = api.get_profile_ids_for_bulk_import_profiles_job(made.id, page_size=100).data
    assert [each.id for each in ids] == [each.id for each in people]
    assert api.get_list_for_bulk_import_profiles_job(made.id).data == []
    assert api.get_list_ids_for_bulk_import_profiles_job(made.id).data == []


def test_the_published_client_creates_events_and_deletes_people(shop: Shop) -> None:
    shop.runner.start()
    who = profile(JANE, first_name="Jane")
    shop.client.Events.bulk_create_events(event_job(entry(who, event(value=3.0), event("A"))))
    wait_for(
        lambda: shop.get("/api/event-bulk-create-jobs?filter=equals(status,'complete')")["data"]
    )
    assert is_known(shop, JANE)
    shop.client.Data_Privacy.request_profile_deletion(deletion_job(email=JANE))
    wait_for(lambda: not is_known(shop, JANE))
    with pytest.raises(ApiException) as caught:
        shop.client.Data_Privacy.request_profile_deletion(
            deletion_job(email=JANE, phone_number="+14155550123")
        )
    assert caught.value.status == 400
    assert "exactly one of id, email and phone_number" in str(caught.value.body)


def test_every_job_says_where_it_is_told_of(shop: Shop) -> None:
    shop.runner.start()
    path = shop.post(event_job(entry(profile(JANE), event(), event(time="soon"))))
    assert shop.done(path)["failed_count"] == 1
    (error,) = shop.get(f"{path}/import-errors")["data"]
    assert error["attributes"]["code"] == "invalid"
    path = shop.post(deletion_job(email=JOE))
    found = shop.done(path)
    assert (found["total_count"], found["failed_count"]) == (1, 1)
    (error,) = shop.get(f"{path}/import-errors")["data"]
    assert error["attributes"]["code"] == "not_found"
    assert error["attributes"]["original_payload"] is None
    (listed,) = shop.get("/api/data-privacy-deletion-jobs")["data"]
    related = listed["relationships"]["import-errors"]["links"]
    assert related == {"related": f"{listed['links']['self']}/import-errors"}
    assert shop.ask("GET", f"{IMPORTS}/{listed['id']}")[0] == 404  # of another kind


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        ({"data": {"type": "profile"}}, "/data/type", 'Write "profile-bulk-import-job"'),
        (import_job(), "/data/attributes/profiles/data", "is empty"),
        (import_job("jane"), "/data/attributes/profiles/data/0", "not an object"),
        ({"data": {"type": "profile-bulk-import-job"}}, "/data/attributes", "is missing"),
        (import_job(*[{}] * 10_001), "/data/attributes/profiles/data", "at most 10,000"),
        (b"{", "", "is not JSON: it breaks off"),
    ],
)
def test_an_import_that_is_none_is_refused_at_once(
    shop: Shop, document: Any, pointer: str, said: str
) -> None:
    error = shop.refused(IMPORTS, document)
    assert (error["source"]["pointer"], said in error["detail"]) == (pointer, True), error


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        (event_job(), "/data/attributes/events-bulk-create/data", "is empty"),
        (
            event_job(*[entry(profile(JANE))] * 2),
            "/data/attributes/events-bulk-create/data/0/attributes/events/data",
            "is empty",
        ),
        (
            event_job(*[entry(profile(JANE), *[event()] * 501)] * 2),
            "/data/attributes/events-bulk-create/data",
            "at most 1,000",
        ),
    ],
)
def test_events_that_are_none_are_refused_at_once(
    shop: Shop, document: Any, pointer: str, said: str
) -> None:
    error = shop.refused("/api/event-bulk-create-jobs", document)
    assert (error["source"]["pointer"], said in error["detail"]) == (pointer, True), error


@pytest.mark.parametrize(
    ("who", "pointer"),
    [
        ({}, "/data/attributes/profile/data"),
        ({"email": "nobody"}, "/data/attributes/profile/data/attributes/email"),
        ({"id": "7"}, "/data/attributes/profile/data/id"),
        ({"phone_number": "555"}, "/data/attributes/profile/data/attributes/phone_number"),
    ],
)
def test_a_deletion_of_nobody_is_refused_at_once(
    shop: Shop, who: dict[str, str], pointer: str
) -> None:
    error = shop.refused("/api/data-privacy-deletion-jobs", deletion_job(**who))
    assert error["source"]["pointer"] == pointer


def test_openapi_says_that_some_answers_are_empty(shop: Shop) -> None:
    _, document, _ = shop.ask("GET", "/openapi.json")
    for path, is_empty in (("event-bulk-create", True), ("profile-bulk-import", False)):
        answers = document["paths"][f"/api/{path}-jobs"]["post"]["responses"]
        assert ("content" not in answers["202"] or answers["202"]["content"] == {}) == is_empty


def test_a_deletion_needs_no_attributes_beside_an_id(shop: Shop) -> None:
    document = deletion_job(id="01JQZX3M8N4T5V6W7X8Y9ZABCD")
    del document["data"]["attributes"]["profile"]["data"]["attributes"]
    assert shop.post(document)


def test_lists_that_are_not_there_are_told(shop: Shop) -> None:
    error = shop.refused(IMPORTS, import_job(profile(JANE), lists=["Ab12Cd"]), status=404)
    assert error["source"]["pointer"] == "/data/relationships/lists/data/0/id"
    assert "no lists yet" in error["detail"]
    shop.post(import_job(profile(JANE), lists=[]))


def test_too_much_is_refused_and_may_be_sent_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = import_job(profile(JANE, properties={"a": "x" * (5 * 1024 * 1024)}))
    assert shop.refused(IMPORTS, large, status=413)["code"] == "payload_too_large"
    monkeypatch.setattr(stored, "MOST_WAITING", 1)
    shop.post(import_job(profile(JANE)))
    status, document, headers = shop.ask("POST", IMPORTS, import_job(profile(JOE)))
    assert (status, document["errors"][0]["code"]) == (503, "overloaded")
    assert int(headers["Retry-After"]) > 0


def test_jobs_are_listed_in_pages_of_either_order(shop: Shop) -> None:
    paths = [shop.post(import_job(profile(JANE))) for _ in range(3)]
    ids = [path.rpartition("/")[2] for path in paths]
    found = shop.get(f"{IMPORTS}?page[size]=2")
    assert [each["id"] for each in found["data"]] == ids[:0:-1]
    following = found["links"]["next"]
    rest = shop.get(following.removeprefix(f"http://{shop.address}"))
    assert [each["id"] for each in rest["data"]] == ids[:1]
    _, _, cursor = following.rpartition("=")
    for written in (following, f"={cursor}"):  # as the published client sends it
        page = shop.get(f"{IMPORTS}?page[size]=2&page[cursor]={quote(written, safe='')}")
        assert page["data"] == rest["data"]
    up = shop.get(f"{IMPORTS}/?sort=created_at&fields[profile-bulk-import-job]=status")
    assert [each["id"] for each in up["data"]] == ids
    assert up["data"][0]["attributes"] == {"status": "queued"}
    nothing = quote("any(status,['cancelled'])")
    assert shop.get(f"{IMPORTS}?filter={nothing}")["data"] == []
    assert shop.ask("GET", f"{IMPORTS}?filter=equals(status,'new')")[0] == 400
    one = shop.get(f"{IMPORTS}/{ids[0]}?include=lists")
    assert (one["data"]["relationships"]["lists"]["data"], one["included"]) == ([], [])


@pytest.mark.parametrize("job_id", ["x", "01JQZX3M8N4T5V6W7X8Y9ZABCD", "%00" * 26, "é" * 26])
def test_a_job_that_is_not_there_is_told(shop: Shop, job_id: str) -> None:
    for rest in ("", "/profiles", "/lists", "/relationships/lists", "/import-errors"):
        assert shop.ask("GET", f"{IMPORTS}/{quote(job_id, safe='%')}{rest}")[0] == 404


@pytest.mark.parametrize(
    ("resource", "document"),
    [
        ("profiles", import_job(profile(JANE))),
        ("events", event_job(entry(profile(JANE), event()))),
        ("data-privacy", deletion_job(email=JANE)),
    ],
)
def test_each_kind_needs_its_own_scope(shop: Shop, resource: str, document: Any) -> None:
    path = f"/api/{document['data']['type']}s"
    for scope, method, expected in (
        (f"{resource}:write", "POST", 202),
        (f"{resource}:read", "POST", 403),
        (f"{resource}:read", "GET", 200),
        ("metrics:write", "POST", 403),
    ):
        _, key = shop.app.create_key(kind="private", name=scope, scopes=(scope,))
        assert shop.ask(method, path, document if method == "POST" else None, key)[0] == expected


def test_a_key_that_may_not_read_people_is_told_no_rows_that_name_them(shop: Shop) -> None:
    path = shop.post(event_job(entry(profile("nobody"), event())))
    keys = [
        shop.app.create_key(kind="private", name="erp", scopes=scopes)[1]
        for scopes in (("events:read",), ("events:read", "profiles:read"))
    ]
    assert [shop.ask("GET", path, key=key)[0] for key in keys] == [200, 200]
    assert [shop.ask("GET", f"{path}/import-errors", key=key)[0] for key in keys] == [403, 200]


def test_a_text_that_was_cut_in_an_emoji_costs_nothing(shop: Shop) -> None:
    document = import_job(profile(JANE, first_name="A\ud83d"), profile(JOE, title="\ude00B"))
    path = shop.post(document)
    shop.runner.start()
    assert shop.done(path)["completed_count"] == 2
    jane, joe = (find_profile(shop.app.people, Identifiers(email=each)) for each in (JANE, JOE))
    assert jane is not None
    assert joe is not None
    assert (jane.properties, joe.properties) == ({"$first_name": "A\ufffd"}, {"$title": "\ufffdB"})


def test_jobs_are_counted(shop: Shop) -> None:
    path = shop.post(import_job(profile(JANE), profile("nobody")))
    kind = 'kind="profile-bulk-import-job"'
    before, _ = shop.metrics.render("")
    assert f"feedd_jobs_waiting{{{kind}}} 1.0" in before.decode()
    assert f"feedd_job_rows_waiting{{{kind}}} 2.0" in before.decode()
    shop.runner.start()
    shop.done(path)
    wait_for(lambda: f"feedd_jobs_total{{{kind}}} 1.0" in shop.metrics.render("")[0].decode())
    after = shop.metrics.render("")[0].decode()
    assert f"feedd_jobs_waiting{{{kind}}} 0.0" in after
    assert f'feedd_job_rows_total{{{kind},outcome="failed"}} 1.0' in after
