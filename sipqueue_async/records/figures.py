"""`CallFigures`: the usual figures of a call centre, from call records."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Self, TypeVar

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

    @classmethod
    def of(cls, records: Iterable[CallRecord], *, within: float = 20.0) -> Self:
        """Return the figures of some records.

        Args:
            records: The records.
            within: The seconds of the service level.

        Raises:
            TypeError: `within` is not a number.
            ValueError: It is negative or not finite.
        """
        check_at_least("within", within, 0, "second")
        calls: dict[tuple[str, str], CallRecord] = {}
        for record in records:
            if record.direction is CallDirection.IN:
                key = ("uuid", record.uuid) if record.uuid else ("id", record.id)
                known = calls.get(key)
                if known is None or (record.is_answered and not known.is_answered):
                    calls[key] = record
        answered = [record for record in calls.values() if record.is_answered]
        waits = [_waiting(record) for record in answered]
        return cls(
            within=within,
            offered=len(calls),
            answered=len(answered),
            answered_within=sum(wait <= within for wait in waits),
            waiting_seconds=sum(waits),
            talk_seconds=sum(map(_talk, answered)),
        )

    @classmethod
    def by(
        cls, records: Iterable[CallRecord], key: Callable[[CallRecord], _K], *, within: float = 20.0
    ) -> dict[_K, Self]:
        """Return the figures of each group of records.

        Args:
            records: The records.
            key: Returns a record's group, such as its extension.
            within: As for `of`.

        Raises:
            TypeError: As for `of`.
            ValueError: As for `of`.
        """
        groups: dict[_K, list[CallRecord]] = {}
        for record in records:
            groups.setdefault(key(record), []).append(record)
        return {group: cls.of(found, within=within) for group, found in groups.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as values for JSON."""
        return {
            "within": self.within,
            "offered": self.offered,
            "answered": self.answered,
            "abandoned": self.abandoned,
            "answered_within": self.answered_within,
            "abandonment": self.abandonment,
            "service_level": self.service_level,
            "average_speed_of_answer": self.average_speed_of_answer,
            "average_talk": self.average_talk,
        }


def _waiting(record: CallRecord) -> float:
    """Return the seconds before the answer of an answered call, from its times if the record has no number."""
    if record.waiting_seconds is not None or record.answered_at is None:
        return record.waiting_seconds or 0
    return max(0.0, (record.answered_at - record.started_at).total_seconds())


def _talk(record: CallRecord) -> float:
    if record.talk_seconds is not None or record.answered_at is None or record.ended_at is None:
        return record.talk_seconds or 0
    return max(0.0, (record.ended_at - record.answered_at).total_seconds())
