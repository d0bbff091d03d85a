"""Compares many readers of one relay with as many separate pollers: requests, bytes, and processor time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import lru_cache
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any, Final, TypeAlias

import attrs
from redis import Redis

from sipqueue_async import AppCredentials, Feed, SipQueueClient, Snapshot, StatusWatcher, diff
from sipqueue_async.redis import RedisFeed, Relay
from tests.benchmarks import speed_process
from tests.benchmarks.relay_stream import SEATS, digest, told
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_measure import Section, Spread, WrongAnswer, number, table
from tests.benchmarks.speed_process import ask, attend
from tests.benchmarks.speed_server import Player, play
from tests.kit.waiting import PATIENCE

READERS: Final = (1, 10, 100)
INTERVAL: Final = 1.0
POLLS: Final = 6
ROUNDS: Final = 5
_SHARE: Final = 0.01
_SLOW_START: Final = 30.0
"""Seconds that the story continues beyond the measured time."""

Used: TypeAlias = Mapping[str, float]
"""The resources used by one participant: ``cpu`` in seconds, ``bytes``, ``requests``, ``logins``."""


@attrs.frozen(kw_only=True)
class Plan:
    """The number of readers, and the duration of the measurement."""

    readers: int
    interval: float = INTERVAL
    """Seconds between polls: of each separate poller, or of the relay."""
    polls: int = POLLS
    """The number of polls in the measured time."""
    seats: int = SEATS

    @property
    def story(self) -> Story:
        """The platform's answers; each client starts with the first one."""
        return Story(records=self.seats, share=_SHARE, polls=self.polls + round(_SLOW_START / self.interval))


@lru_cache(maxsize=4)
def _numbers_by_digest(story: Story) -> Mapping[str, int]:
    return {digest(snapshot): number for number, snapshot in enumerate(told(story)[0])}


@attrs.frozen(kw_only=True)
class Tally:
    """The updates that one reader received."""

    digests: Sequence[str]
    """The digest of each update's records."""
    events: int

    def check(self, plan: Plan) -> int:
        """Return the number of the reader's last snapshot in the story, counted from 1.

        Raises:
            WrongAnswer: The reader's snapshots are not the story's, or its events are not the differences between them.
                A snapshot may be absent, because requests can time out on a busy machine.
        """
        snapshots, events = told(plan.story)
        numbers = _numbers_by_digest(plan.story)
        steps = [numbers.get(it, -1) for it in self.digests]
        expected = plan.seats + sum(
            events[now] if now == was + 1 else len(diff(snapshots[was], snapshots[now])) for was, now in pairwise(steps)
        )
        if min(steps) < 0 or any(now <= was for was, now in pairwise(steps)) or self.events != expected:
            raise WrongAnswer("a reader had other events or records than the platform had told")
        return steps[-1] + 1


@attrs.frozen(kw_only=True)
class Round:
    """The resources that each participant used in the measured time, plus all logins, which happen before it."""

    seconds: float
    alone: Mapping[str, Used]
    """Without a relay, where each reader polls: the resources of ``platform`` and ``readers``."""
    relayed: Mapping[str, Used]
    """With a relay: the resources of ``platform``, ``relay``, ``redis`` and ``readers``."""


@attrs.frozen(kw_only=True)
class Found:
    """The results for one number of readers."""

    plan: Plan
    rounds: Sequence[Round]


# ---- the participants, each in its own process -----------------------------------------------------------------------


class _Platform(Player):
    """Accepts every login, and counts logins."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        super().__init__(bodies)
        self._counts = Counter[str]()

    def answer(self, form: bytes) -> bytes:
        if b"accesskey=" in form:
            self._counts["logins"] += 1
            answer = _login(self._counts["logins"])
        else:
            answer = super().answer(form)
        self._counts["requests"] += 1
        self._counts["bytes"] += len(answer)
        return answer

    def used(self) -> Used:
        return {"cpu": time.process_time(), **self._counts}


def _login(number_: int) -> bytes:
    body = b'{"ret":200,"data":{"status":0,"desc":"","result":{"token":"token-%d"}},"msg":""}' % number_
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def platform(plan: Plan, parent: Connection) -> None:
    """Serve the story to each token, from its first answer."""
    player = _Platform([step.body for step in plan.story.steps()])
    asyncio.run(play(player, parent, {"used": player.used}))


def relay(plan: Plan, platform_url: str, url: str, prefix: str, parent: Connection) -> None:
    """Run the relay, which polls for all readers."""

    async def run() -> None:
        async with _client(platform_url) as client, Relay(client, url, prefix=prefix, interval=plan.interval):
            await attend(parent, {"used": _used})

    asyncio.run(run())


def readers_of_relay(plan: Plan, url: str, prefix: str, parent: Connection) -> None:
    """Read the relay's publications."""

    async def run() -> None:
        await _read([RedisFeed(url, prefix=prefix, initial=True) for _ in range(plan.readers)], parent)

    asyncio.run(run())


def readers_alone(plan: Plan, platform_url: str, parent: Connection) -> None:
    """Poll with separate clients: each reader has its own connection and its own login."""

    async def run() -> None:
        async with AsyncExitStack() as running:
            clients = [await running.enter_async_context(_client(platform_url)) for _ in range(plan.readers)]
            await _read([StatusWatcher(client, interval=plan.interval, initial=True) for client in clients], parent)

    asyncio.run(run())


def _client(platform_url: str) -> SipQueueClient:
    return SipQueueClient(platform_url, AppCredentials("reader", "key"))


class _Consumer:
    """Receives all updates of one feed."""

    def __init__(self, feed: Feed) -> None:
        self._updates = feed.updates()
        self._snapshots: list[Snapshot] = []
        self._digests: list[str] = []
        self._events = 0

    async def consume(self) -> None:
        async for update in self._updates:
            if update.snapshot is not None:
                self._snapshots.append(update.snapshot)
                self._events += sum(event.key is not None for event in update.events)

    def tally(self) -> Tally:
        # Not in `consume`, whose processor time is measured.
        self._digests += map(digest, self._snapshots[len(self._digests) :])
        return Tally(digests=list(self._digests), events=self._events)


async def _read(feeds: Sequence[Feed], parent: Connection) -> None:
    consumers = [_Consumer(feed) for feed in feeds]
    async with asyncio.TaskGroup() as consuming, AsyncExitStack() as running:
        for feed, consumer in zip(feeds, consumers, strict=True):
            await running.enter_async_context(feed)
            consuming.create_task(consumer.consume())
        await asyncio.gather(*(feed.ready(PATIENCE) for feed in feeds))
        parent.send("ready")
        await attend(parent, {"used": _used, "tallies": lambda: [consumer.tally() for consumer in consumers]})


def _used() -> Used:
    return {"cpu": time.process_time()}


# ---- both ways at the same time --------------------------------------------------------------------------------------


def run(url: str, plans: Sequence[Plan], rounds: int) -> list[Found]:
    """Run separate pollers and, at the same time, a relay with as many readers."""
    found: list[list[Round]] = [[] for _ in plans]
    for round_ in range(rounds):
        for plan, those in zip(plans, found, strict=True):
            those.append(_round(url, f"cost-{plan.readers}-{round_}", plan))
    return [Found(plan=plan, rounds=those) for plan, those in zip(plans, found, strict=True)]


def _round(url: str, prefix: str, plan: Plan) -> Round:
    with ExitStack() as running, Redis.from_url(url) as redis:

        def start(work: Any, *arguments: object) -> Connection:
            return running.enter_context(speed_process.beside(work, plan, *arguments))

        platforms = [start(platform), start(platform)]
        alone_at, relayed_at = (f"http://127.0.0.1:{each.recv()}/api" for each in platforms)
        alone = {"readers": start(readers_alone, alone_at), "platform": platforms[0]}
        relayed = {
            "relay": start(relay, relayed_at, url, prefix),
            "readers": start(readers_of_relay, url, prefix),
            "platform": platforms[1],
        }
        for readers in (alone["readers"], relayed["readers"]):
            readers.recv()

        def used() -> tuple[dict[str, Used], dict[str, Used]]:
            return (
                {name: ask(member, "used") for name, member in alone.items()},
                {name: ask(member, "used") for name, member in relayed.items()} | {"redis": _used_by_redis(redis)},
            )

        # Skip the work that is left over from the start.
        time.sleep(plan.interval / 2)
        begun, before = time.monotonic(), used()
        time.sleep(plan.polls * plan.interval)
        seconds, after = time.monotonic() - begun, used()
        # Every answer served before the end must have arrived: at its poller, or at all readers of the relay.
        served = [int(each["platform"]["requests"] - each["platform"]["logins"]) for each in after]
        _wait_until(lambda: sum(_numbers(alone["readers"], plan)) >= min(served[0], plan.readers * plan.story.polls))
        _wait_until(lambda: min(_numbers(relayed["readers"], plan)) >= min(served[1], plan.story.polls))
    alone_used, relayed_used = (
        {name: _between(then[name], now[name]) for name in now} for then, now in zip(before, after, strict=True)
    )
    return Round(seconds=seconds, alone=alone_used, relayed=relayed_used)


def _numbers(readers: Connection, plan: Plan) -> list[int]:
    """Check each reader's updates, and return the numbers of their last snapshots."""
    return [tally.check(plan) for tally in ask(readers, "tallies")]


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise WrongAnswer("a reader did not receive what the platform served")
        time.sleep(0.05)


def _used_by_redis(redis: Redis) -> Used:
    info: Any = redis.info()
    return {
        "cpu": sum(value for name, value in info.items() if name in _CPU),
        "bytes": info["total_net_input_bytes"] + info["total_net_output_bytes"],
    }


_CPU: Final = ("used_cpu_sys", "used_cpu_user", "used_cpu_sys_children", "used_cpu_user_children")


def _between(before: Used, after: Used) -> Used:
    """Return the resources used between two measurements; logins count from the start."""
    return {name: value - (0 if name == "logins" else before.get(name, 0)) for name, value in after.items()}


# ---- tables ----------------------------------------------------------------------------------------------------------

_MEMBERS: Final = ("platform", "relay", "redis", "readers")


def section(found: Sequence[Found]) -> Section:
    """Return the two tables: network traffic and processor time."""
    return Section("cost", [*_traffic(found), "", *_cpu(found)])


def _traffic(found: Sequence[Found]) -> list[str]:
    rows: list[Sequence[str]] = [
        ("readers", "", "requests a second", "logins", "kB a second from the platform", "kB a second through Redis")
    ]
    for it in found:
        for who, ways in (
            ("each polls by itself", [(round_.alone, round_.seconds) for round_ in it.rounds]),
            ("a relay polls", [(round_.relayed, round_.seconds) for round_ in it.rounds]),
        ):
            requests, kilobytes, through_redis = (
                Spread.of([way.get(member, {}).get(name, 0) / seconds / unit for way, seconds in ways]).median
                for member, name, unit in (
                    ("platform", "requests", 1),
                    ("platform", "bytes", 1000),
                    ("redis", "bytes", 1000),
                )
            )
            logins = max(way["platform"]["logins"] for way, _ in ways)
            rows.append(
                (
                    f"{it.plan.readers:,}",
                    who,
                    number(requests),
                    f"{logins:,}",
                    number(kilobytes),
                    number(through_redis) if through_redis else "",
                )
            )
    return table(*rows)


def _cpu(found: Sequence[Found]) -> list[str]:
    rows: list[Sequence[str]] = [("readers", "", "platform", "relay", "Redis", "readers", "together")]
    for it in found:
        units = [_together(round_.alone) for round_ in it.rounds]
        for who, ways in (
            ("each polls by itself", [round_.alone for round_ in it.rounds]),
            ("a relay polls", [round_.relayed for round_ in it.rounds]),
        ):
            shares = [
                number(Spread.of_ratios([way[member]["cpu"] for way in ways], units).median)
                if member in ways[0]
                else ""
                for member in _MEMBERS
            ]
            together = Spread.of_ratios([_together(way) for way in ways], units)
            sums = f"**{number(together.median)}** ({number(together.low)} to {number(together.high)})"
            rows.append((f"{it.plan.readers:,}", who, *shares, sums if "relay" in ways[0] else "1"))
    return table(*rows)


def _together(members: Mapping[str, Used]) -> float:
    return sum(used["cpu"] for used in members.values())
