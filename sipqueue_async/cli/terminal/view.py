"""The view that the user of `sipqueue top` has chosen: which agents, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import attrs

from sipqueue_async import AgentState
from sipqueue_async.tally import SeatTally


class Sort(StrEnum):
    """The order of the agents."""

    STATE = "state"
    """Agents who talk first, then the other states; in each, the longest first."""
    TIME = "time"
    """The longest time in a state first."""
    QUEUE = "queue"
    """By queue and extension."""
    CALLS = "calls"
    """The most answered calls first."""


@attrs.frozen(kw_only=True)
class View:
    """The chosen order, queue and page."""

    sort: Sort = Sort.STATE
    queue: str | None = None
    """Only this queue's agents; None for all."""
    page: int = 0
    """Which screenful of the agents, from 0; after the last one comes the first."""

    def next_sort(self) -> View:
        """Return the view in the next order."""
        sorts = list(Sort)
        return attrs.evolve(self, sort=sorts[(sorts.index(self.sort) + 1) % len(sorts)], page=0)

    def next_queue(self, names: Iterable[str]) -> View:
        """Return the view of the next queue; after the last one, of all queues."""
        queues = [None, *sorted(names)]
        index = queues.index(self.queue) if self.queue in queues else 0
        return attrs.evolve(self, queue=queues[(index + 1) % len(queues)], page=0)

    def next_page(self) -> View:
        """Return the view of the next page."""
        return attrs.evolve(self, page=self.page + 1)

    def chosen(self, seats: Iterable[SeatTally]) -> list[SeatTally]:
        """Return the seats to show, in order, without those that have left."""
        shown = (seat for seat in seats if seat.present and self.queue in {None, seat.key.queue})
        return sorted(shown, key=_KEYS[self.sort])


_ORDER: Final = (
    AgentState.TALKING,
    AgentState.RECEIVING,
    AgentState.WAITING,
    AgentState.IDLE,
    AgentState.PAUSED,
    AgentState.UNKNOWN,
    AgentState.OFFLINE,
)

_KEYS: Final[Mapping[Sort, Callable[[SeatTally], Any]]] = MappingProxyType(
    {
        Sort.STATE: lambda seat: (_ORDER.index(seat.state), seat.since, seat.key),
        Sort.TIME: lambda seat: (seat.state is AgentState.OFFLINE, seat.since, seat.key),
        Sort.QUEUE: lambda seat: seat.key,
        Sort.CALLS: lambda seat: (-seat.calls_answered, seat.key),
    }
)
