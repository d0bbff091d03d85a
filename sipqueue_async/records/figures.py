"""`CallFigures`: the usual figures of a call centre, from call records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from datetime import datetime
from typing import Any, Generic, NamedTuple, Self, TypeVar

import attrs

from sipqueue_async import CallDirection, CallRecord
from sipqueue_async._arguments import check_at_least

_K = TypeVar("_K", bound=Hashable)


@attrs.frozen(kw_only=True)
class CallFigures:
    """Figures of incoming calls. Calls that went out, and those whose direction is unknown, are not in them.

    Several records with the same `uuid` are one call; it is answered if one of them is.
    """

    within: float
    """The seconds of the service level."""
    wrap_up: float = 0.0
    """The seconds of after-call work that count for each answered call. Records do not have them."""
    offered: int = 0
    """Incoming calls."""
    answered: int = 0
    """Offered calls that were answered."""
    answered_within: int = 0
    """Answered calls that waited no longer than `within`."""
    waiting_seconds: float = 0.0
    """Seconds for which the answered calls waited."""
    talk_seconds: float = 0.0
    """Seconds of talking in the answered calls."""

    @property
    def abandoned(self) -> int:
        """Offered calls that ended without an answer."""
        return self.offered - self.answered

    @property
    def abandonment(self) -> float | None:
        """The share of the offered calls that were abandoned, 0 to 1; None without a call."""
        return self.abandoned / self.offered if self.offered else None

    @property
    def service_level(self) -> float | None:
        """The share of the offered calls that were answered within `within` seconds, 0 to 1; None without a call."""
        return self.answered_within / self.offered if self.offered else None

    @property
    def average_speed_of_answer(self) -> float | None:
        """The mean seconds for which answered calls waited; None without an answered call."""
        return self.waiting_seconds / self.answered if self.answered else None

    @property
    def average_talk(self) -> float | None:
        """The mean seconds of talking in answered calls; None without an answered call."""
        return self.talk_seconds / self.answered if self.answered else None

    @property
    def average_handle(self) -> float | None:
        """The mean seconds of talking and after-call work (`wrap_up`) of answered calls; None without one."""
        return None if self.average_talk is None else self.average_talk + self.wrap_up

    @classmethod
    def of(cls, records: Iterable[CallRecord], *, within: float = 20.0, wrap_up: float = 0.0) -> Self:
        """Return the figures of some records.

        Args:
            records: The records.
            within: The seconds of the service level.
            wrap_up: The seconds of after-call work, as in `AgentStatus.wrap_up_time`, that each answered call takes.

        Raises:
            TypeError: `within` or `wrap_up` is not a number.
            ValueError: It is negative or not finite.
        """
        counter = CallCounter[None](within=within, wrap_up=wrap_up)
        for record in records:
            counter.add(None, record)
        return cls(**attrs.asdict(counter.total()))

    @classmethod
    def by(
        cls,
        records: Iterable[CallRecord],
        key: Callable[[CallRecord], _K],
        *,
        within: float = 20.0,
        wrap_up: float = 0.0,
    ) -> dict[_K, Self]:
        """Return the figures of each group of records.

        A call with several records counts in one group: that of the record that was answered, or of the first one. So
        the groups add up to the figures of all.

        Args:
            records: The records.
            key: Returns a record's group, such as its extension.
            within: As for `of`.
            wrap_up: As for `of`.

        Raises:
            TypeError: As for `of`.
            ValueError: As for `of`.
        """
        counter = CallCounter[_K](within=within, wrap_up=wrap_up)
        for record in records:
            counter.add(key(record), record)
        return {group: cls(**attrs.asdict(figures)) for group, figures in counter.groups().items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as values for JSON."""
        return {
            "within": self.within,
            "wrap_up": self.wrap_up,
            "offered": self.offered,
            "answered": self.answered,
            "abandoned": self.abandoned,
            "answered_within": self.answered_within,
            "abandonment": self.abandonment,
            "service_level": self.service_level,
            "average_speed_of_answer": self.average_speed_of_answer,
            "average_talk": self.average_talk,
            "average_handle": self.average_handle,
        }


class _Counted(NamedTuple, Generic[_K]):
    """The values of a record that count. The least record of a call counts: answered ones first, then by time."""

    is_unanswered: bool
    moment: datetime
    """When it was answered; of a call without an answer, when it was dialled."""
    id: str
    group: _K
    waiting: float
    talk: float


class CallCounter(Generic[_K]):
    """Counts calls in groups, record by record, in any order: what `CallFigures.by` does with all at once.

    It keeps a few values of each call and no record.

    Args:
        within: As for `CallFigures.of`.
        wrap_up: As for `CallFigures.of`.

    Raises:
        TypeError: As for `CallFigures.of`.
        ValueError: As for `CallFigures.of`.
    """

    def __init__(self, *, within: float = 20.0, wrap_up: float = 0.0) -> None:
        check_at_least("within", within, 0, "second")
        check_at_least("wrap_up", wrap_up, 0, "second")
        self._within = within
        self._wrap_up = wrap_up
        self._calls: dict[tuple[bool, str], _Counted[_K]] = {}

    def __repr__(self) -> str:
        return f"<CallCounter, {len(self._calls)} calls>"

    def add(self, group: _K, record: CallRecord) -> None:
        """Count a record in a group. A record that came before counts once."""
        if record.direction is not CallDirection.IN:
            return
        key = (True, record.uuid) if record.uuid else (False, record.id)
        is_unanswered = record.answered_at is None
        found = _Counted(
            is_unanswered, record.answered_at or record.started_at, record.id, group, _waiting(record), _talk(record)
        )
        known = self._calls.get(key)
        if known is None or found[:3] < known[:3]:
            self._calls[key] = found

    def groups(self) -> dict[_K, CallFigures]:
        """Return the figures of each group that has a call."""
        groups: dict[_K, list[_Counted[_K]]] = {}
        for call in self._calls.values():
            groups.setdefault(call.group, []).append(call)
        return {group: self._figures(calls) for group, calls in groups.items()}

    def total(self) -> CallFigures:
        """Return the figures of all groups together."""
        return self._figures(self._calls.values())

    def _figures(self, calls: Collection[_Counted[_K]]) -> CallFigures:
        answered = [call for call in calls if not call.is_unanswered]
        return CallFigures(
            within=self._within,
            wrap_up=self._wrap_up,
            offered=len(calls),
            answered=len(answered),
            answered_within=sum(call.waiting <= self._within for call in answered),
            waiting_seconds=sum(call.waiting for call in answered),
            talk_seconds=sum(call.talk for call in answered),
        )


def _waiting(record: CallRecord) -> float:
    """Return the seconds before the answer of an answered call, from its times if the record has no number."""
    if record.waiting_seconds is not None or record.answered_at is None:
        return record.waiting_seconds or 0
    return max(0.0, (record.answered_at - record.started_at).total_seconds())


def _talk(record: CallRecord) -> float:
    if record.talk_seconds is not None or record.answered_at is None or record.ended_at is None:
        return record.talk_seconds or 0
    return max(0.0, (record.ended_at - record.answered_at).total_seconds())
