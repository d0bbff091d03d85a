# python docs/recipes/csv_log.py
"""A log of every change of state as CSV, in a file for each day.

CSV_DIR is where the files go (the working directory). The days are UTC's, as all times in the files are. Needs nothing
but the library.
"""

import asyncio
import contextlib
import csv
import os
import signal
from pathlib import Path

from sipqueue_async import AppCredentials, FeedDown, FeedUp, SipQueueClient, StateChanged, StatusWatcher

DIRECTORY = Path(os.environ.get("CSV_DIR", "."))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
COLUMNS = ["observed_at", "queue", "extension", "name", "before", "after"]


def harmless(name: str | None) -> str:
    """Return a name that no spreadsheet takes for a formula: it comes from outside."""
    # What follows a semicolon too: where numbers have a comma, it ends a cell.
    parts = (name or "").split(";")
    return ";".join(f"'{it}" if it.lstrip(' "\t\r\n')[:1] in set("=+-@＝＋－＠") else it for it in parts)


def row(event: StateChanged | FeedDown | FeedUp) -> list[str]:
    at = "" if event.observed_at is None else event.observed_at.isoformat(timespec="milliseconds")
    if isinstance(event, StateChanged):
        names = [harmless(it) for it in (event.queue, event.extension, event.agent.name)]
        return [at, *names, event.before, event.after]
    # Without these two lines a gap would read as a calm hour.
    return [at, "", "", "", "", "feed down" if isinstance(event, FeedDown) else "feed up"]


def write(line: list[str]) -> None:
    path = DIRECTORY / f"{line[0][:10] or 'before-the-first-answer'}.csv"
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        if is_new:
            rows.writerow(COLUMNS)
        rows.writerow(line)


async def main() -> None:
    auth = AppCredentials(os.environ["SIPQUEUE_APPID"], os.environ["SIPQUEUE_ACCESSKEY"])
    async with (
        SipQueueClient(os.environ["SIPQUEUE_URL"], auth) as client,
        StatusWatcher(client, interval=INTERVAL) as watcher,
    ):
        async for event in watcher.subscribe(StateChanged, FeedDown, FeedUp):
            # In a thread: a slow disk must not hold up the polling.
            await asyncio.to_thread(write, row(event))


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt):
        # So that SIGTERM ends the program as Ctrl-C does: by cancelling `main`.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        asyncio.run(main())
