"""What OpenAPI says of all operations alike: the scopes that a key needs, and parameters that mean the same wherever they are."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from feedd.api.access import Scoped, local_only

ABOUT = """
Catalogs, people and events, in the shapes of [JSON:API](https://jsonapi.org/format/1.1/) and of Klaviyo's API of revision 2026-07-15; its older
v1 and v2 are here too.

**Keys.** Over TCP, whatever is below `/api` needs a private key that has the scopes which the operation names: `Authorization: Klaviyo-API-Key pk_…`,
made by `feedd key create --private --name shop --scope events:write`. The scopes `read` and `write` stand for those of everything. Calls of pages (below
`/client`, and `track` and `identify`) name a public key, made by `feedd key create --public --name pages`. Over the unix socket no key is needed.

**Lists** are read a page at a time: follow `links.next` until it is null.

**Errors** are documents with `errors`, each with a `code`, a `detail` that says what to do, and in `source` the place. v1 and v2 have a `message`.
"""

PARAMETERS = {
    "account_id": "The id of the account, or any of its public keys.",
    "additional-fields": "Attributes that are only given when they are asked for.",
    "at": "The number of a change: the item as it was right after it.",
    "company_id": "A public key of this account, as `feedd key create --public` makes it.",
    "delivery": "The number of the message.",
    "event_id": "The id of the event, which is its `uuid`.",
    "feed": "The name of a feed: the item of that one.",
    "fields": "These attributes only, by name or path (`location.city`). Left out: all.",
    "idempotency-key": "Any text of yours: a request that is sent again with it is carried out once.",
    "item_id": "The id of the item: `$custom:::CATALOG:::ID`, percent-encoded.",
    "job_id": "The id of the job.",
    "last-event-id": "The `id` of the last change that was seen; clients send it when they connect again.",
    "metric_id": "The id of the metric.",
    "metric_property_id": "The id of the property.",
    "name": "Its name in the configuration.",
    "passes": "Also say of each whether its record would be an item under the configuration of now.",
    "person_id": "The id of the person.",
    "prefix": "What the key begins with, as it is listed.",
    "profile_id": "The id of the profile.",
    "since": "Where to go on: the `id` of a change of the stream, or a number; `0` is the beginning.",
    "template_id": "The id of the template.",
    "sync_id": "The number of the sync.",
}
_REQUIRED = {"company_id": {"type": "string", "maxLength": 200}}
Scopes = tuple[str, ...]


def scopes_of(router: APIRouter, resource: str = "") -> dict[tuple[str, str], Scopes | None]:
    """The scopes that a key needs for each operation, by method and path below the router; None for the unix socket only."""
    return {
        (method.lower(), route.path_format): _scopes(route, method, resource)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def _scopes(route: APIRoute, method: str, resource: str) -> Scopes | None:
    checks = [each.call for each in route.dependant.dependencies]
    if local_only in checks:
        return None
    own = [name for check in checks if isinstance(check, Scoped) for name in check.scopes]
    action = "read" if method == "GET" else "write"
    wanted = [resource, *own] if resource else own
    return tuple(dict.fromkeys(each if ":" in each else f"{each}:{action}" for each in wanted))


def complete(
    document: dict[str, Any], scopes: Mapping[tuple[str, str], Scopes | None], prefix: str
) -> None:
    """Say in an OpenAPI document what goes for all operations; those with scopes are below the prefix."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            key = (method, path.removeprefix(prefix))
            if path.startswith(prefix) and key in scopes:
                operation["x-scopes"] = list(scopes[key] or ())
                _add(operation, _needed(scopes[key]))
            _describe(operation.get("parameters", ()))


def _needed(scopes: Scopes | None) -> str:
    if scopes is None:
        return "Over the unix socket only."
    return f"A key needs {' and '.join(f'`{scope}`' for scope in scopes)}."


def _add(operation: dict[str, Any], text: str) -> None:
    said = operation.get("description", "")
    operation["description"] = f"{said}\n\n{text}" if said else text


def _describe(parameters: Iterable[dict[str, Any]]) -> None:
    for parameter in parameters:
        name = parameter["name"].lower()
        if not parameter.get("description"):
            parameter["description"] = PARAMETERS.get(name.partition("[")[0], "")
        if name in _REQUIRED:
            parameter |= {"required": True, "schema": _REQUIRED[name]}
        parameter["schema"].pop("title", None)
