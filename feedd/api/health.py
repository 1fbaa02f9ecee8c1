"""Whether feedd is alive and ready; open to everyone, and telling nothing else."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from feedd.api.access import TheApp
from feedd.errors import StoreError

router = APIRouter(tags=["health"], default_response_class=PlainTextResponse)
_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}


@router.get("/healthz", summary="Alive: the HTTP side answers")
async def healthz() -> Response:
    return Response("ok\n", media_type="text/plain")


@router.get(
    "/readyz",
    summary="Ready: the databases answer",
    responses={503: {"description": "The database does not answer", "content": _TEXT}},
)
def readyz(app: TheApp) -> Response:
    try:
        app.ping()
    except StoreError:
        return Response("the database does not answer\n", status_code=503, media_type="text/plain")
    return Response("ok\n", media_type="text/plain")
