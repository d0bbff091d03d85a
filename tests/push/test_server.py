"""`PushServer` and the aiohttp handler, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from sipqueue_async import StatusWatcher
from sipqueue_async.push import PushReceiver, PushServer
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.cli import until

PATH = "a-path-that-nobody-guesses"
PUSH = b'{"type": "call", "caller": "02079460123"}'


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[PushServer, PushReceiver, StatusWatcher]]:
    """Yield a server of pushes for a watcher that has polled once."""
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking"))])
    async with StatusWatcher(source, interval=600) as watcher:
        await watcher.ready()
        async with PushReceiver(watcher, **options) as receiver, PushServer(receiver, path=PATH) as server:
            yield server, receiver, watcher


async def _ask(server: PushServer, path: str = PATH, method: str = "POST", **request: Any) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{server.port}/{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, **request) as response:
        return response.status, await response.read()


async def test_a_push_over_http_is_answered_as_the_platform_expects(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as (server, receiver, watcher):
            assert await _ask(server, data=PUSH) == (200, b"1")
            await until(lambda: receiver.health.useful)
            assert watcher.health.polls == 2
    assert "02079460123" not in caplog.text
    assert PATH not in caplog.text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "other"}, 404),
        ({"path": f"{PATH}/more"}, 404),
        ({"method": "GET"}, 404),
        ({"data": b"x"}, 400),
        ({"data": b"[" + PUSH * 4000}, 413),
    ],
    ids=str,
)
async def test_every_other_request_is_answered_with_nothing(request_: dict[str, Any], status: int) -> None:
    async with serving() as (server, _, watcher):
        assert await _ask(server, **{"data": PUSH, **request_}) == (status, b"")
        assert watcher.health.polls == 1


async def test_an_allow_list() -> None:
    async with serving(allow=["192.0.2.7"]) as (server, _, _watcher):
        assert await _ask(server, data=PUSH) == (403, b"")
    async with serving(allow=["127.0.0.0/8"]) as (server, _, _watcher):
        assert await _ask(server, data=PUSH) == (200, b"1")


async def test_a_path_that_can_be_guessed_is_refused() -> None:
    receiver = PushReceiver(StatusWatcher(ScriptedSource([snapshot()])))
    with pytest.raises(ValueError, match="the path must have at least 16 characters"):
        PushServer(receiver, path="/short/")
    assert repr(PushServer(receiver, path=PATH, port=80)) == "<PushServer on 127.0.0.1 port 80, stopped>"


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind() -> None:
    async with serving() as (server, receiver, _):
        assert repr(server) == f"<PushServer on 127.0.0.1 port {server.port}>"
        second = PushServer(receiver, path=PATH, port=server.port)
        with pytest.raises(OSError, match="address already in use"):
            await second.__aenter__()
        assert repr(second).endswith("stopped>")


async def test_pushes_at_the_same_time_are_all_taken() -> None:
    async with serving() as (server, receiver, watcher):
        assert await asyncio.gather(*(_ask(server, data=PUSH) for _ in range(20))) == [(200, b"1")] * 20
        await until(lambda: receiver.health.polls)
        assert receiver.health.taken == 20
        assert watcher.health.polls <= 3
