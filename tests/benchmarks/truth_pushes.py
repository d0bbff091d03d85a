"""Pushes and call records against the truth: how soon calls are reported, at what cost, and which queue a record gets.

A watcher polls a simulated call centre through the network of the truth benchmark, in virtual time, with and without
pushes, of which a share is lost. A `CallFeed` follows the call records beside it. The figures:

- *delay*: from the answer of a call in a queue to the `CallAnswered` that reports it. Each is reported once, so reports
  and answers of a seat are matched in their order;
- *requests* and *bytes*: of the watcher's status polls and of their bodies, a minute;
- *queue*: the share of answered calls of the queues whose record gets its queue, and the number of records with a
  wrong one.

Run it with ``python tests/benchmarks/truth_pushes.py``; it fails if a record has a wrong queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import random
import statistics
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import async_solipsism
import attrs

sys.path.append(str(Path(__file__).parents[2]))

from sipqueue_async import AppCredentials, CallAnswered, SeatKey, SipQueueClient, StatusWatcher, Update
from sipqueue_async.push import PushReceiver
from sipqueue_async.records import CallFeed
from sipqueue_async.simulator import CallCentre, GroundTruth, LiveCentre, Plan, Platform
from tests.benchmarks.truth_network import Faults, Network
from tests.benchmarks.truth_pushes_report import write
from tests.benchmarks.truth_watch import ZONE

START: Final = datetime(2026, 1, 5, 9)  # noqa: DTZ001  # the records' times have no zone
WARM_UP: Final = 900.0
"""Model seconds before the watcher starts, so that most seats have had a call."""
TICK: Final = 0.1
"""Seconds between two looks at the model for what the platform pushes."""
JOURNEY: Final = (0.02, 0.08)
"""The least and the most seconds that a push is under way."""
AFTER: Final = 30.0
"""Seconds at the end for the last calls to be reported."""


@attrs.frozen(kw_only=True)
class Case:
    """A call centre, and a way of watching it."""

    agents: int = 20
    interval: float = 10.0
    pushes: bool = False
    loss: float = 0.0
    """The share of the pushes that is lost."""
    min_interval: float = 0.5
    """The receiver's least seconds between polls."""
    whole_up_to: int = 50
    """The most seats of which the receiver polls the whole status."""
    minutes: float = 60.0

    @property
    def options(self) -> dict[str, float]:
        """The receiver's options that are not the usual ones."""
        options = {"min_interval": self.min_interval, "whole_up_to": self.whole_up_to}
        return {name: option for name, option in options.items() if option != getattr(Case(), name)}

    @property
    def plan(self) -> Plan:
        """A day of ten calls an hour for each agent."""
        queues = max(2, self.agents // 40)
        return Plan(
            start=START,
            agents=self.agents,
            queues=queues,
            several_queues=0.1,
            calls_per_hour=10.0 * self.agents / queues,
            external_calls_per_hour=1.0,
        )


def cases(minutes: float) -> tuple[Case, ...]:
    """Return the cases of the table; a run of 200 agents takes a quarter of the time, in which more calls happen."""
    usual = (
        Case(
            agents=agents,
            interval=interval,
            pushes=loss is not None,
            loss=loss or 0.0,
            minutes=minutes * min(1.0, 50 / agents),
        )
        for agents in (20, 200)
        for interval, losses in (
            (1.0, (None,)),
            (2.0, (None,)),
            (10.0, (None, 0.0, 0.1, 0.5)),
            (60.0, (None, 0.0, 0.1, 0.5)),
        )
        for loss in losses
    )
    busy = Case(agents=200, pushes=True, minutes=minutes / 4)
    return (*usual, attrs.evolve(busy, min_interval=2.0), attrs.evolve(busy, whole_up_to=1000))


@attrs.frozen(kw_only=True)
class PushResult:
    """The figures of one case."""

    case: Case
    answered: int
    """The answers of queue calls in the measured time."""
    delay_median: float
    delay_p99: float
    requests: float
    """Status polls a minute."""
    kilobytes: float
    """Their bodies a minute."""
    queue_calls: int
    """Records of answered queue calls."""
    right: int
    wrong: int


def run_case(case: Case, seed: int) -> PushResult:
    """Play and watch a case in virtual time."""
    logging.getLogger("sipqueue_async").addHandler(logging.NullHandler())
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(watch_case(case, seed))


async def watch_case(case: Case, seed: int) -> PushResult:
    """Play and watch a case on a running loop of virtual time."""
    random.seed(seed)
    run = PushRun(case, seed)
    await run.play()
    return run.result()


class _Counting(Network):
    """Counts the status polls and the bytes of their answers."""

    requests = 0
    size = 0

    def _damaged(self, body: bytes) -> bytes:
        self.requests += 1
        self.size += len(body)
        return body


class PushRun:
    """Plays a case and watches it, on a loop of virtual time."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case = case
        self._rng = random.Random(f"{seed} {case.interval} {case.loss}")
        loop = asyncio.get_running_loop()
        self._centre = CallCentre(case.plan, seed=seed)
        self._centre.run_until(WARM_UP)
        self._live = LiveCentre(self._centre, clock=loop.time)
        self._platform = Platform(self._live, clock=loop.time, timezone=ZONE)
        self._network = _Counting(self._centre, self._live, self._platform, self._rng, Faults())
        self._epoch = loop.time() - WARM_UP
        self._live.start()
        self._end = WARM_UP + case.minutes * 60
        self.told: dict[SeatKey, list[float]] = {}
        """When each answer of a seat was reported, in model seconds."""
        self.queues: dict[str, str | None] = {}
        """The queue of each record."""
        self._deliveries: set[asyncio.Task[None]] = set()
        self._first = 0.0

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._epoch

    async def play(self) -> None:
        """Watch until the end, and then until every call must have been reported."""
        credentials = AppCredentials(self._platform.appid, self._platform.accesskey)
        # The network implements the parts of a session that a client uses.
        client = SipQueueClient("http://platform.invalid/", credentials, session=self._network, timezone=ZONE)  # type: ignore[arg-type]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            watcher = StatusWatcher(client, interval=self._case.interval)
            records = CallFeed(client, START.replace(tzinfo=ZONE), status=watcher)
            updates = watcher.updates()
            await stack.enter_async_context(watcher)
            await watcher.ready()
            self._first = self._network.last.instant if self._network.last else 0.0
            consumers = [asyncio.create_task(self._consume(updates)), asyncio.create_task(self._follow(records))]
            if self._case.pushes:
                receiver = PushReceiver(
                    watcher,
                    min_interval=self._case.min_interval,
                    whole_up_to=self._case.whole_up_to,
                    on_record=records.look,
                )
                await stack.enter_async_context(receiver)
                consumers.append(asyncio.create_task(self._push(receiver)))
            await asyncio.sleep(self._end - self._now())
            self._polls, self._bytes = self._network.requests, self._network.size
            await asyncio.sleep(self._case.interval + AFTER)
            for task in consumers:
                task.cancel()
            await asyncio.wait(consumers)
        self._live.stop()

    async def _consume(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            for event in update.events:
                if isinstance(event, CallAnswered):
                    self.told.setdefault(event.key, []).extend([self._now()] * event.count)

    async def _follow(self, records: CallFeed) -> None:
        async for call in records:
            self.queues[call.record.id] = call.queue

    async def _push(self, receiver: PushReceiver) -> None:
        """Push what happens to the telephones, and the records, as the platform does; a share is lost."""
        before, past = self._live.calls(), len(self._live.past_calls())
        while True:
            await asyncio.sleep(TICK)
            now, records = self._live.calls(), len(self._live.past_calls())
            changed = sorted(it for it in before.keys() | now.keys() if before.get(it) != now.get(it))
            ended = self._live.past_calls()[past:]
            bodies: list[dict[str, str | None]] = [{"type": "call", "extnumber": extension} for extension in changed]
            bodies += [{"endtime": "now", "extnumber": call.extension} for call in ended]
            before, past = now, records
            for body in bodies:
                if self._rng.random() >= self._case.loss:
                    task = asyncio.create_task(self._deliver(receiver, json.dumps(body).encode()))
                    self._deliveries.add(task)
                    task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, receiver: PushReceiver, body: bytes) -> None:
        await asyncio.sleep(self._rng.uniform(*JOURNEY))
        await receiver.handle(body)

    def result(self) -> PushResult:
        """Compare the reports with the ground truth."""
        delays = sorted(_delays(self._centre.truth, self.told, self._first, self._end))
        minutes = (self._end - WARM_UP) / 60
        right, wrong, queue_calls = 0, 0, 0
        for call in self._live.past_calls():
            queue = self.queues.get(str(call.id))
            wrong += queue not in {None, call.queue}
            # Before the watcher, no status showed the answer.
            began = (START.fromisoformat(str(call.answered_at)) - START).total_seconds() if call.answered_at else 0.0
            if call.queue is not None and self._first < began and str(call.id) in self.queues:
                queue_calls += 1
                right += queue == call.queue
        return PushResult(
            case=self._case,
            answered=len(delays),
            delay_median=statistics.median(delays),
            delay_p99=delays[math.ceil(len(delays) * 0.99) - 1],
            requests=self._polls / minutes,
            kilobytes=self._bytes / minutes / 1000,
            queue_calls=queue_calls,
            right=right,
            wrong=wrong,
        )


def _delays(truth: GroundTruth, told: dict[SeatKey, list[float]], first: float, end: float) -> Iterator[float]:
    """Yield the delay of each answer up to `end`.

    Raises:
        ValueError: A seat has fewer reports than answers.
    """
    answers: dict[SeatKey, list[float]] = {}
    for offer in truth.offers:
        if offer.answered_at is not None and first < offer.answered_at <= end:
            answers.setdefault(offer.key, []).append(offer.answered_at)
    for key, times in answers.items():
        for answered, reported in zip(sorted(times), told.get(key, [])[: len(times)], strict=True):
            yield reported - answered


def main(argv: Sequence[str] | None = None) -> int:
    """Run all cases, print the tables, and return the exit status: 1 if a record got a wrong queue."""
    parser = argparse.ArgumentParser(description="Hold pushes and call records against what really happened.")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of each run (default: 60)")
    parser.add_argument("--cases", type=int, help="how many of the cases (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="settles what happens (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes (default: one a core)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="put tables and picture into the pages there")
    asked = parser.parse_args(argv)
    chosen = cases(asked.minutes)[: asked.cases]
    if asked.jobs == 1:
        results = [run_case(case, asked.seed) for case in chosen]
    else:
        with ProcessPoolExecutor(asked.jobs) as pool:
            results = list(pool.map(run_case, chosen, [asked.seed] * len(chosen)))
    print(write(results, asked.write))  # noqa: T201
    wrong = sum(result.wrong for result in results)
    print(f"{wrong} records have a wrong queue." if wrong else "No record has a wrong queue.")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
