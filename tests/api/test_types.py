"""The public interface, compared with the types that tests/typechecks asserts."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from tests.api.surface import public_modules

FOLDER = Path(__file__).parents[1] / "typechecks"


def told_types() -> set[str]:
    """Return the names in the `assert_type` calls of tests/typechecks."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in FOLDER.glob("test_*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    told = [call.args[0] for call in calls if ast.unparse(call.func) == "assert_type"]
    return {ast.unparse(node).rpartition(".")[2] for it in told for node in ast.walk(it) if isinstance(node, ast.expr)}


def calls_of(module: str) -> set[str]:
    """Return the names of a module's functions, and of its classes' methods and properties."""
    exported = import_module(module)
    found: set[str] = set()
    for name in exported.__all__:
        value = getattr(exported, name)
        if isinstance(value, type):
            ours = [base for base in value.__mro__ if base.__module__.startswith("sipqueue_async")]
            members = {member: it for base in ours for member, it in vars(base).items() if member[0] != "_"}
            found |= {it for it, kind in members.items() if callable(kind) or isinstance(kind, property | classmethod)}
        elif callable(value):
            found.add(name)
    return found


@pytest.mark.parametrize("module", public_modules())
def test_no_public_call_is_left_out(module: str) -> None:
    assert calls_of(module) - told_types() == set()
