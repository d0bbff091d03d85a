"""The access key, its cookies, and the accepted host names."""

from __future__ import annotations

import pytest

from sipqueue_async.wallboard.access import COOKIE_AGE, Access, Attempts, HostNames, is_loopback
from tests.kit.times import Clock
from tests.kit.wallboard_stage import KEY


def test_only_the_key_is_the_key() -> None:
    access = Access(KEY)
    assert access.is_key(KEY)
    for other in ("", KEY[:-1], KEY + " ", KEY.upper(), "\ud800", "密钥"):
        assert not access.is_key(other)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12 characters"):
        Access("short")


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(Access(KEY))


def test_a_cookie_is_valid_until_it_expires_also_after_a_restart() -> None:
    clock = Clock()
    cookie = Access(KEY, clock).cookie()
    again = Access(KEY, clock)
    assert again.is_cookie(cookie)
    clock.now += COOKIE_AGE - 1
    assert again.is_cookie(cookie)
    clock.now += 1
    assert not again.is_cookie(cookie)


def test_forged_cookies_are_refused() -> None:
    access = Access(KEY, Clock())
    end, _, signature = access.cookie().partition(".")
    others = [
        "",
        ".",
        end,
        f"{end}.",
        f".{signature}",
        f"{int(end) + 1}.{signature}",
        f"{end}.{signature[:-1]}é",
        "\ud800.\ud800",
    ]
    for other in (*others, Access("another key than that", Clock()).cookie()):
        assert not access.is_cookie(other)


def test_wrong_keys_are_throttled_by_address_and_in_total() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(5):
        assert attempts.wait("192.0.2.1") == 0
        attempts.failed("192.0.2.1")
        clock.now += 1
    assert attempts.wait("192.0.2.1") == 55
    assert attempts.wait("192.0.2.2") == 0
    clock.now += 55
    assert attempts.wait("192.0.2.1") == 0
    for number in range(200):
        attempts.failed(f"2001:db8::{number:x}")
    assert attempts.wait("192.0.2.9") == 60


@pytest.mark.parametrize(
    ("host", "header", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:8088", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost:8088", True),
        ("127.0.0.1", "LOCALHOST.:8088", True),
        ("127.0.0.1", "[::1]:8088", True),
        ("localhost", "127.0.0.1:1", True),
        ("::1", "[::1]", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "evil.example:8088", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "192.0.2.7:8088", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[::1]evil.example", False),
        ("127.0.0.1", "[::1]:80evil", False),
        ("127.0.0.1", "[::1", False),
        ("127.0.0.1", "localhost:80@evil.example", False),
        ("127.0.0.1", "localhost:80:80", False),
        ("127.0.0.1", "localhost, evil.example", False),
        ("127.0.0.1", "localhost:٣", False),
        ("127.0.0.1", "board.example.com", True),
        ("127.0.0.1", "Board.Example.com.", True),
        ("0.0.0.0", "192.0.2.7:8088", True),
        ("0.0.0.0", "[2001:db8::1]:8088", True),
        ("0.0.0.0", "evil.example", False),
        ("wall.example.com", "wall.example.com:8088", True),
    ],
)
def test_only_its_own_host_names_are_accepted(host: str, header: str, expected: bool) -> None:
    """Foreign names are refused, which prevents DNS rebinding; the machine's own addresses and names are accepted."""
    assert HostNames(host, ["Board.example.com"]).include(header) is expected


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("wall.example.com:8443", "wall.example.com"),
        ("wall.example.com", "wall.example.com:8443"),
        ("Büro.example.com", "xn--bro-hoa.example.com"),
        ("192.0.2.7", "192.0.2.7:80"),
        ("[2001:db8::1]", "[2001:db8::1]:80"),
    ],
)
def test_a_further_host_name_is_compared_as_browsers_send_it(name: str, header: str) -> None:
    assert HostNames("127.0.0.1", [name]).include(header)


@pytest.mark.parametrize("name", ["", ".", "a b", "https://wall.example.com/", "wall.example.com/", "a..b", "x" * 70])
def test_a_further_host_name_that_no_browser_sends_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="this is not a host name: "):
        HostNames("127.0.0.1", [name])


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.7", False), ("wall.example.com", False), ("", False)],
)  # fmt: skip
def test_loopback_addresses_are_recognized(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_key_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ValueError, match="not UTF-8"):
        Access("a key for the tests\udcff")


def test_each_key_has_its_own_cookie_name() -> None:
    """Cookies are sent to all ports of a machine, so two wallboards must not overwrite each other's."""
    names = {Access(key).cookie_name for key in (KEY, KEY, "another key than that")}
    assert len(names) == 2
