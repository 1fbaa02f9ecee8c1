"""The pages that links in messages lead to. They come with campaigns; until then each answers 404, whatever is asked of it."""

from typing import Any

from fastapi import APIRouter, Response

from feedd.links import PAGES

router = APIRouter(include_in_schema=False)
_SAID = "This page is not here yet: feedd has it once it sends campaigns.\n"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def _page(token: str) -> Response:  # noqa: ARG001 nobody is to learn which tokens there are
    return Response(_SAID, status_code=404, media_type="text/plain", headers=_HEADERS)


_METHODS: dict[str, Any] = {"methods": ["GET", "POST"]}
for _word in PAGES.values():
    router.add_api_route(f"/{_word}/{{token}}", _page, **_METHODS)
