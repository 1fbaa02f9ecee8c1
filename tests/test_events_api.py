"""Events, metrics, aggregates and accounts as clients ask for them: the published client of Klaviyo's API, and plain HTTP, over TCP."""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI
from msgspec.structs import replace
from openapi_client.api_arg_options import USE_DICTIONARY_FOR_RESPONSE_DATA
from openapi_client.exceptions import ApiException

from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.listen import HttpServer
from feedd.metrics import Metrics
from feedd.people.values import Identifiers
from feedd.settings import AccountSettings, Settings
from feedd.settings.account_keys import AddressSettings
from feedd.store import events as stored
from feedd.store.metric_properties import property_id

JANE, JOE = "jane@example.com", "joe@example.com"
DOCS = Path(__file__).parent.parent / "docs" / "api.md"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ORDERS = 30


def metric(name: str, **more: Any) -> dict[str, Any]:
    return {"data": {"type": "metric", "attributes": {"name": name, **more}}}


def person(email: str, **attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": {"email": email, **attributes}}}


def event(name: str, email: str, at: datetime, **attributes: Any) -> dict[str, Any]:
    found = {"metric": metric(name), "profile": person(email), "properties": {}, "time": at.isoformat()}  # fmt: skip
    return {"data": {"type": "event", "attributes": found | attributes}}


def order(n: int) -> dict[str, Any]:
    return event(
        "Ordered",
        (JANE, JOE)[n % 2],
        START + n * DAY / 2,
        properties={
            "URL": f"/{n % 3}",
            "Tags": ["a", f"t{n % 2}"],
            "Gift": n % 2 == 0,
            "Shipped": "2026-02-01",
            "Size": n % 5,
        },
        value=n + 0.5,
        unique_id=f"order-{n}",
    )


class Shop:
    """A feedd on a port of loopback that has recorded some orders and views."""

    def __init__(self, settings: Settings) -> None:
        self.app = App(settings)
        self.app.recorder.start()
        dispatcher = Dispatcher(self.app)
        self.http = HttpServer(self.app, dispatcher, settings, metrics=Metrics(self.app, dispatcher))  # fmt: skip
        self.http.start()
        self.key = self.key_for("read", "write")
        self.address = self.http.address() or ""
        self.client = self.client_with(self.key)

    def key_for(self, *scopes: str) -> str:
        return self.app.create_key(kind="private", name="erp", scopes=scopes)[1]

    def client_with(self, key: str) -> KlaviyoAPI:
        return KlaviyoAPI(key, max_retries=0, test_host=f"http://{self.address}")

    def close(self) -> None:
        self.app.recorder.stop()
        self.http.stop()
        self.app.close()

    def ask(self, method: str, path: str, body: Any = None, key: str | None = "") -> tuple[int, Any]:  # fmt: skip
        """The status and the document of an answer; None where it is empty."""
        status, found = self.text(method, path, body, key)
        return status, json.loads(found) if found else None

    def text(self, method: str, path: str, body: Any = None, key: str | None = "") -> tuple[int, bytes]:  # fmt: skip
        """The status and the text of an answer."""
        connection = HTTPConnection(self.address, timeout=20)
        headers = {} if key is None else {"Authorization": f"Klaviyo-API-Key {key or self.key}"}
        text = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, quote(path, safe="/?=&,;:%[]()'\""), text, headers)
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response.status, found

    def get(self, path: str) -> Any:
        status, document = self.ask("GET", path)
        assert status == 200, document
        return document

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400, key: str | None = "") -> Any:  # fmt: skip
        answered, document = self.ask(method, path, body, key)
        assert answered == status, document
        (error,) = document["errors"]
        return error

    def metric_id(self, name: str) -> str:
        return next(each["id"] for each in self.get("/api/metrics")["data"] if each["attributes"]["name"] == name)  # fmt: skip

    def profile_id(self, email: str) -> str:
        return self.app.persons.find(Identifiers(email=email)).id


@pytest.fixture(scope="module")
def shop(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("events")
    state = folder / "state"
    state.mkdir(mode=0o700)
    made = Shop(Settings(state_dir=state, socket=folder / "s", listen=("127.0.0.1", 0)))
    for n in range(ORDERS):
        made.client.Events.create_event(order(n))
    for n in range(5):
        viewed = event("Viewed Product", JANE, START + n * DAY, properties={"ProductID": n})
        made.client.Events.create_event(viewed)
    yield made
    made.close()


def seconds(*events: Any) -> list[int]:
    return [each.attributes.timestamp for each in events]


ORDERED = [int((START + n * DAY / 2).timestamp()) for n in range(ORDERS)]


# events


def test_the_published_client_reads_events_a_page_at_a_time(shop: Shop) -> None:
    api, orders = shop.client.Events, shop.metric_id("Ordered")
    found: list[Any] = []
    cursor = None
    while True:
        page = api.get_events(
            filter=f"equals(metric_id,'{orders}')", page_size=7, page_cursor=cursor
        )
        found += page.data
        if (cursor := page.links.next) is None:
            break
    assert seconds(*found) == ORDERED[::-1]
    newest = found[0].attributes
    assert newest.event_properties["$event_id"] == "order-29"
    assert (newest.event_properties["$value"], newest.datetime_) == (29.5, START + 29 * DAY / 2)
    assert found[0].id == newest.uuid
    everything = seconds(*api.get_events(page_size=1000, sort="timestamp").data)
    assert everything == sorted(everything)
    assert len(everything) >= ORDERS + 5


def test_properties_are_told_as_they_were_sent(shop: Shop) -> None:
    sent = b'{"Points":0.12345678901234567891,"Size":{"m":[1e5,{"cm":1.10}]},"Name":"\\u00e9"}'
    body = json.dumps(event("Measured", "tailor@example.com", START, properties=0)).encode()
    assert shop.ask("POST", "/api/events", body.replace(b'"properties": 0', b'"properties":' + sent))[0] == 202  # fmt: skip
    metric = shop.metric_id("Measured")
    events = f"/api/events?filter=equals(metric_id,'{metric}')"
    for path, told in (
        (events, sent),
        (f"{events}&fields[event]=event_properties.Points", b'{"Points":0.12345678901234567891}'),
        (f"{events}&fields[event]=event_properties.Size.m.cm", b'{"Size":{"m":[1e5,{"cm":1.10}]}}'),
        (f"/api/v1/metric/{metric}/timeline?api_key={shop.key}", sent[1:]),
    ):
        status, answer = shop.text("GET", path)
        assert (status, told in answer) == (200, True), answer


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("greater-than(datetime,2026-01-02T00:00:00Z)", lambda at: at > ORDERED[2]),
        ("greater-or-equal(datetime,2026-01-02T00:00:00+00:00)", lambda at: at >= ORDERED[2]),
        ("less-than(datetime,2026-01-02T01:00:00+01:00)", lambda at: at < ORDERED[2]),
        ("less-than(datetime,2026-01-02 01:00:00+01:00)", lambda at: at < ORDERED[2]),
        ("less-than(datetime, 2026-01-02 )", lambda at: at < ORDERED[2]),
        ("less-or-equal(datetime,2026-01-02)", lambda at: at <= ORDERED[2]),
        ("greater-or-equal(datetime,2026-01-01T23:59:59.5Z)", lambda at: at >= ORDERED[2]),
        ("less-than(datetime,2026-01-02T00:00:00.5Z)", lambda at: at <= ORDERED[2]),
        (f"greater-than(timestamp,{ORDERED[2]})", lambda at: at > ORDERED[2]),
        (f"less-or-equal(timestamp,{ORDERED[2]}.5)", lambda at: at <= ORDERED[2]),
        (
            f"greater-than(timestamp,{ORDERED[2]}),less-than(datetime,2026-01-03)",
            lambda at: ORDERED[2] < at < ORDERED[4],
        ),
        ("and(less-than(datetime,2026-01-03),greater-than(datetime,2026-01-03))", lambda at: False),
        ("has(profile),has(metric)", lambda at: True),
    ],
)  # fmt: skip
def test_events_are_filtered_by_time(shop: Shop, condition: str, expected: Any) -> None:
    orders = shop.metric_id("Ordered")
    for sort in ("datetime", "-timestamp"):
        page = shop.client.Events.get_events(
            filter=f"equals(metric_id,['{orders}']),{condition}", sort=sort
        )
        chosen = [at for at in ORDERED if expected(at)]
        assert seconds(*page.data) == (chosen if sort == "datetime" else chosen[::-1])


def test_events_are_filtered_by_people_and_metrics(shop: Shop) -> None:
    jane, views, orders = (shop.profile_id(JANE), *map(shop.metric_id, ("Viewed Product", "Ordered")))  # fmt: skip

    def count(text: str) -> int:
        return len(shop.client.Events.get_events(filter=text).data)

    assert count(f'equals(profile_id,"{jane}")') == ORDERS / 2 + 5
    assert count(f'equals(profile_id,"{jane}"),equals(metric_id,"{views}")') == 5
    assert count(f'equals(metric_id,["{views}","{orders}"])') == ORDERS + 5
    assert count(f'equals(profile_id,"{jane}"),equals(metric_id,["{views}","{orders}"])') == ORDERS / 2 + 5  # fmt: skip
    assert count('equals(profile_id,"01GDDKASAP8TKDDA2GRZDSVP4H")') == 0
    assert count(f'equals(metric_id,"{views}"),equals(metric_id,"{orders}")') == 0


def test_events_come_with_their_metrics_and_people(shop: Shop) -> None:
    ids = [shop.metric_id(name) for name in ("Viewed Product", "Ordered")]
    page = shop.client.Events.get_events(
        filter=f"equals(metric_id,{json.dumps(ids)})", include=["metric", "profile"]
    )
    kinds = Counter(each["type"] for each in page.included or ())
    assert kinds == {"metric": 2, "profile": 2}
    chosen = shop.client.Events.get_events(
        include=["profile"],
        fields_event=["datetime", "event_properties"],
        fields_profile=["email", "location.city"],
        page_size=1,
    )
    assert set(chosen["data"][0]["attributes"]) == {"datetime", "event_properties"}
    assert [set(each["attributes"]) for each in chosen["included"]] == [{"email", "location"}]


def test_one_event_and_what_it_belongs_to(shop: Shop) -> None:
    api = shop.client.Events
    (event,) = api.get_events(page_size=1).data
    found = api.get_event(event.id, include=["metric", "profile"])
    assert found.data.attributes == event.attributes
    assert len(found.included) == 2
    metric_id, profile_id = shop.metric_id("Ordered"), shop.profile_id(JOE)
    assert api.get_metric_for_event(event.id).data.attributes.name == "Ordered"
    assert api.get_metric_id_for_event(event.id).data.id == metric_id
    assert api.get_profile_for_event(event.id).data.attributes.email == JOE
    more = api.get_profile_for_event(event.id, additional_fields_profile=["subscriptions"])
    assert more.data.attributes.subscriptions is not None
    assert api.get_profile_id_for_event(event.id).data.id == profile_id
    links = shop.get(f"/api/events/{event.id}")["data"]["relationships"]
    for relation in links.values():
        for link in relation.get("links", {}).values():
            assert shop.ask("GET", link.removeprefix(f"http://{shop.address}"))[0] == 200


def test_attributions_can_be_included_and_there_are_none(shop: Shop) -> None:
    page = shop.client.Events.get_events(page_size=1, include=["attributions"])
    assert page.data[0].relationships.attributions.data == []
    assert page.included == []
    one = shop.get(f"/api/events/{page.data[0].id}?include=metric,attributions")
    assert [each["type"] for each in one["included"]] == ["metric"]


def test_what_is_not_there_is_not_found(shop: Shop) -> None:
    for path in (
        "/api/events/nonsense",
        "/api/events/b7c12000-f209-11f0-8000-0100000fffff/profile",
        "/api/metrics/Ordered",
        "/api/metrics/%00",
        "/api/metrics/nobody/metric-properties",
        "/api/metric-properties/nonsense",
        f"/api/metric-properties/{property_id(shop.metric_id('Ordered'), 'Colour')}/metric",
        "/api/accounts/nobody",
        "/api/metrics/x/flow-triggers",
    ):
        assert shop.refused("GET", path, status=404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "parameter", "detail"),
    [
        ("/api/events?filter=equals(metric_id,'nobody')", "filter", "no metric with the id 'nobody'"),
        ("/api/events?filter=equals(name,'x')", "filter", "equals(metric_id,…)"),
        ("/api/events?filter=greater-than(datetime,soon)", "filter", "a date and time"),
        ("/api/events?sort=name", "sort", "-timestamp"),
        ("/api/events?include=attribution", "include", "metric, profile"),
        ("/api/events?page[size]=1001", "page[size]", "from 1 to 1000"),
        ("/api/events?page[cursor]=nonsense", "page[cursor]", "links.next"),
        ("/api/metrics?include=flow-triggers", "include", "not supported"),
        ("/api/metrics?filter=equals(name,'x')", "filter", "equals(integration.name,…)"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused(shop: Shop, path: str, parameter: str, detail: str) -> None:  # fmt: skip
    error = shop.refused("GET", path)
    assert error["source"] == {"parameter": parameter}
    assert detail in error["detail"]


def test_pages_of_large_events_are_short_and_lead_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    path = "/api/events?sort=datetime&page[size]=1000"
    whole = shop.get(path)["data"]
    monkeypatch.setattr(stored, "MOST_BYTES", 1_000)
    found, pages = [], 0
    while path:
        page = shop.get(path.removeprefix(f"http://{shop.address}"))
        found, pages, path = found + page["data"], pages + 1, page["links"]["next"]
    assert found == whole
    assert pages > 3


@pytest.mark.parametrize("value", ["1e300", "-1e300", "9" * 30, str(2**63)])
def test_no_time_is_too_far_to_be_compared(shop: Shop, value: str) -> None:
    listed = [
        len(shop.get(f"/api/events?filter={operator}(timestamp,{value})&page[size]=1")["data"])
        for operator in ("less-than", "greater-than")
    ]
    assert listed == ([0, 1] if value.startswith("-") else [1, 0])


@pytest.mark.parametrize("position", [[2**63, 1], [1, 2**63], [-1, 1], [1, 10**30]])
def test_a_cursor_that_was_made_up_is_refused(shop: Shop, position: list[int]) -> None:
    (following,) = re.findall(
        r"cursor%5D=(.+)", shop.get("/api/events?page[size]=1")["links"]["next"]
    )
    known = json.loads(base64.urlsafe_b64decode(following + "=="))
    made_up = base64.urlsafe_b64encode(json.dumps([known[0], position, known[2]]).encode()).decode()
    error = shop.refused("GET", f"/api/events?page[cursor]={made_up.rstrip('=')}")
    assert error["source"] == {"parameter": "page[cursor]"}


def test_keys_need_the_scopes_of_what_they_ask_for(shop: Shop) -> None:
    orders = shop.metric_id("Ordered")
    (event,) = shop.client.Events.get_events(page_size=1).data
    reader = shop.key_for("events:read")
    with pytest.raises(ApiException) as caught:
        shop.client_with(reader).Events.get_events(include=["profile"])
    assert caught.value.status == 403
    assert shop.ask("GET", "/api/events?include=metric", key=reader)[0] == 403
    assert shop.ask("GET", f"/api/events/{event.id}/profile", key=reader)[0] == 403
    assert shop.ask("GET", f"/api/events/{event.id}", key=reader)[0] == 200
    assert shop.ask("POST", "/api/events", order(0), key=reader)[0] == 403
    numbers = shop.key_for("metrics:read")
    assert shop.ask("POST", "/api/metric-aggregates", aggregate(orders), key=numbers)[0] == 200
    assert shop.ask("GET", "/api/events", key=numbers)[0] == 403
    assert shop.ask("GET", "/api/accounts", key=numbers)[0] == 403
    assert shop.ask("GET", "/api/accounts", key=shop.key_for("accounts:read"))[0] == 200
    assert shop.ask("GET", "/api/events", key=None)[0] == 401


def test_no_operation_is_open(shop: Shop) -> None:
    stranger = shop.key_for("webhooks:read")
    for path, methods in shop.get("/openapi.json")["paths"].items():
        if not path.startswith("/api/") or path in ("/api/track", "/api/identify"):
            continue
        for method in (*methods, *(("head",) if "get" in methods else ())):
            for at in (path.replace("{", "").replace("}", ""), f"{path}/"):
                asked = (method.upper(), at, b"{}")
                assert shop.ask(*asked, key=None)[0] in (401, 403), asked
                is_its = path.startswith("/api/webhook") and method in ("get", "head")
                assert (shop.ask(*asked, key=stranger)[0] == 403) != is_its, asked


# what is recorded


def test_an_event_is_there_once_it_is_answered(shop: Shop) -> None:
    made = event(
        "Refunded Order",
        "new@example.com",
        START,
        value=3,
        value_currency="EUR",
        metric=metric("Refunded Order", service="erp"),
        profile=person("new@example.com", location={"city": "Oslo"}, properties={"Plan": "gold"}),
    )
    assert shop.ask("POST", "/api/events/", made) == (202, None)
    refunds = shop.metric_id("Refunded Order")
    (found,) = shop.get(f"/api/events?filter=equals(metric_id,'{refunds}')")["data"]
    assert found["attributes"]["event_properties"] == {"$value": 3, "$value_currency": "EUR"}
    profile = shop.get(f"/api/events/{found['id']}/profile")["data"]["attributes"]
    assert (profile["location"]["city"], profile["properties"]) == ("Oslo", {"Plan": "gold"})
    names = [each["id"] for each in shop.get("/api/metrics?filter=equals(integration.name,'erp')")["data"]]  # fmt: skip
    assert names == [refunds]


def test_an_event_may_come_again(shop: Shop) -> None:
    before = shop.get("/api/events?page[size]=1000")["data"]
    shop.client.Events.create_event(order(3))
    assert shop.get("/api/events?page[size]=1000")["data"] == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"properties": None, "metric": metric("")}, "/data/attributes/metric/data/attributes/name"),
        ({"profile": person("nobody")}, "/data/attributes/profile/data/attributes/email"),
        ({"time": "soon"}, "/data/attributes/time"),
        ({"colour": "red"}, "/data/attributes/colour"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_used_is_refused(shop: Shop, change: Any, pointer: str) -> None:
    error = shop.refused("POST", "/api/events", event("Odd", JANE, START, **change))
    assert error["source"] == {"pointer": pointer}
    with pytest.raises(StopIteration):
        shop.metric_id("Odd")


def test_an_event_of_an_unknown_profile_is_refused(shop: Shop) -> None:
    nobody = {"data": {"type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H", "attributes": {}}}
    error = shop.refused("POST", "/api/events", event("Odd", JANE, START, profile=nobody), status=404)  # fmt: skip
    assert error["source"] == {"pointer": "/data/attributes/profile/data/id"}
    assert shop.refused("POST", "/api/events", b"x" * 5_000_001, status=413)


def test_the_examples_of_the_documentation_work(shop: Shop) -> None:
    _, public = shop.app.create_key(kind="public", name="pages", scopes=())
    described = shop.get("/openapi.json")["paths"]
    for path in ("/api/events", "/client/events", "/client/event-bulk-create", "/api/metric-aggregates"):  # fmt: skip
        (content,) = described[path]["post"]["requestBody"]["content"].values()
        example = content["example"]
        if path == "/api/metric-aggregates":
            example["data"]["attributes"]["metric_id"] = shop.metric_id("Ordered")
        query = f"?company_id={public}" if path.startswith("/client") else ""
        assert shop.ask("POST", f"{path}{query}", example)[0] in (200, 202)
        assert "$ref" not in json.dumps(content["schema"])
    section = DOCS.read_text().split("## Events and metrics\n")[1].split("\n## ")[0]
    bodies = re.findall(r"(/api/[\w-]+) -H [^\n]* -d '\n(.*?)'\n", section, re.DOTALL)
    assert [path for path, _ in bodies] == ["/api/events", "/api/metric-aggregates"]
    for path, body in bodies:
        text = body.replace("Ab12Cd", shop.metric_id("Ordered"))
        assert shop.ask("POST", path, text.encode())[0] in (200, 202)


# calls from pages


def test_pages_record_events_with_a_public_key(shop: Shop) -> None:
    _, public = shop.app.create_key(kind="public", name="pages", scopes=())
    viewed = event("Viewed Page", "page@example.com", START)
    assert shop.ask("POST", f"/client/events?company_id={public}", viewed, key=None) == (202, None)
    for wrong in ("", "?company_id=nobody"):
        error = shop.refused("POST", f"/client/events{wrong}", viewed, key=None)
        assert error["source"] == {"parameter": "company_id"}
    several = {
        "data": {
            "type": "event-bulk-create",
            "attributes": {
                "profile": person("page@example.com", external_id="C-1", first_name="Ann"),
                "events": {
                    "data": [
                        {
                            "type": "event",
                            "attributes": {
                                "properties": {"n": n},
                                "metric": metric("Viewed Page", service="not from a page"),
                                "time": (START + n * DAY).isoformat(),
                            },
                        }
                        for n in range(1, 4)
                    ]
                },
            },
        }
    }
    path = f"/client/event-bulk-create/?company_id={public}"
    assert shop.ask("POST", path, several, key=None) == (202, None)
    views = shop.metric_id("Viewed Page")
    assert len(shop.get(f"/api/events?filter=equals(metric_id,'{views}')")["data"]) == 4
    assert shop.get(f"/api/metrics/{views}")["data"]["attributes"]["integration"]["name"] == "API"
    several["data"]["attributes"]["events"]["data"][1]["attributes"]["time"] = "soon"  # type: ignore[index]
    error = shop.refused("POST", path, several, key=None)
    assert error["source"]["pointer"] == "/data/attributes/events/data/1/attributes/time"


def test_pages_change_no_identifier_that_is_known(shop: Shop) -> None:
    _, public = shop.app.create_key(kind="public", name="pages", scopes=())
    path = f"/client/events?company_id={public}"
    for email, number in (("ann@example.com", "A-1"), ("ann@example.com", "A-2"), ("eve@example.com", "A-1")):  # fmt: skip
        seen = event("Seen", email, START, profile=person(email, external_id=number))
        assert shop.ask("POST", path, seen, key=None) == (202, None)
    ann = shop.app.persons.find(Identifiers(email="ann@example.com"))
    assert (ann.email, ann.external_id) == ("ann@example.com", "A-1")
    seen_id = shop.metric_id("Seen")
    events = shop.get(f"/api/events?filter=equals(metric_id,'{seen_id}')")["data"]
    assert [each["relationships"]["profile"]["data"]["id"] for each in events] == [ann.id]


# metrics


def test_metrics_and_the_properties_of_their_events(shop: Shop) -> None:
    api, orders = shop.client.Metrics, shop.metric_id("Ordered")
    listed = api.get_metrics(filter="equals(integration.category,'API')")
    assert {"Ordered", "Viewed Product"} <= {each.attributes.name for each in listed.data}
    assert api.get_metrics(filter="equals(integration.name,'Shopify')").data == []
    assert api.get_metric(orders).data.attributes.integration["name"] == "API"
    found = api.get_properties_for_metric(orders).data
    assert {each.attributes.var_property: each.attributes.inferred_type for each in found} == {
        "$event_id": "Text",
        "$value": "Number",
        "Gift": "Boolean",
        "Shipped": "Date",
        "Size": "Number",
        "Tags": "List",
        "URL": "Text",
    }
    assert [each.id for each in api.get_property_ids_for_metric(orders).data] == [each.id for each in found]  # fmt: skip
    for each in found:
        one = api.get_metric_property(each.id, include=["metric"])
        assert one.data.attributes == each.attributes
        assert one.included[0].id == orders
    assert api.get_metric_for_metric_property(found[0].id).data.id == orders
    assert api.get_metric_id_for_metric_property(found[0].id).data.id == orders
    # the models of this client take no samples but objects
    plain = api.get_properties_for_metric(
        orders,
        additional_fields_metric_property=["sample_values"],
        options={USE_DICTIONARY_FOR_RESPONSE_DATA: True},
    )
    samples = {each["attributes"]["property"]: each["attributes"]["sample_values"] for each in plain["data"]}  # fmt: skip
    assert samples["Tags"] == ["a", "t1", "t0"]
    assert samples["Gift"] == [False, True]


# numbers


def aggregate(of: str, **attributes: Any) -> dict[str, Any]:
    found = {
        "metric_id": of,
        "measurements": ["count"],
        "filter": ["greater-or-equal(datetime,2026-01-01)", "less-than(datetime,2026-01-16)"],
    }
    return {"data": {"type": "metric-aggregate", "attributes": found | attributes}}


def test_a_filter_may_be_one_text_and_what_is_empty_is_left_out(shop: Shop) -> None:
    usual = aggregate(shop.metric_id("Ordered"))
    text = ",".join(usual["data"]["attributes"]["filter"])
    other = aggregate(shop.metric_id("Ordered"), filter=text, sort="", page_cursor="", by=[])
    for body in (usual, other):
        status, found = shop.ask("POST", "/api/metric-aggregates", body)
        assert status == 200, found
        assert sum(found["data"]["attributes"]["data"][0]["measurements"]["count"]) == ORDERS


def test_the_published_client_asks_for_numbers(shop: Shop) -> None:
    body = aggregate(
        shop.metric_id("Ordered"),
        measurements=["count", "sum_value", "unique"],
        by=["URL"],
        interval="week",
        sort="-URL",
    )
    found = shop.client.Metrics.query_metric_aggregates(body).data.attributes
    assert found.dates == [datetime(2025, 12, 29, tzinfo=UTC) + n * 7 * DAY for n in range(3)]
    assert [row.dimensions for row in found.data] == [["/2"], ["/1"], ["/0"]]
    week = [n // 14 if n < 8 else 1 + (n - 8) // 14 for n in range(ORDERS)]
    for row in found.data:
        which = [n for n in range(ORDERS) if f"/{n % 3}" == row.dimensions[0]]
        assert row.measurements == {
            "count": [sum(week[n] == w for n in which) for w in range(3)],
            "sum_value": [sum(n + 0.5 for n in which if week[n] == w) for w in range(3)],
            "unique": [len({n % 2 for n in which if week[n] == w}) for w in range(3)],
        }


def numbers(shop: Shop, **attributes: Any) -> Any:
    status, document = shop.ask("POST", "/api/metric-aggregates", aggregate(shop.metric_id("Ordered"), **attributes))  # fmt: skip
    assert status == 200, document
    return document


def rows(document: Any) -> dict[tuple[str, ...], float]:
    found = document["data"]["attributes"]["data"]
    return {tuple(row["dimensions"]): sum(row["measurements"]["count"]) for row in found}


def test_numbers_are_grouped_by_any_property(shop: Shop) -> None:
    assert rows(numbers(shop)) == {(): ORDERS}
    assert rows(numbers(shop, by=["Size", "Gift"])) == {
        (str(size), str(gift).lower()): 3 for size in range(5) for gift in (True, False)
    }
    assert rows(numbers(shop, by=["Tags"])) == {("a",): 30, ("t0",): 15, ("t1",): 15}
    assert rows(numbers(shop, by=["$flow"])) == {("",): ORDERS}


def test_numbers_are_filtered_by_properties(shop: Shop) -> None:
    span = ["greater-or-equal(datetime,2026-01-01),less-than(datetime,2026-01-16)"]
    for condition, count in (
        ("equals(Size,2)", 6),
        ('equals(Size,"2"),equals(Gift,true)', 3),
        ("any(Size,[1,2,2.0])", 12),
        ('any(URL,["/0","/9"])', 10),
        ('equals(Tags,"t1")', 15),
        ('equals(Colour,"red")', 0),
        ('equals(Colour,"")', ORDERS),
    ):
        assert rows(numbers(shop, filter=[*span, condition])) == {(): count}


def test_numbers_are_of_the_days_of_a_zone(shop: Shop) -> None:
    found = numbers(shop, timezone="America/New_York")["data"]["attributes"]
    # the days that were asked for are those of the zone, and told in UTC
    assert found["dates"][0] == "2026-01-01T05:00:00+00:00"
    assert found["data"][0]["measurements"]["count"] == [2] * 14 + [1]
    with_offset = ["greater-or-equal(datetime,2026-01-01T00:00:00Z)", "less-than(datetime,2026-01-02T00:00:00+00:00)"]  # fmt: skip
    found = numbers(shop, timezone="America/New_York", filter=with_offset)["data"]["attributes"]
    assert found["dates"] == ["2025-12-31T05:00:00+00:00", "2026-01-01T05:00:00+00:00"]
    assert found["data"][0]["measurements"]["count"] == [1, 1]


@pytest.mark.parametrize("sort", [None, "count", "-count", "$event_id", "-$event_id"])
def test_pages_of_groups_add_up(shop: Shop, sort: str | None) -> None:
    whole = list(rows(numbers(shop, by=["$event_id"], sort=sort)))
    assert len(whole) == ORDERS
    found: list[tuple[str, ...]] = []
    cursor = None
    while True:
        page = numbers(shop, by=["$event_id"], sort=sort, page_size=11, page_cursor=cursor)
        found += rows(page)
        if (cursor := page.get("meta", {}).get("page_cursor")) is None:
            break
    assert found == whole


def test_what_is_returned_can_be_chosen(shop: Shop) -> None:
    document = numbers(shop, measurements=["count", "unique"], return_fields=["data", "unique"])
    assert set(document["data"]["attributes"]) == {"data"}
    assert set(document["data"]["attributes"]["data"][0]["measurements"]) == {"unique"}
    orders = shop.metric_id("Ordered")
    found = shop.client.Metrics.query_metric_aggregates(aggregate(orders), fields_metric_aggregate=["dates"])  # fmt: skip
    assert set(found["data"]["attributes"]) == {"dates"}
    metric = shop.get(urlsplit(found["data"]["links"]["self"]).path)["data"]
    assert (metric["type"], metric["id"]) == ("metric", orders)


@pytest.mark.parametrize(
    ("change", "place", "detail"),
    [
        ({"metric_id": "nobody"}, "/metric_id", "no metric with the id 'nobody'"),
        ({"measurements": []}, "/measurements", "count, sum_value, unique"),
        ({"measurements": ["mean"]}, "/measurements/0", "mean"),
        ({"interval": "year"}, "/interval", "year"),
        ({"filter": []}, "/filter", "from when to when"),
        ({"filter": ["less-than(datetime,2026-01-01)"]}, "/filter", "from when to when"),
        ({"filter": ["greater-than(datetime,2025-01-01),less-than(datetime,2026-01-03)"]}, "/filter", "more than a year"),
        ({"filter": ["greater-than(datetime,2025-01-02),less-than(datetime,2025-01-01)"]}, "/filter", "no time"),
        ({"filter": ["greater-than(datetime,9999-06-01),less-or-equal(datetime,9999-12-31)"]}, "/filter", "years 2 to 9998"),
        ({"filter": ["equals(URL,'x')"] * 101}, "/filter", "100 are the most"),
        ({"filter": [f"equals(URL,'{'x' * 9_900}')"] * 11}, "/filter", "longer than 100,000"),
        ({"filter": ["contains(URL,'x')"]}, "/filter", "equals(PROPERTY,…)"),
        ({"timezone": "Mars/Olympus"}, "/timezone", "no time zone"),
        ({"sort": "-mean"}, "/sort", "count"),
        ({"by": list("abcdef")}, "/by", "5 properties"),
        ({"page_size": 0}, "/page_size", "from 1 to"),
        ({"page_cursor": "nonsense"}, "/page_cursor", "page_cursor is not a cursor of this list. Take it from meta.page_cursor"),
        ({"return_fields": ["colour"]}, "/return_fields", "colour"),
        ({"colour": "red"}, "/colour", "Supported: metric_id, measurements,"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_told_are_refused(shop: Shop, change: Any, place: str, detail: str) -> None:  # fmt: skip
    body = aggregate(shop.metric_id("Ordered"), **change)
    error = shop.refused("POST", "/api/metric-aggregates", body)
    assert error["source"] == {"pointer": f"/data/attributes{place}"}
    assert detail in error["detail"]


# the account


def test_the_account_is_what_the_configuration_says(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    api = shop.client.Accounts
    account = AccountSettings(
        organization="Example Shop",
        sender_email="shop@example.com",
        timezone="Europe/Oslo",
        currency="NOK",
        address=AddressSettings(city="Oslo"),
    )
    monkeypatch.setattr(shop.app, "settings", replace(shop.app.settings, account=account))
    _, public = shop.app.create_key(kind="public", name="pages", scopes=())
    (found,) = api.get_accounts().data
    told = found.attributes
    assert (told.preferred_currency, told.timezone) == ("NOK", "Europe/Oslo")
    assert told.contact_information.organization_name == "Example Shop"
    assert told.contact_information.street_address.city == "Oslo"
    assert told.public_api_key == found.id
    assert api.get_account(found.id).data.attributes == told
    assert api.get_account(public).data.id == public
