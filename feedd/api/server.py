"""The ASGI application: routes, documentation pages, and one place where errors become responses."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Match

from feedd import __version__
from feedd.api import (
    accounts,
    aggregates,
    catalog,
    deletion_jobs,
    event_jobs,
    events,
    feeds,
    health,
    import_jobs,
    keys,
    legacy,
    metrics,
    operating,
    pages,
    people_metrics,
    persons,
    previews,
    profiles,
    stream,
    templates,
    web_feeds,
    webhooks,
)
from feedd.api.access import KEY_HEADER, Gate, needs, public_key
from feedd.api.bodies import Bodies
from feedd.api.bugs import Bugs
from feedd.api.described import ABOUT, complete, scopes_of
from feedd.api.documents import failure, failure_of
from feedd.api.head import HeadAsGet
from feedd.api.later import is_later
from feedd.api.paths import FOR_PAGES, Paths
from feedd.api.track import Tracking
from feedd.api.track_openapi import TRACK_PATHS
from feedd.app import App
from feedd.dispatch import Dispatcher
from feedd.errors import FeeddError, NotFound
from feedd.metrics import Metrics
from feedd.tail import Tail

# each with the resource whose scopes it needs (`feedd.scopes`)
ROUTES: tuple[tuple[APIRouter, str], ...] = (
    (feeds.router, "feeds"),
    (operating.router, "feeds"),
    (catalog.router, "catalogs"),
    (stream.router, "catalogs"),
    (webhooks.router, "webhooks"),
    (web_feeds.router, "web-feeds"),
    (keys.router, "api-keys"),
    (persons.router, "profiles"),
    (profiles.router, "profiles"),
    (import_jobs.router, "profiles"),
    (event_jobs.router, "events"),
    (deletion_jobs.router, "data-privacy"),
    (events.router, "events"),
    (people_metrics.router, "metrics"),
    (aggregates.router, "metrics:read"),
    (templates.router, "templates"),
    (templates.rendering, "templates:read"),
    (accounts.router, "accounts"),
    (previews.router, "templates:read"),
)
# what pages and apps call with a public key
CLIENT_ROUTES: tuple[APIRouter, ...] = (events.client, profiles.client)
_ASSETS = Path(fastapi_offline.__file__).parent / "static"


def create_api(
    app: App,
    dispatcher: Dispatcher,
    counted: Metrics | None = None,
    tail: Tail | None = None,
) -> FastAPI:
    """The API over an App; syncs that it is asked for go to the dispatcher, `tail` tells of changes."""
    api = FastAPI(
        title="feedd",
        version=__version__,
        description=ABOUT.strip(),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.feedd = app
    api.state.dispatcher = dispatcher
    api.state.metrics = counted or Metrics(app, dispatcher)
    api.state.gate = Gate(app, api.state.metrics)
    api.state.tail = tail or Tail(app.stream)
    api.include_router(health.router)
    api.include_router(metrics.router)
    api.include_router(pages.router)
    for router, resource in ROUTES:
        api.include_router(
            router, prefix="/api", dependencies=[Depends(needs(resource)), Security(KEY_HEADER)]
        )
    api.include_router(
        legacy.router,
        prefix="/api",
        dependencies=[Security(each) for each in (KEY_HEADER, *legacy.SECURITY)],
    )
    for router in CLIENT_ROUTES:
        api.include_router(router, prefix="/client", dependencies=[Depends(public_key)])
    api.mount("/docs/assets", StaticFiles(directory=_ASSETS), name="assets")
    api.add_route("/docs", _docs, include_in_schema=False)
    api.add_route("/", _root, include_in_schema=False)
    api.add_middleware(HeadAsGet)
    api.add_middleware(Tracking, feedd=app, gate=api.state.gate, metrics=api.state.metrics)
    api.add_middleware(Bodies)
    api.add_middleware(Bugs)
    api.add_middleware(Paths)
    api.openapi = partial(_described, api, api.openapi)  # type: ignore[method-assign]  # as FastAPI's documentation has it
    api.add_exception_handler(FeeddError, feedd_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http_error)
    return api


def _described(api: FastAPI, describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document, with the calls that are no routes of FastAPI's."""
    if api.openapi_schema is None:
        document = describe()
        scopes: dict[tuple[str, str], tuple[str, ...] | None] = {}
        for router, resource in ROUTES:
            scopes |= scopes_of(router, resource)
        for router in legacy.ROUTERS:
            scopes |= scopes_of(router)
        complete(document, scopes, "/api")
        document["paths"].update(TRACK_PATHS)
    return describe()


async def _docs(request: Request) -> Response:
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="feedd API",
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon.png",
    )


async def _root(request: Request) -> Response:
    """Whoever opens the address in a browser is led to what it is about."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


async def feedd_error(request: Request, error: Exception) -> Response:
    """The response for an error of the tree."""
    if not isinstance(error, FeeddError):
        raise error
    if isinstance(error, NotFound) and is_later(request.url.path):  # an item's id may have slashes
        return _nothing_at(request.url.path)
    return failure_of(error)


def _nothing_at(path: str) -> Response:
    later = "it is not in feedd yet" if is_later(path) else "/docs tells what there is"
    return failure(404, "not_found", "Not found.", f"there is nothing at {path}: {later}")


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    problems: list[dict[str, Any]] = list(error.errors())
    first = problems[0] if problems else {"loc": ("query", ""), "msg": "invalid"}
    where, *rest = first["loc"]
    if where == "path":  # an id that nothing has
        return failure(404, "not_found", "Not found.", f"there is nothing at {request.url.path}")
    name = str(rest[-1]) if rest else ""
    source = {"parameter": name} if where == "query" else {"pointer": f"/{where}/{name}"}
    return failure(400, "invalid", "Invalid input.", f"{name}: {first['msg']}", source=source)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path = request.url.path
    if error.status_code == 404:
        return _nothing_at(path)
    title = str(error.detail)
    if error.status_code == 405:
        allowed = {"Allow": ", ".join(_methods_of(request))}
        detail = f"{request.method} is not for {path}"
        return failure(405, "method_not_allowed", title, detail, headers=allowed)
    return failure(error.status_code, "error", title, title, headers=error.headers)


def _methods_of(request: Request) -> list[str]:
    """The methods that the path of a request has."""
    about = {"type": "http", "path": request.scope["path"], "headers": []}
    found = [
        method
        for method in ("GET", "POST", "PATCH", "DELETE")
        if any(
            route.matches({**about, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return [*found, *(["OPTIONS"] if request.url.path.startswith(FOR_PAGES) else [])]
