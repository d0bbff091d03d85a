# python docs/recipes/several_platforms.py
"""Several platforms in one process, as one stream of events.

PLATFORMS lists their settings files, such as "berlin.toml paris.toml"; a file's name is its
platform's. Needs only this library.
"""

import asyncio
import os
from pathlib import Path

from sipqueue_async import Event, Settings, SipQueueError, StatusWatcher, run

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))

Stream = asyncio.Queue[tuple[str, Event | SipQueueError]]


async def watch(file: Path, stream: Stream) -> None:
    """Put one platform's events into the stream."""
    # Without the environment, which would override every file.
    settings = Settings.load(file, environ={})
    try:
        async with StatusWatcher.from_env(settings, interval=INTERVAL) as watcher:
            async for event in watcher:
                await stream.put((file.stem, event))
    except SipQueueError as error:
        # A permanent error, such as refused credentials, ends this platform's task and no other.
        await stream.put((file.stem, error))


async def main() -> None:
    # Bounded, so that a slow consumer makes the watchers' subscriptions coalesce.
    stream: Stream = asyncio.Queue(maxsize=100)
    async with asyncio.TaskGroup() as tasks:
        for file in map(Path, os.environ["PLATFORMS"].split()):
            tasks.create_task(watch(file, stream), name=f"watch {file}")
        while True:
            name, event = await stream.get()
            print(f"{name}: {event}", flush=True)


if __name__ == "__main__":
    run(main())
