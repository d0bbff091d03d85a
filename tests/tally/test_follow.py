"""`Tally.follow`: where the tally of a feed begins, and what it counts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from sipqueue_async import AgentState, Snapshot, StatusWatcher, TransportError, Update
from sipqueue_async.tally import Tally
from sipqueue_async.testing import ScriptedSource
from tests.kit.tally import calls, elapsed, one
from tests.kit.times import moment

pytestmark = pytest.mark.virtual_time

AWAY = TransportError("no route to host")
TALKING = AgentState.TALKING


def watching(*answers: Snapshot | Exception, **options: Any) -> StatusWatcher:
    """Return a watcher that polls these answers when refreshed."""
    return StatusWatcher(ScriptedSource(answers), interval=1000, **options)


async def poll(watcher: StatusWatcher, times: int) -> None:
    """Make a watcher poll a number of times, successfully or not."""
    for _ in range(times):
        with contextlib.suppress(TransportError):
            await watcher.refresh()
    # Python 3.11 stops tracing the callers of a coroutine that an exception resumed, until they are resumed again.
    await asyncio.sleep(0)


@pytest.mark.parametrize("initial", [False, True])
async def test_the_first_known_status_is_the_baseline(*, initial: bool) -> None:
    """The tally begins at the first good poll, even after failures, and every further good poll updates it."""
    tally, changes = Tally(), list[Update | None]()
    answers = AWAY, one(0, calls_answered=7), one(4, calls_answered=7), one(6, TALKING, calls_answered=8)
    watcher = watching(*answers, initial=initial)
    stop = tally.follow(watcher, on_change=changes.append)
    async with watcher:
        await poll(watcher, 3)
        assert (tally.started_at, tally.observed_at, calls(tally)) == (moment(0), moment(4), (0, 0))
        await poll(watcher, 1)
        assert (calls(tally), elapsed(tally), tally.total.signed_in) == ((1, 0), {"waiting": 6}, 1)
        assert changes.count(None) == 1
        stop()
        told = len(changes)
        await poll(watcher, 1)
        assert len(changes) == told == 4


async def test_a_baseline_of_the_feed_is_where_it_begins() -> None:
    """Calls since the baseline count; the time until the first poll is unseen."""
    tally = Tally()
    watcher = watching(AWAY, one(100, calls_answered=9), one(110, calls_answered=9), baseline=one(0, calls_answered=7))
    tally.follow(watcher)
    async with watcher:
        await poll(watcher, 3)
    assert (calls(tally), elapsed(tally)) == ((2, 0), {"unseen": 100, "waiting": 10})


@pytest.mark.parametrize("answers", [[one(50)], [AWAY, one(50)]])
async def test_a_saved_tally_goes_on(answers: list[Snapshot | Exception]) -> None:
    """Calls while the program was down count, and the time is unseen; a poll without a change ends it."""
    tally = Tally(one(0))
    tally.advance(moment(10))
    tally = Tally.from_json(tally.to_json())
    watcher = watching(*answers, one(55, calls_answered=2), baseline=tally.snapshot)
    tally.follow(watcher)
    async with watcher:
        await poll(watcher, len(answers) + 1)
    assert (tally.started_at, calls(tally)) == (moment(0), (2, 0))
    assert elapsed(tally) == {"waiting": 15, "unseen": 40}


async def test_a_running_feed_is_followed_from_its_last_good_look() -> None:
    """A tally that follows a running feed counts from its last good poll."""
    watcher = watching(one(0), one(10, calls_answered=1), one(20, calls_answered=1), one(30, calls_answered=2))
    async with watcher:
        await poll(watcher, 3)
        tally = Tally()
        tally.follow(watcher)
        assert (tally.started_at, calls(tally)) == (moment(20), (0, 0))
        await poll(watcher, 1)
        assert (calls(tally), elapsed(tally)) == ((1, 0), {"waiting": 10})


async def test_a_feed_that_is_down_is_shown_so_and_counts_once_it_is_up() -> None:
    """While the feed is down, the tally shows the last known status; earlier events do not count."""
    watcher = watching(one(0), AWAY, one(30, TALKING, calls_answered=5), one(40, TALKING, calls_answered=5))
    async with watcher:
        await poll(watcher, 2)
        tally = Tally()
        tally.follow(watcher)
        down = tally.feed_down
        assert (down and down.since, tally.total.signed_in) == (moment(0), 1)
        await poll(watcher, 2)
        assert not tally.feed_down
        assert (tally.started_at, calls(tally), elapsed(tally)) == (moment(30), (0, 0), {"talking": 10})


async def test_stopping_folds_what_is_pending() -> None:
    """A pending update that no poll has folded yet is not lost."""
    watcher = watching(one(0), one(5, TALKING))
    tally = Tally()
    async with watcher:
        # This listener is called before the tally's, so the update is pending when following stops.
        watcher.add_listener(lambda _: watcher.snapshot == one(5, TALKING) and stop())
        stop = tally.follow(watcher)
        await poll(watcher, 2)
        assert (elapsed(tally), tally.total.agents[TALKING]) == ({"waiting": 5}, 1)


async def test_the_lock_is_held_while_the_tally_changes() -> None:
    """Another thread that holds the lock sees the tally between two polls."""
    lock, held = threading.Lock(), list[bool]()
    watcher = watching(one(0), one(5, TALKING))
    Tally().follow(watcher, on_change=lambda _: held.append(lock.locked()), lock=lock)
    async with watcher:
        await poll(watcher, 2)
    assert (held, lock.locked()) == ([True, True], False)
