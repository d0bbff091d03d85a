"""The fixtures and the marker that pytest finds in every project of an environment with this package.

Each fixture imports its dependencies when a test uses it, so that the tests of other projects do not start later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from sipqueue_async import SipQueueClient
    from sipqueue_async.simulator import Simulator
    from sipqueue_async.testing import ScriptedSource


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "sipqueue(plan=None, *, seed=0, speed=0, ...): the arguments of sipqueue_async.simulator.Simulator for "
        "sipqueue_simulator; at speed 0 the test moves model time with advance",
    )


def _async_fixture(function: Callable[..., Any]) -> Any:
    """Return the function as a fixture; without pytest-asyncio, a fixture that fails with a message about it."""
    try:
        from pytest_asyncio import fixture  # noqa: PLC0415  # it may be missing
    except ModuleNotFoundError:

        @pytest.fixture(name=function.__name__)
        def missing() -> None:
            _fail(function.__name__, "pytest-asyncio")

        return missing
    return fixture(function)


def _fail(fixture: str, package: str) -> NoReturn:
    remedy = "pip install 'sipqueue_async[testing]'"
    pytest.fail(f"the fixture {fixture} needs {package}, which is not installed: {remedy}", pytrace=False)


@pytest.fixture
def scripted_source() -> type[ScriptedSource]:
    """Makes sources for a StatusWatcher from lists of snapshots and exceptions, one for each poll."""
    from sipqueue_async.testing import ScriptedSource  # noqa: PLC0415  # imported lazily, see the module's docstring

    return ScriptedSource


@_async_fixture
async def sipqueue_simulator(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """A simulated platform with a server on loopback; the mark `sipqueue` has the arguments."""
    try:
        from sipqueue_async.simulator import Simulator  # noqa: PLC0415  # imported lazily
    except ModuleNotFoundError as error:
        _fail("sipqueue_simulator", str(error.name))
    mark = request.node.get_closest_marker("sipqueue")
    plan, options = ((), {}) if mark is None else (mark.args, mark.kwargs)
    async with Simulator(*plan, **{"speed": 0.0, **options}) as simulator:
        yield simulator


@_async_fixture
async def sipqueue_client(sipqueue_simulator: Simulator) -> AsyncIterator[SipQueueClient]:
    """A client of the simulated platform; it logs in by itself."""
    from sipqueue_async import AppCredentials, SipQueueClient  # noqa: PLC0415  # imported lazily

    credentials = AppCredentials(sipqueue_simulator.appid, sipqueue_simulator.accesskey)
    async with SipQueueClient(sipqueue_simulator.url, credentials) as client:
        yield client
