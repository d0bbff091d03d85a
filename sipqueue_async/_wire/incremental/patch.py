"""Reads the changed records of a body whose order of seats is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_not
from typing import Final

from sipqueue_async._wire.records import RecordReader
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import AgentStatus, FieldProblem

# The most records parsed in one step. If one of them needs interpretation, all records of the step are read again.
_AT_ONCE: Final = 16


class RecordPatch:
    """Reads records by their number in the known order of seats, and collects the results.

    Args:
        reader: Reads single records.
        order: The place of the agent of each record.
        known: The agents, by place.
    """

    def __init__(self, reader: RecordReader, order: Sequence[int], known: Sequence[AgentStatus]) -> None:
        self._reader = reader
        self._order = order
        self._known = known
        self.agents: list[AgentStatus] = []
        """The agents that were read."""
        self.places: list[int] = []
        """The place of each of them."""
        self.problems: dict[int, tuple[FieldProblem, ...]] = {}
        """The problems of the records that were interpreted, by place."""

    def read_some(self, changed: Mapping[int, bytes]) -> bool:
        """Read records by number; return False if one is refused, or is not of the seat with that number."""
        numbers = list(changed)
        for first in range(0, len(numbers), _AT_ONCE):
            some = numbers[first : first + _AT_ONCE]
            records = [changed[number] for number in some]
            places = [self._order[number] for number in some]
            if self._read(places, b",".join(records)) is None and not all(map(self._read_one, places, records)):
                return False
        return True

    def read_run(self, first: int, size: int, records: bytes) -> int | None:
        """Read `size` adjacent records from number `first` on; return how many have changed.

        Returns:
            None if one of them needs interpretation, or is not of the seat with its number.
        """
        return self._read(self._order[first : first + size], records)

    def _read(self, places: Sequence[int], records: bytes) -> int | None:
        known = list(map(self._known.__getitem__, places))
        agents = self._reader.regular.read(records, known)
        if agents is None:
            return None
        self.places += places
        self.agents += agents
        return sum(map(is_not, agents, known))

    def _read_one(self, place: int, record: bytes) -> bool:
        return self._read([place], record) is not None or self._interpret(place, record)

    def _interpret(self, place: int, record: bytes) -> bool:
        old = self._known[place]
        try:
            agent, problems = self._reader.interpret(record, lambda _: old)
        except MalformedResponse:
            return False
        if agent.key != old.key:
            return False
        self.places.append(place)
        self.agents.append(old if old == agent else agent)
        self.problems[place] = problems
        return True
