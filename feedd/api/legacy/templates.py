"""v1 email templates: made, changed, copied and rendered."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from feedd.api.legacy.calls import Call, LegacyRoute, answer, caller, page_of, told, written
from feedd.api.legacy.parameters import structured
from feedd.api.templates import rendered
from feedd.errors import UsageError
from feedd.model import Template
from feedd.store.templates import Outline, Sources
from feedd.stored_templates import by_name
from feedd.template_files import MOST_BYTES, MOST_NAME

router = APIRouter(tags=["v1 and v2"], route_class=LegacyRoute)
Reads = Annotated[Call, Depends(caller("templates", "read"))]
Writes = Annotated[Call, Depends(caller("templates", "write"))]
_NAME = ("name", "string", "What it is called")
_HTML = ("html", "string", "Its HTML, with tags and variables")


@router.get(
    "/v1/email-templates",
    summary="The templates",
    **told(
        ("page", "integer", "Which page; the first one is 0"),
        ("count", "integer", "How many templates a page has, 100 at most"),
    ),
)
def list_templates(call: Reads) -> Response:
    """By name, whatever its capitals."""
    page = call.count("page", default=0, least=0, most=10**9)
    size = call.count("count", default=50, most=100)
    listed = sorted(call.app.templates.outlines(), key=by_name)

    def shown(rows: Sequence[Outline]) -> list[dict[str, Any]]:
        return [template_of(each) for each in call.app.templates.read([row.number for row in rows])]

    return page_of(listed, shown, page=page, size=size)


@router.post("/v1/email-templates", summary="Make a template", **told(_NAME, _HTML, body=True))
def create_template(call: Writes) -> Response:
    """400 where its HTML has a mistake; the message says where."""
    name, html = _name(call), _html(call)
    if name is None or html is None:
        raise UsageError(f"{'html' if name else 'name'} is missing")
    return answer(template_of(call.app.templates.create(name, Sources(html=html))))


@router.put(
    "/v1/email-template/{template_id}", summary="Change a template", **told(_NAME, _HTML, body=True)
)
def update_template(call: Writes, template_id: str) -> Response:
    """What is left out stays. 409 where it comes from a file."""
    given = {"name": _name(call), "html": _html(call)}
    changes = {name: value for name, value in given.items() if value is not None}
    return answer(template_of(call.app.templates.change(template_id, changes)))


@router.delete("/v1/email-template/{template_id}", summary="Delete a template", **told())
def delete_template(call: Writes, template_id: str) -> Response:
    """Answers with what it was. 409 where it comes from a file."""
    return answer(template_of(call.app.templates.delete(template_id)))


@router.post(
    "/v1/email-template/{template_id}/clone", summary="Copy a template", **told(_NAME, body=True)
)
def clone_template(call: Writes, template_id: str) -> Response:
    return answer(template_of(call.app.templates.clone(template_id, _name(call))))


@router.post(
    "/v1/email-template/{template_id}/render",
    summary="Render a template",
    **told(("context", "string", "The variables: a JSON object, or its text"), body=True),
)
def render_template(call: Reads, template_id: str) -> Response:
    """What is not among the variables is blank."""
    template = call.app.templates.get(template_id)
    done = rendered(call.app, template, _context(call))
    data = {"html": done.html.decode(), "text": done.text}
    return answer(
        {"object": "email-template", "id": template.id, "name": template.name, "data": data}
    )


def template_of(template: Template) -> dict[str, Any]:
    """A template as v1 shows one."""
    return {
        "object": "email-template",
        "id": template.id,
        "name": template.name,
        "html": template.html,
        "created": written(template.created_at),
        "updated": written(template.updated_at),
    }


def _name(call: Call) -> str | None:
    name = call.text("name")
    if name is not None and (len(name) > MOST_NAME or "\0" in name):
        raise UsageError(f"name has more than {MOST_NAME} characters, or a NUL character")
    return name


def _html(call: Call) -> str | None:
    html = call.parameters.raw("html")
    if "\0" in html or len(html.encode()) > MOST_BYTES:
        raise UsageError(f"html is larger than {MOST_BYTES // 1024:,} KB, or holds a NUL character")
    return html or None


def _context(call: Call) -> dict[str, Any]:
    text = call.text("context")
    found = call.parameters.nested("context") if text is None else structured(text, None)
    if not isinstance(found, dict):
        raise UsageError("context is not a JSON object", hint='Write {"first_name": "Jane"}.')
    return found
