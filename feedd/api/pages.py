"""The pages that links in messages lead to. They come with campaigns; until then each answers 404, whatever is asked of it."""

from fastapi import APIRouter, Response
from starlette.types import Receive, Scope, Send

from feedd.links import PAGES

router = APIRouter(include_in_schema=False)
_SAID = "This page is not here yet: feedd has it once it sends campaigns.\n"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class _Page:
    """The answer to every method: nobody is to learn which tokens there are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Response(_SAID, status_code=404, media_type="text/plain", headers=_HEADERS)
        await answer(scope, receive, send)


for _word in PAGES.values():  # a function would have some methods, an application has all
    router.add_route(f"/{_word}/{{token}}", _Page())  # type: ignore[arg-type]  # as Starlette has it
