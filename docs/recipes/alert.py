# python docs/recipes/alert.py
"""An alert that does not flap: it begins and ends only once a queue has been short, or well again, for a while.

It begins when fewer than ALERT_BELOW agents (1) have waited for ALERT_AFTER seconds (30), and ends when at least
ALERT_CLEAR (2) have for ALERT_CLEAR_AFTER seconds (60). Both are printed and, if there is an ALERT_URL, posted to it in
the form that the group robots of WeCom and DingTalk take. Needs nothing but the library.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from sipqueue_async import AgentState, AppCredentials, SipQueueClient, StatusWatcher

URL = os.environ.get("ALERT_URL")
BELOW = int(os.environ.get("ALERT_BELOW", "1"))
AFTER = float(os.environ.get("ALERT_AFTER", "30"))
CLEAR = int(os.environ.get("ALERT_CLEAR", "2"))
CLEAR_AFTER = float(os.environ.get("ALERT_CLEAR_AFTER", "60"))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
PAUSE = 5.0


@dataclass
class Alarm:
    """Whether one queue is short of agents, with two thresholds and two delays."""

    on: bool = False
    since: datetime | None = None
    """Since when the number has been one that would change it."""

    def changes(self, waiting: int, at: datetime) -> bool:
        """Take a number, and tell whether the alarm has just gone on or off."""
        if waiting < CLEAR if self.on else waiting >= BELOW:
            self.since = None
            return False
        self.since = self.since or at
        if (at - self.since).total_seconds() < (CLEAR_AFTER if self.on else AFTER):
            return False
        self.on, self.since = not self.on, None
        return True


async def post(session: aiohttp.ClientSession, text: str) -> None:
    """Post a text, however long the receiver is away."""
    print(text, flush=True)
    while URL:
        try:
            message = {"msgtype": "text", "text": {"content": text}}
            async with session.post(URL, json=message) as answer:
                answer.raise_for_status()
                # A robot refuses with HTTP status 200: a message too many in a minute, a keyword that is missing.
                result = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # Not the error's text: it has the URL, which has the robot's key.
            refusal = type(error).__name__
        else:
            if not result.get("errcode"):
                return
            refusal = f"{result['errcode']} {result.get('errmsg')!r}"
        print(f"not posted, another try in {PAUSE:g} s: {refusal}", flush=True)
        await asyncio.sleep(PAUSE)


async def guard(watcher: StatusWatcher, session: aiohttp.ClientSession) -> None:
    alarms: dict[str, Alarm] = {}
    while True:
        # Polls that bring no change are no update, but time passes with them; with failed ones it does not.
        at, snapshot = watcher.health.last_good_at, watcher.snapshot
        for queue in sorted({*alarms, *(() if snapshot is None else snapshot.queues)}):
            alarm = alarms.setdefault(queue, Alarm())
            if at is None or snapshot is None:
                continue
            waiting = snapshot.counts(queue)[AgentState.WAITING]
            if alarm.changes(waiting, at):
                await post(session, f"{queue}: {'only ' if alarm.on else 'again '}{waiting} waiting")
        if watcher.health.ended:
            await watcher.ready()  # raises what ended it
            return
        await asyncio.sleep(INTERVAL)


async def main() -> None:
    auth = AppCredentials(os.environ["SIPQUEUE_APPID"], os.environ["SIPQUEUE_ACCESSKEY"])
    async with (
        SipQueueClient(os.environ["SIPQUEUE_URL"], auth) as client,
        StatusWatcher(client, interval=INTERVAL) as watcher,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
    ):
        await guard(watcher, session)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        # So that SIGTERM ends the program as Ctrl-C does: by cancelling `main`.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        asyncio.run(main())
