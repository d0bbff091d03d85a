"""What destinations of alerts and of webhooks share: where their URLs are, and who can read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sipqueue_async.cli.exits import Failure, complain


class Named(Protocol):
    """A destination with a URL, or with the name of the environment variable that has it."""

    @property
    def name(self) -> str:
        """The name, which messages use instead of the URL."""
        ...

    @property
    def url(self) -> str | None:
        """The URL."""
        ...

    @property
    def url_from(self) -> str | None:
        """The name of the environment variable."""
        ...


def url_of(destination: Named, environ: Mapping[str, str]) -> str:
    """Return a destination's URL.

    Raises:
        Failure: The environment variable is not set.
    """
    if destination.url is not None:
        return destination.url
    variable = destination.url_from or ""
    if not (url := environ.get(variable)):
        raise Failure(f"the destination {destination.name!r} has no URL: set {variable}")
    return url


def warn_if_readable(path: Path, content: str) -> None:
    """Warn on stderr if users other than the owner can read a file with secrets.

    Args:
        path: The file.
        content: What it contains, for the message.
    """
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        complain(f"warning: other users can read {content} in {path}; run: chmod 600 {path}")
