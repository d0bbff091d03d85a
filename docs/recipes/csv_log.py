# python docs/recipes/csv_log.py
"""A CSV log of every state change, one file a day.

CSV_DIR is the directory of the files (the working directory). Days and times are in UTC. Needs only
this library.
"""

import asyncio
import csv
import os
from pathlib import Path

from sipqueue_async import FeedDown, FeedUp, StateChanged, StatusWatcher, run

DIRECTORY = Path(os.environ.get("CSV_DIR", "."))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
COLUMNS = ["observed_at", "queue", "extension", "name", "before", "after"]


def harmless(name: str | None) -> str:
    """Escape a name that a spreadsheet would run as a formula; names are untrusted input."""
    # After each semicolon too: it separates cells in locales with a decimal comma.
    parts = (name or "").split(";")
    return ";".join(
        f"'{it}" if it.lstrip(' "\t\r\n')[:1] in set("=+-@＝＋－＠") else it for it in parts
    )


def row(event: StateChanged | FeedDown | FeedUp) -> list[str]:
    at = "" if event.observed_at is None else event.observed_at.isoformat(timespec="milliseconds")
    if isinstance(event, StateChanged):
        names = [harmless(it) for it in (event.queue, event.extension, event.agent.name)]
        return [at, *names, event.before, event.after]
    # Outages get a line, or a gap would look like an hour without changes.
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
    async with StatusWatcher.from_env(interval=INTERVAL) as watcher:
        async for event in watcher.subscribe(StateChanged, FeedDown, FeedUp):
            # In a thread, so that a slow disk does not delay polling.
            await asyncio.to_thread(write, row(event))


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    run(main())
