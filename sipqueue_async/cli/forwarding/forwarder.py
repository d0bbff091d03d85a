"""Hands events to the destinations: each in order and at least once, none delayed by another."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias

import attrs

from sipqueue_async import Event, Snapshot
from sipqueue_async._backoff import backoff, jittered
from sipqueue_async._json_lines import public_event_json
from sipqueue_async.cli.exits import complain
from sipqueue_async.cli.forwarding.answers import LONGEST_WISH, Answer, Outcome
from sipqueue_async.cli.forwarding.destinations import Target, Webhook
from sipqueue_async.cli.forwarding.outages import follow
from sipqueue_async.cli.forwarding.store import Message, Pause, Store
from sipqueue_async.cli.words import counted

FIRST_PAUSE: Final = 1.0
"""Seconds before the first retry at most; each further pause is up to twice as long, at most `_LONGEST_PAUSE`."""
_LONGEST_PAUSE: Final = 300.0

Send: TypeAlias = Callable[[str, bytes], Awaitable[Answer]]
"""Sends a message with this id and body once."""


def new_id() -> str:
    """Return the id of a new message; it is random, so that a restored old state file repeats no id."""
    return f"msg_{secrets.token_hex(16)}"


@attrs.define
class _Lane:
    """One destination's way: what is on it, and what was said about it."""

    webhook: Webhook
    fingerprint: str
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    in_flight: int | None = None
    """The number of the message that is being sent or retried."""
    failures: int = 0
    """Failed attempts since the last success."""
    said: set[str] = attrs.field(factory=set)
    """The lines about it since the last success, which are not repeated."""
    has_ended: bool = False
    pause: float = 0.0
    """Seconds until the next attempt."""

    @property
    def name(self) -> str:
        return self.webhook.name

    def say(self, text: str, *, level: str = "warning") -> None:
        if text not in self.said:
            self.said.add(text)
            complain(f"destination {self.name!r}: {text}", level=level)


class Forwarder:
    """The destinations and their messages in the state file.

    A message is in the file before it is sent, and leaves it after it was delivered. A crash in between repeats the
    message with the same id.

    Args:
        store: The state file.
        sends: The destinations, each with the function that sends to it.
        clock: Returns seconds since 1970: an event's age counts across restarts.
    """

    def __init__(self, store: Store, sends: Mapping[Target, Send], *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._sends = {target.name: send for target, send in sends.items()}
        self._lanes = {it.name: _Lane(it.webhook, it.fingerprint) for it in sends}
        for name in store.waiting_for_others(self._lanes):
            number = store.bury(name, "its destination is no longer in the file", clock())
            complain(f"{counted(number, 'event')} for the destination {name!r} became dead letters: it is gone")
        for lane in self._lanes.values():
            if store.has_ended(lane.name, lane.fingerprint):
                lane.has_ended = True
                lane.say("it ended with the HTTP status 410 and gets no events; give it another URL to start again")
                # Some are left if the process was killed while it ended.
                self._bury(lane, "the destination has ended")
            self._keep_bound(lane)
            self._restore_pause(lane)
        self._outage = store.outage()

    def _restore_pause(self, lane: _Lane) -> None:
        if (pause := self._store.paused(lane.name, lane.fingerprint)) is None:
            return
        lane.failures = pause.failures
        # The clock may have been set back.
        lane.pause = min(max(pause.until - self._clock(), 0.0), LONGEST_WISH)
        if lane.pause and self._store.pending(lane.name):
            lane.say(f"retrying in {lane.pause:.0f} s after {counted(pause.failures, 'failure')} before the restart")

    def keep(self, events: Iterable[Event], snapshot: Snapshot | None, *, is_up: bool = False) -> None:
        """Put events into the state file, for the destinations that want them; `run` sends them.

        Args:
            events: The events, in order.
            snapshot: The snapshot after them, from which a restart continues.
            is_up: Whether the feed is up: then an outage of an earlier run has ended.

        Raises:
            Failure: The state file cannot be written.
        """
        messages: list[tuple[str, str, bytes]] = []
        lanes = [it for it in self._lanes.values() if not it.has_ended]
        now = self._clock()
        up_at = snapshot.observed_at if is_up and snapshot is not None else None
        forwarded, outage = follow(self._outage, events, now, up_at)
        for event in forwarded:
            if wanting := [it for it in lanes if it.webhook.wants(event)]:
                identity, body = new_id(), public_event_json(event).encode()
                messages += [(it.name, identity, body) for it in wanting]
        self._store.keep(snapshot, messages, now, outage)
        self._outage = outage
        for name in {name for name, *_ in messages}:
            self._keep_bound(self._lanes[name])
            self._lanes[name].news.set()

    def _keep_bound(self, lane: _Lane) -> None:
        most = lane.webhook.max_pending
        if (last := self._store.surplus(lane.name, most)) is not None:
            self._bury(lane, f"more than {most} events wait", until=last, spare=lane.in_flight)

    def _bury(
        self,
        lane: _Lane,
        reason: str,
        *,
        until: int | None = None,
        kept_before: float | None = None,
        spare: int | None = None,
    ) -> None:
        number = self._store.bury(lane.name, reason, self._clock(), until=until, kept_before=kept_before, spare=spare)
        if number:
            lane.say(f"events become dead letters: {reason}")

    async def run(self) -> None:
        """Send what is in the file until the task is cancelled.

        Raises:
            Failure: The state file cannot be written.
        """
        tasks = [asyncio.create_task(self._serve(lane, self._sends[name])) for name, lane in self._lanes.items()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _serve(self, lane: _Lane, send: Send) -> None:
        while not lane.has_ended:
            if lane.pause:
                await asyncio.sleep(lane.pause)
                lane.pause = 0.0
            lane.news.clear()
            if (message := self._store.first(lane.name)) is None:
                await lane.news.wait()
                continue
            lane.in_flight = message.number
            answer = await send(message.id, message.body)
            lane.in_flight = None
            self._settle(lane, message, answer)

    def _settle(self, lane: _Lane, message: Message, answer: Answer) -> None:
        """Write down what became of a message."""
        match answer.outcome:
            case Outcome.DELIVERED:
                self._store.done(message)
                if lane.said:
                    lane.say("delivers again", level="info")
                self._forget_failures(lane)
                lane.said.clear()
            case Outcome.REFUSED:
                self._forget_failures(lane)
                self._bury(lane, answer.reason, until=message.number)
            case Outcome.GONE:
                lane.has_ended = True
                self._store.end(lane.name, lane.fingerprint)
                self._bury(lane, answer.reason)
                lane.say("it ended with the HTTP status 410 and gets no more events")
            case _:
                lane.failures += 1
                lane.pause = max(jittered(backoff(lane.failures, FIRST_PAUSE, _LONGEST_PAUSE)), answer.retry_after)
                self._store.pause(lane.name, lane.fingerprint, Pause(lane.failures, self._clock() + lane.pause))
                lane.say(f"{answer.reason}; retrying")
                reason = f"not delivered within {lane.webhook.retry_for:g} s: {answer.reason}"
                self._bury(lane, reason, kept_before=self._clock() - lane.webhook.retry_for)

    def _forget_failures(self, lane: _Lane) -> None:
        if lane.failures:
            lane.failures = 0
            self._store.resume(lane.name)
