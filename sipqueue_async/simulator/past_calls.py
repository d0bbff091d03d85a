"""The finished calls of a call centre: `PastCall`, and the log in which a model keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs


@attrs.frozen(kw_only=True)
class PastCall:
    """A finished call. Times are the server's local time (naive), cut to the second."""

    id: int
    """The number of its record, in the order in which calls end; the first is 1."""
    queue: str | None
    """The queue that the caller waited in; None for a call outside the queues. Records do not show it."""
    extension: str | None
    """The extension that took or made the call, or that rang when the caller hung up; None if none did."""
    number: str
    """The other party's number."""
    outgoing: bool
    """Whether the agent made the call."""
    started_at: datetime
    """When it was dialled."""
    answered_at: datetime | None
    """When it was answered, which for a queue's call is the seat's `last_answered_at` then; None if it was not."""
    ended_at: datetime
    """When it ended."""
    waiting_seconds: int
    """Seconds before the answer, or until the end if there was none."""
    talk_seconds: int
    """Seconds of talking."""
    hung_up_by_server: bool = False
    """Whether a command ended it."""


@runtime_checkable
class BilledCentre(Protocol):
    """A centre that also knows its finished calls. For any other centre, `Platform` has no call records."""

    def past_calls(self) -> Sequence[PastCall]:
        """Return the finished calls, in the order of their ends."""
        ...


@attrs.define(eq=False)
class CallInLog:
    """A call from its beginning. Times are model seconds."""

    place: int
    queue: str | None
    number: str
    outgoing: bool
    started_at: float
    ends_at: float
    """When it ends unless it is answered: when the caller's patience ends. After the answer, when it ended."""
    extension: str | None = None
    answered_at: float | None = None
    hung_up_by_server: bool = False


class CallLog:
    """The calls of a model.

    Args:
        local_time: Returns the server's local time at a moment of model time.
    """

    def __init__(self, local_time: Callable[[float], datetime]) -> None:
        self._local_time = local_time
        self._begun = 0
        self._open: list[CallInLog] = []
        self._past: list[PastCall] = []
        self._shown: tuple[PastCall, ...] = ()

    def begin(
        self, number: str, at: float, *, queue: str | None = None, ends_at: float = math.inf, outgoing: bool = False
    ) -> CallInLog:
        """Return a new call."""
        call = CallInLog(self._begun, queue, number, outgoing, at, ends_at)
        self._begun += 1
        self._open.append(call)
        return call

    def answer(self, call: CallInLog, extension: str, at: float) -> None:
        """Record that a call is answered, or that a call outside the queues begins."""
        call.extension, call.answered_at, call.ends_at = extension, at, math.inf

    def past(self, now: float) -> tuple[PastCall, ...]:
        """Return the calls that have ended, in the order of their ends.

        A caller who waits in vain is recorded here, because no event of the model marks the moment.
        """
        ended = sorted((it for it in self._open if it.ends_at <= now), key=lambda it: (it.ends_at, it.place))
        if ended:
            self._open = [it for it in self._open if it.ends_at > now]
            self._past += (self._past_call(number, it) for number, it in enumerate(ended, len(self._past) + 1))
            self._shown = tuple(self._past)
        return self._shown

    def _past_call(self, number: int, call: CallInLog) -> PastCall:
        answered = call.answered_at
        waited_until = call.ends_at if answered is None else answered
        return PastCall(
            id=number,
            queue=call.queue,
            extension=call.extension,
            number=call.number,
            outgoing=call.outgoing,
            started_at=self._to_the_second(call.started_at),
            answered_at=None if answered is None else self._to_the_second(answered),
            ended_at=self._to_the_second(call.ends_at),
            waiting_seconds=int(waited_until - call.started_at),
            talk_seconds=0 if answered is None else int(call.ends_at - answered),
            hung_up_by_server=call.hung_up_by_server,
        )

    def _to_the_second(self, seconds: float) -> datetime:
        return self._local_time(seconds).replace(microsecond=0)
