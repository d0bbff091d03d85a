"""Lagging back ends: a watcher's reports about a platform that sometimes answers with data some seconds old.

Each seat's reported calls are compared with the true ones, report by report. A report contains *made-up* calls if it
raises the seat's reported calls above the true calls up to the newest answer. A call is *lost* if it was never
reported, unless it fell between the last answer before a counter reset and the reset. A change of state is *false* if
the seat did not enter that state after the previously reported one.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, takewhile
from typing import Final, Literal, NamedTuple, TypeAlias

import async_solipsism
import attrs

from sipqueue_async import (
    AgentState,
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
from sipqueue_async.simulator import BackEnd, CallCentre, GroundTruth, LiveCentre, Outcome, Plan, Platform
from sipqueue_async.tally import Tally
from tests.benchmarks.truth_network import Faults, Network
from tests.benchmarks.truth_watch import ZONE

NOON: Final = datetime(2026, 1, 5, 12)  # noqa: DTZ001  # the records' times have no zone
MIDNIGHT: Final = datetime(2026, 1, 6)  # noqa: DTZ001
WARM_UP: Final = 900.0
"""Model seconds before the watcher starts, so that most seats have had a call."""
SETTLING: Final = 150.0
"""Model seconds at the end without old answers, so that a watcher accepts the data that it held back."""
BUSY: Final = Plan(
    start=NOON,
    queues=2,
    agents=24,
    several_queues=0.0,
    calls_per_hour=940.0,
    patience=600.0,
    talk_median=12.0,
    talk_sigma=0.6,
    answer_delay=3.0,
    ring_timeout=10.0,
    wrap_up=3,
    no_answer_pause=5.0,
    refused=0.05,
    missed=0.07,
    breaks_per_hour=0.5,
    break_minutes=3.0,
)


@attrs.frozen(kw_only=True)
class Case:
    """A platform with two back ends, one of which lags, and a way of polling it."""

    interval: float
    behind: float
    kind: str = "counts at the answer"
    plan: Plan = BUSY
    polls: tuple[int, int] = (1, 1)
    """The minimum and maximum number of consecutive polls that reach the same back end."""
    fresh_time: bool = True
    reset: Literal["", "all", "all, fresh away"] = ""
    """The back ends whose counters are reset midway; after "fresh away", only the lagging back end answers."""
    hand_over: int = 0
    """The number of extensions that another agent, with other counters, takes over midway."""
    restart: bool = False
    """Whether the watcher is stopped midway, and another one resumes from the saved tally."""
    warm_up: float = WARM_UP
    faults: Faults = attrs.field(factory=Faults)
    hours: float = 1.0


def cases(hours: float = 1.0) -> tuple[Case, ...]:
    """Return the cases in the table."""
    kept = attrs.evolve(BUSY, start=MIDNIGHT - timedelta(seconds=WARM_UP + hours * 1800), counter_reset=True)
    at_end = attrs.evolve(BUSY, counted_at_end=True)
    everything = Faults(failing=0.05, blank=0.01, blank_counters=0.05, absent=0.02)
    found = [
        Case(interval=0.5, behind=0.9),
        Case(interval=2, behind=5),
        Case(interval=2, behind=10, polls=(1, 6)),
        Case(interval=2, behind=5, kind="first calls of a day", warm_up=0.0),
        Case(interval=10, behind=30),
        Case(interval=2, behind=10, kind="counts when a call ends", plan=at_end),
        Case(interval=2, behind=10, kind="`rsptime` old as well", fresh_time=False),
        Case(interval=2, behind=5, kind="counters reset midway", reset="all"),
        Case(interval=0.5, behind=5),
        Case(interval=0.5, behind=30, polls=(1, 6)),
        Case(interval=2, behind=30),
        Case(interval=10, behind=5),
        Case(interval=10, behind=30, kind="counts when a call ends", plan=at_end, polls=(1, 6)),
        Case(interval=2, behind=10, kind="midnight reset, times kept", plan=kept),
        Case(interval=2, behind=10, kind="midnight reset, times blanked", plan=attrs.evolve(kept, time_reset=True)),
        Case(interval=2, behind=10, kind="reset, then the lagging one alone", reset="all, fresh away"),
        Case(interval=2, behind=5, kind="other agents at half of the extensions", hand_over=12),
        Case(interval=2, behind=10, kind="watcher restarted from its baseline", restart=True),
        Case(interval=2, behind=5, kind="failed polls, blank counters, absent seats", faults=everything),
        Case(interval=2, behind=10, kind="all of these, and a restart", faults=everything, restart=True, polls=(1, 6)),
    ]
    return tuple(attrs.evolve(case, hours=hours) for case in found)


@attrs.frozen(kw_only=True)
class LagResult:
    """A watcher's results in one case."""

    case: Case
    true: int
    """The number of calls, answered and missed, between the first answer and the last."""
    unknowable: int
    """The number of calls between the last answer before a reset and the reset."""
    made_up: int
    lost: int
    tally_wrong: int
    """The number of seats whose tally differs from the reported calls; at a restart the tally is saved and restored."""
    changes: int
    """The number of reported changes of state."""
    false_changes: int
    delay_median: float | None
    """The delay from a call to its report, in seconds. None if some calls are not knowable, because then reports cannot
    be matched to calls."""
    delay_longest: float | None

    @property
    def exact(self) -> bool:
        """Whether no call was made up or lost, and the tally agrees."""
        return not self.made_up and not self.lost and not self.tally_wrong


def run_case(case: Case, seed: int) -> LagResult:
    """Play and watch a case in virtual time."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(watch_case(case, seed))


async def watch_case(case: Case, seed: int) -> LagResult:
    """Play and watch a case on a running loop of virtual time."""
    random.seed(seed)
    run = LagRun(case, seed)
    await run.play()
    return run.result()


_Calls: TypeAlias = tuple[SeatKey, str]
"""A seat, and `CallAnswered.kind` or `CallMissed.kind`."""


class ToldCalls(NamedTuple):
    """Reported calls."""

    answers: int
    """The number of answers so far."""
    delivered: float
    calls: _Calls
    number: int


class ToldState(NamedTuple):
    """A reported change of state."""

    answers: int
    """The number of answers so far."""
    key: SeatKey
    after: AgentState


class LagRun:
    """Plays a case and watches it, on a loop of virtual time."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case = case
        self._seed = seed
        loop = asyncio.get_running_loop()
        self._centre = CallCentre(case.plan, seed=seed)
        self._centre.run_until(case.warm_up)
        live = LiveCentre(self._centre, clock=loop.time)
        self._platform = Platform(live, clock=loop.time, timezone=ZONE)
        self._platform.faults.balance(BackEnd())
        self._network = Network(self._centre, live, self._platform, random.Random(f"{seed} {case}"), case.faults)
        self._fresh = BackEnd()
        self._lagging = BackEnd(case.behind, fresh_time=case.fresh_time)
        self._epoch = loop.time() - case.warm_up
        live.start()
        self._instants: list[float] = []
        """The model second that each good answer shows."""
        self.told: list[ToldCalls] = []
        self.tally = Tally()
        self._handed_over: dict[str, float] = {}
        self.changes: list[ToldState] = []

    async def play(self) -> None:
        """Watch from the first answer, which is current, until no answer lags any more."""
        case = self._case
        middle, end = (case.warm_up + case.hours * seconds for seconds in (1800, 3600))
        asyncio.get_running_loop().call_at(self._epoch + middle, self._reset)
        if case.restart:
            await self._watch(middle)
            self.tally = Tally.from_json(self.tally.to_json())
        await self._watch(end, is_last=True)

    def _reset(self) -> None:
        for number, extension in enumerate(self._centre.extensions[: self._case.hand_over]):
            self._centre.hand_over(extension, "Li Na", calls_answered=40 * (number % 2), no_answer_count=number)
            self._handed_over[extension] = self._centre.now
        match self._case.reset:
            case "all" | "all, fresh away" as whose:
                self._centre.reset_counters()
                self._fresh.share = float(whose == "all")
            case _:
                pass

    async def _watch(self, until: float, *, is_last: bool = False) -> None:
        """Watch until a model second."""
        credentials = AppCredentials(self._platform.appid, self._platform.accesskey)
        faults = self._platform.faults
        # The network implements the parts of a session that a client uses.
        client = SipQueueClient("http://platform.invalid/", credentials, session=self._network, timezone=ZONE)  # type: ignore[arg-type]

        async def poll() -> Snapshot:
            return self._note_answer(await client.fetch_snapshot())

        async with client:
            watcher = StatusWatcher(poll, interval=self._case.interval, baseline=self.tally.snapshot)
            self.tally.follow(watcher)
            consumer = asyncio.create_task(self._consume(watcher.updates()))
            async with watcher:
                await watcher.ready()
                if self._platform.faults.back_end not in {self._fresh, self._lagging}:
                    faults.balance(self._fresh, self._lagging, polls=self._case.polls, seed=self._seed)
                await asyncio.sleep(until - self._now())
                if is_last:
                    faults.balance(BackEnd())
                    self._network.faults = Faults()
                    await asyncio.sleep(SETTLING)
            await consumer

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._epoch

    def _note_answer(self, answered: Snapshot) -> Snapshot:
        """Record the moment that an answer shows; return the answer, observed at its time of arrival."""
        given = self._network.last
        assert given is not None
        self._instants.append(given.instant)
        return answered.with_changes(
            {},
            observed_at=datetime.fromtimestamp(self._now(), ZONE),
            server_time=answered.server_time,
            problems=answered.problems,
        )

    async def _consume(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            newest, delivered = len(self._instants), self._now()
            for event in update.events:
                match event:
                    case CallAnswered(key=key) | CallMissed(key=key):
                        self.told.append(ToldCalls(newest, delivered, (key, event.kind), event.count))
                    case StateChanged(key=key):
                        self.changes.append(ToldState(newest, key, event.after))
                    case _:
                        pass

    # ---- the comparison ----------------------------------------------------------------------------------------------

    def result(self) -> LagResult:
        """Compare the reports with the ground truth."""
        truth = self._centre.truth
        newest = list(accumulate(self._instants, max))
        times = _call_times(truth, newest[0], newest[-1])
        gaps = [(_last_before(self._instants, reset), reset) for reset in truth.counter_resets if reset > newest[0]]
        told: Counter[_Calls] = Counter()
        made_up, delays = 0, list[float]()
        for call in self.told:
            happened = bisect_right(times[call.calls], newest[call.answers - 1])
            before = told[call.calls]
            told[call.calls] = min(before + call.number, happened)
            made_up += before + call.number - told[call.calls]
            delays += (call.delivered - times[call.calls][place] for place in range(before, told[call.calls]))
        unknowable = {calls: sum(_between(found, *gap) for gap in gaps) for calls, found in times.items()}
        # If the counter fell and rose again without a new call time, the call looks like one from before the reset.
        under_way = [(*call, reset) for _, reset in gaps for call in _counted_calls(truth)]
        for calls, began, counted, reset in under_way:
            unknowable[calls] += began <= reset < counted
        for calls, found in times.items():
            if at := self._handed_over.get(calls[0].extension):
                # An answer of the same moment may still show the agent before.
                after = next(instant for instant in self._instants if instant > at)
                unknowable[calls] += _between(found, _last_before(self._instants, at), after)
        return LagResult(
            case=self._case,
            true=sum(map(len, times.values())),
            unknowable=sum(unknowable.values()),
            made_up=made_up,
            lost=sum(max(0, len(found) - unknowable[calls] - told[calls]) for calls, found in times.items()),
            tally_wrong=self._tally_wrong(),
            changes=len(self.changes),
            false_changes=self._false_changes(newest),
            delay_median=None if any(unknowable.values()) else statistics.median(delays or [0.0]),
            delay_longest=None if any(unknowable.values()) else max(delays, default=0.0),
        )

    def _tally_wrong(self) -> int:
        """Return the number of seats whose tally differs from the reported calls."""
        reported: Counter[_Calls] = Counter()
        for call in self.told:
            reported[call.calls] += call.number
        answered, missed = CallAnswered.kind, CallMissed.kind
        return sum(
            (seat.calls_answered, seat.calls_missed) != (reported[key, answered], reported[key, missed])
            for key, seat in self.tally.seats.items()
        )

    def _false_changes(self, newest: Sequence[float]) -> int:
        """Return the number of reported changes to a state that the seat did not enter after the previous one."""
        truth = self._centre.truth
        intervals = {key: truth.intervals_of(key) for key in {interval.key for interval in truth.intervals}}
        place = {key: sum(interval.start <= newest[0] for interval in found) - 1 for key, found in intervals.items()}
        false = 0
        for answers, key, after in self.changes:
            found = intervals[key]
            entered = (
                number
                for number in range(place[key] + 1, len(found))
                if found[number].start <= newest[answers - 1] and found[number].state is after
            )
            number = next(entered, None)
            false += number is None
            place[key] = place[key] if number is None else number
        return false


def _counted_calls(truth: GroundTruth) -> Iterator[tuple[_Calls, float, float]]:
    """Yield each counted call, with its call time and the moment at which it was counted."""
    for offer in truth.offers:
        counted = truth.counted_answer(offer)
        if counted is not None and offer.answered_at is not None:
            yield (offer.key, CallAnswered.kind), offer.answered_at, counted
        elif offer.outcome in {Outcome.REFUSED, Outcome.MISSED} and offer.ended_at is not None:
            yield (offer.key, CallMissed.kind), offer.offered_at, offer.ended_at


def _call_times(truth: GroundTruth, since: float, until: float) -> dict[_Calls, list[float]]:
    """Return, by seat and kind, the times at which calls were counted, after one moment and not after another."""
    times: dict[_Calls, list[float]] = {}
    for calls, _, counted in _counted_calls(truth):
        times.setdefault(calls, [])
        if since < counted <= until:
            times[calls].append(counted)
    return {calls: sorted(found) for calls, found in times.items()}


def _last_before(instants: Iterable[float], reset: float) -> float:
    """Return the newest moment that an answer showed before the first answer after a reset."""
    return max(takewhile(lambda instant: instant < reset, instants))


def _between(times: Sequence[float], since: float, until: float) -> int:
    return bisect_right(times, until) - bisect_right(times, since)
