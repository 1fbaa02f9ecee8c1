"""What a template calls people, events and the organization: the variables of one message. Pure.

The names are Klaviyo's: https://developers.klaviyo.com/en/docs/glossary_of_variables and the syntax guides of its help centre.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from feedd.people.values import Event, Profile
from feedd.settings import Settings
from feedd.settings.account_keys import AccountSettings
from feedd.templates.wire import Account, Known

_encode = msgspec.json.encode
# of a profile's own properties, the names that `person.` has for them
_PLACES = {"$city": "City", "$region": "Region", "$country": "Country", "$zip": "Zipcode"}
_PLAIN = ("first_name", "last_name", "title", "organization", "image", "locale", "address1", "address2", "city", "region",
          "country", "zip", "latitude", "longitude", "timezone", "source")  # fmt: skip


def person_of(profile: Profile) -> dict[str, Any]:
    """`person`: the properties under their own names, those with a `$` also without it, and the identifiers.

    A property of the shop's own wins over a name that is made here.
    """
    own = profile.properties
    made: dict[str, Any] = {
        "KlaviyoID": profile.id,
        "feedd_id": profile.id,
        "id": profile.external_id,
        "$id": profile.external_id,
        "external_id": profile.external_id,
        "email": profile.email,
        "$email": profile.email,
        "phone_number": profile.phone_number,
        "$phone_number": profile.phone_number,
        "full_name": " ".join(
            str(part) for name in ("$first_name", "$last_name") if (part := own.get(name))
        ),
        "created": profile.created_at.isoformat(timespec="seconds"),
        "updated": profile.updated_at.isoformat(timespec="seconds"),
    }
    for name in _PLAIN:
        if (value := own.get(f"${name}")) is not None:
            made[name] = value
    for name, shown in _PLACES.items():
        if (value := own.get(name)) is not None:
            made[shown] = value
    return {name: value for name, value in made.items() if value is not None} | own


def event_of(event: Event) -> dict[str, Any]:
    """`event`: its properties under their own names, `$extra` also as `extra`, and what feedd knows of it.

    A property wins over a name that is made here.
    """
    properties = event.properties
    made: dict[str, Any] = {
        "id": event.uuid,
        "metric": event.metric,
        "datetime": event.at.isoformat(timespec="seconds"),
        "timestamp": int(event.at.timestamp()),
    }
    if event.value is not None:
        made["value"] = made["$value"] = event.value
    return made | made_up(properties)


def made_up(properties: Mapping[str, Any]) -> dict[str, Any]:
    """`event` of properties alone: `$extra` and `$value` are there without the `$` too."""
    made = {name[1:]: properties[name] for name in ("$extra", "$value") if name in properties}
    return made | dict(properties)


def organization_of(account: AccountSettings) -> dict[str, Any]:
    """`organization`: the account's own name and address."""
    at = account.address
    street = ", ".join(each for each in (at.address1, at.address2) if each)
    town = " ".join(each for each in (at.region, at.zip) if each)
    whole = ", ".join(each for each in (street, at.city, town, at.country) if each)
    found = {
        "name": account.organization,
        "url": account.website,
        "full_address": whole,
        "street_address": at.address1,
        "street_address2": at.address2,
        "city": at.city,
        "region": at.region,
        "zip_code": at.zip,
        "country": at.country,
        "email": account.sender_email,
    }
    return {name: value for name, value in found.items() if value}


def variables(
    account: AccountSettings,
    *,
    profile: Profile | None = None,
    event: Event | None = None,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """All variables of a message, as a JSON object. `more` is what the caller gives, which wins.

    The bare names `email first_name last_name full_name` and the like are those of the person.
    """
    values: dict[str, Any] = {"organization": organization_of(account), "person": {}, "event": {}}
    if profile is not None:
        person = values["person"] = person_of(profile)
        for name in ("email", "phone_number", "first_name", "last_name", "full_name"):
            if name in person:
                values[name] = person[name]
    if event is not None:
        values["event"] = event_of(event)
    return _encode(values | dict(more or {}))


def known_of(settings: Settings) -> Known:
    """The names of the configuration that templates may have."""
    catalogs = {feed.catalog for feed in settings.feeds.values()}
    return Known(
        web_feeds=tuple(settings.web_feeds), catalogs=tuple(sorted({*catalogs, *settings.feeds}))
    )


def account_of(account: AccountSettings) -> Account:
    """The account as a worker is told of it."""
    at = account.address
    address = {name: value for name in at.__struct_fields__ if (value := getattr(at, name))}
    return Account(
        organization=account.organization,
        timezone=account.timezone,
        currency=account.currency,
        locale=account.locale,
        website=account.website,
        address=address,
    )
