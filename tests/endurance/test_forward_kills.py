"""Senders and receivers of webhooks that are killed at random moments.

`FORWARD_KILLS` sets the number of kills: 50 for the full size, fewer in the gate.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from sipqueue_async import Snapshot
from sipqueue_async.cli.forwarding.store import Store
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Sipqueue, environment, sipqueue
from tests.kit.forwarding import SECRET, Receiver, has_begun
from tests.kit.waiting import until

KILLS: Final = int(os.environ.get("FORWARD_KILLS", "4"))

pytestmark = [pytest.mark.timeout(120 + 20 * KILLS), pytest.mark.one_python]


def states_after(events: list[Any], first: Snapshot) -> dict[tuple[str, str], str]:
    """Replay state changes, and check that each begins where the last one of its seat ended: in order, none missing."""
    present: dict[tuple[str, str], str] = {(key.queue, key.extension): it.state for key, it in first.items()}
    for event in events:
        if event["event"] == "state-changed":
            key = event["queue"], event["extension"]
            assert event["before"] == present[key]
            present[key] = event["after"]
    return present


def calls_in(events: list[Any]) -> int:
    return sum(event["count"] for event in events if event["event"] == "call-answered")


async def polled(simulator: Simulator) -> None:
    """Wait until an answer to a request made after this call was taken."""
    before = simulator.server.requests
    await until(lambda: simulator.server.requests > before + 1)


async def test_each_event_arrives_at_least_once_and_in_order_through_kills(tmp_path: Path) -> None:
    chance, state = random.Random(7), tmp_path / "state"
    receiver, steady = Receiver(), Receiver()
    # Some messages are recorded and the connection is closed, so the sender does not learn that they arrived.
    receiver.answer = lambda _: chance.choice([204, 204, 204, 503, 0])
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(BUSY, speed=0))
        await stack.enter_async_context(steady.serving())
        async with receiver.serving():
            pass
        (tmp_path / "forward.toml").write_text(
            "".join(
                f'[destinations.{name}]\nurl = "{it.url()}"\nsecret_from = "HOOK"\nallow_private = true\n'
                for name, it in (("moody", receiver), ("steady", steady))
            ),
            encoding="utf-8",
        )
        (tmp_path / "forward.toml").chmod(0o600)
        line = ("forward", "--rules", str(tmp_path / "forward.toml"), "--state-file", str(state), "--interval", "0.05")
        env = environment(simulator, HOOK=SECRET)
        client = await stack.enter_async_context(client_of(simulator))
        first = await client.fetch_snapshot()

        async def run_and_kill(program: Sipqueue) -> None:
            for _ in range(chance.randint(2, 5)):
                simulator.advance(chance.uniform(5, 30))
                await polled(simulator)
            await asyncio.sleep(chance.uniform(0, 0.1))
            program.send(signal.SIGKILL)
            assert await program.code() == -signal.SIGKILL

        for number in range(KILLS):
            async with sipqueue(*line, env=env) as program:
                await until(lambda: has_begun(state))
                if number % 2:
                    async with receiver.serving(receiver.port):
                        await run_and_kill(program)
                else:
                    await run_and_kill(program)
        receiver.answer = lambda _: 204
        async with receiver.serving(receiver.port), sipqueue(*line, env=env):
            last = await client.fetch_snapshot()
            wanted = {(key.queue, key.extension): str(it.state) for key, it in last.items()}
            for it in (receiver, steady):
                await until(lambda it=it: states_after(it.events, first) == wanted)  # type: ignore[misc]
            calls = sum(it.calls_answered for it in last.values()) - sum(it.calls_answered for it in first.values())
            for it in (receiver, steady):
                await until(lambda it=it: calls_in(it.events) == calls)  # type: ignore[misc]
        assert calls > 0
        for it in (receiver, steady):
            # A repetition has its id, and comes before the next event: the order holds for all attempts.
            bodies: dict[str, Any] = {}
            for identity, event in it.received:
                assert bodies.setdefault(identity, event) == event
            order = [identity for identity, _ in it.received]
            changes = [identity for at, identity in enumerate(order) if not at or order[at - 1] != identity]
            assert len(changes) == len({*order})
        with Store(state, read_only=True) as store:
            assert list(store.dead_letters()) == []
