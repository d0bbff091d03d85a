"""`AlertRaised` and `AlertCleared`: the events of an alert."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs

from sipqueue_async import SeatKey
from sipqueue_async.alerts import sentences
from sipqueue_async.alerts.rules import Rule

Reason: TypeAlias = Literal["ended", "left", "hours", "rule"]
"""Why an alert cleared; see `AlertCleared.reason`."""

REASONS: Final[tuple[Reason, ...]] = ("ended", "left", "hours", "rule")


@attrs.frozen(kw_only=True)
class _Alert:
    rule: Rule
    """The rule."""
    id: str
    """The alert's id: its raising, repeats and clearing have the same one, even after a restart. The next alert of the
    same rule about the same subject has another."""
    queue: str | None
    """The queue of the alert; None for an alert about an agent in any queue, or about all queues."""
    extension: str | None
    """The extension of the alert; None for an alert about one queue or all queues."""
    agent: str | None
    """The agent's name, if the platform sent one."""
    since: datetime
    """When the condition began (aware), in the time of the snapshots' `observed_at`."""
    at: datetime
    """When the alert was raised or cleared, in the same time."""
    value: float
    """The rule's figure: seconds, a number of agents or calls, or a share from 0 to 1."""
    approximate: bool
    """Whether the condition may have begun before `since`, or was not observed during an outage before the raising."""

    @property
    def key(self) -> SeatKey | None:
        """The seat, if the alert is about one."""
        if self.queue is None or self.extension is None:
            return None
        return SeatKey(self.queue, self.extension)

    def who(self, language: str = "en") -> str:
        """Return the alert's subject for people, in ``en`` or ``zh``: an agent, a queue, all queues, or the platform.

        Raises:
            ValueError: There is no such language.
        """
        return sentences.who(self, language)

    def _common(self, kind: str) -> dict[str, Any]:
        return {
            "alert": kind,
            "rule": self.rule.name,
            "id": self.id,
            "queue": self.queue,
            "extension": self.extension,
            "agent": self.agent,
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "value": self.value,
            "approximate": self.approximate,
            "text": str(self),
        }


@attrs.frozen(kw_only=True)
class AlertRaised(_Alert):
    """A rule's condition has held for the rule's time."""

    kind: ClassVar[str] = "raised"
    """The event's name in JSON."""

    repeat: int = 0
    """The number of this repeat under the rule's `repeat_every`; 0 for the first time."""

    def __str__(self) -> str:
        return self.text()

    def text(self, language: str = "en") -> str:
        """Return a sentence for people, in ``en`` or ``zh``.

        Raises:
            ValueError: There is no such language.
        """
        return sentences.raised(self, language)

    def what(self, language: str = "en") -> str:
        """Return the condition in a few words without its duration, for a table with `who`, `since` and a clock.

        Raises:
            ValueError: There is no such language.
        """
        return sentences.what(self, language)

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as JSON can hold it."""
        return {**self._common(self.kind), "repeat": self.repeat}


@attrs.frozen(kw_only=True)
class AlertCleared(_Alert):
    """A raised alert has ended: its condition is over, or its rule no longer applies."""

    kind: ClassVar[str] = "cleared"
    """The event's name in JSON."""

    raised_at: datetime
    """When the alert was raised."""
    reason: Reason = "ended"
    """Why it cleared. ``ended``: the condition is over. ``left``: the agent has left the queue. ``hours``: the rule's
    hours have ended, while the condition lasts. ``rule``: the rule was removed or changed, or the seats are no longer
    watched; whether the condition lasts is unknown."""

    @property
    def lasted(self) -> timedelta:
        """The time from the beginning of the condition to the clearing; 0 if the wall clock was set back in between."""
        return max(timedelta(0), self.at - self.since)

    def __str__(self) -> str:
        return self.text()

    def text(self, language: str = "en") -> str:
        """Return a sentence for people, in ``en`` or ``zh``.

        Raises:
            ValueError: There is no such language.
        """
        return sentences.cleared(self, self.reason, language)

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as JSON can hold it."""
        return {**self._common(self.kind), "raised_at": self.raised_at.isoformat(), "reason": self.reason}


Alert: TypeAlias = AlertRaised | AlertCleared
"""An event of an alert."""


def alert_id(rule: str, queue: str | None, extension: str | None, since: datetime, earlier: int) -> str:
    """Return the id of an alert.

    It depends on the rule, the subject, the beginning, and the number of earlier alerts since then. So a program that
    was killed before it saved an alert raises it again with the same id.
    """
    text = "\0".join((rule, queue or "", extension or "", since.isoformat(), *([str(earlier)] if earlier else ())))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
