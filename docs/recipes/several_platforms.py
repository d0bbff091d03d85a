# python docs/recipes/several_platforms.py
"""Several platforms in one process, as one stream of events.

PLATFORMS lists their names, such as "BERLIN PARIS"; each name has its own variables: BERLIN_URL,
BERLIN_APPID and BERLIN_ACCESSKEY. Needs only this library.
"""

import asyncio
import os

import aiohttp

from sipqueue_async import AppCredentials, Event, SipQueueClient, SipQueueError, StatusWatcher, run

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))

Stream = asyncio.Queue[tuple[str, Event | SipQueueError]]


async def watch(name: str, session: aiohttp.ClientSession, stream: Stream) -> None:
    """Put one platform's events into the stream."""
    auth = AppCredentials(os.environ[f"{name}_APPID"], os.environ[f"{name}_ACCESSKEY"])
    try:
        async with (
            SipQueueClient(os.environ[f"{name}_URL"], auth, session=session) as client,
            StatusWatcher(client, interval=INTERVAL) as watcher,
        ):
            async for event in watcher:
                await stream.put((name, event))
    except SipQueueError as error:
        # A permanent error, such as refused credentials, ends this platform's task and no other.
        await stream.put((name, error))


async def main() -> None:
    # Bounded, so that a slow consumer makes the watchers' subscriptions coalesce.
    stream: Stream = asyncio.Queue(maxsize=100)
    # One session, and so one connection pool, for all platforms.
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        for name in os.environ["PLATFORMS"].split():
            tasks.create_task(watch(name, session, stream), name=f"watch {name}")
        while True:
            name, event = await stream.get()
            print(f"{name}: {event}", flush=True)


if __name__ == "__main__":
    run(main())
