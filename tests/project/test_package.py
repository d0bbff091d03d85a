"""The package as a whole: its exports, its imports, and that the tests use the installed package."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sipqueue_async
import sipqueue_async.testing

EXTRAS = ["click", "prometheus_client", "pytest", "pytest_asyncio", "redis", "rich", "simpy"]
# fmt: off
CONTRACT = {
    "SipQueueClient", "AppCredentials", "StatusWatcher", "AgentState", "AgentStatus", "SeatKey", "Snapshot",
    "Update", "Subscription", "Event", "AgentJoined", "AgentLeft", "AgentChanged", "StateChanged",
    "CallAnswered", "CallMissed", "FeedDown", "FeedUp", "diff", "apply", "SipQueueError", "TransportError",
    "HttpStatusError", "MalformedResponse", "ApiError", "AuthError", "OperationFailed",
}
# fmt: on


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-I", "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )


@pytest.mark.skipif("PYTHONSAFEPATH" not in os.environ, reason="without PYTHONSAFEPATH the checkout is tested")
def test_the_tests_import_the_installed_package() -> None:
    checkout = Path(__file__).parents[2]
    package = Path(sipqueue_async.__file__).resolve()
    assert not package.is_relative_to(checkout / "sipqueue_async"), f"{package} is the checkout's: install without -e"


def test_no_public_name_is_missing() -> None:
    assert set(sipqueue_async.__all__) >= CONTRACT
    assert all(hasattr(sipqueue_async, name) for name in sipqueue_async.__all__)


def test_importing_it_imports_no_module_before_a_name_is_used() -> None:
    code = "import sys, importlib; before = set(sys.modules); import sipqueue_async; print(set(sys.modules) - before)"
    assert python(code).stdout.strip() == "{'sipqueue_async'}"


def test_lazy_names_are_the_exported_ones_and_modules_are_attributes_without_an_import_of_their_own() -> None:
    found = python(
        "import sipqueue_async as it; "
        "print(sorted(it._MODULES) == it.__all__, set(it.__all__) - {*dir(it)}, "
        "it.models.Snapshot is it.Snapshot, 'watcher' in dir(it))"
    )
    assert found.stdout.strip() == "True set() True True", found.stderr


def test_an_unknown_name_is_an_attribute_error_and_an_import_error() -> None:
    for module in (sipqueue_async, sipqueue_async.testing):
        name = module.__name__
        with pytest.raises(AttributeError, match=rf"^module '{name}' has no attribute 'nope'$"):
            module.nope  # noqa: B018
        with pytest.raises(ImportError, match=rf"^cannot import name 'nope' from '{name}'"):
            exec(f"from {name} import nope")
        assert set(module.__all__) <= set(dir(module))
    assert sipqueue_async.__getattr__("models") is importlib.import_module("sipqueue_async.models")


def test_watching_and_making_up_snapshots_need_no_extra() -> None:
    block = "".join(f"sys.modules[{name!r}] = None; " for name in EXTRAS)
    code = "from sipqueue_async.testing import ScriptedSource, collect, make_agent, make_snapshot"
    result = python(f"import sys; {block}import sipqueue_async; {code}; ScriptedSource([make_snapshot(make_agent())])")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_version_is_the_same_everywhere() -> None:
    assert importlib.metadata.version("sipqueue_async") == sipqueue_async.__version__


def test_it_is_marked_as_typed() -> None:
    assert (Path(sipqueue_async.__file__).parent / "py.typed").exists()
