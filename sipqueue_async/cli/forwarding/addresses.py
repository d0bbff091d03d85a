"""Which addresses webhooks may connect to: the decision is made on the address of each connection itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_UNICAST: Final = IPv6Network("2000::/3")
"""The addresses of the Internet; others that Python counts as global lead nowhere, or to IPv4 addresses."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


class NotAllowedError(OSError):
    """The file does not allow a connection to this address."""


def is_public(address: Address) -> bool:
    """Return whether an address is one of the Internet: not private, loopback, link-local, multicast or reserved.

    An IPv6 address that leads to an IPv4 address is public only if that one is.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if embedded := _embedded(address):
        # Interpreters differ in whether they count such addresses as global.
        return all(map(is_public, embedded))
    return address.is_global and address in _UNICAST


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [it for it in found if it is not None]


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
