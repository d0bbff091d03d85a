"""The wallboard's thresholds: options, which override the settings file, and those of a demonstration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from sipqueue_async import Settings, SettingsError
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.options import not_negative
from sipqueue_async.wallboard import Thresholds

SOON: Final = {"talk": 100.0, "ring": 10.0, "pause": 75.0}
"""Thresholds in model seconds with which a demonstration's page shows agents who stand out within a minute."""
FEW: Final = 3
"""A demonstration warns of a queue with fewer agents waiting."""

_HELP: Final = {
    "talk": "Seconds of talking after which an agent stands out (600); 0 for never.",
    "ring": "The same for receiving (20).",
    "wait": "The same for waiting (never).",
    "idle": "The same for idle (never).",
    "pause": "The same for paused (never).",
    "least": "A queue with fewer agents waiting stands out (1); 0 for never.",
}

_Command = TypeVar("_Command", bound=Callable[..., Any])


def options(command: _Command) -> _Command:
    """Add an option for each threshold, which is None if it is not given."""
    for name, text in reversed(_HELP.items()):
        kind = int if name == "least" else float
        command = click.option(f"--{name}", type=kind, callback=not_negative, help=text)(command)
    return command


def thresholds_of(given: Mapping[str, float | None], config: Path | None, environ: Mapping[str, str]) -> Thresholds:
    """Return the thresholds of options and settings file.

    Args:
        given: The options by name.
        config: The settings file that an option names.
        environ: The environment.

    Raises:
        Failure: The settings file cannot be read.
    """
    try:
        settings = Settings.load(config, environ)
    except SettingsError as error:
        raise Failure(str(error)) from None
    return _overridden(attrs.evolve(Thresholds(), **(settings.wallboard or {})), given)


def demonstration_thresholds(given: Mapping[str, float | None], speed: float) -> Thresholds:
    """Return the thresholds of options and, where they have none, those that suit a demonstration.

    Args:
        given: The options by name.
        speed: The demonstration's model seconds per second.
    """
    soon: dict[str, float] = {name: max(1, round(seconds / speed)) for name, seconds in SOON.items()}
    return _overridden(Thresholds(**soon, least=FEW), given)


def _overridden(thresholds: Thresholds, given: Mapping[str, float | None]) -> Thresholds:
    return attrs.evolve(thresholds, **{name: value for name, value in given.items() if value is not None})
