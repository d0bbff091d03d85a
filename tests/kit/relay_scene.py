"""Relays, readers and a group around one Redis, each behind its own cable, for tests of failures."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypedDict

from redis.asyncio import Redis

from sipqueue_async import AgentStatus, SeatKey, SipQueueClient
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.relay import Office, Witness, Workers, group_is_done, group_is_there, patient, published, reading
from tests.kit.waiting import until


class Pace(TypedDict, total=False):
    """How fast a reader's witness consumes updates."""

    takes: float
    max_pending: int


_READERS: Final[dict[str, Pace]] = {"reader 1": {}, "reader 2": {}, "slow reader": {"takes": 0.3, "max_pending": 3}}
_WORKERS: Final = ("worker 1", "worker 2", "worker 3")
_SETTLING: Final = 60.0
"""Limit in seconds for the recovery from any failure; retry pauses grow to 5 s in the meantime."""


class Scene:
    """Two relays, three readers (one of them slow) and a group of three workers.

    Args:
        server: The Redis that they share.
        seed: Seed of the call centre's events.
        lease: Passed to `Relay`, like `max_entries` and `max_age`.
        claim_after: Passed to `RedisFeed`.
        timeout: Timeout in seconds of a request to Redis.
    """

    def __init__(
        self,
        server: RedisServer,
        *,
        seed: int = 0,
        lease: float = 1.0,
        max_entries: int = 100_000,
        max_age: timedelta = timedelta(days=1),
        claim_after: float = 300.0,
        timeout: float = 1.5,
    ) -> None:
        self.server = server
        self.office = Office(seed=seed)
        self.cables = {name: Cable(server.port) for name in ("relay 1", "relay 2", *_READERS, *_WORKERS)}
        self.readers = {name: Witness(name) for name in _READERS}
        self.relays: list[Relay] = []
        self.feeds: dict[str, RedisFeed] = {}
        self.redis: Redis
        """A client that is connected directly, not through a cable."""
        self.workers: Workers
        self.records: dict[SeatKey, AgentStatus] = {}
        """The call centre's records after the last successful check."""
        self.first = 0
        """The number of the last publication before the group's start."""
        self._limits = (lease, max_entries, max_age)
        self._claim_after = claim_after
        self._timeout = timeout
        self._began: dict[SeatKey, AgentStatus] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            await enter(self.office)
            self.redis = await enter(patient(self.server.url))
            for cable in self.cables.values():
                await enter(cable)
            for name, witness in self.readers.items():
                feed = RedisFeed(self.cables[name].url, initial=True, timeout=self._timeout)
                self.feeds[name] = await enter(reading(feed, witness, **_READERS[name]))
            urls = {name: self.cables[name].url for name in _WORKERS}
            self.workers = await enter(Workers(urls, claim_after=self._claim_after, timeout=self._timeout))
            for number in (1, 2):
                client = await enter(self.office.client())
                self.relays.append(await enter(self._relay(f"relay {number}", client)))
            await group_is_there(self.redis)
            await until(lambda: all(it.known for it in self.readers.values()), "the readers know who is there")
            self._began, self.first = await self.office.records(), await published(self.redis)
            self.office.live.start()
            self._stack = stack.pop_all()
        return self

    def _relay(self, name: str, client: SipQueueClient) -> Relay:
        lease, max_entries, max_age = self._limits
        url = self.cables[name].url
        limits: dict[str, Any] = {"lease": lease, "timeout": self._timeout, "max_backoff": 1.0}
        return Relay(client, url, interval=0.05, max_entries=max_entries, max_age=max_age, **limits)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def settle(self) -> None:
        """Stop the call centre's time, and check that every reader has received all that happened."""
        self.office.live.stop()
        self.records = await self.office.records()
        await until(
            lambda: all(it.known == self.records and it.is_up for it in self.readers.values()),
            f"all is read: {self.readers}",
            _SETTLING,
        )
        for witness in self.readers.values():
            witness.check(self.office, self.records)

    async def settle_group(self) -> Witness:
        """Check that the group has received every change exactly once."""
        await group_is_done(self.redis, _SETTLING)
        group = self.workers.together(self._began.items())
        group.check(self.office, self.records)
        return group
