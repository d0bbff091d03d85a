"""A whole poll over loopback HTTP, compared with a bare request for the same body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import aiohttp
import attrs

from sipqueue_async import SeatKey, SipQueueClient, Snapshot, StatusWatcher, diff
from tests.benchmarks.speed_bodies import Step, Story
from tests.benchmarks.speed_measure import Limit, Section, Spread, WrongAnswer, clock, number, table, verdict
from tests.benchmarks.speed_server import playing

RECORDS: Final = 1_000
ROUNDS: Final = 200
_SHARE: Final = 0.01
_WARM_UP: Final = 5
_LIMIT: Final = 1.6
_SERVICE: Final = "App.Sip_Queue.GetQueueSipStatus"
_LONG: Final = 3600.0

_Poll: TypeAlias = Callable[[], Awaitable[None]]
"""The function to time."""
_Seats: TypeAlias = Callable[[], set[SeatKey]]
"""Returns the seats that the last poll reported as changed."""


@attrs.frozen
class Found:
    """The times of polls, in units of a bare request."""

    records: int
    rounds: int
    client: Spread
    """`fetch_snapshot` and `diff`."""
    watcher: Spread
    """`refresh`, with a consumer of updates."""


async def run(records: int, rounds: int) -> Found:
    """Poll in turn: bare, with a client, and with a watcher."""
    story = Story(records=records, share=_SHARE, polls=_WARM_UP + rounds + 1)
    steps = story.steps()
    with playing(story) as url:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            client = SipQueueClient(url, "client", session=session)
            watched = SipQueueClient(url, "watcher", session=session)
            async with StatusWatcher(watched, interval=_LONG) as watcher:
                await watcher.ready(10)
                contestants = [
                    _bare(session, url),
                    _fetching(client, await client.fetch_snapshot()),
                    _refreshing(watcher),
                ]
                await contestants[0][0]()
                bare, fetched, refreshed = await _race(contestants, steps[1:])
    return Found(records, rounds, Spread.of_ratios(fetched, bare), Spread.of_ratios(refreshed, bare))


async def _race(contestants: Sequence[tuple[_Poll, _Seats | None]], steps: Sequence[Step]) -> list[list[float]]:
    took: list[list[float]] = [[] for _ in contestants]
    for round_, step in enumerate(steps):
        for turn in range(len(contestants)):
            which = (round_ + turn) % len(contestants)
            poll, seats = contestants[which]
            begun = clock()
            await poll()
            took[which].append(clock() - begun)
            if seats is not None and seats() != step.changed:
                raise WrongAnswer("a poll over HTTP found other changes than there were")
    return [seconds[_WARM_UP:] for seconds in took]


def _bare(session: aiohttp.ClientSession, url: str) -> tuple[_Poll, None]:
    form = {"service": _SERVICE, "token": "bare"}

    async def poll() -> None:
        async with session.post(url, data=form) as response:
            await response.read()

    return poll, None


def _fetching(client: SipQueueClient, known: Snapshot) -> tuple[_Poll, _Seats]:
    found = diff(known, known)

    async def poll() -> None:
        nonlocal known, found
        new = await client.fetch_snapshot()
        found = diff(known, new)
        known = new

    def seats() -> set[SeatKey]:
        return {event.key for event in found}

    return poll, seats


def _refreshing(watcher: StatusWatcher) -> tuple[_Poll, _Seats]:
    updates = watcher.updates()

    async def poll() -> None:
        await watcher.refresh()

    def seats() -> set[SeatKey]:
        update = updates.get_nowait()
        return {event.key for event in update.events if event.key} if update else set()

    return poll, seats


def section(found: Found) -> Section:
    """Return the table and limits."""
    client = Limit(f"a poll of {found.records:,} records over HTTP", found.client.median, _LIMIT)
    # A refresh is carried out by the watcher's task, which costs two switches between tasks that the bare request
    # avoids.
    asked = f"a poll of {found.records:,} records over HTTP that a watcher is asked for"
    watcher = Limit(asked, found.watcher.median, _LIMIT, stretch=True)
    rows = [
        (what, f"**{number(spread.median)}**", f"{number(spread.low)} to {number(spread.high)}", limit)
        for what, spread, limit in (
            ("`SipQueueClient.fetch_snapshot` and `diff`", found.client, verdict(client)),
            ("`StatusWatcher.refresh`, with a consumer", found.watcher, f"goal: {verdict(watcher)}"),
        )
    ]
    titles = (f"{found.records:,} records, 1 % changed", "bare requests", "10th to 90th percentile", "at most")
    return Section("poll", table(titles, *rows), (client, watcher))
