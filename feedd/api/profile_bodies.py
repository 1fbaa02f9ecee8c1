"""What calls about profiles are sent, as OpenAPI tells it, with examples. What is in a profile is read by `feedd.people.documents`."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from feedd.people.documents import Location


class _Attributes(Struct, kw_only=True):
    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    anonymous_id: str | None = None
    kx: str | None = field(default=None, name="_kx")
    first_name: str | None = None
    last_name: str | None = None
    organization: str | None = None
    locale: str | None = None
    title: str | None = None
    image: str | None = None
    location: Location | None = None
    properties: dict[str, Any] | None = None


class _PatchProperties(Struct):
    append: dict[str, Any] | None = None
    unappend: dict[str, Any] | None = None
    unset: str | list[str] | None = None


class _AnonymousIds(Struct):
    anonymous_id: str | list[str] | None = None


class _PatchIdentifiers(Struct):
    append: _AnonymousIds | None = None
    unappend: _AnonymousIds | None = None


class _Meta(Struct):
    patch_properties: _PatchProperties | None = None
    patch_identifiers: _PatchIdentifiers | None = None


class _ProfileData(Struct):
    type: Literal["profile"]
    attributes: _Attributes
    id: str | None = None
    meta: _Meta | UnsetType = UNSET


class ProfileDocument(Struct):
    """`{"data": {"type": "profile", "id", "attributes", "meta"}}`"""

    data: _ProfileData


class _Named(Struct):
    type: Literal["profile"]
    id: Annotated[str, Meta(min_length=1)]


class _OneSource(Struct):
    data: Annotated[list[_Named], Meta(min_length=1, max_length=1)]


class _Sources(Struct):
    profiles: _OneSource


class _MergeData(Struct):
    type: Literal["profile-merge"]
    id: Annotated[str, Meta(min_length=1)]
    relationships: _Sources


class MergeDocument(Struct):
    """`{"data": {"type": "profile-merge", "id", "relationships": {"profiles": {"data": [{"type": "profile", "id"}]}}}}`"""

    data: _MergeData


EXAMPLE: dict[str, Any] = {
    "data": {
        "type": "profile",
        "attributes": {
            "email": "jane.doe@example.com",
            "first_name": "Jane",
            "location": {"city": "Boston", "country": "United States"},
            "properties": {"plan": "gold", "sizes": ["S"]},
        },
    }
}
PATCH_EXAMPLE: dict[str, Any] = {
    "data": {
        **EXAMPLE["data"],
        "meta": {"patch_properties": {"append": {"sizes": "M"}, "unset": ["old_plan"]}},
    }
}
MERGE_EXAMPLE: dict[str, Any] = {
    "data": {
        "type": "profile-merge",
        "id": "01KE8VXQ5T4S1R2N3M4P5Q6R7S",
        "relationships": {
            "profiles": {"data": [{"type": "profile", "id": "01KE8VXQ5T7A8B9C0D1E2F3G4H"}]}
        },
    }
}
