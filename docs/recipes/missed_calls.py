# python docs/recipes/missed_calls.py
"""A bot that posts each missed call within a second of the platform's push.

It posts a call twice only if it crashes after the post and before it has saved its place.

It listens for pushes on MISSED_HOST (127.0.0.1) and MISSED_PORT (8090), at the secret path of
SIPQUEUE_PUSH. It posts to MISSED_URL in the format of WeCom's and DingTalk's group robots, and
keeps its place in MISSED_FILE (missed.json). Numbers are masked unless MISSED_NUMBERS is "full".
Needs only this library.
"""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp

from sipqueue_async import CallDirection, Settings, SipQueueClient, StatusWatcher, run
from sipqueue_async.push import PushReceiver, PushServer
from sipqueue_async.records import CallCursor, CallFeed, FollowedCall

URL = os.environ["MISSED_URL"]
HOST = os.environ.get("MISSED_HOST", "127.0.0.1")
PORT = int(os.environ.get("MISSED_PORT", "8090"))
FILE = Path(os.environ.get("MISSED_FILE", "missed.json"))
FULL = os.environ.get("MISSED_NUMBERS") == "full"
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "10"))
RETRY = float(os.environ.get("MISSED_RETRY", "5"))


def start(timezone: str | None) -> CallCursor | datetime:
    """Return the place of the last run; the first one starts now."""
    if FILE.exists():
        return CallCursor.from_json(FILE.read_bytes())
    # Without a time zone in the settings, this machine's clock must show the platform's time.
    return datetime.now(ZoneInfo(timezone) if timezone else None)


def save(cursor: CallCursor) -> None:
    new = FILE.with_suffix(".new")
    new.write_bytes(cursor.to_json())
    new.replace(FILE)


def describe(call: FollowedCall) -> str:
    record = call.record
    number = record.caller or "unknown number"
    if record.caller and not FULL:
        # Seven digits would be the whole of a short number.
        number = f"{number[:3]}****{number[-4:]}" if len(number) > 10 else f"****{number[-2:]}"
    waited = "" if record.waiting_seconds is None else f", waited {record.waiting_seconds} s"
    return f"missed call: {number} at {record.started_at:%H:%M:%S}{waited}"


async def post(session: aiohttp.ClientSession, text: str) -> None:
    """Post a text; retry until it succeeds."""
    while True:
        try:
            message = {"msgtype": "text", "text": {"content": text}}
            async with session.post(URL, json=message) as answer:
                answer.raise_for_status()
                # Robots refuse with HTTP status 200, for example too many messages a minute.
                result = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # Not the error's text: it contains the URL, and the URL contains the robot's key.
            refusal = type(error).__name__
        else:
            if not result.get("errcode"):
                return
            refusal = str(result["errcode"])
        print(f"not posted, retrying in {RETRY:g} s: {refusal}", flush=True)
        await asyncio.sleep(RETRY)


async def main() -> None:
    settings = Settings.load()
    if settings.push is None:
        raise SystemExit("set SIPQUEUE_PUSH to a long random path")
    async with (
        SipQueueClient.from_env(settings) as client,
        StatusWatcher(client, interval=INTERVAL) as watcher,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
    ):
        feed = CallFeed(client, start(settings.timezone), interval=60)
        async with (
            PushReceiver(watcher, on_record=feed.look) as receiver,
            PushServer(receiver, host=HOST, port=PORT, path=settings.push) as server,
        ):
            print(f"listening for pushes on port {server.port}", flush=True)
            async for call in feed:
                if call.record.direction is CallDirection.IN and not call.record.is_answered:
                    await post(session, describe(call))
                save(feed.cursor)


if __name__ == "__main__":
    run(main())
