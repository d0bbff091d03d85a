"""The records that changed where the seats of the last answer come again, in an order that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_not
from typing import Final

from sipqueue_async._wire.records import RecordReader
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import AgentStatus, FieldProblem

_AT_ONCE: Final = 16  # records; so that one which is not like the others costs no more than a few of them


class Again:
    """Reads records that come somewhere in an order, each of the seat whose place is there, and keeps what they say."""

    def __init__(self, reader: RecordReader, order: Sequence[int], known: Sequence[AgentStatus]) -> None:
        self._reader = reader
        self._order = order
        self._known = known
        # What was read, and of which places.
        self.agents: list[AgentStatus] = []
        self.places: list[int] = []
        self.problems: dict[int, tuple[FieldProblem, ...]] = {}

    def read_some(self, changed: Mapping[int, bytes]) -> bool:
        """Read records, by place; return False if one is refused, or not of the seat that comes there."""
        numbers = list(changed)
        for first in range(0, len(numbers), _AT_ONCE):
            some = numbers[first : first + _AT_ONCE]
            records = [changed[number] for number in some]
            places = [self._order[number] for number in some]
            if self._read(places, b",".join(records)) is None and not all(map(self._read_one, places, records)):
                return False
        return True

    def read_run(self, first: int, size: int, records: bytes) -> int | None:
        """Read records that follow each other, and return how many say something else than before.

        None if any of them needs interpretation, or is not of the seat that comes there.
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
