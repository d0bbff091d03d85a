"""Call records as they appear: each once, through restarts, and with the queue where the status tells it."""

from sipqueue_async.records.cursor import CallCursor
from sipqueue_async.records.feed import CallFeed, CallFeedHealth, CallSource, FollowedCall
from sipqueue_async.records.figures import CallFigures
from sipqueue_async.records.reconciling import Difference, Reconciliation, reconcile

__all__ = [
    "CallCursor",
    "CallFeed",
    "CallFeedHealth",
    "CallFigures",
    "CallSource",
    "Difference",
    "FollowedCall",
    "Reconciliation",
    "reconcile",
]
