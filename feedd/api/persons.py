"""What the command line asks of the people side: one operation a request, over the unix socket only."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from feedd.api.access import TheApp, local_only
from feedd.api.body import limited_body
from feedd.people import operations
from feedd.people.decoding import read

# a thousand events of the usual size, or one of the largest, its text in base64
MAX_BODY_BYTES = 32 * 1024 * 1024


async def _body(request: Request) -> bytes:
    return await limited_body(request, MAX_BODY_BYTES)


router = APIRouter(dependencies=[Depends(local_only)], include_in_schema=False)


@router.post("/people-operations")
def do_operation(app: TheApp, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Decoded in a thread: a thousand events take the event loop too long."""
    answer = app.persons.answer(read(operations.decoder, body))
    return Response(msgspec.json.encode(answer), media_type="application/json")
