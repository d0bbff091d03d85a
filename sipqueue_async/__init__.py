"""Turns a call centre platform's polled status API into a typed asyncio event stream."""

from sipqueue_async._diff import apply, diff
from sipqueue_async._fanout import Subscription, Updates
from sipqueue_async._running import run
from sipqueue_async._seat_filter import SeatFilter
from sipqueue_async.auth import AppCredentials, Auth
from sipqueue_async.client import SipQueueClient
from sipqueue_async.errors import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)
from sipqueue_async.events import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedEvent,
    FeedUp,
    SeatEvent,
    StateChanged,
    Update,
)
from sipqueue_async.feed import Feed, FeedHealth
from sipqueue_async.models import AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot
from sipqueue_async.watcher import Source, StatusWatcher, WatcherHealth

__version__ = "0.1.0"

__all__ = [
    "AgentChanged",
    "AgentJoined",
    "AgentLeft",
    "AgentState",
    "AgentStatus",
    "ApiError",
    "AppCredentials",
    "Auth",
    "AuthError",
    "CallAnswered",
    "CallMissed",
    "Event",
    "Feed",
    "FeedDown",
    "FeedEvent",
    "FeedHealth",
    "FeedUp",
    "FieldProblem",
    "HttpStatusError",
    "MalformedResponse",
    "OperationFailed",
    "SeatEvent",
    "SeatFilter",
    "SeatKey",
    "SipQueueClient",
    "SipQueueError",
    "Snapshot",
    "Source",
    "StateChanged",
    "StatusWatcher",
    "Subscription",
    "TransportError",
    "Update",
    "Updates",
    "WatcherHealth",
    "apply",
    "diff",
    "run",
]
