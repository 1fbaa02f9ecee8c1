"""What OpenAPI says of every operation, for who reads it at `/docs`."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from feedd.api import create_api
from feedd.api.resources import schema_of
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.people import event_documents
from feedd.scopes import RESOURCES
from feedd.settings import Settings

Operations = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("described")
    app = App(Settings(state_dir=folder, socket=folder / "s", listen=None, feeds={}))
    try:
        return create_api(app, Dispatcher(app)).openapi()
    finally:
        app.close()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> Operations:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def inside(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a JSON value."""
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, dict | list):
            yield from inside(member)
    if isinstance(value, dict):
        yield value


def test_every_parameter_says_what_it_is(operations: Operations) -> None:
    for at, operation in operations.items():
        named = set(re.findall(r"\{(\w+)\}", at[1]))
        told = operation.get("parameters", [])
        assert named == {each["name"] for each in told if each["in"] == "path"}, at
        for parameter in told:
            assert parameter.get("description"), (at, parameter["name"])


def test_every_operation_says_which_scopes_it_needs(operations: Operations) -> None:
    known = {f"{resource}:{action}" for resource in RESOURCES for action in ("read", "write")}
    for at, operation in operations.items():
        assert "`" not in operation["summary"], at
        if not at[1].startswith("/api/"):
            assert "x-scopes" not in operation
            continue
        assert set(operation["x-scopes"]) <= known, at
        if not operation["x-scopes"]:
            assert operation["description"].endswith("Over the unix socket only."), at
        for scope in operation["x-scopes"]:
            assert f"`{scope}`" in operation["description"], at
    assert operations["get", "/api/events/{event_id}/metric"]["x-scopes"] == [
        *("events:read", "metrics:read"),
    ]
    assert operations["post", "/api/metric-aggregates"]["x-scopes"] == ["metrics:read"]
    assert operations["put", "/api/v1/person/{person_id}"]["x-scopes"] == ["profiles:write"]
    assert operations["get", "/api/api-keys"]["x-scopes"] == []


def test_calls_of_pages_name_their_account_and_choose_no_fields(operations: Operations) -> None:
    for at, operation in operations.items():
        told = {each["name"]: each for each in operation.get("parameters", ())}
        if at[1].startswith("/client/"):
            assert told["company_id"]["required"]
            assert list(told) == ["company_id"]
        if operation["responses"].get("202", {}).get("content") == {}:
            assert not [name for name in told if name.startswith("fields")], at


def test_nothing_is_named_by_a_name_of_the_code(document: dict[str, Any]) -> None:
    titles = [each["title"] for each in inside(document) if isinstance(each.get("title"), str)]
    assert titles
    assert [title for title in titles if title.startswith("_")] == []
    texts = [each["description"] for each in inside(document) if "description" in each]
    said = [text for text in texts if isinstance(text, str)]
    assert [text for text in said if "\n    " in text] == [], "Markdown takes that for code"
    assert "scopes" in document["info"]["description"]


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/api/events", ["data"]),
        ("/client/events", ["data"]),
        ("/client/event-bulk-create", ["data"]),
        ("/client/profiles", ["data"]),
        ("/api/event-bulk-create-jobs", ["data", "attributes", "events-bulk-create"]),
        ("/api/profile-bulk-import-jobs", ["data", "attributes", "profiles"]),
    ],
)
def test_bodies_are_described_to_the_bottom(
    operations: Operations, path: str, inner: list[str]
) -> None:
    (content,) = operations["post", path]["requestBody"]["content"].values()
    jsonschema.validate(content["example"], content["schema"], jsonschema.Draft202012Validator)
    schema = content["schema"]
    for name in inner:
        schema = schema["properties"][name]
    assert all(each for each in inside(schema) if each is not schema.get("default"))
    for each in inside(schema):
        for name, member in each.get("properties", {}).items():
            assert member, f"{name} is described by nothing"
        assert each.get("items", True), "items are described by nothing"


def test_events_are_described_as_they_are_read(operations: Operations) -> None:
    """The names of the attributes that are told are those that are taken."""
    (content,) = operations["post", "/api/events"]["requestBody"]["content"].values()
    told = content["schema"]["properties"]["data"]["properties"]["attributes"]["properties"]
    (read,) = [
        field.type
        for field in msgspec.structs.fields(event_documents._ProfiledData)
        if field.name == "attributes"
    ]
    assert set(told) == set(schema_of(read)["properties"])


def test_nothing_is_filled_in_that_nobody_asked_for(operations: Operations) -> None:
    for call in ("/api/track", "/api/identify"):
        for method in ("get", "post"):
            filled = [
                each["name"] for each in operations[method, call]["parameters"] if "example" in each
            ]
            assert filled == (["data"] if method == "get" else [])
        content = operations["post", call]["requestBody"]["content"]
        form = content["application/x-www-form-urlencoded"]["schema"]["properties"]["data"]
        assert json.loads(form["example"])["token"]
