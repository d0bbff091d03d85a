"""Who may look: the access key, the cookie that it is exchanged for, and the names that the wallboard answers to."""

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
"""Characters that an access key must have."""

COOKIE_AGE: Final = 30 * 24 * 3600
"""Seconds for which a cookie is good."""

_ATTEMPTS: Final = 5
"""Wrong keys from one address within `_PERIOD`."""
_ALL_ATTEMPTS: Final = 100
"""Wrong keys from all addresses together within `_PERIOD`."""
_PERIOD: Final = 60.0

_HOST: Final = re.compile(r"(\[[0-9a-f:.%]+\]|[^][:@/\\,\s]+)(:[0-9]{0,5})?", re.ASCII | re.IGNORECASE)


class Attempts:
    """Remembers wrong keys, so that who tries many is told to wait.

    Args:
        clock: Seconds on a clock that never steps back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque(maxlen=_ALL_ATTEMPTS)

    def failed(self, address: str) -> None:
        """Remember a wrong key."""
        self._failures.append((self._clock(), address))

    def wait(self, address: str) -> float:
        """Return in how many seconds this address may try again; 0 for now."""
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
    """The access key, and the cookies made of it.

    A cookie is signed with the key and says when it ends; nothing is kept of it here. So a screen on a wall, where
    nobody has a keyboard, stays logged in when the program is restarted, and another key ends every cookie.

    Args:
        key: The access key.
        clock: Seconds since the epoch.

    Raises:
        ValueError: The key is too short, or is no text that could be typed.
    """

    def __init__(self, key: str, clock: Callable[[], float] = time.time) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the access key is too short: it must have at least {SHORTEST_KEY} characters")
        try:
            encoded = key.encode()
        except UnicodeEncodeError:
            raise ValueError("the access key is no text in UTF-8: use letters and digits") from None
        self._key = _digest(key)
        # Slow to compute, so that a cookie that leaks is of no help in guessing the key.
        self._secret = hashlib.scrypt(encoded, salt=b"sipqueue wallboard cookie", n=2**14, r=8, p=1)
        self.cookie_name = f"sipqueue_wallboard_{self._signature('name')[:8]}"
        """Another one for another key: browsers do not tell apart the ports of a machine when they send cookies."""
        self._clock = clock

    def is_key(self, text: str) -> bool:
        """Tell whether this is the key, in a time that tells nothing."""
        return hmac.compare_digest(_digest(text), self._key)

    def cookie(self) -> str:
        """Return a new cookie's value."""
        end = f"{self._clock() + COOKIE_AGE:.0f}"
        return f"{end}.{self._signature(end)}"

    def is_cookie(self, value: str) -> bool:
        """Tell whether this is a cookie made here that has not ended."""
        end, _, signature = value.partition(".")
        signed = hmac.compare_digest(signature.encode(errors="replace"), self._signature(end).encode())
        return signed and int(end) > self._clock()

    def _signature(self, end: str) -> str:
        return hmac.digest(self._secret, end.encode(errors="replace"), "sha256").hex()

    def __repr__(self) -> str:
        return "<Access>"


def _digest(text: str) -> bytes:
    # Of one length, whatever the text's is.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


class HostNames:
    """The names that requests may ask for.

    A page from elsewhere can have its own name lead to this machine ("DNS rebinding"), and would then be let in by a
    browser as if it were the wallboard's. It cannot do so with a name that it does not own, nor with an address.

    Args:
        host: The address listened on.
        names: Further names.
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        self._names = {"localhost", host.lower(), *(name.lower().rstrip(".") for name in names)}
        self._any_address = not is_loopback(host)

    def include(self, header: str) -> bool:
        """Tell whether a request with this ``Host`` is meant for the wallboard."""
        name = without_port(header)
        if name is None:
            return False
        if name in self._names:
            return True
        address = _address(name)
        return address is not None and (self._any_address or address.is_loopback)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def without_port(authority: str) -> str | None:
    """Return the name of a ``Host``, in lower case; None where it is not one name with at most a port."""
    match = _HOST.fullmatch(authority)
    return None if match is None else str(match[1]).lower().rstrip(".")
