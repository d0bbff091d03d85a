"""A record as nearly all of them are, every field of its proper type: read in one step, and fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from sipqueue_async._wire.encoding import LOST
from sipqueue_async._wire.values import Nonsense
from sipqueue_async.models import AgentState, AgentStatus

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Identity = Annotated[str, msgspec.Meta(min_length=1)]


class _Record(msgspec.Struct):
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

_TIMES_KEPT: Final = 4096


class RegularReader:
    """Makes an `AgentStatus` of a record that needs no interpretation; what does is for `RecordReader`."""

    def __init__(self, state_codes: Mapping[int, AgentState], time: Callable[[object], datetime | None]) -> None:
        self._state_codes = state_codes
        # An agent who takes a call has one new time and two old ones, and a queue's agents begin their day together.
        self._time = lru_cache(_TIMES_KEPT)(time)

    def read(self, record: bytes) -> AgentStatus | None:
        """Return the record, or None if any of it is not as it should be."""
        try:
            it = _decoder.decode(record)
            times = self._time(it.lastanswertime), self._time(it.lastassigntime), self._time(it.seatschangetime)
        except (msgspec.DecodeError, RecursionError, Nonsense):
            return None
        if LOST in it.queuename or LOST in it.extnumber or LOST in (it.seatsname or ""):
            return None
        return AgentStatus(
            queue=it.queuename,
            extension=it.extnumber,
            name=it.seatsname or None,
            state=self._state_codes.get(it.state, AgentState.UNKNOWN),
            state_code=it.state,
            status_code=it.status,
            last_answered_at=times[0],
            last_offered_at=times[1],
            last_changed_at=times[2],
            no_answer_count=it.noanswercount,
            calls_answered=it.callsanswered,
            external_calls_count=it.externalcallscount,
            wrap_up_time=it.wrapuptime,
            max_no_answer=it.maxnoanswer,
        )
