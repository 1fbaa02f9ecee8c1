"""What a column of a table of people is: the names that its heading may have, and the heading that it gets. Pure.

A heading that no rule knows is the name of a property, as it stands. `properties.NAME` is the property NAME whatever its name is, so
that one called `Email` can be told from the email address. Headings follow the CSV files that Klaviyo takes and gives.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from feedd.people.values import Kind

PROPERTY = "properties."


class Column(Struct, frozen=True):
    """An identifier, or the property of that name."""

    name: str
    identifier: Kind | None = None


PROFILE_ID = Column("Profile ID", Kind.PROFILE)
EMAIL = Column("$email", Kind.EMAIL)
PHONE_NUMBER = Column("$phone_number", Kind.PHONE)
EXTERNAL_ID = Column("$id", Kind.EXTERNAL)
ANONYMOUS_IDS = Column("$anonymous", Kind.ANONYMOUS)
IDENTIFIERS = (PROFILE_ID, EMAIL, PHONE_NUMBER, EXTERNAL_ID, ANONYMOUS_IDS)

# what is an identifier wherever it stands
_RESERVED: Mapping[str, Column] = MappingProxyType(
    {column.name: column for column in IDENTIFIERS if column.name.startswith("$")}
)

# the heading that a column gets, and others that are understood; case, spaces, `_`, `-` and `/` make no difference
_HEADINGS: tuple[tuple[Column, str, tuple[str, ...]], ...] = (
    (PROFILE_ID, "Profile ID", ()),
    (EMAIL, "Email", ("Email Address", "$email")),
    (PHONE_NUMBER, "Phone Number", ("Phone", "$phone_number")),
    (EXTERNAL_ID, "External ID", ("$id",)),
    (ANONYMOUS_IDS, "Anonymous IDs", ("Anonymous ID", "$anonymous")),
    (Column("$first_name"), "First Name", ()),
    (Column("$last_name"), "Last Name", ()),
    (Column("$title"), "Title", ()),
    (Column("$organization"), "Organization", ()),
    (Column("$address1"), "Address", ("Address 1",)),
    (Column("$address2"), "Address 2", ()),
    (Column("$city"), "City", ()),
    (Column("$region"), "State / Region", ("Region", "State")),
    (Column("$zip"), "Zip Code", ("Zip", "Postal Code")),
    (Column("$country"), "Country", ()),
    (Column("$latitude"), "Latitude", ()),
    (Column("$longitude"), "Longitude", ()),
    (Column("$timezone"), "Timezone", ()),
    (Column("$image"), "Image", ()),
    (Column("$source"), "Source", ()),
    (Column("$consent"), "Consent", ()),
)
SPECIAL = tuple(column.name for column, _, _ in _HEADINGS if column.identifier is None)
# the special properties that are text: `0123` and `true` stay what they are
TEXTS = frozenset(SPECIAL) - {"$latitude", "$longitude", "$consent"}


def _plain(heading: str) -> str:
    return re.sub(r"[\s_/-]", "", heading).casefold()


_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        _plain(name): column
        for column, heading, others in _HEADINGS
        for name in (heading, column.name, column.name.lstrip("$"), *others)
        if name
        not in ("id", "profile", "anonymous", "$profile")  # too likely to mean something else
    }
)
_GIVEN: Mapping[Column, str] = MappingProxyType({c: heading for c, heading, _ in _HEADINGS})


def column_of(heading: str) -> Column:
    """The column that a heading names. The `$` names of identifiers are never properties."""
    if heading.startswith(PROPERTY):
        return property_column(heading[len(PROPERTY) :])
    return _COLUMNS.get(_plain(heading)) or Column(heading.strip())


def property_column(name: str) -> Column:
    """The column of what stands among properties under that name."""
    return _RESERVED.get(name) or Column(name)


def heading_of(column: Column) -> str:
    """The heading of a column: what `column_of` takes for it."""
    return _GIVEN.get(column) or property_heading(column.name)


def property_heading(name: str) -> str:
    """The heading of a property whose cells are typed, special ones too."""
    is_plain = name != "" and name not in SPECIAL and column_of(name) == Column(name)
    return name if is_plain else PROPERTY + name
