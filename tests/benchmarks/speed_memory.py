"""The memory that the decoder and the kept snapshots use, per seat and per generation."""

from __future__ import annotations

import gc
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Final

import attrs

from sipqueue_async import Snapshot
from sipqueue_async._wire import SnapshotDecoder
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_measure import Limit, Section, number, table, verdict
from tests.benchmarks.speed_process import processes

SEATS: Final = 10_000
GENERATIONS: Final = 10
_SHARE: Final = 0.01
_LIMIT: Final = 1100.0
_GENERATIONS_LIMIT: Final = 1.25


@attrs.frozen
class Kept:
    """The memory in use, in bytes, after garbage collection."""

    seats: int
    generations: tuple[int, ...]
    """With one kept snapshot, with two, and so on."""

    @property
    def a_seat(self) -> float:
        """The memory of the decoder and the first snapshot, in bytes per seat."""
        return self.generations[0] / self.seats

    @property
    def growth(self) -> float:
        """The memory of the decoder and all snapshots, relative to the decoder and the first snapshot."""
        return self.generations[-1] / self.generations[0]


def run(seats: int) -> Kept:
    """Measure in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=processes()) as pool:
        return pool.submit(measure, seats).result()


def measure(seats: int) -> Kept:
    """Decode some generations and keep their snapshots."""
    steps = Story(records=seats, share=_SHARE, polls=GENERATIONS).steps()
    decoder = SnapshotDecoder()
    snapshots: list[Snapshot] = []
    kept: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        for step in steps:
            # Decode a copy, which is freed afterwards unless the library keeps a reference.
            snapshots.append(decoder.decode(bytes(memoryview(step.body)), observed_at=datetime.now(UTC)))
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return Kept(seats, tuple(kept))


def section(kept: Kept) -> Section:
    """Return the table and limits."""
    first = Limit("bytes a seat, decoder and first snapshot", kept.a_seat, _LIMIT)
    growth = Limit(f"memory of {GENERATIONS} generations, in units of one", kept.growth, _GENERATIONS_LIMIT)
    lines = table(
        (f"{kept.seats:,} seats", "kept", "at most"),
        ("decoder and first snapshot, bytes a seat", f"**{number(kept.a_seat)}**", verdict(first)),
        (
            f"with {GENERATIONS} snapshots, 1 % changed from each to the next",
            f"**{number(kept.growth)}** times that",
            verdict(growth),
        ),
    )
    return Section("memory", lines, (first, growth))
