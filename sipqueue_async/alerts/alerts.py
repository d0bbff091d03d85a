"""`Alerts`: the alerts of a feed, as an async iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from sipqueue_async import Feed, FeedHealth, Snapshot, Update
from sipqueue_async._whole_feed import check_whole_feed
from sipqueue_async.alerts.events import Alert
from sipqueue_async.alerts.rules import Rule
from sipqueue_async.alerts.state import AlertState, evaluate


class Alerts(AsyncIterator[Alert]):
    """Yields the alerts that rules raise for a feed: each once when it is raised, and once when it clears.

    An alert is raised at its deadline, not at the next poll. While the feed is down, only rules about the feed raise
    and clear alerts. No task runs: the iteration itself evaluates the rules. For a consumer that falls behind, the
    rules are evaluated with coalesced updates. Leaving an ``async for`` loses nothing: iterate again to continue. The
    iteration ends when the feed does.

    Example::

        rules = [StateLasts("long-talk", AgentState.TALKING, longer_than=minutes(10))]
        async with StatusWatcher(client) as watcher:
            async for alert in Alerts(watcher, rules):
                print(alert)

    Args:
        feed: A `StatusWatcher` or a reader of a relay, started or not.
        rules: The rules; or a restored state, whose `AlertState.snapshot` is the watcher's baseline.

    Raises:
        TypeError: The feed is not a feed, or one of the rules is not a rule.
        ValueError: Two rules have the same name, an `unless` is invalid, or the feed shares its updates with a group.
    """

    def __init__(self, feed: Feed, rules: Iterable[Rule] | AlertState) -> None:
        check_whole_feed("feed", feed)
        self._feed = feed
        self._state = rules if isinstance(rules, AlertState) else AlertState(rules)
        # Part of the state, so that a saved state includes what was not yielded yet.
        self._alerts = self._state.untold
        self._deadline: datetime | None = None
        self._updates = feed.updates()
        self._seen: Snapshot | None = None
        # A reading of the event loop's clock, and the snapshots' time at that moment.
        self._moment: tuple[float, datetime] | None = None
        self._polled = asyncio.Event()
        self._remove = feed.add_listener(self._on_poll)

    @property
    def state(self) -> AlertState:
        """The present state, to save for a restart. Alerts that were not yielded yet are in it, and come first then."""
        return self._state

    @property
    def pending(self) -> int:
        """The number of alerts that were not yielded yet."""
        return len(self._alerts)

    def __repr__(self) -> str:
        return f"<Alerts by {len(self._state.rules)} rules, {self._state.standing} raised>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Alert:
        while not self._alerts:
            update = self._updates.get_nowait()
            if update is not None:
                self._evaluate(update)
            elif not self._caught_up():
                await self._wait()
        return self._alerts.popleft()

    def close(self) -> None:
        """Stop receiving updates."""
        self._remove()
        self._updates.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _wait(self) -> None:
        """Wait for an update, a completed poll or read, or the deadline, whichever comes first."""
        delay = None if self._deadline is None else max(0.0, (self._deadline - self._now()).total_seconds())
        self._polled.clear()
        update = asyncio.ensure_future(anext(self._updates))
        poll = asyncio.ensure_future(self._polled.wait())
        try:
            await asyncio.wait((update, poll), timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            poll.cancel()
            if not update.cancel():
                # Evaluate the update here, or a cancellation would lose it.
                self._evaluate(update.result())

    def _caught_up(self) -> bool:
        """Evaluate the passed time, while no update is pending; return whether there are alerts."""
        snapshot = self._feed.snapshot
        if snapshot is not None and snapshot is not self._seen and self._feed.health.up:
            self._seen = snapshot
            self._evaluate(snapshot)
        self._evaluate(self._now())
        return bool(self._alerts)

    def _evaluate(self, what: Update | Snapshot | datetime) -> None:
        self._state, alerts, self._deadline = evaluate(self._state, what)
        self._alerts.extend(alerts)

    def _on_poll(self, _: FeedHealth) -> None:
        """Keep the time of the feed's snapshot, after each poll or read."""
        self._polled.set()
        snapshot = self._feed.snapshot
        if snapshot is not None and (self._moment is None or self._moment[1] != snapshot.observed_at):
            steady = snapshot.steady_at
            now = asyncio.get_running_loop().time() if steady is None else steady
            self._moment = (now, snapshot.observed_at)

    def _now(self) -> datetime:
        """Return the present, in the snapshots' time."""
        loop_time = asyncio.get_running_loop().time()
        if self._moment is None:
            self._moment = (loop_time, datetime.now(UTC))
        return self._moment[1] + timedelta(seconds=loop_time - self._moment[0])
