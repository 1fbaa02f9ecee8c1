"""What calls about profiles are sent, as OpenAPI tells it, with examples. What is in a profile is read by `feedd.people.documents`."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from feedd.people.documents import Location
from feedd.people.job_rows import MOST_PROFILES


class ProfileBodyAttributes(Struct, kw_only=True):
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


class PatchProperties(Struct):
    append: dict[str, Any] | None = None
    unappend: dict[str, Any] | None = None
    unset: str | list[str] | None = None


class AnonymousIds(Struct):
    anonymous_id: str | list[str] | None = None


class PatchIdentifiers(Struct):
    append: AnonymousIds | None = None
    unappend: AnonymousIds | None = None


class ProfileMeta(Struct):
    patch_properties: PatchProperties | None = None
    patch_identifiers: PatchIdentifiers | None = None


class ProfileData(Struct):
    type: Literal["profile"]
    attributes: ProfileBodyAttributes
    id: str | None = None
    meta: ProfileMeta | UnsetType = UNSET


class ProfileDocument(Struct):
    """A profile: what is null is cleared, what is absent stays."""

    data: ProfileData


class ProfileIdentifier(Struct):
    type: Literal["profile"]
    id: Annotated[str, Meta(min_length=1)]


class MergeSource(Struct):
    data: Annotated[list[ProfileIdentifier], Meta(min_length=1, max_length=1)]


class MergeRelationships(Struct):
    profiles: MergeSource


class MergeData(Struct):
    type: Literal["profile-merge"]
    id: Annotated[str, Meta(min_length=1)]
    relationships: MergeRelationships


class MergeDocument(Struct):
    """`{"data": {"type": "profile-merge", "id", "relationships": {"profiles": {"data": [{"type": "profile", "id"}]}}}}`"""

    data: MergeData


class ImportedProfiles(Struct):
    data: Annotated[list[ProfileData], Meta(min_length=1, max_length=MOST_PROFILES)]


class ImportAttributes(Struct):
    profiles: ImportedProfiles


class ImportData(Struct):
    type: Literal["profile-bulk-import-job"]
    attributes: ImportAttributes


class ImportBody(Struct):
    """Profiles, each of them as one alone is sent."""

    data: ImportData


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
