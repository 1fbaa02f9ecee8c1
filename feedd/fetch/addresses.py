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
    map(
        ipaddress.ip_network,
        (
            "169.254.169.254/32",  # AWS, Azure, Google and most others
            "169.254.170.2/32",  # AWS containers
            "169.254.170.23/32",
            "fd00:ec2::23/128",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",  # Google
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure, an address that looks public
        ),
    )
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
# what reaches the IPv4 address in its last 32 bits: compatible, mapped, translated (RFC 4291, 2765, 6052)
_IN_LAST_BITS = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215: private, whatever is in it
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: before the last 32 bits, under any prefix


def refusal(address: Address, allowed: Iterable[str] = ()) -> str | None:
    """Why an address may not be dialled, None if it may; `allowed` are the networks this feed may use besides.

    An IPv4 address that is embedded in an IPv6 one counts as itself.
    """
    forms = [address, *_embedded(address)]
    if any(_is_in(form, _METADATA) for form in forms):
        return "a cloud's metadata address"
    networks = tuple(ipaddress.ip_network(network) for network in allowed)
    if _is_in(address, networks) or all(_is_public(f) or _is_in(f, networks) for f in forms):
        return None
    return "not a public address"


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _is_in(address, _REFUSED)
    if _tunnelled(address):
        return True  # decided by what is inside
    return address in _PUBLIC_IPV6 and not _is_in(address, _REFUSED_IPV6)


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one may end up at."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address in _LOCAL_NAT64 or (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return [*_tunnelled(address), _last_bits(address)]
    return _tunnelled(address)


def _tunnelled(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses of an IPv6 one that is nothing but their wrapping."""
    if _is_in(address, _IN_LAST_BITS) and int(address) > 1:  # :: and ::1 are themselves
        return [_last_bits(address)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    return []


def _last_bits(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
