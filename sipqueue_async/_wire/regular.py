"""A record as nearly all of them are, every field of its proper type: read in one step, and fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final, TypeVar, cast

import msgspec

from sipqueue_async._draft import blank, draft
from sipqueue_async._wire.encoding import LOST
from sipqueue_async._wire.values import Nonsense
from sipqueue_async.models import AgentState, AgentStatus

_K = TypeVar("_K")
_V = TypeVar("_V")

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Identity = Annotated[str, msgspec.Meta(min_length=1)]


class _Record(msgspec.Struct, gc=False):
    queuename: _Identity
    extnumber: _Identity
    state: _Integer
    seatsname: str | None = None
    status: _Integer | None = None
    lastanswertime: str | None = None
    lastassigntime: str | None = None
    seatschangetime: str | None = None
    noanswercount: _Counter = 0
    callsanswered: _Counter = 0
    externalcallscount: _Integer | None = None
    wrapuptime: _Integer | None = None
    maxnoanswer: _Integer | None = None


_decoder: Final = msgspec.json.Decoder(_Record)

_AgentDraft: Final = draft(AgentStatus)

_KEPT: Final = 4096


class RegularReader:
    """Makes an `AgentStatus` of a record that needs no interpretation; what does is for `RecordReader`."""

    def __init__(self, state_codes: Mapping[int, AgentState], time: Callable[[object], datetime | None]) -> None:
        self._states = _States(state_codes)
        # An agent who takes a call has one new time and two old ones, and a queue's agents begin their day together.
        self._times = Memory(time)
        # So that a queue's many agents share its name.
        self._queues = Memory(str)

    def read(self, record: bytes) -> AgentStatus | None:
        """Return the record, or None if any of it is not as it should be."""
        times = self._times
        agent = blank(_AgentDraft)
        try:
            it = _decoder.decode(record)
            agent.last_answered_at = times[it.lastanswertime]
            agent.last_offered_at = times[it.lastassigntime]
            agent.last_changed_at = times[it.seatschangetime]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Nonsense):
            return None
        if LOST in it.queuename or LOST in it.extnumber or LOST in (it.seatsname or ""):
            return None
        agent.queue = self._queues[it.queuename]
        agent.extension = it.extnumber
        agent.name = it.seatsname or None
        agent.state = self._states[it.state]
        agent.state_code = it.state
        agent.status_code = it.status
        agent.no_answer_count = it.noanswercount
        agent.calls_answered = it.callsanswered
        agent.external_calls_count = it.externalcallscount
        agent.wrap_up_time = it.wrapuptime
        agent.max_no_answer = it.maxnoanswer
        agent.__class__ = AgentStatus
        return cast("AgentStatus", agent)


class _States(dict[int, AgentState]):
    """The table of codes; any other code is an unknown state's."""

    def __missing__(self, code: int) -> AgentState:
        return AgentState.UNKNOWN


class Memory(dict[_K, _V]):
    """What a function made of its latest arguments; a hit takes half the time that `functools.lru_cache` needs."""

    def __init__(self, make: Callable[[_K], _V]) -> None:
        self._make = make

    def __missing__(self, key: _K) -> _V:
        made = self._make(key)
        if len(self) >= _KEPT:
            self.clear()
        self[key] = made
        return made
