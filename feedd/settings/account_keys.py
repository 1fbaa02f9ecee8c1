"""The keys of the table `[account]`: whose this feedd is, for clients that ask and for messages that say it.

To add a key: one row in `ACCOUNT_KEYS` or `ADDRESS_KEYS`, its field in `AccountSettings` or `AddressSettings`, its row in
`docs/configuration.md`, and its cases in `tests/test_account_settings.py`.
"""

import re
from urllib.parse import urlsplit

from msgspec import Struct

from feedd.settings.feed_keys import read_currency, read_timezone
from feedd.settings.file import Node
from feedd.settings.values import Key, Reader, WrongValueError, expect, read_keys, text

_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_LOCALE_EXAMPLE = 'locale = "en-US"'
_EMAIL_EXAMPLE = 'sender_email = "shop@example.com"'
_WEBSITE_EXAMPLE = 'website = "https://shop.example"'


class AddressSettings(Struct, frozen=True, kw_only=True):
    """Where the organization is; None where it is not said."""

    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    region: str | None = None
    zip: str | None = None
    country: str | None = None


class AccountSettings(Struct, frozen=True, kw_only=True):
    """Whose this is; what each value means is in `ACCOUNT_KEYS`."""

    organization: str = ""
    sender_name: str = ""
    sender_email: str = ""
    website: str | None = None
    industry: str | None = None
    timezone: str = "UTC"
    currency: str = "USD"
    locale: str = "en-US"
    address: AddressSettings = AddressSettings()


def read_account(node: Node) -> AccountSettings:
    """The table as a whole."""
    if type(node.value) is not dict:
        raise WrongValueError(
            "is not a table", "Write [account], and its keys, such as organization, below it."
        )
    return AccountSettings(**read_keys(node, ACCOUNT_KEYS))


def _address(node: Node) -> AddressSettings:
    if type(node.value) is not dict:
        raise WrongValueError(
            "is not a table", 'Write [account.address], and its keys, such as city = "Oslo", below.'
        )
    return AddressSettings(**read_keys(node, ADDRESS_KEYS))


def _or_empty(read: Reader) -> Reader:
    """What a reader gives; "" says nothing."""

    def read_text(node: Node) -> str:
        return "" if node.value == "" else str(read(node))

    return read_text


def _email(node: Node) -> str:
    value = str(text(_EMAIL_EXAMPLE)(node))
    if not _EMAIL.fullmatch(value):
        raise WrongValueError(
            f"{value!r} is not an email address", f"Write it so: {_EMAIL_EXAMPLE}"
        )
    return value


def _website(node: Node) -> str:
    value = str(text(_WEBSITE_EXAMPLE)(node))
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise WrongValueError(f"{value!r} is not an address", f"Write it so: {_WEBSITE_EXAMPLE}")
    return value


def _locale(node: Node) -> str:
    expect(node.value, str, _LOCALE_EXAMPLE)
    if not _LOCALE.fullmatch(node.value):
        raise WrongValueError(f"{node.value!r} is not a locale", f"Write it so: {_LOCALE_EXAMPLE}")
    return str(node.value)


def _line(name: str, example: str) -> Reader:
    return text(f'{name} = "{example}"')


ACCOUNT_KEYS = (
    Key("organization", "organization", _or_empty(_line("organization", "Example Shop")), "text", '""',
        "the name of the organization"),
    Key("sender_name", "sender_name", _or_empty(_line("sender_name", "Example Shop")), "text", '""',
        "who messages come from, unless they say otherwise"),
    Key("sender_email", "sender_email", _or_empty(_email), "email address", '""',
        "the address that they come from"),
    Key("website", "website", _website, "address", "(none)", "of the shop"),
    Key("industry", "industry", _line("industry", "Housewares"), "text", "(none)", "what it sells"),
    Key("timezone", "timezone", read_timezone, "time zone name", '"UTC"', "what days and hours are meant in"),
    Key("currency", "currency", read_currency, "ISO 4217 code", '"USD"', "what values are counted in"),
    Key("locale", "locale", _locale, "language tag", '"en-US"', "the language and region"),
    Key("address", "address", _address, "table", "(below)", "where the organization is"),
)  # fmt: skip
ADDRESS_KEYS = (
    Key("address1", "address1", _line("address1", "1 Main Street"), "text", "(none)", "street and number"),
    Key("address2", "address2", _line("address2", "2nd floor"), "text", "(none)", "what else there is to say of it"),
    Key("city", "city", _line("city", "Oslo"), "text", "(none)", "the city"),
    Key("region", "region", _line("region", "MA"), "text", "(none)", "state, province or county"),
    Key("zip", "zip", _line("zip", "0150"), "text", "(none)", "the postal code"),
    Key("country", "country", _line("country", "NO"), "text", "(none)", "the country"),
)  # fmt: skip
