"""The fast path for regular records, in which every field has its documented type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec

from sipqueue_async._fast_instances import mutable_twin, new_instance
from sipqueue_async._wire.encoding import LOST
from sipqueue_async._wire.values import Nonsense
from sipqueue_async.models import AgentState, AgentStatus

_K = TypeVar("_K")
_V = TypeVar("_V")

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Identity = Annotated[str, msgspec.Meta(min_length=1)]


class _Record(msgspec.Struct, gc=False, kw_only=True):
    # In the order of the platform's reference: the parser expects the next field first.
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

_AgentTwin: Final = mutable_twin(AgentStatus)

_KEPT: Final = 4096


class RegularReader:
    """Makes an `AgentStatus` from each regular record; `RecordReader` interprets the others."""

    def __init__(self, state_codes: Mapping[int, AgentState], time: Callable[[object], datetime | None]) -> None:
        self._states = _States(state_codes)
        # Most times repeat: an agent who takes a call has one new time and two old ones.
        self._times = Memory(time)
        # The agents of a queue share its name.
        self._queues = Memory(str)

    def read(self, records: bytes, known: Sequence[AgentStatus | None]) -> list[AgentStatus] | None:
        """Parse adjacent records together, which is cheaper than one by one.

        Args:
            records: Their JSON, separated by commas.
            known: The last record of each one's seat, or None. The result shares unchanged values and records.

        Returns:
            None if their number differs from that of `known`, if one is of another seat, or if one needs
            interpretation.
        """
        states, times = self._states, self._times
        agents: list[AgentStatus] = []
        try:
            its = _decoder.decode(b"[%b]" % records)
            if len(its) != len(known):
                return None
            # Inlined: a function call costs as much as writing a record.
            for it, old in zip(its, known, strict=True):
                agent = new_instance(_AgentTwin)
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
                    agent.name = it.seatsname if it.seatsname and not it.seatsname.isspace() else None
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
                # Different bytes may mean the same. Most changes change the state, so compare it before all fields.
                if old is not None and old.state is agent.state and old == agent:
                    agents.append(old)
                else:
                    agents.append(agent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Nonsense):
            return None
        return agents


class _States(dict[int, AgentState]):
    """Maps state codes to `AgentState`; unlisted codes map to UNKNOWN."""

    def __missing__(self, code: int) -> AgentState:
        return AgentState.UNKNOWN


class Memory(dict[_K, _V]):
    """A cache of a function's results; a hit takes half the time of `functools.lru_cache`."""

    def __init__(self, make: Callable[[_K], _V]) -> None:
        self._make = make

    def __missing__(self, key: _K) -> _V:
        made = self._make(key)
        if len(self) >= _KEPT:
            self.clear()
        self[key] = made
        return made
