"""What a feed offers that can read its own past: names of its places that all readers of a relay share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

from sipqueue_async.events import Event
from sipqueue_async.models import Snapshot


@attrs.frozen
class Place:
    """How far a feed has read what a relay publishes."""

    name: str
    """The same for all readers of the relay with the same queues and extensions. It says where, never what."""
    is_exact: bool
    """Whether the last update has exactly the seat events of the last publication."""


@attrs.frozen(kw_only=True)
class Replayed:
    """One publication of the past."""

    name: str
    """The place after it."""
    events: tuple[Event, ...]
    """Its events; there are none if it concerns other queues and extensions."""
    snapshot: Snapshot
    """The snapshot after it."""
    is_down: bool
    """Whether the platform was away after it."""
    coalesced: bool
    """Whether it merges several changes."""


@attrs.frozen(kw_only=True)
class Past:
    """Consecutive publications that end at a known place."""

    start: str
    """The place before the first one."""
    was_down: bool
    """Whether the platform was away there."""
    publications: tuple[Replayed, ...]
    """The oldest first."""


@runtime_checkable
class Replayable(Protocol):
    """A feed that can read what was published before it started."""

    @property
    def place(self) -> Place | None:
        """Where the snapshot is; None while the snapshot is not the published one."""
        ...

    async def replay(self, name: str, snapshot: Snapshot, *, is_down: bool, most: int, most_events: int) -> Past | None:
        """Return the publications up to a place; None if there are none or they cannot be read.

        Args:
            name: The name of the place.
            snapshot: The snapshot there.
            is_down: Whether the feed was down there.
            most: How many publications to return at most.
            most_events: How many events to return at most.
        """
        ...
