"""Limits of a fault's cost: memory, logins, requests; and the order of answers."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from sipqueue_async import AuthError, MalformedResponse, SipQueueClient
from tests.faults.catalogue import FAULTS
from tests.faults.run import ask
from tests.faults.server import TOKEN, Exchange, FaultServer, credentials

BY_NAME = {fault.name: fault for fault in FAULTS}


async def test_a_body_without_end_does_not_fill_the_memory() -> None:
    tracemalloc.start()
    try:
        asked = await ask(BY_NAME["1 GB"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(asked.outcome, MalformedResponse)
    # The accepted 32 MiB, and the buffers on the way.
    assert peak < 1.5 * 32 * 2**20


async def test_a_token_that_is_always_refused_costs_one_login_a_call() -> None:
    async with FaultServer() as server, SipQueueClient(server.url, credentials()) as client:
        await client.fetch_snapshot()
        await BY_NAME["ret 600, always"].start(server)
        for _ in range(5):
            with pytest.raises(AuthError):
                await client.fetch_snapshot()
        assert server.logins == 1 + 5


async def test_answers_that_overtake_one_another_each_reach_their_caller() -> None:
    """Each of two concurrent calls gets its own answer."""

    async def slow_then_fast(exchange: Exchange) -> None:
        content = exchange.good
        if exchange.number == 1:
            await overtaken.wait()
        await exchange.answer(content)

    overtaken = asyncio.Event()
    async with FaultServer() as server, SipQueueClient(server.url, TOKEN) as client:
        server.answer_with(slow_then_fast)
        slow = asyncio.create_task(client.fetch_snapshot())
        while not server.paths:
            await asyncio.sleep(0.001)
        server.records = server.records[1:]
        fast = await client.fetch_snapshot()
        assert not slow.done()
        overtaken.set()
        assert (len(await slow), len(fast)) == (3, 2)
        assert (await slow).server_time < fast.server_time  # type: ignore[operator]
