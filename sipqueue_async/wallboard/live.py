"""Follows a feed: keeps the board up to date, knows whether it is fresh, and wakes the streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sipqueue_async import Feed, FeedDown, FeedHealth, StatusWatcher, Update
from sipqueue_async._error_text import reason
from sipqueue_async.alerts import Alerts, RulesFile
from sipqueue_async.tally import Tally
from sipqueue_async.wallboard.board import Board, milliseconds

BEAT: Final = 5.0
"""Seconds between heartbeats."""

STALE_AFTER: Final = 30.0
"""Seconds after the last good poll or read from which the board is stale."""

_CLOSED: Final = "the program no longer asks the platform"
_CLOSED_READER: Final = "the program no longer reads what a relay publishes"


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


class Live:
    """The board of a running feed.

    Args:
        feed: The feed to follow.
        clock: The time now (aware), on the clock of the snapshots' `observed_at`.
        beat: Seconds between heartbeats.
        stale_after: Seconds after the last good poll or read from which the board is stale.
        rules: The rules whose raised alerts the board shows.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        clock: Callable[[], datetime] = utc_now,
        beat: float = BEAT,
        stale_after: float,
        rules: RulesFile | None = None,
    ) -> None:
        self.feed = feed
        self.closed = False
        """Whether all streams are to end."""
        self.why_ended: str | None = None
        """Why the feed has ended; None while it runs."""
        self._clock = clock
        self._beat = beat
        self._stale_after = stale_after
        self._news = asyncio.Event()
        self._good_at: float | None = None
        self._heartbeat: str | None = None
        tally = Tally()
        self.board = Board(tally)
        self._stop_following = tally.follow(feed, on_change=self._show)
        self._outages = feed.subscribe(FeedDown)
        self.alerts: Alerts | None = None if rules is None else Alerts(feed, rules.rules)
        """The alerts of the rules, evaluated by `run`."""

    # ---- following ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the feed until it ends.

        Raises:
            BaseException: The error that ended the feed, if it failed.
        """
        remove = self.feed.add_listener(self._on_poll)
        closed = _CLOSED if isinstance(self.feed, StatusWatcher) else _CLOSED_READER
        try:
            if self.feed.health.up is not None:
                self._on_poll(self.feed.health)
            self._show_alerts()
            await self._follow()
            self._end(closed)
        except Exception as error:
            self._end(f"{closed}: {reason(error)}")
            raise
        finally:
            remove()
            self._stop_following()
            self._outages.close()
            if self.alerts is not None:
                self.alerts.close()

    async def _follow(self) -> None:
        """Wait for the end of the feed, and evaluate the rules until then."""
        if self.alerts is None:
            # The subscription ends, or raises, when the feed does.
            async for _ in self._outages:
                pass
        else:
            async for _ in self.alerts:
                self._show_alerts()

    def _show_alerts(self) -> None:
        if self.alerts is not None and self.board.show_alerts(self.alerts.state.raised):
            self._wake()

    def _end(self, why: str) -> None:
        self._stop_following()
        self.why_ended = why
        self.board.end(self.feed.health.last_good_at, why)
        self._wake()

    def _show(self, update: Update | None) -> None:
        if update is None or not self.board.has_begun:
            # Do not show a baseline before the feed has confirmed it.
            if self.feed.health.up is None:
                return
            self.board.begin(self.feed.snapshot)
        else:
            self.board.show(update)
        self._wake()

    def _on_poll(self, health: FeedHealth) -> None:
        if health.up:
            self._good_at = asyncio.get_running_loop().time()
        if not self.board.has_begun:
            # The first poll or read confirmed the baseline, without an update.
            self._show(None)
        # The figures of raised alerts change with the polls.
        self._show_alerts()
        if health.up is False and health.last_error is not None and self.board.explain(health.last_error):
            self._wake()

    # ---- for the streams ---------------------------------------------------------------------------------------------

    @property
    def is_fresh(self) -> bool:
        """Whether the last good poll or read was recent, by the loop's clock."""
        now = asyncio.get_running_loop().time()
        return not self.feed.health.ended and self._good_at is not None and now - self._good_at < self._stale_after

    @property
    def news(self) -> asyncio.Event:
        """Set with the next change or heartbeat. Get it before you read the board, so that you miss no change."""
        return self._news

    @property
    def last_heartbeat(self) -> str | None:
        """The last periodic heartbeat, the same object for all streams; None before the first."""
        return self._heartbeat

    def heartbeat(self) -> str:
        """Return a heartbeat made now, as JSON: board time and wall time in milliseconds, and the beat in seconds."""
        wall = self._clock()
        now = self.board.time.now(asyncio.get_running_loop().time(), wall)
        return json.dumps({"now": now, "clock": milliseconds(wall), "every": self._beat})

    async def send_heartbeats(self) -> None:
        """Send heartbeats, even after the feed has ended: they show that the connection is alive."""
        while True:
            await asyncio.sleep(self._beat)
            self._heartbeat = self.heartbeat()
            self._wake()

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
