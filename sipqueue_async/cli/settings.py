"""The settings of a command: options override the environment, which overrides the settings file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict
from urllib.parse import parse_qs, urlsplit

from sipqueue_async import Settings, SettingsError, SipQueueClient
from sipqueue_async.cli.exits import Failure, complain


class ServerOptions(TypedDict):
    """The options for the server; None if an option is not given."""

    url: str | None
    config: Path | None
    timezone: str | None
    timeout: float | None


def settings_of(options: ServerOptions, environ: Mapping[str, str], warn: Callable[[str], None] = complain) -> Settings:
    """Return the settings from options, environment and file, in this order of precedence.

    Args:
        options: The options for the server.
        environ: The environment.
        warn: Called with each warning.

    Raises:
        Failure: The file cannot be read, or a setting is invalid; no message holds a secret.
    """
    given = {"url": options["url"], "timezone": options["timezone"], "timeout": options["timeout"]}
    try:
        settings = Settings.load(options["config"], environ).overridden(given, {name: f"--{name}" for name in given})
    except SettingsError as error:
        raise Failure(str(error)) from None
    for warning in settings.warnings:
        warn(f"warning: {warning}")
    return settings


def client_of(settings: Settings) -> SipQueueClient:
    """Return a client for the platform.

    Raises:
        Failure: A setting is missing or invalid; no message holds a secret.
    """
    # Without a handler Python would print the library's warnings a second time.
    logging.getLogger("sipqueue_async").addHandler(logging.NullHandler())
    try:
        return SipQueueClient.from_env(settings)
    except SettingsError as error:
        raise Failure(str(error)) from None


def redis_of(settings: Settings, option: str | None) -> str:
    """Return the URL of the Redis.

    Args:
        settings: The settings of environment and file.
        option: The option's value, which takes precedence; None if it is not given.

    Raises:
        Failure: There is no URL, or the option's has a password.
    """
    if option is not None and has_password(option):
        raise Failure("other users can see a program's arguments: put a URL with a password in SIPQUEUE_REDIS_URL")
    url = option or settings.redis
    if not url:
        raise Failure("no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file (--config)")
    return url


def timeout_of(settings: Settings, otherwise: float) -> float:
    """Return the timeout in seconds for one answer.

    Args:
        settings: The settings.
        otherwise: The default.

    Raises:
        Failure: It is not above 0.
    """
    seconds = otherwise if settings.timeout is None else settings.timeout
    if not seconds > 0:
        raise Failure(str(settings.blame(ValueError(f"timeout must be above 0 seconds, not {seconds!r}"))))
    return seconds


def has_password(url: str) -> bool:
    """Return whether a URL contains a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Not a URL: it is refused later.
        return False
    return bool(parts.password) or "password" in parse_qs(parts.query)
