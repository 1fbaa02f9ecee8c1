"""The tables of operations in the documentation against the routes, and against what the clients' packages know."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import openapi_client
import pytest

from feedd.api.server import create_api

DOCS = (Path(__file__).parent.parent / "docs" / "api.md").read_text()
_ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \|(?: (yes|own|later|no) \|)? (.+) \|$", re.MULTILINE)
_IN_CLIENT = re.compile(r"method='(\w+)',\s*resource_path='([^']+)'")
# of the clients' modules, what feedd is about; and paths in these that are about something else
MODULES = (
    *("accounts", "campaigns", "catalogs", "data_privacy", "events", "lists", "metrics"),
    *("profiles", "segments", "templates", "web_feeds", "webhooks"),
)
ELSEWHERE = re.compile(r"/api/(push-tokens|custom-metrics|mapped-metrics|template-universal-content)")


class Operation(NamedTuple):
    method: str
    path: str  # with {} for whatever stands in braces


class Row(NamedTuple):
    operation: Operation
    status: str
    about: str


def operation(method: str, path: str) -> Operation:
    return Operation(method.upper(), re.sub(r"\{[^}]*\}", "{}", path))


ROWS = [Row(operation(found[1], found[2]), found[3] or "", found[4]) for found in _ROW.finditer(DOCS)]


def served(api: Any) -> set[Operation]:
    return {
        operation(method, path)
        for path, methods in api["paths"].items()
        for method in methods
        if method != "parameters"
    }
