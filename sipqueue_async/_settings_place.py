"""Where the settings file is; apart from `settings`, since the command needs it before it loads the library."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONFIG: Final = "SIPQUEUE_CONFIG"
"""The environment variable that names the settings file."""


def default_path(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path | None:
    """Return the place of the user's settings file, which need not exist; None if the environment names no home.

    It is ``sipqueue/settings.toml`` in ``$XDG_CONFIG_HOME`` (``~/.config``), on macOS in
    ``~/Library/Application Support``, on Windows in ``%APPDATA%``.
    """
    get = (os.environ if environ is None else environ).get
    home = get("HOME")
    if platform == "win32":
        folder = get("APPDATA")
    elif platform == "darwin":
        folder = home and f"{home}/Library/Application Support"
    else:
        folder = get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    return Path(folder, "sipqueue", "settings.toml") if folder else None
