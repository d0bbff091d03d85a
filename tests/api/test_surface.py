"""The public interface, compared with public_api.txt."""

from __future__ import annotations

import difflib
import inspect
import runpy
import sys
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest

from tests.api.surface import COMMAND, FILE, public_modules, surface


def test_no_public_name_changes_by_accident() -> None:
    written, now = FILE.read_text(encoding="utf-8"), surface()
    assert " at 0x" not in now
    assert sys.prefix not in now
    difference = difflib.unified_diff(written.splitlines(), now.splitlines(), "written", "now", lineterm="", n=1)
    changes = "\n".join(difference)
    assert not changes, (
        f"the public interface differs from {FILE.name}. If the change is intended, follow docs/stability.md and run "
        f"`{COMMAND}`:\n{changes}"
    )


def test_the_script_writes_what_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "api.txt"
    monkeypatch.setattr(sys, "argv", [COMMAND.split()[1], str(path)])
    runpy.run_path(str(FILE.with_name("write_api.py")))
    assert path.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")


def test_the_file_has_unions_classes_and_signatures() -> None:
    lines = [line.strip() for line in FILE.read_text(encoding="utf-8").splitlines()]
    unions = [line.partition(" = ")[0] for line in lines]
    assert {"Auth", "Source", "where Until"} <= set(unions)
    for line in (
        "sipqueue_async.simulator",
        "class ApiError(SipQueueError)",
        "ret: int",
        "retryable: bool = True",
        "polled_at: list[float]",
        "running: int",
        "frozen, compared by value, hashable",
        "made by (queue: str, extension: str)",
        "class Snapshot(Mapping[SeatKey, AgentStatus])",
        "class AgentFields(dict, total=False)",
        "where E1: Event",
        "where class FilteringSource(Protocol)",
        "member TALKING = 'talking'",
        "made by (appid: str, accesskey: str)",
        "async def aclose(self) -> None",
        "def get(self, key: tuple[str, str], /) -> AgentStatus | None",
        "classmethod def from_json(cls, data: bytes | str) -> Snapshot",
        "property pending -> int",
        "calls_answered: int",
        "async def __anext__(self) -> Update",
        "def diff(old: Snapshot | None, new: Snapshot) -> tuple[SeatEvent, ...]",
    ):
        assert line in lines


@pytest.mark.parametrize("module", public_modules())
def test_no_public_call_is_without_a_word(module: str) -> None:
    exported = import_module(module)
    silent: list[str] = []
    for name in exported.__all__:
        value = getattr(exported, name)
        calls = [value] if callable(value) else []
        for base in value.__mro__ if inspect.isclass(value) else ():
            if base.__module__.startswith("sipqueue_async"):
                members = [it for member, it in vars(base).items() if not member.startswith("_")]
                calls += [it for it in members if inspect.isroutine(it) or isinstance(it, property)]
        silent += [f"{name}: {it!r}" for it in calls if not inspect.getdoc(it)]
    assert silent == []


@pytest.mark.parametrize("module", public_modules())
def test_every_public_object_shows_what_it_is(module: str) -> None:
    exported = import_module(module)
    kinds = [getattr(exported, name) for name in exported.__all__ if inspect.isclass(getattr(exported, name))]
    kinds = [kind for kind in kinds if not inspect.isabstract(kind)]
    made = [kind for kind in kinds if Protocol not in kind.__bases__ and not issubclass(kind, Enum)]
    assert [kind.__name__ for kind in made if kind.__repr__ is object.__repr__] == []
