"""``sipqueue simulate``."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sipqueue_async import AppCredentials, SipQueueClient
from sipqueue_async.cli.commands.simulate import simulate
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.simulation import Demonstration, lively_plan
from tests.kit.cli import Paper
from tests.kit.ports import taken_port
from tests.kit.waiting import until

SMALL = Demonstration(agents=4)


@asynccontextmanager
async def serving(
    environ: dict[str, str] | None = None, centre: Demonstration = SMALL, **options: Any
) -> AsyncGenerator[dict[str, str]]:
    """Run the command; yield the variables that its output sets in a shell."""
    paper = Paper()
    task = asyncio.ensure_future(simulate(paper.output(), environ or {}, centre, **options))
    await until(lambda: paper.text.endswith("\n") or task.done())
    assert all(line.startswith("export ") for line in paper.lines)
    try:
        yield dict(line.removeprefix("export ").split("=", 1) for line in paper.lines)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_client_connects_with_the_printed_variables() -> None:
    async with serving(centre=Demonstration(agents=4, speed=2.0, seed=3)) as printed:
        credentials = AppCredentials(printed["SIPQUEUE_APPID"], printed["SIPQUEUE_ACCESSKEY"])
        async with SipQueueClient(printed["SIPQUEUE_URL"], credentials) as client:
            assert len(await client.fetch_snapshot()) >= 4


async def test_credentials_of_the_environment_are_taken_and_not_printed() -> None:
    environ = {"SIPQUEUE_APPID": "mine", "SIPQUEUE_ACCESSKEY": "my-key"}
    async with serving(environ) as printed:
        assert set(printed) == {"SIPQUEUE_URL", "SIPQUEUE_APPID"}
        async with SipQueueClient(printed["SIPQUEUE_URL"], AppCredentials("mine", "my-key")) as client:
            assert await client.fetch_snapshot()


async def test_it_pushes_what_happens() -> None:
    arrived: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        arrived.append(await request.read())
        return web.Response(body=b"1")

    app = web.Application()
    app.router.add_post("/", take)
    centre = Demonstration(agents=4, speed=50.0, seed=3)
    async with TestServer(app) as server, serving(centre=centre, push=[str(server.make_url("/"))]):
        await until(lambda: arrived)


async def test_a_url_for_pushes_that_cannot_receive_is_told() -> None:
    with pytest.raises(Failure, match=r"--push: a URL must begin with .*, which 'foo' does not") as caught:
        await simulate(Paper().output(), {}, SMALL, push=["foo"])
    assert caught.value.code == USAGE


async def test_the_references_example_is_answered_as_printed() -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    fields = {"service": "App.Sip_Queue.GetQueueSipStatus", "token": "ABCDEFG", "queuename": "queue-1"}
    for name, value in {**fields, "extnumber": "100001", "state": "0"}.items():
        form.add_field(name, value)
    async with serving() as printed:
        answer = await _posted(printed["SIPQUEUE_URL"], form)
        assert answer["ret"] == 200
        assert [record["extnumber"] for record in answer["data"]["result"]] == ["100001"]


async def _posted(url: str, form: aiohttp.FormData) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as response:
        return await response.json()


async def test_a_port_in_use_is_told() -> None:
    with taken_port() as port:
        told = f"cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}; try another --port, or 0"
        with pytest.raises(Failure, match=told) as caught:
            await simulate(Paper().output(), {}, SMALL, port=port)
    assert caught.value.code == USAGE


@pytest.mark.parametrize(("agents", "queues"), [(1, 1), (12, 2), (600, 7), (3, 9)])
def test_a_centre_of_any_size_is_as_busy(agents: int, queues: int) -> None:
    sized, lively = lively_plan(agents, queues), lively_plan(12, 2)
    assert sized.offered_load / agents == pytest.approx(lively.offered_load / 12)
