"""What calls about templates are sent, with examples."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from feedd.people.limits import PayloadProblem
from feedd.store.templates import Sources
from feedd.template_files import MOST_BYTES

ATTRIBUTES = "/data/attributes"
EDITABLE = ("CODE", "USER_DRAGGABLE")  # whose HTML is written by people
SYSTEM = "SYSTEM_DRAGGABLE"
_HINT = f"Send its HTML, with the editor_type {EDITABLE[0]}."

Name = Annotated[str, Meta(min_length=1, max_length=255)]


class CreateAttributes(Struct, kw_only=True):
    name: Name
    editor_type: str
    html: str | None = None
    text: str | None = None
    amp: str | None = None
    definition: dict[str, Any] | None = None


class CreateData(Struct):
    type: Literal["template"]
    attributes: CreateAttributes


class CreateDocument(Struct):
    """A template: its HTML, and its plain text where that is not to be derived from it."""

    data: CreateData


class UpdateAttributes(Struct, kw_only=True):
    name: Name | None = None
    html: str | None = None
    text: str | UnsetType | None = UNSET
    amp: str | UnsetType | None = UNSET
    definition: dict[str, Any] | None = None


class UpdateData(Struct):
    type: Literal["template"]
    attributes: UpdateAttributes
    id: str | None = None


class UpdateDocument(Struct):
    """What of a template is changed; a `text` that is null is derived from the HTML from then on."""

    data: UpdateData


class CloneAttributes(Struct, frozen=True, kw_only=True):
    name: Name | None = None
    id: str | None = None


class CloneData(Struct):
    type: Literal["template"]
    attributes: CloneAttributes = CloneAttributes()
    id: str | None = None


class CloneDocument(Struct):
    """`{"data": {"type": "template", "id", "attributes": {"name"}}}`; the id may stand among the attributes."""

    data: CloneData


class RenderAttributes(Struct, kw_only=True):
    context: dict[str, Any]
    id: str | None = None


class RenderData(Struct):
    type: Literal["template"]
    attributes: RenderAttributes
    id: str | None = None


class RenderDocument(Struct):
    """`context` are the variables of the template. The id may stand among the attributes, as in revisions before 2023-09-15."""

    data: RenderData


def new_sources(given: CreateAttributes) -> Sources:
    """The sources of a template that is to be made. Raises PayloadProblem."""
    if given.editor_type not in EDITABLE or given.definition is not None:
        _refuse_definition(given.editor_type)
    if given.html is None:
        raise PayloadProblem(f"{ATTRIBUTES}/html", "is missing")
    for part in ("html", "text", "amp"):
        _check(part, getattr(given, part))
    return Sources(html=given.html, text=given.text or None, amp=given.amp or None)


def changed_fields(given: UpdateAttributes) -> dict[str, Any]:
    """What a call changes of a template, by the names of its fields. Raises PayloadProblem."""
    if given.definition is not None:
        _refuse_definition(SYSTEM)
    changes: dict[str, Any] = {
        name: value for name in ("name", "html") if (value := getattr(given, name)) is not None
    }
    for part in ("text", "amp"):
        value = getattr(given, part)
        if value is not UNSET:
            changes[part] = value or None
    for part, value in changes.items():
        _check(part, value)
    return changes


def id_of(data: CloneData | RenderData) -> tuple[str, str]:
    """The id of the template that a call is about, and where it stands. Raises PayloadProblem."""
    if data.id is not None:
        return data.id, "/data/id"
    if data.attributes.id is not None:
        return data.attributes.id, f"{ATTRIBUTES}/id"
    raise PayloadProblem("/data/id", "is missing")


def _refuse_definition(editor_type: str) -> None:
    if editor_type not in (*EDITABLE, SYSTEM):
        known = ", ".join((*EDITABLE, SYSTEM))
        raise PayloadProblem(f"{ATTRIBUTES}/editor_type", f"is none of {known}", hint=_HINT)
    where = "editor_type" if editor_type == SYSTEM else "definition"
    raise PayloadProblem(
        f"{ATTRIBUTES}/{where}",
        "drag-and-drop templates that are made of a definition are not in feedd",
        hint=_HINT,
    )


def _check(part: str, value: str | None) -> None:
    if value is None:
        return
    if "\0" in value:
        raise PayloadProblem(f"{ATTRIBUTES}/{part}", "holds a NUL character")
    if len(value.encode()) > MOST_BYTES:
        raise PayloadProblem(f"{ATTRIBUTES}/{part}", f"is larger than {MOST_BYTES // 1024:,} KB")


def _example(attributes: dict[str, Any], id_: str | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "template", "attributes": attributes}
    return {
        "data": data if id_ is None else {"type": "template", "id": id_, "attributes": attributes}
    }


_HTML = "<p>Hi {{ first_name|default:'there' }}, {{ event.extra.title }} is yours.</p> {% unsubscribe %}"
CREATE_EXAMPLE = _example({"name": "Order confirmation", "editor_type": "CODE", "html": _HTML})
UPDATE_EXAMPLE = _example({"name": "Order confirmation 2", "text": None}, "Ab12Cd")
CLONE_EXAMPLE = _example({"name": "Order confirmation, spring"}, "Ab12Cd")
RENDER_EXAMPLE = _example(
    {"context": {"first_name": "Jane", "event": {"extra": {"title": "Mug"}}}}, "Ab12Cd"
)
