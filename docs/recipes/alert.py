# python docs/recipes/alert.py
"""An alert that does not flap: it starts and ends with a delay, at two different thresholds.

It starts when fewer than ALERT_BELOW agents (1) have been waiting for ALERT_AFTER seconds (30), and
ends when at least ALERT_CLEAR (2) have been for ALERT_CLEAR_AFTER seconds (60). It prints both and,
if ALERT_URL is set, posts them there in the format of WeCom's and DingTalk's group robots, every
ALERT_RETRY seconds (5) until one succeeds. Needs only this library.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from sipqueue_async import AgentState, StatusWatcher, run

URL = os.environ.get("ALERT_URL")
BELOW = int(os.environ.get("ALERT_BELOW", "1"))
AFTER = float(os.environ.get("ALERT_AFTER", "30"))
CLEAR = int(os.environ.get("ALERT_CLEAR", "2"))
CLEAR_AFTER = float(os.environ.get("ALERT_CLEAR_AFTER", "60"))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
RETRY = float(os.environ.get("ALERT_RETRY", "5"))


@dataclass
class Alarm:
    """Tracks whether one queue is short of agents, with two thresholds and two delays."""

    on: bool = False
    since: datetime | None = None
    """When the number crossed the threshold that would change `on`; None while it has not."""

    def changes(self, waiting: int, at: datetime) -> bool:
        """Record the number of waiting agents; return whether the alarm just went on or off."""
        if waiting < CLEAR if self.on else waiting >= BELOW:
            self.since = None
            return False
        self.since = self.since or at
        if (at - self.since).total_seconds() < (CLEAR_AFTER if self.on else AFTER):
            return False
        self.on, self.since = not self.on, None
        return True


async def post(session: aiohttp.ClientSession, text: str) -> None:
    """Post a text; retry until it succeeds."""
    print(text, flush=True)
    while URL:
        try:
            message = {"msgtype": "text", "text": {"content": text}}
            async with session.post(URL, json=message) as answer:
                answer.raise_for_status()
                # Robots refuse with HTTP status 200: too many messages a minute, a missing keyword.
                result = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # Not the error's text: it contains the URL, and the URL contains the robot's key.
            refusal = type(error).__name__
        else:
            if not result.get("errcode"):
                return
            refusal = f"{result['errcode']} {result.get('errmsg')!r}"
        print(f"not posted, retrying in {RETRY:g} s: {refusal}", flush=True)
        await asyncio.sleep(RETRY)


async def guard(watcher: StatusWatcher, session: aiohttp.ClientSession) -> None:
    alarms: dict[str, Alarm] = {}
    while True:
        # Not updates(): a poll without changes yields no update, yet counts as time. Failed polls
        # do not.
        at, snapshot = watcher.health.last_good_at, watcher.snapshot
        for queue in sorted({*alarms, *(() if snapshot is None else snapshot.queues)}):
            alarm = alarms.setdefault(queue, Alarm())
            if at is None or snapshot is None:
                continue
            waiting = snapshot.counts(queue)[AgentState.WAITING]
            if alarm.changes(waiting, at):
                await post(
                    session, f"{queue}: {'only ' if alarm.on else 'again '}{waiting} waiting"
                )
        if watcher.health.ended:
            await watcher.ready()  # raises the error that ended it
            return
        await asyncio.sleep(INTERVAL)


async def main() -> None:
    async with (
        StatusWatcher.from_env(interval=INTERVAL) as watcher,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
    ):
        await guard(watcher, session)


if __name__ == "__main__":
    run(main())
