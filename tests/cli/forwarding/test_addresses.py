"""Which addresses are public."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipqueue_async.cli.forwarding.addresses import NotAllowedError, checked_sockets, is_public, literal_address

REGISTERED = (
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32",
    "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32",
    "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    "255.255.255.255/32", "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128",
    "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
)  # fmt: skip
"""All blocks of IANA's registries of special-purpose addresses, IPv4 and IPv6, both of 2025-10-09."""
LEADING = ("::ffff:0:0/96", "64:ff9b::/96", "2002::/16")
"""Those whose addresses lead to IPv4 addresses."""


@pytest.mark.parametrize("text", [block for block in REGISTERED if block not in LEADING])
def test_no_registered_block_is_public_and_nothing_beside_it_is_refused(text: str) -> None:
    block = ip_network(text)
    assert not is_public(block[0])
    assert not is_public(block[-1])
    others = [ip_network(it) for it in (*REGISTERED, "224.0.0.0/4")]
    for beside in (int(block[0]) - 1, int(block[-1]) + 1):
        if not 0 <= beside < 2**block.max_prefixlen:
            continue
        address = type(block[0])(beside)
        is_unicast = block.version == 4 or address in ip_network("2000::/3")
        assert is_public(address) == (is_unicast and not any(address in it for it in others)), address


def test_only_unicast_of_the_internet_is_public() -> None:
    """Blocks of IPv6 that IANA has not assigned are refused, and so are new special ones outside 2000::/3."""
    for first in range(0, 0x10000, 0x100):
        address = IPv6Address((first << 112) + (0x1234 << 96) + 1)
        assert is_public(address) == (0x2000 <= first <= 0x3FFF), address


@given(st.ip_addresses(v=4))
@example(IPv4Address("10.0.0.1"))
@example(IPv4Address("192.88.99.1"))
@example(IPv4Address("8.8.8.8"))
def test_an_address_that_leads_to_another_one_is_public_as_that_one(address: IPv4Address) -> None:
    number = int(address)
    mapped, translated = IPv6Address(0xFFFF << 32 | number), IPv6Address((0x64_FF9B << 96) | number)
    tunnelled = IPv6Address(0x2002 << 112 | number << 80 | 1)
    assert {is_public(it) for it in (mapped, translated, tunnelled)} == {is_public(address)}
    # Translation of a local network, and forms out of use.
    local, compatible = IPv6Address(0x64_FF9B_0001 << 80 | number), IPv6Address(number)
    assert not any(is_public(it) for it in (local, compatible, IPv6Address(0xFFFF << 48 | number)))


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private_or_reserved(address: IPv4Address | IPv6Address) -> None:
    leads = any(address in ip_network(block) for block in LEADING)
    if is_public(address) and not leads:
        told = (address.is_global, address.is_private, address.is_multicast, address.is_reserved)
        assert told == (True, False, False, False)


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "192.0.1.1", "2606:4700::1111", "2001:200::1", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"],
)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    address = literal_address(text)
    assert address is not None
    assert is_public(address)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.168.1.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fe80::1",
        "fe80::1%eth0", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "64:ff9b::7f00:1", "2002:7f00:1::1", "2002:a00:1::", "2001:0:a00:1::f5f5:fefe",
        "192.0.0.9", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "198.51.100.1", "203.0.113.1",
        "::ffff:192.88.99.1", "64:ff9b::c058:6301", "2002:c058:6301::1", "2002:a9fe:a9fe::",
        "2001:0:808:808::f7f7:f7f7",
        "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "100::1",
        "2620:4f:8000::1", "3fff::1", "5f00::1", "fec0::1", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "4000::1", "e000::1",
    ],
)  # fmt: skip
def test_all_other_addresses_are_not(text: str) -> None:
    assert not is_public(ip_address(text))
    with pytest.raises(NotAllowedError, match="allow_private"):
        checked_sockets(is_public)((socket.AF_INET, socket.SOCK_STREAM, 0, "", (text, 443)))


def test_a_name_is_not_an_address() -> None:
    assert literal_address("crm.example") is None
    assert literal_address("127.1") is None


def test_a_socket_for_an_admitted_address_is_made_as_asked() -> None:
    with checked_sockets(is_public)((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
