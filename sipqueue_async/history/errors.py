"""The errors of the history."""

from __future__ import annotations

from sipqueue_async import SipQueueError


class HistoryError(SipQueueError):
    """The history cannot be opened, read or written. The text says why, and never contains a password."""


class RecordedError(SipQueueError):
    """The error of a recorded outage. Only its text was stored; of errors of other libraries, only the class."""
