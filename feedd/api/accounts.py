"""Whose account it is, from the table `[account]` of the configuration; there is one."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking
from feedd.api.openapi import Shape
from feedd.api.resources import Resource, ResourceType
from feedd.app import App
from feedd.errors import NotFound
from feedd.settings import AccountSettings

router = APIRouter(tags=["accounts"])
NO_KEY = "account"  # the id while there is no public key


class StreetAddress(Struct, frozen=True, kw_only=True):
    """Where the organization is."""

    address1: str | None
    address2: str | None
    city: str
    region: str | None
    country: str | None
    zip: str | None


class ContactInformation(Struct, frozen=True, kw_only=True):
    """Who the organization is, and who its messages come from."""

    default_sender_name: str
    default_sender_email: str
    website_url: str | None
    organization_name: str
    street_address: StreetAddress


class AccountAttributes(Struct, frozen=True, kw_only=True):
    """The account; `public_api_key` is the oldest one that is in use, "" where there is none."""

    test_account: bool = False
    contact_information: ContactInformation
    industry: str | None
    timezone: str
    preferred_currency: str
    public_api_key: str
    locale: str


ACCOUNT = ResourceType(name="account", attributes=AccountAttributes, scope="accounts")
ACCOUNTS = Asking(ACCOUNT, pages=(1, 1))
ONE_ACCOUNT = Asking(ACCOUNT)


@router.get("/accounts", summary="Whose account it is", **ACCOUNTS.route(shape=Shape.PAGE))
def list_accounts(app: TheApp, asked: Annotated[Asked, Depends(ACCOUNTS)]) -> Response:
    """One account. Its id is its oldest public key that is in use."""
    keys = _public_keys(app)
    return asked.page(
        [_account(app, keys[0] if keys else "")],
        resource=lambda account: account,
        position=lambda _: [],
    )


@router.get("/accounts/{account_id}", summary="The account", **ONE_ACCOUNT.route())
def get_account(
    app: TheApp, account_id: str, asked: Annotated[Asked, Depends(ONE_ACCOUNT)]
) -> Response:
    """By any of its public keys that is in use."""
    keys = _public_keys(app)
    if account_id not in (keys or [NO_KEY]):
        raise NotFound(
            f"there is no account with the id {account_id[:100]!r}",
            hint="GET /api/accounts tells the id of the one that there is.",
        )
    return asked.one(_account(app, account_id if keys else ""))


def _public_keys(app: App) -> list[str]:
    now = datetime.now(UTC)
    return [
        key.prefix
        for key in app.list_keys()
        if key.kind == "public"
        and key.revoked_at is None
        and (key.expires_at is None or key.expires_at > now)
    ]


def _account(app: App, key: str) -> Resource:
    return Resource(ACCOUNT, key or NO_KEY, _attributes(app.settings.account, key))


def _attributes(account: AccountSettings, key: str) -> AccountAttributes:
    address = account.address
    return AccountAttributes(
        contact_information=ContactInformation(
            default_sender_name=account.sender_name,
            default_sender_email=account.sender_email,
            website_url=account.website,
            organization_name=account.organization,
            street_address=StreetAddress(
                address1=address.address1,
                address2=address.address2,
                city=address.city or "",  # which published clients take no null for
                region=address.region,
                country=address.country,
                zip=address.zip,
            ),
        ),
        industry=account.industry,
        timezone=account.timezone,
        preferred_currency=account.currency,
        public_api_key=key,
        locale=account.locale,
    )
