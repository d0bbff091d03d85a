"""``/api/events`` of wallboards that read one relay: a program moves between them, and over their restarts."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sipqueue_async._json_lines import public_event_json
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from tests.kit.redis_server import RedisServer
from tests.kit.sse import Message, Reader
from tests.kit.wallboard_stage import Stage

pytestmark = pytest.mark.one_python

ROUNDS = int(os.environ.get("EVENTS_KILLS", "18")) // 3
PLAN = Plan(agents=12, queues=2, calls_per_hour=240.0, opening_callers=3)


class Floor:
    """A call centre, its relay, and a reader that is always there: the ground truth."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stage = Stage(PLAN)
        self.witness = RedisFeed(url)
        self._updates = self.witness.updates(max_pending=100_000)
        self._happened: list[str] = []

    async def play(self, polls: int) -> None:
        """Let so many polls bring changes."""
        for _ in range(polls):
            before = self.witness.health.sequence
            async with asyncio.timeout(60):
                while self.witness.health.sequence == before:
                    self.stage.centre.advance(2)
                    await asyncio.sleep(0.01)

    def events(self) -> list[str]:
        """Return all events of seats so far, as JSON. An outage of Redis or the relay is each reader's own."""
        while update := self._updates.get_nowait():
            seats = [event for event in update.events if event.key is not None]
            lines = [public_event_json(event, coalesced=update.coalesced) for event in seats]
            self._happened += [json.dumps(json.loads(line)) for line in lines]
        return self._happened


@asynccontextmanager
async def floor_of(redis_server: RedisServer) -> AsyncGenerator[Floor]:
    floor = Floor(redis_server.url)
    async with floor.witness, Relay(floor.stage, redis_server.url, interval=0.01):
        await floor.witness.ready(timeout=60)
        yield floor


@asynccontextmanager
async def wall(floor: Floor, **options: float) -> AsyncGenerator[Wallboard]:
    feed = RedisFeed(floor.url)
    async with Wallboard(feed, beat=0.02, **options) as wallboard, feed:  # type: ignore[arg-type]
        await feed.ready(timeout=60)
        yield wallboard


def texts(messages: list[Message]) -> list[str]:
    """Return the events of seats and the snapshots as JSON."""
    return [json.dumps(it.data) for it in messages if not it.event.startswith("feed-")]


async def test_a_program_cut_off_at_any_byte_continues_on_another_wallboard_or_after_a_restart(
    redis_server: RedisServer,
) -> None:
    dice = random.Random(22)
    received: list[str] = []
    async with floor_of(redis_server) as floor, wall(floor) as other:
        async with wall(floor) as first, Reader(first.port) as reader:
            start = await reader.next()
            assert start.event == "snapshot"
        last = start.last_event_id
        for _ in range(ROUNDS):
            await floor.play(dice.choice([0, 1, 5]))
            async with wall(floor) as restarted:
                for port in dice.choices([other.port, restarted.port], k=3):
                    async with Reader(port, last_event_id=last) as reader:
                        await floor.play(dice.choice([0, 1]))
                        for _part in range(dice.randint(1, 4)):
                            messages = await reader.read(dice.randint(1, 900))
                            assert messages is not None
                            received += texts(messages)
                        last = reader.parser.last_event_id
        async with wall(floor) as restarted, Reader(restarted.port, last_event_id=last) as reader:
            while received[-1:] != floor.events()[-1:]:
                received += texts([await reader.next()])
        assert received == floor.events()
        assert len(received) > ROUNDS


class Program:
    """A program that follows the events, and checks that none is lost or doubled: each must fit what it knows."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[str, int]] = {}
        """The state of each seat, and its answered calls."""
        self.is_down = False
        self.reasons: Counter[str] = Counter()
        """The reasons of the snapshots."""
        self.last_event_id = ""

    def take(self, message: Message) -> None:
        data = message.data
        seat: Any = (data.get("queue"), data.get("extension"))
        match message.event:
            case "snapshot":
                self.reasons[data["reason"]] += 1
                self.known = {(it["queue"], it["extension"]): _figures(it) for it in data["agents"]}
                self.is_down = data["feed_down"] is not None
            case "state-changed":
                before, calls = self.known[seat]
                assert before == data["before"]
                self.known[seat] = (data["after"], calls)
            case "call-answered":
                state, calls = self.known[seat]
                self.known[seat] = (state, calls + data["count"])
            case "feed-down" | "feed-up":
                assert self.is_down is (message.event == "feed-up")
                self.is_down = not self.is_down
            case _:
                pass


def _figures(record: dict[str, Any]) -> tuple[str, int]:
    return record["state"], record["calls_answered"]


class Storm:
    """Faults of the platform and of Redis, restarts of the relay and of wallboards, and a program that is killed."""

    def __init__(self, redis_server: RedisServer) -> None:
        self.redis_server = redis_server
        self.dice = random.Random(5)
        self.floor = Floor(redis_server.url)
        self.program = Program()

    def relay(self) -> Relay:
        return Relay(self.floor.stage, self.floor.url, interval=0.02, lease=0.6)

    async def read(self, port: int, parts: int, most: int = 2000) -> None:
        """Run the program for so many pieces of the stream, and kill it."""
        async with Reader(port, last_event_id=self.program.last_event_id) as reader:
            for _ in range(parts):
                for message in await reader.read(self.dice.randint(1, most)) or ():
                    self.program.take(message)
            self.program.last_event_id = reader.parser.last_event_id

    async def churn(self) -> None:
        for _ in range(20):
            self.floor.stage.centre.advance(2)
            await asyncio.sleep(0.01)

    async def round(self) -> None:
        """Start a relay and a wallboard, have one kind of fault, kill the program three times."""
        fault = self.dice.choice(["none", "none", "platform", "redis"])
        feed = RedisFeed(self.floor.url)
        async with self.relay(), Wallboard(feed, beat=0.02) as wallboard, feed:
            for _ in range(3):
                self.floor.stage.failure = self.dice.choice([None, "away"]) if fault == "platform" else None
                if fault == "redis":
                    self.redis_server.kill()
                await asyncio.gather(self.churn(), self.read(wallboard.port, self.dice.randint(1, 6)))
                if fault == "redis":
                    await self.redis_server.start()
        self.floor.stage.failure = None

    def truth(self) -> dict[tuple[str, str], tuple[str, int]]:
        seats = self.floor.stage.centre.seats()
        return {(seat.key.queue, seat.key.extension): (seat.state.value, seat.calls_answered) for seat in seats}


async def test_faults_restarts_and_kills_at_once_lose_and_double_nothing(redis_server: RedisServer) -> None:
    """Each event fits what the program knows; a snapshot may start it anew, but not at every restart."""
    storm = Storm(redis_server)
    for _ in range(ROUNDS):
        await storm.round()
    feed = RedisFeed(redis_server.url)
    async with storm.relay(), Wallboard(feed, beat=0.02) as wallboard, feed, asyncio.timeout(60):
        await feed.ready()
        for failure in (None, "away", None):
            storm.floor.stage.failure = failure
            while storm.program.is_down is (failure is None):
                await storm.read(wallboard.port, 3, 1 << 20)
        await storm.churn()
        while storm.program.known != storm.truth():
            await storm.read(wallboard.port, 3, 1 << 20)
    assert storm.program.reasons.total() < ROUNDS
