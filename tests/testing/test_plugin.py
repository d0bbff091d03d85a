"""The plugin, in projects that only have the package installed and in projects that use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
"""pytest-asyncio warns if this is not set."""
BYSTANDER = """
import sys

def test_nothing_was_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("sipqueue_async")
    assert not {"sipqueue_async.models", "aiohttp", "attrs", "msgspec", "simpy"} & set(sys.modules)
"""


def test_a_bystander_notices_nothing(tmp_path: Path) -> None:
    """A project that only has the package installed imports no part of it, and gets no warnings."""
    (tmp_path / "test_bystander.py").write_text(BYSTANDER)
    common = (
        "-W",
        "error",
        "--strict-markers",
        "--strict-config",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
    )
    code = f"""
import os, pytest
os.chdir({str(tmp_path)!r})
raise SystemExit(pytest.main({[*common, *LOOP_SCOPE]}) or pytest.main({[*common, "-p", "no:asyncio"]}))
"""
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert result.stdout.count("1 passed") == 2
    assert "warning" not in result.stdout.lower()


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_a_project_needs_no_settings(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makepyfile((HERE / "test_fresh_project.py").read_text(encoding="utf-8"))
    pytester.runpytest_inprocess("-W", "error", *LOOP_SCOPE, "-o", f"asyncio_mode={mode}").assert_outcomes(passed=4)


def test_the_fixtures_and_the_mark_are_described(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("--fixtures", *LOOP_SCOPE).stdout.str()
    for name in ("scripted_source", "sipqueue_client", "sipqueue_simulator"):
        assert f"{name} -- " in shown
    assert "A simulated platform with a server on loopback" in shown
    marks = pytester.runpytest_inprocess("--markers", *LOOP_SCOPE).stdout.str()
    assert "@pytest.mark.sipqueue(plan=None, *, seed=0, speed=0, ...)" in marks


@pytest.mark.parametrize("package", ["pytest_asyncio", "simpy"])
def test_a_missing_package_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Without the extra, the error names the package to install."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in [
        "sipqueue_async.testing.plugin",
        *(it for it in sys.modules if it.startswith("sipqueue_async.simulator")),
    ]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    pytester.makepyfile("def test_bot(sipqueue_simulator): ...")
    plugins = ["-p", "sipqueue_async"]
    if package != "pytest_asyncio":
        plugins += ["-p", "asyncio", *LOOP_SCOPE]
    result = pytester.runpytest_inprocess(*plugins, "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    shown = package.replace("_", "-")
    remedy = (
        f"the fixture sipqueue_simulator needs {shown}, which is not installed: pip install 'sipqueue_async[testing]'"
    )
    assert remedy in result.stdout.lines
    assert "Traceback" not in result.stdout.str()
