"""The cost of publishing an update, by the number of subscriptions and by how many of them match."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async import (
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Snapshot,
    StatusWatcher,
    Subscription,
    Update,
    diff,
)
from tests.benchmarks.speed_measure import Limit, Section, Spread, WrongAnswer, clock, number, table

SUBSCRIPTIONS: Final = 10_000
ROUNDS: Final = 15
_SEATS: Final = 10
_NO_MATCH_LIMIT: Final = 2.0
"""The limit for an update that no subscription wants, in units of publishing it to the one subscription that does."""
_REPEAT: Final = 20
"""The number of times that an update is published while the clock runs, if at most one subscription wants it."""

_Subscribe: TypeAlias = Callable[[StatusWatcher], Subscription[Any]]

_unheard_of: Final = map("nobody's {}".format, count())
"""New names that occur in no event."""

_FILTERS: Final[dict[str, tuple[_Subscribe, _Subscribe]]] = {
    "queue": (
        lambda watcher: watcher.subscribe(queue="queue-3"),
        lambda watcher: watcher.subscribe(queue=next(_unheard_of)),
    ),
    "two queues": (
        lambda watcher: watcher.subscribe(queues=("queue-3", "another")),
        lambda watcher: watcher.subscribe(queues=(next(_unheard_of), next(_unheard_of))),
    ),
    "extension": (
        lambda watcher: watcher.subscribe(extension="100003"),
        lambda watcher: watcher.subscribe(extension=next(_unheard_of)),
    ),
    "type": (
        lambda watcher: watcher.subscribe(CallAnswered),
        lambda watcher: watcher.subscribe(CallMissed),
    ),
}
"""By kind of filter: a subscription that wants exactly one event of the update, and one that wants none."""


@attrs.frozen
class Found:
    """The times of publishing to many subscriptions, in units of publishing to one that wants the update."""

    filtered_by: str
    subscriptions: int
    none: Spread
    """With no subscription that wants the update."""
    one: Spread
    """With one subscription that wants it."""
    all: Spread
    """With only subscriptions that want it."""


class _Audience:
    """A watcher with subscriptions; some of them want the update."""

    def __init__(self, watcher: StatusWatcher, wanting: Sequence[_Subscribe], others: Sequence[_Subscribe]) -> None:
        self._watcher = watcher
        self._stream = aiter(watcher)
        self._wanting = [subscribe(watcher) for subscribe in wanting]
        self._others = [subscribe(watcher) for subscribe in others]
        self._repeat = _REPEAT if len(wanting) <= 1 else 1

    async def publish(self, update: Update) -> float:
        """Publish an update, and return the seconds that it took."""
        fanout = self._watcher._fanout
        begun = clock()
        for _ in range(self._repeat):
            fanout.publish(update)
        took = (clock() - begun) / self._repeat
        await self._check(update)
        return took

    async def _check(self, update: Update) -> None:
        """Empty all subscriptions, and check that each one received exactly the matching events."""
        got = [it.pending for it in self._wanting]
        if set(got) - {self._repeat} or any(it.pending for it in self._others):
            raise WrongAnswer("an update went to others than those who want it")
        for subscription in self._wanting:
            for _ in range(self._repeat):
                await anext(subscription)
        for _ in range(self._repeat * len(update.events)):
            await anext(self._stream)


def run(subscriptions: int, rounds: int) -> list[Found]:
    """Publish an update to that many subscriptions, with each kind of filter."""
    return [asyncio.run(_run(filtered_by, subscriptions, rounds)) for filtered_by in _FILTERS]


async def _run(filtered_by: str, subscriptions: int, rounds: int) -> Found:
    wants, other = _FILTERS[filtered_by]
    update = _update()
    async with AsyncExitStack() as running:
        audiences = [
            _Audience(await running.enter_async_context(_silent()), [wants] * wanting, [other] * others)
            for wanting, others in ((1, 0), (0, subscriptions), (1, subscriptions - 1), (subscriptions, 0))
        ]
        took: list[list[float]] = [[] for _ in audiences]
        for round_ in range(rounds + 1):
            for turn in range(len(audiences)):
                which = (round_ + turn) % len(audiences)
                took[which].append(await audiences[which].publish(update))
    one, *rest = (seconds[1:] for seconds in took)
    return Found(filtered_by, subscriptions, *(Spread.of_ratios(seconds, one) for seconds in rest))


def _silent() -> StatusWatcher:
    """Return a watcher whose source never answers."""
    return StatusWatcher(asyncio.get_running_loop().create_future)


def _update() -> Update:
    """Return an update with a change of state in each of ten queues, and one answered call."""
    states = (AgentState.WAITING, AgentState.RECEIVING)
    before, after = (
        Snapshot(
            [
                AgentStatus(
                    queue=f"queue-{seat}",
                    extension=str(100000 + seat),
                    state=state,
                    state_code=1213 + moment,
                    calls_answered=moment if seat == 0 else 0,
                )
                for seat in range(_SEATS)
            ],
            observed_at=datetime(2026, 1, 6, 12, 0, moment, tzinfo=UTC),
        )
        for moment, state in enumerate(states)
    )
    return Update(sequence=1, snapshot=after, previous=before, events=diff(before, after))


def section(found: Sequence[Found]) -> Section:
    """Return the table."""
    many = f"{found[0].subscriptions:,}"
    rows = [
        (
            it.filtered_by,
            number(it.none.median),
            number(it.one.median),
            number(it.all.median),
            number(it.all.median / it.subscriptions),
        )
        for it in found
    ]
    titles = (f"{many} subscriptions, filtered by", "no match", "one match", "all match", "all match, each")
    limits = [
        Limit(f"an update that none of {many} subscriptions by {it.filtered_by} wants", it.none.median, _NO_MATCH_LIMIT)
        for it in found
    ]
    return Section("fanout", table(titles, *rows), limits)
