"""Which addresses are public."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from sipqueue_async.cli.forwarding.addresses import NotAllowedError, checked_sockets, is_public, literal_address


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


def test_a_name_is_no_address() -> None:
    assert literal_address("crm.example") is None
    assert literal_address("127.1") is None


def test_a_socket_for_an_admitted_address_is_made_as_asked() -> None:
    with checked_sockets(is_public)((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
