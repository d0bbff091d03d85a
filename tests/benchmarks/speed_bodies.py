"""Generates a platform's answers and their changes in advance, from a seed."""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs

Seat: TypeAlias = tuple[str, str]
"""Queue and extension."""

_NOON: Final = datetime(2026, 1, 6, 12)  # noqa: DTZ001  # the records' times have no zone
_UNIX_NOON: Final = 1767672000  # noon in China, the platform's time zone
_SEATS_A_QUEUE: Final = 25
_STATE_LASTS: Final = 90.0
"""Average seconds that an agent stays in one state: about ten calls an hour."""

# The cycle of an agent's codes of `state` and `status`.
_WAITING, _RECEIVING, _TALKING, _IDLE = range(4)
_CODES: Final = {_WAITING: (1213, 1213), _RECEIVING: (1214, 1202), _TALKING: (1215, 1204), _IDLE: (1201, 1201)}


@attrs.frozen
class Step:
    """The answer of one poll."""

    body: bytes
    events: int
    """The number of events: one per change of state, and one per call of an agent who began to talk."""
    _seats: Sequence[Seat]
    # Indices of the changed seats. An array, because the garbage collector does not traverse numbers while the clock
    # runs.
    _changed: array[int]

    @property
    def changed(self) -> set[Seat]:
        """The seats whose records differ from the previous body's; for the first body, all seats."""
        return {self._seats[number] for number in self._changed}


@attrs.frozen(kw_only=True)
class Story:
    """The answers of consecutive polls; the same story always gives the same bytes."""

    records: int
    share: float
    """The share of records that change from one poll to the next, from 0 to 1."""
    polls: int
    shuffled: bool = False
    """Whether each body has the records in another order."""
    escaped: bool = True
    r"""Whether non-ASCII characters are escaped as ``\uXXXX``, the default in PHP."""
    seed: int = 1

    def steps(self) -> Sequence[Step]:
        """Return the bodies."""
        return list(self._told())

    def _told(self) -> Iterator[Step]:
        rng = random.Random(self.seed)
        # Choose the interval so that an agent's state lasts `_STATE_LASTS` on average: then as many times change as in
        # reality.
        interval = max(2.0, _STATE_LASTS * self.share)
        agents = [_Agent(number, rng) for number in range(self.records)]
        texts = [self._text(agent) for agent in agents]
        seats = tuple(agent.seat for agent in agents)
        order = list(range(self.records))
        changed = order
        events = self.records
        for poll in range(self.polls):
            now = poll * interval
            if poll:
                changed = rng.sample(order, round(self.share * self.records))
                events = sum(agents[number].go_on(now - rng.uniform(0, interval)) for number in changed)
                for number in changed:
                    texts[number] = self._text(agents[number])
            if self.shuffled:
                rng.shuffle(order)
            body = _body([texts[number] for number in order], math.floor(now))
            yield Step(body, events, seats, array("L", changed))

    def _text(self, agent: _Agent) -> bytes:
        # Like PHP: no spaces, and escaped slashes.
        text = json.dumps(agent.record, separators=(",", ":"), ensure_ascii=self.escaped)
        return text.replace("/", "\\/").encode()


class _Agent:
    """One record, and its agent's position in the cycle."""

    def __init__(self, number: int, rng: random.Random) -> None:
        queue = number // _SEATS_A_QUEUE
        extension = str(100001 + number)
        self._phase = rng.randrange(4)
        state, status = _CODES[self._phase]
        offered = -rng.uniform(0, 4 * _STATE_LASTS)
        self.record: dict[str, Any] = {
            "queuename": f"售后/{queue}" if queue % 3 == 2 else f"queue-{queue}",
            "seatsname": f"客服坐席{extension}" if number % 2 else f"9026004_{extension}_autocall-9026",
            "extnumber": extension,
            "status": status,
            "state": state,
            "lastanswertime": _time(offered + rng.uniform(2, 10)),
            "lastassigntime": _time(offered),
            "seatschangetime": _time(-4 * 3600 - rng.uniform(0, 900)),
            "noanswercount": rng.randrange(5),
            "callsanswered": rng.randrange(60),
            "externalcallscount": rng.randrange(5),
            "wrapuptime": 10,
            "maxnoanswer": 0,
        }

    @property
    def seat(self) -> Seat:
        """Queue and extension."""
        return self.record["queuename"], self.record["extnumber"]

    def go_on(self, at: float) -> int:
        """Take the next step of the cycle at some second; return the number of events that it causes."""
        self._phase = (self._phase + 1) % 4
        self.record["state"], self.record["status"] = _CODES[self._phase]
        if self._phase == _RECEIVING:
            self.record["lastassigntime"] = _time(at)
        if self._phase != _TALKING:
            return 1
        self.record["lastanswertime"] = _time(at)
        self.record["callsanswered"] += 1
        return 2


def _time(second: float) -> str:
    return str(_NOON + timedelta(seconds=math.floor(second)))


def _body(records: Sequence[bytes], second: int) -> bytes:
    now = _UNIX_NOON + second
    head = b'{"ret":200,"data":{"status":0,"desc":"get success","result":['
    return b'%b%b],"reqtime":%d,"rsptime":%d},"msg":""}' % (head, b",".join(records), now, now)
