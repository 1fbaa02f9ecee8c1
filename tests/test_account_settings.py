"""[account] becomes settings, or every problem with its place and what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from feedd.errors import ConfigError
from feedd.settings import AccountSettings, Settings, load
from feedd.settings.account_keys import ACCOUNT_KEYS, ADDRESS_KEYS, AddressSettings


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / "feedd.toml"
    path.write_text(text)
    return load(path, environ={}, cwd=folder)


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = """
[account]
organization = "Example Shop"
sender_name = "Jane of Example Shop"
sender_email = "shop@example.com"
website = "https://shop.example/no"
industry = "Housewares"
timezone = "Europe/Oslo"
currency = "NOK"
locale = "nb-NO"
[account.address]
address1 = "1 Main Street"
address2 = "2nd floor"
city = "Oslo"
region = "Oslo"
zip = "0150"
country = "NO"
"""
    assert settings_of(tmp_path, text).account == AccountSettings(
        organization="Example Shop",
        sender_name="Jane of Example Shop",
        sender_email="shop@example.com",
        website="https://shop.example/no",
        industry="Housewares",
        timezone="Europe/Oslo",
        currency="NOK",
        locale="nb-NO",
        address=AddressSettings(
            address1="1 Main Street",
            address2="2nd floor",
            city="Oslo",
            region="Oslo",
            zip="0150",
            country="NO",
        ),
    )


@pytest.mark.parametrize("text", ["", "[account]", "[account.address]"])
def test_nothing_need_be_said(tmp_path: Path, text: str) -> None:
    assert settings_of(tmp_path, text).account == AccountSettings()


@pytest.mark.parametrize("key", ACCOUNT_KEYS, ids=lambda key: key.name)
def test_a_documented_default_is_the_default(tmp_path: Path, key: Any) -> None:
    if not key.default.startswith("("):
        found = settings_of(tmp_path, f"[account]\n{key.name} = {key.default}")
        assert found.account == AccountSettings()


@pytest.mark.parametrize(
    ("text", "key", "message", "hint"),
    [
        ('account = "shop"', "account", "not a table", "[account]"),
        ("[account]\naddress = 1", "account.address", "not a table", "[account.address]"),
        ('[account]\nname = "x"', "account.name", "no such key", ""),
        ('[account]\nsender_email = "shop"', "account.sender_email", "not an email address", "@"),
        ('[account]\nwebsite = "shop.example"', "account.website", "not an address", "https://"),
        ('[account]\nwebsite = "https://[x"', "account.website", "not an address", "https://"),
        ('[account]\ncurrency = "kr"', "account.currency", "currency code", "EUR"),
        ('[account]\ntimezone = "Oslo"', "account.timezone", "time zone", ""),
        ('[account]\nlocale = "Norwegian Bokmål"', "account.locale", "not a locale", "en-US"),
        ("[account]\norganization = 5", "account.organization", "not text", "organization ="),
        ('[account.address]\ncity = ""', "account.address.city", "is empty", "Oslo"),
        ('[account.address]\nstreet = "x"', "account.address.street", "no such key", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, text: str, key: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.key, bool(problem.line)) == (key, True)
    assert message in problem.message
    assert hint in problem.hint


def test_every_field_has_a_key() -> None:
    assert {key.field for key in ACCOUNT_KEYS} == set(AccountSettings.__struct_fields__)
    assert {key.field for key in ADDRESS_KEYS} == set(AddressSettings.__struct_fields__)
