"""The tables of operations in the documentation against the routes, and against what public clients can ask for."""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from asgi import ask
from fastapi import FastAPI

from feedd.api import create_api
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.settings import Settings

DOCS = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
_ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \|(?: (yes|own|later|no) \|)? (.+?) \|$", re.MULTILINE)
# what feedd is about, as the modules of the clients' packages have it; and what is about something else in these
MODULES = (
    *("accounts", "campaigns", "catalogs", "data_privacy", "events", "lists", "metrics"),
    *("profiles", "segments", "templates", "web_feeds", "webhooks"),
)
_ELSEWHERE = re.compile(
    r"/api/(push-tokens|custom-metrics|mapped-metrics|template-universal-content)"
)
_CURRENT = re.compile(r"method='(\w+)',\s*resource_path='([^']+)'")
_LEGACY = re.compile(r"call_api\(\s*'([^']+)', '(\w+)'")


class Operation(NamedTuple):
    method: str
    path: str  # whatever stands in braces is {}


class Row(NamedTuple):
    operation: Operation
    status: str
    path: str


def operation(method: str, path: str) -> Operation:
    return Operation(method.upper(), re.sub(r"\{[^}]*\}", "{}", path))


ROWS = [Row(operation(row[1], row[2]), row[3] or "", row[2]) for row in _ROW.finditer(DOCS)]
ABSENT = [row for row in ROWS if row.status in ("later", "no")]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("docs")
    app = App(Settings(state_dir=folder, socket=folder / "s", listen=None, feeds={}))
    return create_api(app, Dispatcher(app))


def sources(package: str) -> str:
    """The text of the modules of a client that have its operations."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "api"
    return "\n".join(
        path.read_text()
        for path in sorted(folder.glob("*_api.py"))
        if package != "openapi_client" or path.stem.removesuffix("_api") in MODULES
    )


def served(api: FastAPI) -> set[Operation]:
    paths = api.openapi()["paths"]
    return {operation(method, path) for path, methods in paths.items() for method in methods}


def test_every_operation_is_documented_and_every_documented_one_is_there(
    api: FastAPI,
) -> None:
    assert served(api) == {row.operation for row in ROWS if row not in ABSENT}


def test_an_operation_has_one_status() -> None:
    told = Counter(row.operation for row in ROWS if row.status)
    assert [each for each, times in told.items() if times > 1] == []


def test_operations_of_current_clients_are_listed() -> None:
    known = {operation(*each) for each in _CURRENT.findall(sources("openapi_client"))}
    known = {each for each in known if not _ELSEWHERE.match(each.path)}
    assert len(known) > 150
    assert known <= {row.operation for row in ROWS if row.status}


def test_operations_of_old_clients_are_listed() -> None:
    known = {
        operation(method, f"/api{path}")
        for path, method in _LEGACY.findall(sources("swagger_client"))
    }
    assert len(known) > 40
    calls = {operation("GET", f"/api/{call}") for call in ("track", "identify")}
    posts = {operation("POST", each.path) for each in calls}
    assert known - calls - posts <= {row.operation for row in ROWS if row.status}


@pytest.mark.parametrize("row", ABSENT, ids=lambda row: f"{row.operation.method} {row.path}")
def test_what_comes_later_is_refused_as_its_clients_read_it(api: FastAPI, row: Row) -> None:
    path = re.sub(r"\{[^}]*\}", "01ABC", row.path)
    for slash in ("", "/"):
        answer = ask(api, row.operation.method, path + slash)
        assert answer.status_code in (404, 405), answer.text
        told = json.loads(answer.text)
        if answer.status_code == 404:
            assert ("not in feedd yet" in answer.text) == (row.status == "later"), answer.text
        if path.startswith(("/api/v1/", "/api/v2/")):
            assert (told["status"], bool(told["message"])) == (answer.status_code, True)
        else:
            assert answer.headers["content-type"] == "application/vnd.api+json"
            assert told["errors"][0]["status"] == answer.status_code
