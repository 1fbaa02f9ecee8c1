"""What `feedd check` asks of the stages beyond what the configuration says by itself."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from feedd.fetch.addresses import refusal
from feedd.schema import SchemaError, load_schema


def schema_problem(name_or_path: str, base_dir: Path) -> tuple[str, str] | None:
    """What is wrong with a schema that a configuration names, and what to do; None when it can be used."""
    try:
        load_schema(name_or_path, base_dir=base_dir)
    except SchemaError as error:
        return f"{error.where}: {error.message}", error.hint
    return None


def address_problem(url: str, allow_private: tuple[str, ...]) -> tuple[str, str] | None:
    """What is wrong with an address whose host is a number, or this machine; names are looked up when they are dialled."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    reason = refusal(address, allow_private)
    if reason is None:
        return None
    return (
        f"{host} is {reason}",
        f'If it is inside your own network: allow_private = ["{_network_of(address)}"]',
    )


def private_networks(url: str) -> list[str]:
    """What `allow_private` has to hold for an address, by what its host's name stands for now."""
    host = urlsplit(url).hostname
    if not host:
        return []
    try:
        found = {str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return []
    addresses = sorted(map(ip_address, found), key=str)
    return list(dict.fromkeys(_network_of(each) for each in addresses if refusal(each)))


def _network_of(address: IPv4Address | IPv6Address) -> str:
    return "127.0.0.0/8" if address.is_loopback and address.version == 4 else str(address)
