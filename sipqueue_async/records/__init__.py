"""Call records as they appear: each once, through restarts, and with the queue where the status tells it."""

from sipqueue_async.records.cursor import CallCursor
from sipqueue_async.records.feed import CallFeed, CallFeedHealth, CallSource, FollowedCall
from sipqueue_async.records.figures import CallCounter, CallFigures
from sipqueue_async.records.prefixes import number_prefix
from sipqueue_async.records.reconciling import Difference, Reconciliation, reconcile
from sipqueue_async.records.seats import CallQueues

__all__ = [
    "CallCounter",
    "CallCursor",
    "CallFeed",
    "CallFeedHealth",
    "CallFigures",
    "CallQueues",
    "CallSource",
    "Difference",
    "FollowedCall",
    "Reconciliation",
    "number_prefix",
    "reconcile",
]
