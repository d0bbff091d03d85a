"""Reads the server's URL and the credentials: from the environment and a file, secrets never from arguments."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.parse import parse_qs, urlsplit

from sipqueue_async import AppCredentials, SipQueueClient
from sipqueue_async.cli.exits import Failure, complain

_TEXTS: Final = ("url", "token", "appid", "accesskey", "timezone", "encoding", "redis")
_KEYS: Final = (*_TEXTS, "timeout")
_SECRETS: Final = ("token", "accesskey", "redis")
"""Only its owner should read a file with one of these; the URL of a Redis may hold a password."""
_LOGIN: Final = ("appid", "accesskey")
_CREDENTIALS: Final = ("token", *_LOGIN)


class ServerOptions(TypedDict):
    """The options for the server, or their environment variables; None is not given."""

    url: str | None
    config: Path | None
    timezone: str | None
    timeout: float | None


class Settings:
    """The settings from options, environment and file, in this order of precedence. The file is read once, here.

    Args:
        options: The options for the server.
        environ: The environment.
        warn: Called with a warning if other users can read a file with secrets.

    Raises:
        Failure: The file cannot be read, or is invalid.
    """

    def __init__(
        self, options: ServerOptions, environ: Mapping[str, str], warn: Callable[[str], None] = complain
    ) -> None:
        self._environ = environ
        self._file = {} if options["config"] is None else _read(options["config"], warn)
        given = {"url": options["url"], "timezone": options["timezone"], "timeout": options["timeout"]}
        self._settings: dict[str, Any] = self._file | {
            name: value for name, value in given.items() if value is not None
        }

    def client(self) -> SipQueueClient:
        """Return a client for the platform.

        Raises:
            Failure: A setting is missing or invalid; no message holds a secret.
        """
        settings = self._settings
        credentials = _credentials(self._environ, self._file)
        if not settings.get("url"):
            raise Failure("no server given: set SIPQUEUE_URL, or use --url or a settings file (--config)")
        more = {name: settings[name] for name in ("timezone", "timeout", "encoding") if name in settings}
        try:
            auth = _auth(credentials)
            return SipQueueClient(settings["url"], auth, **more)
        except ValueError as error:
            raise Failure(str(error).replace("base_url", "the URL")) from None

    def redis(self, option: str | None) -> str:
        """Return the URL of the Redis.

        Args:
            option: The option's value, which takes precedence; None if it is not given.

        Raises:
            Failure: There is no URL, or the option's has a password.
        """
        if option is not None and _has_password(option):
            raise Failure("other users can see a program's arguments: put a URL with a password in SIPQUEUE_REDIS_URL")
        url = option or self._environ.get("SIPQUEUE_REDIS_URL") or self._file.get("redis")
        if not url:
            raise Failure("no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file (--config)")
        return str(url)

    def timeout(self, otherwise: float) -> float:
        """Return the timeout in seconds for one answer.

        Args:
            otherwise: The default.

        Raises:
            Failure: It is not above 0.
        """
        seconds: float = self._settings.get("timeout", otherwise)
        if not seconds > 0:
            raise Failure(f"timeout must be above 0 seconds, not {seconds!r}")
        return seconds


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        # It is no URL, and is refused later.
        return False
    return bool(parts.password) or "password" in parse_qs(parts.query)


def _auth(credentials: dict[str, str]) -> str | AppCredentials:
    if "token" in credentials:
        if len(credentials) > 1:
            raise Failure("both a token and an appid with accesskey are given; leave one of the two out")
        return credentials["token"]
    missing = [name for name in _LOGIN if name not in credentials]
    if len(missing) == 1:
        raise Failure(f"the {missing[0]} is missing: set SIPQUEUE_{missing[0].upper()}, or put it in the settings file")
    if missing:
        raise Failure(
            "no credentials given: set SIPQUEUE_APPID and SIPQUEUE_ACCESSKEY, or SIPQUEUE_TOKEN, "
            "or use a settings file (--config)"
        )
    return AppCredentials(credentials["appid"], credentials["accesskey"])


def _credentials(environ: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment's credentials and, as far as they are of the same kind, the file's."""
    found = {name: value for name in _CREDENTIALS if (value := environ.get(f"SIPQUEUE_{name.upper()}"))}
    # A token set for one run overrides appid and accesskey of the file, and the other way round.
    overruled = _LOGIN if "token" in found else ("token",) if found else ()
    saved = {name: settings[name] for name in _CREDENTIALS if name in settings and name not in overruled}
    return saved | found


def _read(path: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            settings = tomllib.load(file)
    except OSError as error:
        raise Failure(f"the settings file {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise Failure(f"the settings file {path} is not valid TOML: {error}") from None
    for name, value in settings.items():
        _check(path, name, value)
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and any(name in settings for name in _SECRETS):
        warn(f"warning: other users can read the secrets in {path}; run: chmod 600 {path}")
    return settings


def _check(path: Path, name: str, value: object) -> None:
    if name not in _KEYS:
        raise Failure(f"the settings file {path} has an unknown key {name!r}; there are {', '.join(_KEYS)}")
    if name in _TEXTS and not (isinstance(value, str) and value):
        raise Failure(f"{name} in the settings file {path} must be a non-empty text in quotes")
    if name == "timeout" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Failure(f"timeout in the settings file {path} must be a number of seconds")
