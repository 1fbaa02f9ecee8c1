"""What every operation of the API has in common: fields, includes, pages, links, paths, over a resource made up for it."""

from typing import Annotated, Any

import httpx
import jsonschema
import pytest
from asgi import ask
from fastapi import APIRouter, Depends, FastAPI, Response
from msgspec import Struct, field

from feedd.api.asking import Asked, Asking
from feedd.api.filters import texts, wholes
from feedd.api.openapi import Shape
from feedd.api.paths import Paths
from feedd.api.resources import Relation, Resource, ResourceType
from feedd.api.server import feedd_error
from feedd.errors import FeeddError


class Place(Struct):
    city: str | None = None
    zip: str | None = None


class Shelf(Struct):
    name: str
    place: Place
    extra: dict[str, Any]
    opened_at: str = field(name="opened-at", default="never")
    secret: int = 7


class Box(Struct):
    number: int


BOX = ResourceType(name="box", path="boxes", attributes=Box, scope="things")
SHELF = ResourceType(
    name="shelf",
    path="shelves",
    attributes=Shelf,
    scope="things",
    relationships={"boxes": Relation("box", many=True), "owner": Relation("person")},
    additional=("secret",),
)
SHELVES = Asking(
    SHELF,
    filters={"id": texts("equals", "any"), "number": wholes("greater-than")},
    sorts=("number", "-number"),
    pages=(2, 5),
    include={"boxes": BOX},
)
ONE_SHELF = Asking(SHELF, include={"boxes": BOX}, also=("at",))
OWNER = Asking(ResourceType(name="person", attributes=Box, scope="things"))
router = APIRouter(prefix="/api")
Numbers = list[int]


def shelf(number: int) -> Resource:
    attributes = Shelf(f"shelf {number}", Place("Oslo", "0150"), {"a": {"b": 1}, "c": 2})
    related = {"boxes": [str(number), "0"], "owner": None if number % 2 else "ann"}
    return Resource(SHELF, str(number), attributes, related)


def boxes(numbers: list[int]) -> list[Resource]:
    return [Resource(BOX, str(each), Box(each)) for each in [0, *numbers]]


@router.get("/shelves", **SHELVES.route(shape=Shape.PAGE))
def list_shelves(asked: Annotated[Asked, Depends(SHELVES)]) -> Response:
    last = asked.position(tuple[int])
    ids = asked.values("id")
    rows = [n for n in range(1, 8) if ids is None or str(n) in ids]
    if asked.sort == "-number":
        rows.reverse()
    if last is not None:
        rows = rows[rows.index(last[0]) + 1 :]
    return asked.page(
        rows[: asked.size + 1],
        resource=shelf,
        position=lambda number: [number],
        include={"boxes": boxes},
    )


@router.get("/shelves/{number}", **ONE_SHELF.route())
def get_shelf(number: int, asked: Annotated[Asked, Depends(ONE_SHELF)]) -> Response:
    return asked.one(shelf(number), include={"boxes": lambda: boxes([number])})


@router.get("/shelves/{number}/relationships/owner", **OWNER.route(shape=Shape.LINKAGE))
def get_owner(number: int, asked: Annotated[Asked, Depends(OWNER)]) -> Response:
    return asked.linkage("person", "ann" if number % 2 == 0 else None)


async def allowed(*_: Any) -> None:
    """Everybody may."""


class Client:
    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.schemas = app.openapi()["paths"]

    def ask(self, url: str, *, method: str = "GET") -> httpx.Response:
        return ask(self.app, method, url)

    def get(self, url: str) -> Any:
        answer = self.ask(url)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, url: str) -> Any:
        answer = self.ask(url)
        assert answer.status_code == 400, answer.text
        return answer.json()["errors"][0]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("feedd.api.asking.authorize", allowed)
    app = FastAPI()
    app.include_router(router)
    app.add_middleware(Paths)
    app.add_exception_handler(FeeddError, feedd_error)
    return Client(app)


def test_a_page_is_a_document(client: Client) -> None:
    page = client.get("/api/shelves")
    assert page["links"]["self"] == "http://shop.example/api/shelves"
    assert page["links"]["prev"] is None
    first = page["data"][0]
    assert first == {
        "type": "shelf",
        "id": "1",
        "attributes": {
            "name": "shelf 1",
            "place": {"city": "Oslo", "zip": "0150"},
            "extra": {"a": {"b": 1}, "c": 2},
            "opened-at": "never",
        },
        "relationships": {
            "boxes": {
                "data": [{"type": "box", "id": "1"}, {"type": "box", "id": "0"}],
                "links": {
                    "self": "http://shop.example/api/shelves/1/relationships/boxes",
                    "related": "http://shop.example/api/shelves/1/boxes",
                },
            },
            "owner": {
                "data": None,
                "links": {
                    "self": "http://shop.example/api/shelves/1/relationships/owner",
                    "related": "http://shop.example/api/shelves/1/owner",
                },
            },
        },
        "links": {"self": "http://shop.example/api/shelves/1"},
    }
    assert "included" not in page


@pytest.mark.parametrize("query", ["", "?sort=-number", "?page[size]=3", "?fields[shelf]=name"])
def test_pages_follow_each_other(client: Client, query: str) -> None:
    ids, url = [], f"/api/shelves{query}"
    while url:
        page = client.get(url)
        ids += [each["id"] for each in page["data"]]
        url = page["links"]["next"]
    expected = [str(n) for n in range(1, 8)]
    assert ids == (expected[::-1] if "-number" in query else expected)


def test_a_cursor_is_of_its_list_and_query(client: Client) -> None:
    following = client.get("/api/shelves")["links"]["next"]
    assert "another filter or sort" in client.refused(f"{following}&sort=number")["detail"]
    for cursor in ("x", "é", "W10", "a" * 3_000, "////"):
        error = client.refused(f"/api/shelves?page[cursor]={cursor}")
        assert error["source"] == {"parameter": "page[cursor]"}


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ("name", {"name": "shelf 1"}),
        ("name,place.city", {"name": "shelf 1", "place": {"city": "Oslo"}}),
        ("place.city,place", {"place": {"city": "Oslo", "zip": "0150"}}),
        ("place,place.city", {"place": {"city": "Oslo", "zip": "0150"}}),
        ("extra.a.b", {"extra": {"a": {"b": 1}}}),
        ("extra.none", {"extra": {}}),
        ("opened-at", {"opened-at": "never"}),
        ("secret", {"secret": 7}),
        ("id", {}),
        ("", {}),
    ],
)
def test_fields_are_chosen(client: Client, fields: str, attributes: Any) -> None:
    for found in (
        client.get(f"/api/shelves/1?fields[shelf]={fields}")["data"],
        client.get(f"/api/shelves?fields[shelf]={fields}")["data"][0],
    ):
        assert found["attributes"] == attributes
        assert found["id"] == "1"


def test_additional_fields_are_given_when_asked_for(client: Client) -> None:
    whole = client.get("/api/shelves/1?additional-fields[shelf]=secret")["data"]["attributes"]
    assert (whole["secret"], whole["name"]) == (7, "shelf 1")
    both = client.get("/api/shelves/1?additional-fields[shelf]=secret&fields[shelf]=name")
    assert both["data"]["attributes"] == {"name": "shelf 1", "secret": 7}


def test_includes_come_once_and_with_the_fields_of_their_type(client: Client) -> None:
    page = client.get("/api/shelves?include=boxes&fields[box]=id")
    assert [(each["id"], each["attributes"]) for each in page["included"]] == [
        ("0", {}),
        ("1", {}),
        ("2", {}),
    ]
    one = client.get("/api/shelves/3?include=boxes")
    assert [each["attributes"]["number"] for each in one["included"]] == [0, 3]


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ("colour=red", "colour", "Supported: filter, sort, include, page[size]"),
        ("fields[lorry]=a", "fields[lorry]", "fields[box]"),
        ("fields[shelf]=weight", "fields[shelf]", "place.city"),
        ("fields[shelf]=name.first", "fields[shelf]", "'name.first'"),
        ("additional-fields[shelf]=name", "additional-fields[shelf]", "Supported: secret"),
        ("include=owner", "include", "Supported: boxes"),
        ("sort=name", "sort", "Supported: number, -number"),
        ("sort=number&sort=-number", "sort", "more than once"),
        ("page[size]=0", "page[size]", "from 1 to 5"),
        ("page[size]=6", "page[size]", "from 1 to 5"),
        ("page[size]=²", "page[size]", "from 1 to 5"),
        ("filter=equals(name,1)", "filter", "any(id,…)"),
    ],
)
def test_what_is_not_supported_is_refused_with_what_is(
    client: Client, query: str, parameter: str, said: str
) -> None:
    error = client.refused(f"/api/shelves?{query}")
    assert error["source"] == {"parameter": parameter}
    assert said in error["detail"]


def test_a_relationship_is_an_identifier_or_null(client: Client) -> None:
    found = client.get("/api/shelves/2/relationships/owner")
    assert found["data"] == {"type": "person", "id": "ann"}
    assert client.get("/api/shelves/1/relationships/owner")["data"] is None


@pytest.mark.parametrize("first", ["extra", "weight"])
def test_no_path_of_fields_is_too_long_to_be_refused(client: Client, first: str) -> None:
    found = client.get(f"/api/shelves/1?fields[shelf]=extra{'.a' * 63}")["data"]["attributes"]
    assert found == {"extra": {"a": {}}}
    error = client.refused(f"/api/shelves/1?fields[shelf]={first}{'.a' * 20_000}")
    assert error["source"] == {"parameter": "fields[shelf]"}
    assert len(error["detail"]) < 500


@pytest.mark.parametrize("path", ["/api/shelves/", "/api/shelves/1/", "/api/shelves/1//"])
def test_a_slash_at_the_end_changes_nothing(client: Client, path: str) -> None:
    assert client.get(path) == client.get(path.rstrip("/"))


def test_a_second_slash_before_a_path_changes_nothing(client: Client) -> None:
    assert client.get("http://shop.example//api/shelves/") == client.get("/api/shelves")


def test_an_empty_parameter_asks_for_nothing(client: Client) -> None:
    query = "filter=&sort=&page[cursor]=&include=&fields[box]=&color="
    plain, empty = client.get("/api/shelves"), client.get(f"/api/shelves?{query}")
    assert empty["data"] == plain["data"]


def test_pages_of_any_origin_may_call_what_is_for_them(client: Client) -> None:
    asked = client.ask("/client/events", method="OPTIONS")
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert client.ask("/client/none").headers["access-control-allow-origin"] == "*"
    named = ask(client.app, "GET", "/client/none", origin="https://shop.example")
    assert named.headers["access-control-allow-origin"] == "https://shop.example"
    assert named.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in client.ask("/api/shelves").headers


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/api/shelves", "/api/shelves?include=boxes"),
        ("/api/shelves", "/api/shelves?fields[shelf]=name"),
        ("/api/shelves/{number}", "/api/shelves/1?include=boxes&additional-fields[shelf]=secret"),
        ("/api/shelves/{number}/relationships/owner", "/api/shelves/1/relationships/owner"),
    ],
)
def test_answers_are_as_openapi_says(client: Client, path: str, url: str) -> None:
    operation = client.schemas[path]["get"]
    schema = operation["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
    jsonschema.validate(client.get(url), schema, jsonschema.Draft202012Validator)
    told = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
    asking = SHELVES if path == "/api/shelves" else ONE_SHELF
    if "owner" not in path:
        assert told == set(asking.names()) - set(asking.also)
