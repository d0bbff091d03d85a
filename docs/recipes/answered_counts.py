# python docs/recipes/answered_counts.py
"""Counts every agent's answered calls across restarts, each call once.

COUNTS_FILE is the file (counts.json). Needs only this library.
"""

import json
import os
from collections import Counter
from pathlib import Path

from sipqueue_async import CallAnswered, Snapshot, StatusWatcher, run

FILE = Path(os.environ.get("COUNTS_FILE", "counts.json"))
INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))


def load() -> tuple[Counter[str], Snapshot | None]:
    """Return the saved counts and snapshot, or empty ones at the first start."""
    if not FILE.exists():
        return Counter(), None
    saved = json.loads(FILE.read_text())
    return Counter(saved["answered"]), Snapshot.from_dict(saved["snapshot"])


def save(counts: Counter[str], snapshot: Snapshot) -> None:
    """Save the counts and the snapshot that they belong to, as one file that is always whole."""
    new = FILE.with_suffix(".new")
    new.write_text(json.dumps({"answered": counts, "snapshot": snapshot.to_dict()}))
    new.replace(FILE)


async def main() -> None:
    counts, baseline = load()
    watcher = StatusWatcher.from_env(interval=INTERVAL, baseline=baseline)
    # Made before the start: with a baseline, the first update tells what happened meanwhile.
    updates = watcher.updates()
    async with watcher:
        first = await watcher.ready()
        if baseline is None:
            save(counts, first)
        async for update in updates:
            for event in update.events:
                if isinstance(event, CallAnswered):
                    counts[event.extension] += event.count
                    print(f"{event.agent}: {counts[event.extension]} answered", flush=True)
            if update.snapshot is not None:
                # Nothing is awaited since the update was taken, so Ctrl-C cannot come in between.
                save(counts, update.snapshot)


if __name__ == "__main__":
    run(main())
