"""Whether feedd is alive and ready; open to everyone, and telling nothing else."""

from fastapi import APIRouter, Response

from feedd.api.access import TheApp
from feedd.errors import StoreError

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive: the HTTP side answers")
async def healthz() -> Response:
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz", summary="Ready: the databases answer")
def readyz(app: TheApp) -> Response:
    try:
        app.ping()
    except StoreError:
        return Response("the database does not answer\n", status_code=503, media_type="text/plain")
    return Response("ok\n", media_type="text/plain")
