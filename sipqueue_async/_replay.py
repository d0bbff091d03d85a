"""The interface of feeds that can read earlier updates, from places that have one name for all readers of a relay."""

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
        """The place of the snapshot in what was published; None while it is not a published one."""
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
