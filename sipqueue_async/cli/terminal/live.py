"""The status that `sipqueue top` shows: a feed's tally, the time up to which states last, and agents' last events."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sipqueue_async import (
    Event,
    Feed,
    FeedDown,
    FeedHealth,
    FeedUp,
    SeatFilter,
    SipQueueError,
    StatusWatcher,
    Update,
)
from sipqueue_async.alerts import Alerts, RulesFile
from sipqueue_async.cli.absent import has_absent
from sipqueue_async.cli.origin import ALL_SEATS, Origin, absent_names
from sipqueue_async.cli.terminal.board import Scene
from sipqueue_async.cli.terminal.output import ELLIPSIS
from sipqueue_async.tally import Tally

_REMEMBERED: Final = 30
"""How many events of an agent are kept."""


class LiveStatus:
    """A feed's status, kept up to date.

    Args:
        feed: A feed that is not started yet.
        title: What is watched.
        ellipsis: The sign for text that was cut off.
        rules: The rules whose raised alerts are shown.
    """

    def __init__(self, feed: Feed, title: str, *, ellipsis: str = ELLIPSIS, rules: RulesFile | None = None) -> None:
        self._feed = feed
        self._title = title
        self._ellipsis = ellipsis
        self._last_good: tuple[datetime, float] | None = None
        """When the last good answer arrived, on its own clock and on the loop's."""
        self._answered_at: datetime | None = None
        """The last `last_good_at` of the feed's health."""
        self._events: defaultdict[str, deque[Event]] = defaultdict(partial(deque, maxlen=_REMEMBERED))
        self._absent = ""
        self._seats = ALL_SEATS
        self._language = "en" if rules is None else rules.language
        self._alerts = None if rules is None else Alerts(feed, rules.rules)
        self.tally = Tally()
        """The figures since the start."""
        self.news = asyncio.Event()
        """Set after each poll."""
        self.tally.follow(feed, on_change=self._remember)
        feed.add_listener(self._looked)

    def _remember(self, update: Update | None) -> None:
        for event in () if update is None else update.events:
            if not isinstance(event, FeedDown | FeedUp):
                self._events[event.extension].append(event)

    def _looked(self, health: FeedHealth) -> None:
        if health.last_good_at is not None and health.last_good_at != self._answered_at:
            self._note_answer(health.last_good_at)
        self.news.set()

    def _note_answer(self, good_at: datetime) -> None:
        """Let the times on the screen run on from the last good answer.

        A watcher reports each answer at once. A relay's reader learns seconds late of an answer without a change; the
        times must not step back then.
        """
        was, self._answered_at = self._answered_at, good_at
        now, at = asyncio.get_running_loop().time(), good_at
        is_late = was is not None and was < good_at and not isinstance(self._feed, StatusWatcher)
        if self._last_good is not None and is_late:
            before, seen = self._last_good
            at = max(good_at, before + timedelta(seconds=now - seen))
        self._last_good = at, now

    async def look_for_absent(self, origin: Origin, seats: SeatFilter) -> None:
        """Find the named queues and extensions that do not exist, once the first status is known."""
        try:
            known = await self._feed.ready()
        except SipQueueError:
            return  # The feed has ended, so end the program.
        self._seats = seats
        self._absent = await absent_names(origin, seats, known) or ""
        self.news.set()

    async def follow_alerts(self) -> None:
        """Evaluate the rules, if there are any, until the feed ends."""
        if self._alerts is None:
            return
        # The program ends with the error that ended the feed.
        with contextlib.suppress(SipQueueError, StopAsyncIteration), self._alerts:
            while True:
                await anext(self._alerts)
                self.news.set()

    @property
    def ended(self) -> bool:
        """Whether the feed has ended."""
        return self._feed.health.ended

    def events(self, extension: str) -> Collection[Event]:
        """Return the last events of an agent, in all queues."""
        return tuple(self._events.get(extension, ()))

    def scene(self) -> Scene:
        """Return what to show now."""
        now = datetime.now(UTC)
        health = self._feed.health
        at = now
        if self._last_good is not None:
            # Times run on from the last answer, but stand still during an outage.
            at, seen = self._last_good
            if health.up:
                at += timedelta(seconds=asyncio.get_running_loop().time() - seen)
        return Scene(
            tally=self.tally,
            health=health,
            at=at,
            now=now,
            title=self._title,
            ellipsis=self._ellipsis,
            raised=() if self._alerts is None else self._alerts.state.raised,
            language=self._language,
            notice=self._notice(),
        )

    def _notice(self) -> str:
        if self._absent and not has_absent(self._seats, [it.key for it in self.tally.seats.values() if it.present]):
            self._absent = ""
        return self._absent
