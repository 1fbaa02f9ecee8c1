"""The values that the people side is about: who somebody is, what is changed, what happened. Pure.

Identifiers are normalized before they stand here (`identifiers`), and what is known of a person lies in one mapping of
properties: the special ones under their `$` names (`$first_name`, `$city`), a shop's own under theirs. The identifiers
`$email`, `$phone_number`, `$id` and `$anonymous` are never among them.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
from msgspec import Raw, Struct


class Kind(IntEnum):
    """The kinds of identifiers, those that decide first first; the number is stored."""

    PROFILE = 0  # feedd's own id of the profile, or of one that was merged into it
    EMAIL = 1
    PHONE = 2
    EXTERNAL = 3  # the customer id of the shop, `$id`
    ANONYMOUS = 4  # of a device or browser; a profile may have many


class Source(IntEnum):
    """Where an event came from; the number is stored."""

    SERVER = 0  # over the unix socket, or with a private key
    CLIENT = 1  # with a public key, from a page or an app
    FEEDD = 2  # feedd itself, from a change of the catalog
    IMPORT = 3


Identifier = tuple[Kind, str]

_values = msgspec.json.Decoder(dict[str, Any]).decode
_texts = msgspec.json.Decoder(dict[str, Raw]).decode


class Identifiers(Struct, frozen=True, kw_only=True):
    """Whose action it is: normalized identifiers, at least one."""

    profile: str | None = None
    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    anonymous_ids: tuple[str, ...] = ()

    def given(self) -> list[Identifier]:
        """Those that are given, those that decide first first."""
        single = (
            (Kind.PROFILE, self.profile),
            (Kind.EMAIL, self.email),
            (Kind.PHONE, self.phone_number),
            (Kind.EXTERNAL, self.external_id),
        )
        found = [(kind, value) for kind, value in single if value is not None]
        return found + [(Kind.ANONYMOUS, value) for value in self.anonymous_ids]


class Patch(Struct, frozen=True, kw_only=True):
    """What is changed of a profile's properties. Absent ones are left; null, and `unset`, clear.

    `append` adds values to the end of lists where they are not in them yet, `unappend` takes them out; a property that is no list
    counts as a list of itself. For trusted callers, `clear` names identifiers that go (`$email`, `$phone_number`, `$id`), and `leave`
    are anonymous ids that are not this profile's any more.
    """

    set: Mapping[str, Any] = {}
    append: Mapping[str, Any] = {}
    unappend: Mapping[str, Any] = {}
    unset: tuple[str, ...] = ()
    clear: tuple[Kind, ...] = ()
    leave: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not (
            self.set or self.append or self.unappend or self.unset or self.clear or self.leave
        )


NOTHING = Patch()


class NewEvent(Struct, frozen=True, kw_only=True):
    """Something that somebody did. `at` is in Unix seconds; `properties` is the text of a JSON object, as it was sent.

    `unique_id` is null where none was given: then `at` stands for it. Of an event that is recorded `once`, a profile has at
    most one of that metric. `items` are the ids of catalog items that it names, for the rules that want them
    (rule, item id). `service` is the integration that the metric is of, where the event makes it and its sender is trusted.
    """

    metric: str
    at: int
    properties: bytes
    value: float | None = None
    unique_id: str | None = None
    once: bool = False
    items: tuple[tuple[str, str], ...] = ()
    service: str | None = None


class Action(Struct, frozen=True, kw_only=True):
    """One thing to record: who, what is changed of them, what they did.

    Who is `trusted` may change identifiers that are there; anybody may add those that are missing. Of one that is `strict`, nothing
    is done where not all can be: somebody else is known by an identifier, the profile is not there, or would be too large.
    """

    who: Identifiers
    patch: Patch = NOTHING
    event: NewEvent | None = None
    trusted: bool = False
    source: Source = Source.SERVER
    only_existing: bool = False  # no profile is made
    only_new: bool = False  # nothing is done where an identifier is anybody's already
    strict: bool = False


class Refusal(StrEnum):
    """What of an action was not done, while the rest of it was."""

    PROFILE_TOO_LARGE = "profile_too_large"  # its properties would be; they are as they were
    TOO_MANY_METRICS = "too_many_metrics"  # for whoever is not trusted to make another one
    TAKEN = "taken"  # nothing was done: `ignored` names the identifier, `profile` whose it is
    NO_PROFILE = "no_profile"  # nothing was done: there is no profile with that id


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of an action. `profile` is its number, null where none was found and none was to be made.

    `event` is the number of the stored event; null where it is a `duplicate`, or where there was none. `ignored` are identifiers
    that were given and not taken: one that is there was not to be changed, or it is another profile's. `refused` is what else
    was not done; an event is recorded all the same where it can be.
    """

    profile: int | None
    created: bool = False
    event: int | None = None
    duplicate: bool = False
    ignored: tuple[Identifier, ...] = ()
    refused: Refusal | None = None


class Profile(Struct, frozen=True, kw_only=True):
    """A person. `properties` as at the top of this module; `number` is the row's."""

    id: str
    number: int
    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    anonymous_ids: tuple[str, ...] = ()
    properties: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime
    last_event_at: datetime | None = None


class Metric(Struct, frozen=True, kw_only=True):
    """The name of a kind of action."""

    id: str
    number: int
    name: str
    integration: str = "API"
    created_at: datetime


class Event(Struct, frozen=True, kw_only=True):
    """One thing that somebody did. `number` is the order of recording; `uuid` follows from it and the database.

    `sent` is the text of its properties, a JSON object, as it was sent.
    """

    number: int
    uuid: str
    metric: str
    metric_id: str
    profile: str
    at: datetime
    value: float | None = None
    sent: Raw = msgspec.field(default=Raw(b"{}"), name="properties")
    source: Source = Source.SERVER

    @property
    def properties(self) -> dict[str, Any]:
        """The properties as values: a number with a fraction is the nearest double."""
        return _values(self.sent)

    def members(self) -> dict[str, Raw]:
        """The properties, each as the text that was sent, to the last digit."""
        return _texts(self.sent)
