"""One watcher in virtual time, and a hand-written differ beside it: their reports, and the times of these.

Everything is recorded by poll: an event has the index of the poll that reported it, and a poll has the model second
that its answer shows. `truth_check` compares the records with the ground truth after the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Final

import attrs

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    AppCredentials,
    CallAnswered,
    CallMissed,
    SeatKey,
    SipQueueClient,
    Snapshot,
    StateChanged,
    StatusWatcher,
    Update,
)
from sipqueue_async.simulator import Platform
from tests.benchmarks.truth_network import Network

ZONE: Final = timezone(timedelta(hours=8))
"""The zone of the simulated platform's local time."""


@attrs.define
class Polls:
    """The answers that a watcher accepted, in order, in parallel lists."""

    instants: list[float] = attrs.Factory(list[float])
    """The model second that each answer shows."""
    blank: list[bool] = attrs.Factory(list[bool])
    """Whether the answer wrongly had no agents."""
    lives: list[int] = attrs.Factory(list[int])
    """The number of polls before each start of the watcher."""


@attrs.frozen
class ToldChange:
    """A `StateChanged`."""

    key: SeatKey
    poll: int
    before: AgentState
    after: AgentState
    occurred_at: datetime | None
    delivered: float
    """The model second at which a consumer received it."""


@attrs.frozen
class ToldCalls:
    """A `CallAnswered` or a `CallMissed`."""

    key: SeatKey
    poll: int
    count: int


@attrs.frozen
class ToldPresence:
    """An `AgentJoined` or an `AgentLeft`."""

    key: SeatKey
    poll: int


@attrs.define
class Told:
    """The events that a watcher reported."""

    changes: list[ToldChange] = attrs.Factory(list[ToldChange])
    answered: list[ToldCalls] = attrs.Factory(list[ToldCalls])
    missed: list[ToldCalls] = attrs.Factory(list[ToldCalls])
    joined: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    left: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    answered_away: int = 0
    """The growth of `calls_answered` between the leaving and the return of agents who came back."""
    missed_away: int = 0
    """The growth of `no_answer_count` between the leaving and the return of agents who came back."""


@attrs.define
class PlainDiffer:
    """A hand-written comparison of `state` with the previous poll's.

    It skips failed polls (as code does that catches and logs the exception), counts an answered call when an agent
    starts to talk and a missed one when a phone stops ringing without a conversation, and trusts every good answer. It
    gets the same answers as the watcher, at the same times.
    """

    instants: list[float] = attrs.Factory(list[float])
    changes: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    answered: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    missed: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    joined: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    left: list[ToldPresence] = attrs.Factory(list[ToldPresence])
    _known: Snapshot | None = None

    def restart(self) -> None:
        """Forget all state: hand-written code saves nothing."""
        self._known = None

    def poll(self, snapshot: Snapshot, instant: float) -> None:
        """Compare a good answer with the previous one."""
        poll = len(self.instants)
        self.instants.append(instant)
        known, self._known = self._known, snapshot
        if known is None:
            return
        for key, agent in snapshot.items():
            before = known.get(key)
            if before is None:
                self.joined.append(ToldPresence(key, poll))
            elif before.state is not agent.state:
                told = ToldPresence(key, poll)
                self.changes.append(told)
                if agent.state is AgentState.TALKING:
                    self.answered.append(told)
                elif before.state is AgentState.RECEIVING:
                    self.missed.append(told)
        self.left += (ToldPresence(key, poll) for key in known.keys() - snapshot.keys())


class WatcherRun:
    """Watches the simulated platform at one interval, through a real client, and records its reports.

    Args:
        interval: Seconds between polls.
        network: Stands in for the client's aiohttp session.
        platform: The platform whose credentials to use.
        epoch: The loop's time at model second 0.
    """

    def __init__(self, interval: float, network: Network, platform: Platform, epoch: float) -> None:
        self.interval = interval
        self.polls = Polls()
        self.told = Told()
        self.plain = PlainDiffer()
        self.tries = 0
        self.failures = 0
        self.dropped = 0
        self._network = network
        self.platform = platform
        self._epoch = epoch
        self._away: dict[SeatKey, AgentStatus] = {}

    async def live(self, until: float, baseline: bytes | None = None) -> bytes:
        """Watch until a model second, from a saved snapshot if there is one; return the last snapshot, saved."""
        credentials = AppCredentials(self.platform.appid, self.platform.accesskey)
        self.polls.lives.append(len(self.polls.instants))
        # The network implements the parts of a session that a client uses.
        client = SipQueueClient("http://platform.invalid/", credentials, session=self._network, timezone=ZONE)  # type: ignore[arg-type]

        async def poll() -> Snapshot:
            return self._take(await client.fetch_snapshot())

        saved = None if baseline is None else Snapshot.from_json(baseline)
        async with client:
            watcher = StatusWatcher(poll, interval=self.interval, baseline=saved)
            consumer = asyncio.create_task(self._consume(watcher.updates()))
            async with watcher:
                await asyncio.sleep(until - self.now())
            await consumer
        self.plain.restart()
        self.tries += watcher.health.polls
        self.failures += watcher.health.failures
        self.dropped += watcher.health.stale_polls
        assert watcher.snapshot is not None
        return watcher.snapshot.to_json()

    def now(self) -> float:
        """Return the time in model seconds."""
        return asyncio.get_running_loop().time() - self._epoch

    def _take(self, answered: Snapshot) -> Snapshot:
        """Record a good poll; return its snapshot, observed at the virtual time of arrival instead of the machine's."""
        given = self._network.last
        assert given is not None
        polls = self.polls
        if not polls.instants or given.instant >= polls.instants[-1]:
            polls.instants.append(given.instant)
            polls.blank.append(given.blank)
        self.plain.poll(answered, given.instant)
        return Snapshot._at(
            answered._places,
            answered._records,
            observed_at=datetime.fromtimestamp(self.now(), ZONE),
            server_time=answered.server_time,
            problems=answered.problems,
        )

    async def _consume(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            self._note(update)

    def _note(self, update: Update) -> None:
        assert not update.coalesced
        poll, delivered, told = len(self.polls.instants) - 1, self.now(), self.told
        for event in update.events:
            match event:
                case StateChanged(key=key):
                    told.changes.append(ToldChange(key, poll, event.before, event.after, event.occurred_at, delivered))
                case CallAnswered(key=key):
                    told.answered.append(ToldCalls(key, poll, event.count))
                case CallMissed(key=key):
                    told.missed.append(ToldCalls(key, poll, event.count))
                case AgentJoined(key=key, agent=agent):
                    told.joined.append(ToldPresence(key, poll))
                    left = self._away.pop(key, agent)
                    told.answered_away += max(0, agent.calls_answered - left.calls_answered)
                    told.missed_away += max(0, agent.no_answer_count - left.no_answer_count)
                case AgentLeft(key=key, previous=previous):
                    told.left.append(ToldPresence(key, poll))
                    self._away[key] = previous
                case _:
                    pass
