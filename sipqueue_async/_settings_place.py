"""Find the settings file. Separate from `settings`, because the command needs it before it loads the library."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: Final = "SIPQUEUE_CONFIG"
"""The environment variable that names the settings file."""


def default_path(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path | None:
    """Return the place of the user's settings file, which need not exist; None if the environment names no home.

    It is ``sipqueue/settings.toml`` in ``$XDG_CONFIG_HOME`` (``~/.config``), on macOS in
    ``~/Library/Application Support``, on Windows in ``%APPDATA%``.
    """
    from pathlib import Path  # noqa: PLC0415  # imported lazily: it would delay every --help

    name = default_name(os.environ if environ is None else environ, platform)
    return None if name is None else Path(name)


def default_name(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Return `default_path` as text."""
    home = environ.get("HOME")
    if platform == "win32":
        folder = environ.get("APPDATA")
    elif platform == "darwin":
        folder = home and f"{home}/Library/Application Support"
    else:
        folder = environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    return f"{folder}/sipqueue/settings.toml" if folder else None
