"""Redis, its network and the platform, with random failures of every kind, while calls go on.

`RELAY_TROUBLES` sets the number of failures: 150 for the full size, fewer in the gate.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis

from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.relay import KEYS, copy_of, group_is_done, published, put_back
from tests.kit.relay_scene import Scene

_log: Final = logging.getLogger(__name__)

TROUBLES: Final = int(os.environ.get("RELAY_TROUBLES", "6"))
LOSSES: Final = TROUBLES // 2 + 1
FEW: Final = 8
"""The number of entries that the stream keeps: about a second's worth."""
PATIENCE: Final = 1.5
"""Seconds until Redis counts as away, short enough that the test does not take all night."""

pytestmark = [
    pytest.mark.timeout(120 + 10 * TROUBLES),
    pytest.mark.needs_redis,
    pytest.mark.one_python,
]


class Troubles:
    """Causes a random failure, and repairs it after a random time.

    Args:
        scene: The scene to disturb.
        seed: Determines the failures and their times.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self.counts = Counter[str]()
        self._scene = scene
        self._chance = random.Random(seed)
        self._kinds: list[Callable[[], Awaitable[None]]] = [
            self._stopped,
            self._frozen,
            self._all_connections_killed,
            self._one_connection_killed,
            self._cut,
            self._pulled,
            self._relays_pulled,
            self._out_of_memory,
            self._platform_gone,
        ]
        self._left: list[Callable[[], Awaitable[None]]] = []

    async def happen(self) -> None:
        """Cause a failure at a random moment; the kinds take turns."""
        if not self._left:
            self._left = self._chance.sample(self._kinds, len(self._kinds))
        trouble = self._left.pop()
        await self._time_passes(0.5)
        await trouble()
        self.counts[trouble.__name__.strip("_")] += 1

    async def _time_passes(self, at_most: float) -> None:
        await asyncio.sleep(self._chance.uniform(0, at_most))

    def _cables(self) -> list[Cable]:
        cables = list(self._scene.cables.values())
        return self._chance.sample(cables, self._chance.randint(1, len(cables)))

    async def _stopped(self) -> None:
        self._scene.server.kill()
        await self._time_passes(2)
        await self._scene.server.start()

    async def _frozen(self) -> None:
        self._scene.server.freeze()
        await self._time_passes(2 * PATIENCE)
        self._scene.server.thaw()

    async def _all_connections_killed(self) -> None:
        await self._scene.redis.client_kill_filter(_type="normal")

    async def _one_connection_killed(self) -> None:
        client = self._chance.choice(await self._scene.redis.client_list())
        await self._scene.redis.client_kill_filter(_id=client["id"])

    async def _cut(self) -> None:
        for cable in self._cables():
            cable.cut()

    async def _pulled(self) -> None:
        cables = self._cables()
        for cable in cables:
            cable.pull()
        await self._time_passes(2 * PATIENCE)
        for cable in cables:
            cable.plug()

    async def _relays_pulled(self) -> None:
        # For longer than the lease, so that the other relay takes over while this one's request is still on its way.
        cable = self._scene.cables[self._chance.choice(["relay 1", "relay 2"])]
        cable.pull()
        await asyncio.sleep(1.2)
        await self._time_passes(2)
        cable.plug()

    async def _out_of_memory(self) -> None:
        await self._scene.redis.config_set("maxmemory", "1")
        await self._time_passes(2)
        await self._scene.redis.config_set("maxmemory", "0")

    async def _platform_gone(self) -> None:
        await self._scene.office.server.stop()
        await self._time_passes(1)
        await self._scene.office.server.start()


@pytest.mark.parametrize("max_entries", [100_000, FEW])
async def test_everything_goes_wrong(tmp_path: Path, max_entries: int) -> None:
    """After failures of Redis, the network and the platform, every call is reported exactly once."""
    began = time.monotonic()
    server = RedisServer(tmp_path, stream_node_max_entries="1")
    async with server, Scene(server, seed=TROUBLES, max_entries=max_entries) as scene:
        troubles = Troubles(scene, seed=max_entries)
        for number in range(TROUBLES):
            await troubles.happen()
            if number % 20 == 6:
                await scene.settle()
                scene.office.live.start()
        await scene.settle()
        group = await scene.settle_group()
        last = await published(scene.redis)
        terms = await scene.redis.hget(f"{KEYS}:meta", "terms")
        resyncs = [feed.health.resyncs for feed in scene.feeds.values()]
    handed = Counter(update.sequence for update in group.updates)
    assert max(handed.values()) == 1, "the group was handed something twice"
    gone = set(range(scene.first + 1, last + 1)).difference(handed)
    assert not gone or max_entries == FEW, "the group was not handed something, although it was all there"
    took = time.monotonic() - began
    _log.info("%s, %s terms, %s publications, resyncs %s, %.0f s", troubles.counts, terms, last, resyncs, took)
    _log.info("%s %s", scene.readers, group)


async def test_redis_loses_what_it_knew(redis_server: RedisServer) -> None:
    """Readers report every call once, even after Redis lost its latest data or all of it."""
    chance = random.Random(TROUBLES)
    async with Redis.from_url(redis_server.url) as redis, Scene(redis_server, lease=0.5, claim_after=2) as scene:
        for number in range(LOSSES):
            older = await copy_of(redis)
            cable = scene.cables[chance.choice(list(scene.cables))]
            chance.choice([cable.pull, cable.cut, cable.plug])()
            await asyncio.sleep(chance.uniform(0, 1.5))
            await put_back(redis, chance.choice([older, older, {}]))
            cable.plug()
            if number % 10 == 3:
                await scene.settle()
                scene.office.live.start()
        await scene.settle()
        # The group may have lost entries with Redis's data, but it must continue.
        await group_is_done(scene.redis)
    _log.info("%d losses: %s", LOSSES, scene.readers)
