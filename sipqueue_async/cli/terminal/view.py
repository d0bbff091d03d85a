"""The view that the user of `sipqueue top` has chosen: which agents, in which order, and which of them is selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.tally import SeatTally


class Sort(StrEnum):
    """The order of the agents; each is also a column."""

    STATE = "state"
    """Agents who talk first, then the other states; in each, the longest first."""
    TIME = "time"
    """The longest time in a state first."""
    QUEUE = "queue"
    """By queue and extension."""
    EXTENSION = "extension"
    NAME = "name"
    ANSWERED = "answered"
    """The most answered calls first."""
    MISSED = "missed"
    """The most missed calls first."""


@attrs.frozen(kw_only=True)
class View:
    """The chosen order, queue and search text, the selected agent, and how far the agents are scrolled."""

    sort: Sort = Sort.STATE
    reverse: bool = False
    """Whether the order is reversed."""
    queue: str | None = None
    """Only this queue's agents; None for all."""
    search: str = ""
    """Only agents with this text in queue, extension or name."""
    selected: SeatKey | None = None
    first: int = 0
    """The index of the first agent on the screen."""

    def sorted_by(self, sort: Sort) -> View:
        """Return the view in this order, or reversed if it is in this order already."""
        return attrs.evolve(self, sort=sort, reverse=sort is self.sort and not self.reverse, first=0)

    def next_sort(self) -> View:
        """Return the view in the next order."""
        sorts = list(Sort)
        return attrs.evolve(self, sort=sorts[(sorts.index(self.sort) + 1) % len(sorts)], reverse=False, first=0)

    def next_queue(self, names: Iterable[str]) -> View:
        """Return the view of the next queue; after the last one, of all queues."""
        queues = [None, *sorted(names)]
        index = queues.index(self.queue) if self.queue in queues else 0
        return self.of_queue(queues[(index + 1) % len(queues)])

    def of_queue(self, name: str | None) -> View:
        """Return the view of a queue, or of all queues (None)."""
        return attrs.evolve(self, queue=name, first=0)

    def searching(self, text: str) -> View:
        """Return the view of the seats whose queue, extension or name contains the text."""
        return attrs.evolve(self, search=text, first=0)

    def chosen(self, seats: Iterable[SeatTally]) -> list[SeatTally]:
        """Return the seats to show, in order, without those that have left."""
        shown = [seat for seat in seats if seat.present and self.queue in {None, seat.key.queue}]
        if self.search:
            text = self.search.casefold()
            shown = [seat for seat in shown if text in " ".join((*seat.key, seat.agent.name or "")).casefold()]
        return sorted(shown, key=_KEYS[self.sort], reverse=self.reverse)


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
        Sort.EXTENSION: lambda seat: (seat.key.extension, seat.key.queue),
        Sort.NAME: lambda seat: ((seat.agent.name or "").casefold(), seat.key),
        Sort.ANSWERED: lambda seat: (-seat.calls_answered, seat.key),
        Sort.MISSED: lambda seat: (-seat.calls_missed, seat.key),
    }
)
