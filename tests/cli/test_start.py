"""The command's first steps, before the package is loaded."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from types import ModuleType
from typing import Any

import pytest

from sipqueue_async import cli

# By its installed name, which is beside the package.
start = importlib.import_module("_sipqueue_start")


class Interrupted(ModuleType):
    """A command line that is interrupted as it loads."""

    def __getattr__(self, name: str) -> Any:
        """Raise what Ctrl-C raises in the midst of an import."""
        raise KeyboardInterrupt


def test_an_interrupt_while_loading_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just after the start is a traceback."""
    monkeypatch.setitem(sys.modules, "sipqueue_async.cli", Interrupted("sipqueue_async.cli"))
    assert start.main() == 130


def test_it_runs_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command does nothing, or its exit code is lost."""
    monkeypatch.setattr(cli, "main", lambda: 7)
    assert start.main() == 7


def test_the_command_begins_there() -> None:
    """The command begins somewhere in the package, and so only once all of it is loaded."""
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="sipqueue")
    assert command.load() is start.main
