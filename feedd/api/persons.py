"""What the command line asks of the people side: one operation a request, over the unix socket only."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from feedd.api.access import TheApp, is_local
from feedd.api.body import BodyError
from feedd.errors import UsageError
from feedd.people import operations

# a thousand events of the usual size, or one of the largest, its text in base64
MAX_BODY_BYTES = 32 * 1024 * 1024


async def _local_only(request: Request) -> None:
    if not is_local(request):
        raise UsageError(
            "this is for the command line, over the unix socket only",
            code="forbidden",
            hint="Use `feedd` on the machine that it runs on.",
        )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyError(
                f"the body is larger than {MAX_BODY_BYTES} bytes", code="payload_too_large"
            )
    return bytes(body)


router = APIRouter(dependencies=[Depends(_local_only)], include_in_schema=False)


@router.post("/people-operations")
def do_operation(app: TheApp, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Decoded in a thread: a thousand events take the event loop too long."""
    try:
        operation = operations.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(f"the body cannot be used: {error}") from error
    return Response(
        msgspec.json.encode(app.persons.answer(operation)), media_type="application/json"
    )
