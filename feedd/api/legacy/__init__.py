"""Klaviyo's v1 and v2 APIs, for clients that were made for them: people, metrics, templates, data privacy.

To add a group of operations: a module with a `router` here, a line in `ROUTERS`, its rows in `docs/api.md` and in the tests.
"""

from fastapi import APIRouter, Request, Response
from fastapi.security import APIKeyHeader, APIKeyQuery
from starlette.routing import Match, Route

from feedd.api.later import is_later
from feedd.api.legacy import metrics, people, privacy, templates
from feedd.api.legacy.calls import API_KEY, KEY_HEADER, LegacyRoute, failed

VERSIONS = ("/api/v1", "/api/v2")
SECURITY = (
    APIKeyQuery(name=API_KEY, scheme_name="private key in the query", auto_error=False),
    APIKeyHeader(name=KEY_HEADER, scheme_name="private key in a header of v2", auto_error=False),
)
ROUTERS = (people.router, metrics.router, privacy.router, templates.router)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

router = APIRouter(route_class=LegacyRoute)
for _each in ROUTERS:
    router.include_router(_each)


def is_legacy(path: str) -> bool:
    """Whether a path is of v1 or v2."""
    return path.startswith(tuple(f"{version}/" for version in VERSIONS)) or path in VERSIONS


@router.api_route("/v1", methods=_METHODS, include_in_schema=False)
@router.api_route("/v2", methods=_METHODS, include_in_schema=False)
@router.api_route("/v1/{rest:path}", methods=_METHODS, include_in_schema=False)
@router.api_route("/v2/{rest:path}", methods=_METHODS, include_in_schema=False)
async def unknown(request: Request) -> Response:
    """What v1 and v2 have and feedd has not, or neither has."""
    path = request.url.path
    inner = {**request.scope, "path": path.removeprefix("/api"), "root_path": ""}
    allowed = {
        method
        for router_ in ROUTERS
        for route in router_.routes
        if isinstance(route, Route) and route.matches(inner)[0] is Match.PARTIAL
        for method in route.methods or ()
    }
    if allowed:
        allow = ", ".join(sorted(allowed))
        return failed(405, f"{request.method} is not for {path}.", {"Allow": allow})
    later = ": it is not in feedd yet" if is_later(path) else ""
    return failed(404, f"feedd has no {request.method} {path}{later}.")
