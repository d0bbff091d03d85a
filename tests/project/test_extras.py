"""Modules that need an extra."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("module", "package", "shown"),
    [
        ("history", "sqlalchemy", "SQLAlchemy"),
        ("prometheus", "prometheus_client", "prometheus-client"),
        ("redis", "redis", "redis"),
        ("simulator", "simpy", "SimPy"),
    ],
)
def test_without_its_extra_a_module_says_what_to_install(
    module: str, package: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"sipqueue_async.{module}"
    for loaded in [it for it in sys.modules if it == name or it.startswith((f"{name}.", f"{package}."))]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError) as refusal:
        import_module(name)
    remedy = f"pip install 'sipqueue_async[{module}]'"
    assert str(refusal.value) == f"{name} needs {shown}, which is not installed: {remedy}"
    assert str(refusal.value.name).partition(".")[0] == package
