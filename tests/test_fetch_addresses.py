"""Which addresses may be dialled. Every spelling of a private one is refused, whatever it is wrapped in."""

import ipaddress

import pytest

from feedd.fetch.addresses import refusal

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
)
PRIVATE = (
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fc00::5efe:8.8.8.8",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)
METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:a9fe:a9fe::",
    "2606:4700::5efe:169.254.169.254",
)
EVERYTHING = ("0.0.0.0/0", "::/0")


def teredo(server: str, client: str) -> str:
    """The Teredo address of a client behind a server (RFC 4380, 4)."""
    inside = int(ipaddress.IPv4Address(client)) ^ 0xFFFF_FFFF
    number = 0x2001_0000 << 96 | int(ipaddress.IPv4Address(server)) << 64 | inside
    return str(ipaddress.IPv6Address(number))


def answer(address: str, *allowed: str) -> str | None:
    return refusal(ipaddress.ip_address(address), allowed)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str):
    assert answer(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str):
    assert answer(address) == "not a public address"


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_allowed_may_be_dialled(address: str):
    assert answer(address, *EVERYTHING) is None


@pytest.mark.parametrize("address", METADATA)
def test_metadata_is_refused_whatever_is_allowed(address: str):
    assert answer(address, *EVERYTHING) == "a cloud's metadata address"


@pytest.mark.parametrize(
    ("address", "network", "reached"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("127.0.0.1", "10.0.0.0/8", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("::ffff:10.1.2.3", "::ffff:10.1.0.0/112", True),
        ("64:ff9b::10.1.2.3", "10.1.0.0/16", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "10.0.0.0/8", False),
        ("64:ff9b:1::10.1.2.3", "10.1.0.0/16", False),
    ],
)
def test_only_the_listed_networks_are_allowed(address: str, network: str, reached: bool):
    assert (answer(address, network) is None) is reached


@pytest.mark.parametrize(
    ("server", "client", "allowed", "reached"),
    [
        ("8.8.8.8", "1.1.1.1", (), True),
        ("10.0.0.1", "1.1.1.1", (), False),
        ("8.8.8.8", "127.0.0.1", (), False),
        ("10.0.0.1", "127.0.0.1", ("10.0.0.0/8",), False),
        ("10.0.0.1", "127.0.0.1", ("10.0.0.0/8", "127.0.0.0/8"), True),
        ("8.8.8.8", "169.254.169.254", EVERYTHING, False),
    ],
)
def test_all_that_a_tunnel_leads_to_must_be_allowed(
    server: str, client: str, allowed: tuple[str, ...], reached: bool
):
    assert (answer(teredo(server, client), *allowed) is None) is reached
