"""Access control: the access key, the login cookie, and the host names that requests may use."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

SHORTEST_KEY: Final = 12
"""Minimum length of an access key, in characters."""

COOKIE_AGE: Final = 30 * 24 * 3600
"""Lifetime of a cookie in seconds."""

_ATTEMPTS: Final = 5
"""Wrong keys allowed from one address within `_PERIOD` seconds."""
_ALL_ATTEMPTS: Final = 100
"""Wrong keys allowed from all addresses together within `_PERIOD` seconds."""
_PERIOD: Final = 60.0

_HOST: Final = re.compile(r"(\[[0-9a-f:.%]+\]|[^][:@/\\,\s]+)(:[0-9]{0,5})?", re.ASCII | re.IGNORECASE)


class Attempts:
    """Throttles wrong keys.

    Args:
        clock: Seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque(maxlen=_ALL_ATTEMPTS)

    def failed(self, address: str) -> None:
        """Record a wrong key."""
        self._failures.append((self._clock(), address))

    def wait(self, address: str) -> float:
        """Return after how many seconds this address may try again; 0 for at once."""
        now = self._clock()
        while self._failures and self._failures[0][0] <= now - _PERIOD:
            self._failures.popleft()
        own = [at for at, by in self._failures if by == address]
        if len(own) >= _ATTEMPTS:
            return own[-_ATTEMPTS] + _PERIOD - now
        if len(self._failures) >= _ALL_ATTEMPTS:
            return self._failures[0][0] + _PERIOD - now
        return 0.0


class Access:
    """The access key and its login cookies.

    A cookie holds its expiry time, signed with the key; the server stores nothing. So a screen without a keyboard stays
    logged in when the program restarts, and changing the key invalidates all cookies.

    Args:
        key: The access key.
        clock: Seconds since the epoch.
        noun: What errors call the key.

    Raises:
        ValueError: The key is too short, or cannot be encoded as UTF-8.
    """

    def __init__(self, key: str, clock: Callable[[], float] = time.time, *, noun: str = "access key") -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the {noun} is too short: use at least {SHORTEST_KEY} characters")
        try:
            encoded = key.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the {noun} is not UTF-8 text: use letters and digits") from None
        self._key = _digest(key)
        # Slow on purpose: a leaked cookie must not help to guess the key.
        self._secret = hashlib.scrypt(encoded, salt=b"sipqueue wallboard cookie", n=2**14, r=8, p=1)
        self.cookie_name = f"sipqueue_wallboard_{self._signature('name')[:8]}"
        """Depends on the key: browsers send the cookies of one port of a machine to its other ports too."""
        self._clock = clock

    def is_key(self, text: str) -> bool:
        """Return whether this is the key, in constant time."""
        return hmac.compare_digest(_digest(text), self._key)

    def cookie(self) -> str:
        """Return the value of a new cookie."""
        end = f"{self._clock() + COOKIE_AGE:.0f}"
        return f"{end}.{self._signature(end)}"

    def is_cookie(self, value: str) -> bool:
        """Return whether this is a cookie of this wallboard that has not expired."""
        end, _, signature = value.partition(".")
        signed = hmac.compare_digest(signature.encode(errors="replace"), self._signature(end).encode())
        return signed and int(end) > self._clock()

    def _signature(self, end: str) -> str:
        return hmac.digest(self._secret, end.encode(errors="replace"), "sha256").hex()

    def __repr__(self) -> str:
        return "<Access>"


def _digest(text: str) -> bytes:
    # Fixed-length digest, independent of the length of the input.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


class HostNames:
    """The host names that requests may use.

    This guards against DNS rebinding: another site can point its own name to this machine, and browsers would then let
    it read the wallboard. It cannot do so with the names of this list or with an IP address.

    Args:
        host: The address listened on.
        names: Further names, with or without a port.

    Raises:
        ValueError: A name is no host name.
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", host.lower(), *map(_host_name, names)}
        self._any_address = not is_loopback(host)

    def include(self, header: str) -> bool:
        """Return whether the list includes the name in a ``Host`` header."""
        name = without_port(header)
        if name is None:
            return False
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (self._any_address or address.is_loopback)


def _host_name(text: str) -> str:
    """Return a host name as browsers send it: in lower case, without a port, and in ASCII."""
    name = without_port(text)
    try:
        ascii_name = (name or "").encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if not ascii_name:
        raise ValueError(
            f"this is not a host name: {text!r}; give one such as wall.example.com, without a scheme and a path"
        )
    return ascii_name


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def without_port(authority: str) -> str | None:
    """Return the host of a ``Host`` header in lower case; None if it is not one host with an optional port."""
    match = _HOST.fullmatch(authority)
    return None if match is None else str(match[1]).lower().rstrip(".")
