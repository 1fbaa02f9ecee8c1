"""Templates of messages, listed, made, changed, copied and rendered in the forms of Klaviyo's current API."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from msgspec import Meta, Struct
from msgspec.structs import replace

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking, Number
from feedd.api.body import json_body
from feedd.api.filters import Condition, texts, times
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType
from feedd.api.template_bodies import (
    ATTRIBUTES,
    CLONE_EXAMPLE,
    CREATE_EXAMPLE,
    RENDER_EXAMPLE,
    UPDATE_EXAMPLE,
    CloneDocument,
    CreateDocument,
    RenderDocument,
    UpdateDocument,
    changed_fields,
    id_of,
    new_sources,
)
from feedd.app import App
from feedd.errors import UsageError
from feedd.links import LinkTo
from feedd.model import Template
from feedd.people.documents import Time, iso_time
from feedd.people.limits import PayloadProblem, check_shape
from feedd.rendering import Recipient, Rendered, RenderFailed, Source, Wanted
from feedd.rendering.values import variables
from feedd.store.templates import Outline
from feedd.stored_templates import Told, advice

router = APIRouter(tags=["templates"])
rendering = APIRouter(tags=["templates"])

UNRENDERED = "Unable to render given template with provided context"
_SKIPPED = "This message would be skipped, and the others sent."
_TIMES = {"created": "created_at", "updated": "updated_at"}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, asked: value == asked,
    "any": lambda value, asked: value in asked,
    "contains": lambda value, asked: asked.casefold() in value.casefold(),
    "greater-than": lambda value, asked: value > asked,
    "greater-or-equal": lambda value, asked: value >= asked,
    "less-than": lambda value, asked: value < asked,
    "less-or-equal": lambda value, asked: value <= asked,
}


class TemplateAttributes(Struct, frozen=True, kw_only=True):
    """A template. `text` is null where it is derived from the HTML; in the answer of a render both are what came out.

    `definition` is null: there are no drag-and-drop templates. `file` is where it comes from, below the directory of templates;
    `problem` is what keeps it from being rendered, or says that nobody has looked yet; `warning` is what renders and cannot be meant.
    """

    name: str
    editor_type: str
    html: str
    text: str | None
    amp: str | None
    created: Time
    updated: Time
    definition: dict[str, Any] | None
    file: str | None
    problem: str | None
    warning: str | None


TEMPLATE = ResourceType(
    name="template",
    attributes=TemplateAttributes,
    scope="templates",
    additional=("definition", "file", "problem", "warning"),
)
TEMPLATES = Asking(
    TEMPLATE,
    filters={
        "id": texts("equals", "any"),
        "name": texts("equals", "any", "contains"),
        **{
            name: times("equals", "greater-or-equal", "greater-than", "less-or-equal", "less-than")
            for name in _TIMES
        },
    },
    sorts=tuple(
        f"{sign}{name}" for name in ("created", "id", "name", "updated") for sign in ("", "-")
    ),
    pages=(10, 100),
)
ONE_TEMPLATE = Asking(TEMPLATE)
AskedOne = Annotated[Asked, Depends(ONE_TEMPLATE)]
_Text = Annotated[str, Meta(max_length=1_000)]


class NotRendered(UsageError):
    """A template cannot be rendered with what was given; `meta` says what is wrong, and where in the template."""

    def __init__(self, failed: RenderFailed, *, source: Mapping[str, str]) -> None:
        failure = failed.failure
        is_skipped = failure.kind == "lookup"
        self.source = source
        self.meta = {
            "kind": failure.kind,
            "reason": failure.code,
            "part": failure.part,
            "line": failure.line,
            "column": failure.column,
        }
        hint = _SKIPPED if is_skipped else advice(failed.hint)
        place = "" if failure.line is None else f"line {failure.line}, column {failure.column}: "
        part = "" if failure.part == "html" else f"{failure.part}, "
        message = f"{UNRENDERED}: {part}{place}{failure.message.rstrip('.')}"
        super().__init__(message, code="skipped" if is_skipped else "invalid", hint=hint)


@router.get("/templates", summary="Templates", **TEMPLATES.route(shape=Shape.PAGE))
def list_templates(app: TheApp, asked: Annotated[Asked, Depends(TEMPLATES)]) -> Response:
    """With no sort in the order in which they were made; `contains` does not tell capital letters from small ones. `meta.directory` is
    where templates lie as files, and what is wrong with it; `meta.refused` names files there that cannot be used."""
    rows, key = _rows(app, asked)
    by_number = {
        each.number: each for each in app.templates.read([row.number for row in rows[: asked.size]])
    }
    shown = [row for row in rows[: asked.size] if row.number in by_number]
    told = _told(app, asked, shown)
    directory, refused = app.templates.directory(), app.templates.refused()
    meta: dict[str, Any] = {} if directory is None else {"directory": directory._asdict()}
    if refused:
        meta["refused"] = [each._asdict() for each in refused]
    return asked.page(
        shown,
        resource=lambda row: _resource(by_number[row.number], told.get(row.number)),
        position=lambda row: [key(row), row.number],
        meta=meta or None,
        more=len(rows) > asked.size,
    )


@router.get("/templates/{template_id}", summary="One template", **ONE_TEMPLATE.route())
def get_template(app: TheApp, template_id: str, asked: AskedOne) -> Response:
    return _one(app, asked, app.templates.get(template_id))


@router.post(
    "/templates",
    summary="Make a template",
    **ONE_TEMPLATE.route(status=201, body=(CreateDocument, CREATE_EXAMPLE)),
)
def create_template(
    app: TheApp,
    document: Annotated[CreateDocument, Depends(json_body(CreateDocument))],
    asked: AskedOne,
) -> Response:
    """400 where it could not be rendered whatever it is rendered with: the detail says what is wrong, in which line and column."""
    given = document.data.attributes
    made = app.templates.create(
        _name(given.name), new_sources(given), editor_type=given.editor_type
    )
    return _one(app, asked, made, status=201)


@router.patch(
    "/templates/{template_id}",
    summary="Change a template",
    **ONE_TEMPLATE.route(body=(UpdateDocument, UPDATE_EXAMPLE)),
)
def update_template(
    app: TheApp,
    template_id: str,
    document: Annotated[UpdateDocument, Depends(json_body(UpdateDocument))],
    asked: AskedOne,
) -> Response:
    """What is absent stays. 409 (`read_only`) where it comes from a file."""
    if document.data.id not in (None, template_id):
        raise PayloadProblem("/data/id", "is not the id in the path")
    changes = changed_fields(document.data.attributes)
    if "name" in changes:
        _name(changes["name"])
    return _one(app, asked, app.templates.change(template_id, changes))


@router.delete(
    "/templates/{template_id}",
    summary="Delete a template",
    **ONE_TEMPLATE.route(status=204, shape=Shape.NOTHING),
)
def delete_template(app: TheApp, template_id: str) -> Response:
    """409 (`read_only`) where it comes from a file."""
    app.templates.delete(template_id)
    return Response(status_code=204)


@router.post(
    "/template-clone",
    summary="Copy a template",
    **ONE_TEMPLATE.route(status=201, body=(CloneDocument, CLONE_EXAMPLE)),
)
def clone_template(
    app: TheApp,
    document: Annotated[CloneDocument, Depends(json_body(CloneDocument))],
    asked: AskedOne,
) -> Response:
    """Also one that comes from a file: the copy can be changed."""
    id_, pointer = id_of(document.data)
    name = document.data.attributes.name
    made = app.templates.clone(id_, None if name is None else _name(name), pointer)
    return _one(app, asked, made, status=201)


@rendering.post(
    "/template-render",
    summary="Render a template",
    **ONE_TEMPLATE.route(status=201, body=(RenderDocument, RENDER_EXAMPLE)),
)
def render_template(
    app: TheApp,
    document: Annotated[RenderDocument, Depends(json_body(RenderDocument))],
    asked: AskedOne,
) -> Response:
    """`html` and `text` are what came out. `context` are all variables there are, but for `organization`; what is not among them is blank. `meta` says
    what it was made of: the position in the change stream, and the items. 400 where it cannot be rendered; its code is `skipped` where a message would be skipped, as for an item that is not there."""
    id_, pointer = id_of(document.data)
    template = app.templates.get(id_, pointer)
    done = rendered(app, template, document.data.attributes.context)
    found = replace(template, html=done.html.decode(), text=done.text, amp=None)
    made_of = {
        "position": done.position,
        "now": iso_time(done.now),
        "items": done.items,
        "web_feeds": done.feeds,
    }
    return _one(app, asked, found, status=201, meta=made_of)


def rendered(app: App, template: Template, context: dict[str, Any]) -> Rendered:
    """A template, rendered with the variables of a call.

    Raises:
        NotRendered: it cannot be.
        PayloadProblem: the variables are nested too deep.
        Overloaded: too much is being rendered.
    """
    values = variables(app.settings.account, more=context)
    brackets = values.count(b"{") + values.count(b"[")
    check_shape(context, f"{ATTRIBUTES}/context", len(values), brackets)
    wanted = Wanted(text=True, inlines=app.settings.templates.inline_css)
    source = Source(html=template.html, text=template.text)
    recipient = Recipient(
        values=values,
        links=lambda position: app.links.all_of(LinkTo(template=template.id, position=position)),
    )
    try:
        return app.renderer.render(source, recipient, wanted)
    except RenderFailed as error:
        raise NotRendered(error, source={"pointer": "/data/"}) from error


def _name(name: str) -> str:
    """A name as it is stored. Raises PayloadProblem."""
    if "\0" in name or not name.strip():
        raise PayloadProblem(f"{ATTRIBUTES}/name", "is blank, or holds a NUL character")
    return name


def _one(
    app: App, asked: Asked, template: Template, *, status: int = 200, meta: Any = None
) -> Response:
    told = _told(app, asked, [template])
    return asked.one(_resource(template, told.get(template.number)), status=status, meta=meta)


def _told(app: App, asked: Asked, templates: Sequence[Outline | Template]) -> dict[int, Told]:
    """What is wrong with them, by their numbers, where that is asked for."""
    is_asked = _wants(asked, "problem") or _wants(asked, "warning")
    return app.templates.told(templates) if is_asked else {}


def _resource(template: Template, told: Told | None) -> Resource:
    attributes = TemplateAttributes(
        name=template.name,
        editor_type=template.editor_type,
        html=template.html,
        text=template.text,
        amp=template.amp,
        created=iso_time(template.created_at),
        updated=iso_time(template.updated_at),
        definition=None,
        file=template.file,
        problem=told and told.problem,
        warning=told and told.warning,
    )
    return Resource(TEMPLATE, template.id, attributes)


def _wants(asked: Asked, name: str) -> bool:
    """Whether an attribute is asked for that is told only then."""
    fields, additional = (
        getattr(asked.choice, which).get(TEMPLATE.name, ()) for which in ("fields", "additional")
    )
    return name in fields or name in additional


def _rows(app: App, asked: Asked) -> tuple[list[Outline], Callable[[Outline], str | int]]:
    """What is asked for, behind the last page, in its order; and what it is ordered by."""
    sort = asked.sort or ""
    field, is_descending = sort.removeprefix("-"), sort.startswith("-")
    shape = tuple[_Text, Number] if field in ("id", "name") else tuple[int, Number]
    last = asked.position(shape)

    def key(row: Outline) -> str | int:
        value = getattr(row, _TIMES.get(field, field)) if field else 0
        return int(value.timestamp()) if isinstance(value, datetime) else value

    found = [
        row
        for row in app.templates.outlines()
        if all(_meets(row, each) for each in asked.conditions)
    ]
    found.sort(key=lambda row: (key(row), row.number), reverse=is_descending)
    if last is not None:
        end = tuple(last)
        found = [
            row
            for row in found
            if ((key(row), row.number) < end) is is_descending and (key(row), row.number) != end
        ]
    return found, key


def _meets(row: Outline, condition: Condition) -> bool:
    value = getattr(row, _TIMES.get(condition.field, condition.field))
    return _COMPARE[condition.operator](value, condition.value)
