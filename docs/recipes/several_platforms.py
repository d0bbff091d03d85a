# python docs/recipes/several_platforms.py
"""Several platforms in one process, as one stream of events.

PLATFORMS lists their settings files, such as "berlin.toml paris.toml"; a file's name is its
platform's. Needs only this library.
"""

import asyncio
import os
from pathlib import Path

from sipqueue_async import Event, Settings, SipQueueError, StatusWatcher, run

FILES = [Path(file) for file in os.environ["PLATFORMS"].split()]
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))

Stream = asyncio.Queue[tuple[str, Event | SipQueueError]]


async def watch(platform: str, settings: Settings, stream: Stream) -> None:
    """Put one platform's events into the stream."""
    try:
        async with StatusWatcher.from_env(settings, interval=INTERVAL) as watcher:
            async for event in watcher:
                await stream.put((platform, event))
    except SipQueueError as error:
        # A permanent error, such as refused credentials, ends this platform's task and no other.
        await stream.put((platform, error))


async def main() -> None:
    # Without the environment, which would override every file. Read all of them before the first
    # poll: `run` reports an invalid one in one line.
    platforms = {file.stem: Settings.load(file, environ={}) for file in FILES}
    # Bounded, so that a slow consumer makes the watchers' subscriptions coalesce.
    stream: Stream = asyncio.Queue(maxsize=100)
    async with asyncio.TaskGroup() as tasks:
        for platform, settings in platforms.items():
            tasks.create_task(watch(platform, settings, stream), name=f"watch {platform}")
        while True:
            name, event = await stream.get()
            print(f"{name}: {event}", flush=True)


if __name__ == "__main__":
    run(main())
