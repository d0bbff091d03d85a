"""The plugin, in projects that merely have the package installed and in those that use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BYSTANDER = """
import sys

def test_nothing_was_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("sipqueue_async")
    assert not {"sipqueue_async.models", "aiohttp", "attrs", "msgspec", "simpy"} & set(sys.modules)
"""


# pytest-asyncio's own warning if this is not set.
LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, as strict about warnings as can be."""
    code = f"import pathlib, os; os.chdir({str(folder)!r}); import pytest; raise SystemExit(pytest.main())"
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code, "-W", "error", "-p", "no:cacheprovider", *arguments],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_a_bystander_notices_nothing(tmp_path: Path) -> None:
    """A project that only has the package installed starts as fast as before, without warnings."""
    (tmp_path / "test_bystander.py").write_text(BYSTANDER)
    result = run(tmp_path, "--strict-markers", "--strict-config", *LOOP_SCOPE)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert "1 passed" in result.stdout
    assert "warning" not in result.stdout.lower()


def test_a_bystander_without_pytest_asyncio_notices_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_bystander.py").write_text(BYSTANDER)
    result = run(tmp_path, "-p", "no:asyncio")
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_a_project_needs_no_settings(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "test_fresh_project.py"
    path.write_text((HERE / path.name).read_text(encoding="utf-8"), encoding="utf-8")
    result = run(tmp_path, *LOOP_SCOPE, "-o", f"asyncio_mode={mode}")
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert "4 passed" in result.stdout


def test_the_fixtures_and_the_mark_are_described(tmp_path: Path) -> None:
    shown = run(tmp_path, "--fixtures", *LOOP_SCOPE).stdout
    for name in ("scripted_source", "sipqueue_client", "sipqueue_simulator"):
        assert f"{name} -- " in shown
    assert "A simulated call centre behind a server on loopback" in shown
    assert "@pytest.mark.sipqueue(plan=None, *, seed=0, speed=0, ...)" in run(tmp_path, "--markers", *LOOP_SCOPE).stdout


@pytest.mark.parametrize("package", ["pytest_asyncio", "simpy"])
def test_what_is_missing_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
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
