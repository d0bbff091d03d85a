"""A record as nearly all of them are, every field of its proper type: read in one step, and fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar

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


class _Record(msgspec.Struct, gc=False, kw_only=True):
    # In the order of the platform's reference, since the parser looks for a field behind the last one first.
    queuename: _Identity
    seatsname: str | None = None
    extnumber: _Identity
    status: _Integer | None = None
    state: _Integer
    lastanswertime: str | None = None
    lastassigntime: str | None = None
    seatschangetime: str | None = None
    noanswercount: _Counter
    callsanswered: _Counter
    externalcallscount: _Integer | None = None
    wrapuptime: _Integer | None = None
    maxnoanswer: _Integer | None = None


_decoder: Final = msgspec.json.Decoder(list[_Record])

_AgentDraft: Final = draft(AgentStatus)

_KEPT: Final = 4096


class RegularReader:
    """Makes an `AgentStatus` of each record that needs no interpretation; what does is for `RecordReader`."""

    def __init__(self, state_codes: Mapping[int, AgentState], time: Callable[[object], datetime | None]) -> None:
        self._states = _States(state_codes)
        # An agent who takes a call has one new time and two old ones, and a queue's agents begin their day together.
        self._times = Memory(time)
        # So that a queue's many agents share its name.
        self._queues = Memory(str)

    def read(self, records: bytes, known: Sequence[AgentStatus | None]) -> list[AgentStatus] | None:
        """Return some records.

        Args:
            records: Their JSON, with a comma between any two: reading them all at once is cheaper.
            known: For each, what its seat's last one said, or None if that is not known. What still says the same is
                shared, be it the whole record.

        Returns:
            None if there are more or fewer, if one is not of the seat it should be of, or if any of it needs
            interpretation.
        """
        states, times = self._states, self._times
        agents: list[AgentStatus] = []
        try:
            its = _decoder.decode(b"[%b]" % records)
            if len(its) != len(known):
                return None
            # All in one place, since a record takes hardly longer to write than a function to call.
            for it, old in zip(its, known, strict=True):
                agent = blank(_AgentDraft)
                if old is None:
                    if LOST in it.queuename or LOST in it.extnumber:
                        return None
                    agent.queue = self._queues[it.queuename]
                    agent.extension = it.extnumber
                elif it.extnumber == old.extension and it.queuename == old.queue:
                    agent.queue = old.queue
                    agent.extension = old.extension
                else:
                    return None
                if old is not None and it.seatsname == old.name:
                    agent.name = old.name
                elif it.seatsname and LOST in it.seatsname:
                    return None
                else:
                    agent.name = it.seatsname or None
                agent.state = states[it.state]
                agent.state_code = it.state
                agent.status_code = it.status
                agent.last_answered_at = times[it.lastanswertime]
                agent.last_offered_at = times[it.lastassigntime]
                agent.last_changed_at = times[it.seatschangetime]
                agent.no_answer_count = it.noanswercount
                agent.calls_answered = it.callsanswered
                agent.external_calls_count = it.externalcallscount
                agent.wrap_up_time = it.wrapuptime
                agent.max_no_answer = it.maxnoanswer
                agent.__class__ = AgentStatus
                # Other bytes may mean the same; comparing all fields takes long, and a change is mostly one of state.
                if old is not None and old.state is agent.state and old == agent:
                    agents.append(old)
                else:
                    agents.append(agent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Nonsense):
            return None
        return agents


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
