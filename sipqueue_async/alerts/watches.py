"""What the engine keeps about one condition of one subject, and the entries of its heap."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeAlias

from sipqueue_async import SeatKey
from sipqueue_async.alerts.events import Reason

Subject: TypeAlias = tuple[str | None, str | None]
"""The queue and the extension of an alert; None stands for any."""


def seat_subject(key: SeatKey) -> Subject:
    """Return a seat as the subject of an alert."""
    return key.queue, key.extension


class Due(Protocol):
    """An entry of the heap: fires at its deadline."""

    token: int
    """Changes with each new deadline, which invalidates the earlier ones."""

    def fire(self, at: float) -> None:
        """Act on the deadline."""
        ...


class Fires(Protocol):
    """The part of the engine that a watch uses."""

    def fire(self, watch: Watch, at: float) -> None:
        """Act on a watch's deadline."""
        ...


class Watch:
    """One condition about one subject: since when it holds, and its alert, if one was raised."""

    __slots__ = (
        "agent",
        "approximate",
        "clear_at",
        "engine",
        "id",
        "raised_at",
        "raisings",
        "reason",
        "repeat_at",
        "repeats",
        "rule",
        "since",
        "started",
        "subject",
        "token",
    )

    def __init__(self, engine: Fires, rule: int, subject: Subject) -> None:
        self.engine = engine
        self.rule = rule
        self.subject = subject
        self.agent: str | None = None
        self.token = 0
        # On the axis; None while the condition does not hold.
        self.since: float | None = None
        self.approximate = False
        # Wall times of the raised alert: when its condition began, and when it was raised.
        self.started: datetime | None = None
        self.raised_at: datetime | None = None
        self.id = ""
        self.repeats = 0
        # How often an alert was raised since `since`: the rule's hours may end and begin while the condition holds.
        self.raisings = 0
        # Why the condition does not hold.
        self.reason: Reason = "ended"
        # On the axis.
        self.repeat_at: float | None = None
        self.clear_at: float | None = None

    def fire(self, at: float) -> None:
        """Raise, repeat or clear the alert, whichever is due."""
        self.engine.fire(self, at)
