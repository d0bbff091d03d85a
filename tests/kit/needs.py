"""The external programs and fonts that tests use: where to find them, and what stays untested without them.

A test requests one with its marker, such as `needs_node`, or with a fixture that needs it, such as `redis_server`. It
is skipped if the program is missing. The noxfile also imports this module, so it uses only the standard library.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HIDE: Final = "SIPQUEUE_TESTS_HIDE"
"""Environment variable: names of `COMPONENTS`, separated by spaces, that are treated as not installed."""

PLACES: Final = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")
"""Searched after PATH: the sbin folders are often missing from it."""


@dataclass(frozen=True, slots=True)
class Component:
    """A program that some tests need, or a font."""

    name: str
    program: str
    """The name of its file."""
    packages: tuple[str, ...]
    """The Debian packages that install it."""
    tested: str
    """The part of the product that those tests cover."""
    places: tuple[str, ...] = ()
    """Additional folders to search, as glob patterns below the root."""

    @property
    def marker(self) -> str:
        """The name of the marker."""
        return f"needs_{self.name}"

    @property
    def reason(self) -> str:
        """The reason that pytest shows for a skipped test."""
        return f"{self.program} is not on this machine"


COMPONENTS: Final = {
    component.name: component
    for component in (
        Component("redis", "redis-server", ("redis-server",), "the relay and its readers"),
        Component(
            "chromium",
            "chromium",
            ("chromium",),
            "the wallboard's page in a browser",
        ),
        Component(
            "fonts",
            "LiberationSans-Regular.ttf",
            ("fonts-liberation", "fonts-wqy-microhei"),
            # Their letters have known widths; in wider ones, words may be cut off.
            "that everything on the wallboard's page fits",
            ("usr/share/fonts/truetype/liberation*",),
        ),
        Component(
            "postgres",
            "postgres",
            ("postgresql",),
            "the history in PostgreSQL",
            # Debian installs each version's programs in a separate folder.
            ("usr/lib/postgresql/*/bin",),
        ),
        Component("haproxy", "haproxy", ("haproxy",), "the documented proxies, and the client behind a load balancer"),
        Component("curl", "curl", ("curl",), "the documented reader of events in a shell"),
        Component("go", "go", ("golang-go",), "the documented reader of events in Go"),
        Component("node", "node", ("nodejs",), "the documented reader of events in JavaScript"),
        Component("systemd", "systemd-analyze", ("systemd",), "systemd's own check of the unit"),
    )
}


def find(name: str) -> Path | None:
    """Return the program's path, or None if it is missing or hidden by the environment variable."""
    component = COMPONENTS[name]
    if name in os.environ.get(HIDE, "").split():
        return None
    places = [
        *PLACES,
        *(place for pattern in component.places for place in sorted(map(str, Path("/").glob(pattern)), reverse=True)),
    ]
    # A font is a file that nobody can execute.
    mode = os.F_OK if name == "fonts" else os.F_OK | os.X_OK
    found = shutil.which(component.program, mode, os.pathsep.join([os.environ.get("PATH", ""), *places]))
    return None if found is None else Path(found)


def program(name: str) -> str:
    """Return the program's path. A test that calls this on a machine without the component lacks its marker."""
    found = find(name)
    if found is None:
        raise FileNotFoundError(f"{COMPONENTS[name].reason}; mark the test {COMPONENTS[name].marker}")
    return str(found)


def missing() -> list[Component]:
    """Return the components that this machine lacks."""
    return [component for name, component in COMPONENTS.items() if find(name) is None]


def packages() -> list[str]:
    """Return all Debian packages that the tests need, whether installed or not."""
    return [package for component in COMPONENTS.values() for package in component.packages]
