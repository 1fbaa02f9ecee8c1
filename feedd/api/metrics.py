"""`GET /metrics`, for Prometheus: who may read it, and in which form."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from feedd.api.access import authorize, is_local
from feedd.api.openapi import error_answers
from feedd.metrics import Metrics

router = APIRouter(tags=["health"])
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


async def may_scrape(request: Request) -> None:
    """Let the unix socket pass, this machine, and who has a private key that may read feeds. Raises UsageError for others."""
    if not is_local(request) and not _is_this_machine(request):
        await authorize(request, "feeds")


def _is_this_machine(request: Request) -> bool:
    """Whether the connection comes from this machine, for itself.

    Forwarded headers give nobody anything: a request that has one came through a proxy, for whom nobody knows. A
    browser that was led here under a foreign name (DNS rebinding) says that name as the host.
    """
    if any(name in request.headers for name in _OF_PROXIES):
        return False
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    peer = request.client.host if request.client else None
    return _is_loopback(peer) and (host == "localhost" or _is_loopback(host))


def _is_loopback(text: str | None) -> bool:
    try:
        return ip_address(text or "").is_loopback
    except ValueError:
        return False


_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_FORMS: dict[str, Any] = {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    dependencies=[Depends(may_scrape)],
    response_class=PlainTextResponse,
    responses={200: {"content": _FORMS}, **error_answers()},
)
def metrics(request: Request) -> Response:
    found: Metrics = request.app.state.metrics
    content, content_type = found.render(request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": content_type})
