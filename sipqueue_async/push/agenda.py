"""`Agenda`: which polls the pushes ask for, and when each may begin; without I/O."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

from sipqueue_async import Snapshot

WHOLE: Final = ""
"""Stands for the whole status among the names of extensions."""
MOST_PARTS: Final = 8
"""The most polls of single extensions in `min_interval`. If pushes name more extensions, the whole is polled."""
_LONGEST_NAME: Final = 64


class Agenda:
    """Coalesces the extensions that pushes name into polls.

    Args:
        min_interval: The least seconds between the starts of two polls of the whole status, or of one extension.
        whole_up_to: Up to this number of seats, the whole status is polled.
    """

    def __init__(self, min_interval: float, whole_up_to: int) -> None:
        self._min_interval = min_interval
        self._whole_up_to = whole_up_to
        # In the order of their pushes; at most `MOST_PARTS`.
        self._names: dict[str, None] = {}
        # When the last poll of the whole began, and those of single extensions since.
        self._whole_began = -math.inf
        self._began: dict[str, float] = {}
        self._not_before = -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to poll."""
        return not self._names

    def add(self, names: Iterable[object]) -> bool:
        """Add the extensions that pushes name, and return whether one is new. What can be no name means the whole."""
        before = self._names
        names = before | dict.fromkeys(map(_name, names))
        self._names = {WHOLE: None} if WHOLE in names or len(names) > MOST_PARTS else names
        return self._names.keys() != before.keys()

    def next(self, now: float, known: Snapshot | None) -> tuple[float, str]:
        """Return when the next poll may begin, and what it asks for: an extension, or `WHOLE`.

        Args:
            now: The present.
            known: The snapshot. Only an extension that it has is asked for, so that no forged name is sent. None if
                extensions cannot be polled.
        """
        earliest = max(self._not_before, self._whole_began + self._min_interval)
        if known is None or len(known) <= self._whole_up_to or not _all_known(self._names, known):
            return earliest, WHOLE
        self._began = {name: began for name, began in self._began.items() if began + self._min_interval > now}
        if len(self._began) >= MOST_PARTS:
            earliest = max(earliest, min(self._began.values()) + self._min_interval)
        due = {name: max(earliest, self._began.get(name, -math.inf) + self._min_interval) for name in self._names}
        name = min(due, key=due.__getitem__)
        return due[name], name

    def begin(self, name: str, now: float) -> None:
        """Note that a poll of an extension or of the whole begins."""
        if name == WHOLE:
            self._names, self._began, self._whole_began = {}, {}, now
        else:
            del self._names[name]
            self._began[name] = now

    def whole_began(self, at: float) -> None:
        """Note that the whole was polled, though an extension was asked for. What else is asked for still is."""
        self._whole_began = at

    def wait_until(self, moment: float) -> None:
        """Let no poll begin before then."""
        self._not_before = moment


def _name(value: object) -> str:
    # A number has lost its leading zeros; if it is then unknown, the whole is polled.
    text = str(value) if isinstance(value, int) else value
    return text if isinstance(text, str) and len(text) <= _LONGEST_NAME else WHOLE


def _all_known(names: Collection[str], known: Snapshot) -> bool:
    return {key.extension for key in known}.issuperset(names)
