"""API keys, over the unix socket only."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from msgspec import Meta, Struct

from feedd.api.access import TheApp, local_only
from feedd.api.asking import PAGES, Asked, Asking, Number
from feedd.api.body import BodyError, json_body
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType, attributes_of, like
from feedd.model import ApiKey
from feedd.scopes import check_scopes

router = APIRouter(tags=["api-keys"], dependencies=[Depends(local_only)])
MOST_KEEP_S = 365 * 86_400.0


class _KeyAttributes(Struct):
    kind: Literal["private", "public"]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: tuple[str, ...] = ("read", "write")


class _KeyData(Struct):
    attributes: _KeyAttributes
    type: Literal["api-key"] = "api-key"


class KeyRequest(Struct):
    """`{"data": {"type": "api-key", "attributes": {"kind": "private", "name": …, "scopes": ["profiles:read"]}}}`"""

    data: _KeyData


class _Rotation(Struct):
    key: Annotated[str, Meta(min_length=1, max_length=200)]
    keep_s: Annotated[float, Meta(ge=0, le=MOST_KEEP_S)] = 0.0


class _RotationData(Struct):
    attributes: _Rotation
    type: Literal["api-key-rotation"] = "api-key-rotation"


class RotationRequest(Struct):
    """`{"data": {"type": "api-key-rotation", "attributes": {"key": "pk_Ab12Cd34", "keep_s": 86400}}}`"""

    data: _RotationData


KEY_EXAMPLE = {
    "data": {
        "type": "api-key",
        "attributes": {"kind": "private", "name": "shop-site", "scopes": ["read"]},
    }
}
ROTATION_EXAMPLE = {
    "data": {
        "type": "api-key-rotation",
        "attributes": {"key": "pk_Ab12Cd34", "keep_s": 86400},
    }
}


class RotationAttributes(Struct):
    """The key that was replaced, the new one, and the text of that."""

    old: ApiKey
    new: ApiKey
    key: str


KEY = ResourceType(
    name="api-key",
    attributes=like("KeyAttributes", ApiKey, but=("id",), key=str),
    scope="api-keys",
    has_page=False,
)
ROTATION = ResourceType(
    name="api-key-rotation", attributes=RotationAttributes, scope="api-keys", has_page=False
)
ONE_KEY = Asking(KEY)
KEYS = Asking(KEY, pages=PAGES)
ONE_ROTATION = Asking(ROTATION)


@router.get(
    "/api-keys", summary="The API keys, without their secrets", **KEYS.route(shape=Shape.PAGE)
)
def list_keys(app: TheApp, asked: Annotated[Asked, Depends(KEYS)]) -> Response:
    position = asked.position(tuple[Number])
    after = 0 if position is None else int(position[0])
    rows = [key for key in app.list_keys() if key.id > after]
    return asked.page(rows, resource=key_resource, position=lambda key: [key.id])


@router.post(
    "/api-keys",
    summary="Make a key",
    **ONE_KEY.route(status=201, body=(KeyRequest, KEY_EXAMPLE)),
)
def create_key(
    app: TheApp,
    request: Annotated[KeyRequest, Depends(json_body(KeyRequest))],
    asked: Annotated[Asked, Depends(ONE_KEY)],
) -> Response:
    """`key` is in this answer only. `scopes` are `read`, `write`, and those of one resource, such as `profiles:read`."""
    wanted = request.data.attributes
    if not wanted.name.isprintable() or not wanted.name.strip():
        raise BodyError(
            "the name holds a control character, or nothing", pointer="/data/attributes/name"
        )
    scopes = check_scopes(wanted.scopes) if wanted.kind == "private" else ()
    made, text = app.create_key(kind=wanted.kind, name=wanted.name, scopes=scopes)
    attributes = attributes_of(made, but=("id",)) | {"key": text}
    return asked.one(Resource(KEY, made.prefix, attributes), status=201)


@router.post(
    "/api-key-rotations",
    summary="Replace a key by a new one of the same name, kind and scopes",
    **ONE_ROTATION.route(status=201, body=(RotationRequest, ROTATION_EXAMPLE)),
)
def rotate_key(
    app: TheApp,
    request: Annotated[RotationRequest, Depends(json_body(RotationRequest))],
    asked: Annotated[Asked, Depends(ONE_ROTATION)],
) -> Response:
    """The old one goes on for `keep_s` seconds, or ends at once. `key`, the text of the new one, is in this answer only."""
    wanted = request.data.attributes
    old, new, text = app.rotate_key(wanted.key, keep=timedelta(seconds=wanted.keep_s))
    attributes = RotationAttributes(old=old, new=new, key=text)
    return asked.one(Resource(ROTATION, new.prefix, attributes), status=201)


@router.delete("/api-keys/{prefix}", summary="Revoke a key", **ONE_KEY.route())
def revoke_key(app: TheApp, prefix: str, asked: Annotated[Asked, Depends(ONE_KEY)]) -> Response:
    return asked.one(key_resource(app.revoke_key(prefix)))


def key_resource(key: ApiKey) -> Resource:
    """A key as a resource."""
    return Resource(KEY, key.prefix, attributes_of(key, but=("id",)))
