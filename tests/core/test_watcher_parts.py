"""`StatusWatcher.refresh_extensions`, in virtual time: a poll of single extensions changes only their seats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import attrs
import pytest

from sipqueue_async import (
    AgentJoined,
    AgentState,
    AgentStatus,
    CallAnswered,
    FeedDown,
    OperationFailed,
    Snapshot,
    StateChanged,
    StatusWatcher,
    TransportError,
)
from tests.kit.builders import START, agent

pytestmark = pytest.mark.virtual_time

T1, T2 = START.replace(tzinfo=None), START.replace(tzinfo=None) + timedelta(minutes=1)
ANN = agent("1", calls_answered=3, last_answered_at=T2)
IN_SALES = attrs.evolve(ANN, queue="sales")
BOB = agent("2", name="Bob")


class Platform:
    """A source that filters, with the requests that it got: None for the whole, or the extension."""

    def __init__(self, *agents: AgentStatus) -> None:
        self.agents = list(agents)
        self.asked: list[str | None] = []
        self.began: list[float] = []
        self.latency = self.latency_of_parts = 0.1
        self.behind = self.parts_behind = timedelta(0)
        """How old the answers say they are, about the whole and about extensions."""
        self.errors: dict[str | None, Exception] = {}
        self.shown_in_parts: list[AgentStatus] | None = None
        """The records of answers about extensions, if they differ."""

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: object = None
    ) -> Snapshot:
        now = asyncio.get_running_loop().time()
        self.asked.append(extension)
        self.began.append(now)
        shown = self.agents if extension is None or self.shown_in_parts is None else self.shown_in_parts
        if shown is self.agents:
            shown = [it for it in shown if extension in {None, it.extension} and queue in {None, it.queue}]
        await asyncio.sleep(self.latency if extension is None else self.latency_of_parts)
        if extension in self.errors:
            raise self.errors[extension]
        at = START + timedelta(seconds=now)
        return Snapshot(
            shown, observed_at=at, server_time=at - (self.parts_behind if extension else self.behind), steady_at=now
        )

    def change(self, place: int = 0, **fields: Any) -> None:
        self.agents[place] = attrs.evolve(self.agents[place], **fields)


@asynccontextmanager
async def watching(**options: Any) -> AsyncGenerator[tuple[StatusWatcher, Platform]]:
    """Yield a watcher that has polled once, and its source."""
    platform = Platform(ANN, IN_SALES, BOB)
    async with StatusWatcher(platform, interval=10.0, max_lag=5.0, **options) as watcher:
        await watcher.ready()
        yield watcher, platform


async def test_only_the_seats_of_the_extension_are_updated() -> None:
    async with watching() as (watcher, platform):
        before = watcher.snapshot
        assert before is not None
        updates = watcher.updates()
        told = []
        watcher.add_listener(lambda health: told.append(health.partial_polls))
        platform.change(0, state=AgentState.TALKING, calls_answered=4, last_answered_at=T2 + timedelta(seconds=1))
        platform.change(2, state=AgentState.PAUSED)
        after = await watcher.refresh_extensions("1")
        assert platform.asked == [None, "1"]
        update = updates.get_nowait()
        assert update is not None
        assert after is watcher.snapshot is update.snapshot
        assert [type(event) for event in update.events] == [StateChanged, CallAnswered]
        assert after[BOB.key] is before[BOB.key]
        assert after[IN_SALES.key] is before[IN_SALES.key]
        assert after.server_time == before.server_time
        assert watcher.health.last_good_at == after.observed_at > before.observed_at
        assert told == [1]
        assert (watcher.health.polls, watcher.health.partial_polls) == (1, 1)
        await watcher.refresh_extensions(["1"])
        assert updates.get_nowait() is None


async def test_the_regular_polls_come_at_their_times() -> None:
    async with watching() as (watcher, platform):
        start = platform.began[0]
        for _ in range(120):
            await watcher.refresh_extensions(["1", "2"])
        regular = [at - start for at, asked in zip(platform.began, platform.asked, strict=True) if asked is None]
        # A request about an extension is not cut short.
        assert regular == pytest.approx([0, 10, 20], abs=platform.latency)
        assert min(map(platform.asked.count, "12")) > 100


async def test_a_slow_answer_about_an_extension_delays_a_regular_poll_by_a_second_at_most() -> None:
    async with watching() as (watcher, platform):
        platform.latency_of_parts = 60.0
        assert await watcher.refresh_extensions(["1"]) is watcher.snapshot
        assert platform.asked == [None, "1", None]
        assert platform.began[2] - platform.began[0] == pytest.approx(11)
        await asyncio.sleep(10)
        assert platform.began[3] - platform.began[0] == pytest.approx(20)
        assert watcher.health.failures == 0


async def test_calls_for_the_same_extension_share_a_poll_that_begins_after_them() -> None:
    async with watching() as (watcher, platform):
        first = asyncio.create_task(watcher.refresh_extensions(["1"]))
        await asyncio.sleep(0.05)
        assert platform.asked == [None, "1"]
        others = [asyncio.create_task(watcher.refresh_extensions(["1"])) for _ in range(3)]
        await asyncio.gather(first, *others)
        assert platform.asked == [None, "1", "1"]


async def test_a_poll_of_the_whole_answers_for_the_extensions_too() -> None:
    async with watching() as (watcher, platform):
        await asyncio.gather(watcher.refresh_extensions(["1", "2"]), watcher.refresh())
        assert platform.asked == [None, None]
        part = asyncio.create_task(watcher.refresh_extensions(["1"]))
        await asyncio.sleep(0.05)
        await asyncio.gather(part, watcher.refresh(), watcher.refresh(anew=True))
        assert platform.asked == [None, None, "1", None]


def _not_there(platform: Platform) -> None:
    platform.errors["1"] = OperationFailed(1012, "the extension does not exist")


def _away(platform: Platform) -> None:
    platform.errors["1"] = TransportError("away")


def _broken(platform: Platform) -> None:
    platform.errors["1"] = ValueError("broken")


def _without_a_seat(platform: Platform) -> None:
    platform.shown_in_parts = [ANN]


def _with_another_seat(platform: Platform) -> None:
    platform.shown_in_parts = [ANN, IN_SALES, attrs.evolve(ANN, queue="new")]


def _unfiltered(platform: Platform) -> None:
    platform.shown_in_parts = list(platform.agents)


def _empty(platform: Platform) -> None:
    platform.shown_in_parts = []


def _from_a_cache(platform: Platform) -> None:
    platform.shown_in_parts = [ANN, IN_SALES]
    platform.parts_behind = timedelta(seconds=1.5)


def _old(platform: Platform) -> None:
    platform.shown_in_parts = [attrs.evolve(ANN, last_answered_at=T1), IN_SALES]


@pytest.mark.parametrize(
    "spoil",
    [
        _not_there,
        _away,
        _broken,
        _without_a_seat,
        _with_another_seat,
        _unfiltered,
        _empty,
        _from_a_cache,
        _old,
    ],
)
async def test_if_it_is_of_no_use_the_whole_is_polled_at_once_and_for_max_lag(
    spoil: Callable[[Platform], None],
) -> None:
    """What happens then is what happens without such polls: no seat leaves or joins, and the feed stays up."""
    async with watching() as (watcher, platform):
        updates = watcher.updates()
        spoil(platform)
        assert await watcher.refresh_extensions(["1"]) == Snapshot(platform.agents, observed_at=START)
        assert platform.asked == [None, "1", None]
        assert platform.began[2] == pytest.approx(platform.began[1] + platform.latency)
        await watcher.refresh_extensions(["1"])
        assert platform.asked == [None, "1", None, None]
        assert updates.get_nowait() is None
        assert watcher.health.up
        assert watcher.health.failures == watcher.health.stale_polls == 0
        await asyncio.sleep(6)
        platform.errors.clear()
        platform.shown_in_parts, platform.parts_behind = None, timedelta(0)
        await watcher.refresh_extensions(["1"])
        assert platform.asked == [None, "1", None, None, "1"]


async def test_after_signs_of_lag_the_whole_is_polled_for_max_lag() -> None:
    async with watching() as (watcher, platform):
        platform.change(0, last_answered_at=T1)
        platform.change(2, last_answered_at=T2)
        await watcher.refresh()
        assert watcher.health.held_back_records == 1
        await watcher.refresh_extensions(["2"])
        assert platform.asked == [None] * 3
        platform.change(0, last_answered_at=T2)
        await asyncio.sleep(6)
        await watcher.refresh_extensions(["2"])
        assert platform.asked[-1] == "2"
        platform.behind = timedelta(seconds=30)
        await watcher.refresh()
        assert watcher.health.stale_polls == 2
        platform.behind = timedelta(0)
        await watcher.refresh_extensions(["2"])
        assert platform.asked[-1] is None


async def test_the_rest_of_an_answer_that_holds_back_a_record_is_accepted() -> None:
    async with watching() as (watcher, platform):
        forward = attrs.evolve(IN_SALES, last_answered_at=T2 + timedelta(seconds=1))
        platform.shown_in_parts = [attrs.evolve(ANN, last_answered_at=T1), forward]
        after = await watcher.refresh_extensions(["1"])
        assert after[IN_SALES.key] == forward
        assert after[ANN.key] == ANN
        assert platform.asked == [None, "1"]
        assert watcher.health.held_back_records == 1
        await watcher.refresh_extensions(["2"])
        assert platform.asked == [None, "1", None]


async def test_while_the_feed_is_down_the_whole_is_polled() -> None:
    async with watching() as (watcher, platform):
        updates = watcher.updates()
        platform.errors[None] = TransportError("away")
        with pytest.raises(TransportError):
            await watcher.refresh()
        with pytest.raises(TransportError):
            await watcher.refresh_extensions(["1", "2"])
        assert platform.asked == [None] * 3
        assert isinstance((await anext(updates)).events[0], FeedDown)
        platform.errors.clear()
        await watcher.refresh_extensions(["1"])
        assert platform.asked == [None] * 4


async def test_without_a_filter_or_a_first_poll_the_whole_is_polled() -> None:
    platform = Platform(ANN)
    async with StatusWatcher(platform.fetch_snapshot, interval=10) as watcher:
        await watcher.ready()
        await watcher.refresh_extensions(["1"])
    async with StatusWatcher(platform, interval=10) as watcher:
        await watcher.refresh_extensions(["1"])
    assert platform.asked == [None] * 3


async def test_the_watched_queues_are_the_only_ones() -> None:
    async with watching(queues=["sales"]) as (watcher, platform):
        assert (await watcher.refresh_extensions(["1"])).keys() == {IN_SALES.key}
        assert platform.asked == [None, "1"]


async def test_a_new_seat_joins_by_the_poll_of_the_whole() -> None:
    async with watching() as (watcher, platform):
        updates = watcher.updates()
        platform.agents.append(agent("3"))
        await watcher.refresh_extensions(["3"])
        assert platform.asked == [None, "3", None]
        assert isinstance((await anext(updates)).events[0], AgentJoined)


@pytest.mark.parametrize("options", [{}, {"extensions": ["2"]}])
async def test_an_extension_without_a_known_seat_costs_a_poll_of_the_whole(options: dict[str, Any]) -> None:
    async with watching(**options) as (watcher, platform):
        asked = "1" if options else "9"
        await watcher.refresh_extensions([asked])
        assert platform.asked[1:] == [asked, platform.asked[0]]


async def test_a_watcher_that_closes_ends_the_call() -> None:
    async with watching() as (watcher, platform):
        under_way, waiting = (asyncio.create_task(watcher.refresh_extensions([it])) for it in ("1", "2"))
        await asyncio.sleep(0.05)
        assert platform.asked == [None, "1"]
    for task in (under_way, waiting):
        with pytest.raises(RuntimeError, match="closed"):
            await task
    with pytest.raises(RuntimeError, match="the watcher has ended"):
        await watcher.refresh_extensions(["1"])


async def test_a_caller_that_gives_up_costs_no_other_poll() -> None:
    async with watching() as (watcher, platform):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watcher.refresh_extensions(["1"])
        await asyncio.sleep(1)
        assert platform.asked == [None, "1"]


@pytest.mark.parametrize("extensions", [[], "", ["1", ""]])
async def test_names_are_checked(extensions: Any) -> None:
    async with watching() as (watcher, platform):
        with pytest.raises(ValueError, match="extensions needs at least one name"):
            await watcher.refresh_extensions(extensions)
        assert platform.asked == [None]
