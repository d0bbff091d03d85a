"""Which addresses webhooks may connect to: the decision is made on the address of each connection itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# Python's `is_global` is not enough: it calls multicast and anycast blocks global, and old releases lack some blocks.
# It is asked too, because a newer release may know a block that is missing here.
_SPECIAL_IPV4: Final = tuple(
    IPv4Network(it)
    for it in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
"""The blocks of IANA's registry of special-purpose IPv4 addresses as of 2025-10-09, and multicast.

The registry lists some anycast blocks as global, but their nearest server may be in the own network.
"""
_SPECIAL_IPV6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")))
"""The same for IPv6, within `_UNICAST`: protocols (Teredo too), documentation and AS112."""
_UNICAST: Final = IPv6Network("2000::/3")
"""The only IPv6 addresses that are assigned to the Internet's hosts."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


class NotAllowedError(OSError):
    """The file does not allow a connection to this address."""


def is_public(address: Address) -> bool:
    """Return whether an address is one of the Internet: not private, loopback, link-local, multicast or reserved.

    An IPv6 address that leads to an IPv4 address is public only if that one is.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _SPECIAL_IPV4)
    if (leads_to := _embedded(address)) is not None:
        return is_public(leads_to)
    return address.is_global and address in _UNICAST and not any(address in block for block in _SPECIAL_IPV6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that a mapped, 6to4 or NAT64 address leads to; None for others."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def literal_address(host: str) -> Address | None:
    """Return the address that a URL's host is, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


Admits: TypeAlias = Callable[[Address], bool]


def checked_sockets(admits: Admits) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Return a function that makes sockets for connections to admitted addresses only.

    It gets the address that the socket is about to connect to. A second name lookup with another result, as in DNS
    rebinding, therefore has no effect.
    """

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not admits(ip_address(address[0])):
            raise NotAllowedError("its address is not public; allow_private = true in the file would permit it")
        return socket.socket(family, kind, protocol)

    return make
