"""Which IP addresses a feed may be fetched from.

The table is our own: on some Python versions `ipaddress.is_global` calls NAT64, 6to4 and multicast addresses public.
Sources: the IANA special-purpose address registries for IPv4 and IPv6, RFC 6890.
"""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# where a cloud keeps a machine's credentials: never reachable, whatever a feed is allowed
_METADATA = tuple(
    map(ipaddress.ip_network, ("169.254.169.254/32", "fd00:ec2::254/128", "100.100.100.200/32"))
)
_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # the only block given out for global unicast
_REFUSED_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def refusal(address: Address, allowed: Iterable[str] = ()) -> str | None:
    """Why an address may not be dialled, None if it may; `allowed` are the networks this feed may use besides.

    An IPv4 address that is embedded in an IPv6 one counts as itself.
    """
    forms = [address, *_embedded(address)]
    if any(form in network for form in forms for network in _METADATA):
        return "a cloud's metadata address"
    networks = [ipaddress.ip_network(network) for network in allowed]
    if any(form in network for form in forms for network in networks):
        return None
    return "not a public address" if any(not _is_public(form) for form in forms) else None


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED)
    if _embedded(address):
        return True  # decided by what is inside
    return address in _PUBLIC_IPV6 and not any(address in network for network in _REFUSED_IPV6)


def _embedded(address: Address) -> list[Address]:
    """The IPv4 addresses that a translator or tunnel may make of an IPv6 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    number = int(address)
    low = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    high_bits = number >> 32
    if (
        high_bits in (0, 0xFFFF, 0xFFFF0000) and number > 1
    ):  # ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d
        return [low]
    if address in _NAT64:
        return [low]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    return []
