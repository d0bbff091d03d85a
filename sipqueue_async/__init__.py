"""Turns a call centre platform's polled status API into a typed asyncio event stream."""

from importlib import import_module

# Type checkers assume that this name is true. `typing` has it too, but importing `typing` takes longer than the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from sipqueue_async._diff import apply, diff
    from sipqueue_async._high_water import HighWater
    from sipqueue_async._running import run
    from sipqueue_async._seat_filter import SeatFilter
    from sipqueue_async._state_times import StateSince
    from sipqueue_async._streams import Subscription, Updates
    from sipqueue_async.auth import AppCredentials, Auth
    from sipqueue_async.calls import CallDirection, CallMethod, CallRecord, HangUpSide
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
    from sipqueue_async.queues import QueueInfo, QueueStrategy, Registration
    from sipqueue_async.settings import Settings, SettingsError
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
    "CallDirection",
    "CallMethod",
    "CallMissed",
    "CallRecord",
    "Event",
    "Feed",
    "FeedDown",
    "FeedEvent",
    "FeedHealth",
    "FeedUp",
    "FieldProblem",
    "HangUpSide",
    "HighWater",
    "HttpStatusError",
    "MalformedResponse",
    "OperationFailed",
    "QueueInfo",
    "QueueStrategy",
    "Registration",
    "SeatEvent",
    "SeatFilter",
    "SeatKey",
    "Settings",
    "SettingsError",
    "SipQueueClient",
    "SipQueueError",
    "Snapshot",
    "Source",
    "StateChanged",
    "StateSince",
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

# A name is imported from its module when it is first used, so that `import sipqueue_async` alone costs next to nothing:
# the command and every project's pytest import the package at start-up.
_HOMES = {
    "_diff": "apply diff",
    "_high_water": "HighWater",
    "_running": "run",
    "_seat_filter": "SeatFilter",
    "_state_times": "StateSince",
    "_streams": "Subscription Updates",
    "auth": "AppCredentials Auth",
    "calls": "CallDirection CallMethod CallRecord HangUpSide",
    "client": "SipQueueClient",
    "errors": "ApiError AuthError HttpStatusError MalformedResponse OperationFailed SipQueueError TransportError",
    "events": "AgentChanged AgentJoined AgentLeft CallAnswered CallMissed Event "
    "FeedDown FeedEvent FeedUp SeatEvent StateChanged Update",
    "feed": "Feed FeedHealth",
    "models": "AgentState AgentStatus FieldProblem SeatKey Snapshot",
    "queues": "QueueInfo QueueStrategy Registration",
    "settings": "Settings SettingsError",
    "watcher": "Source StatusWatcher WatcherHealth",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}
_SUBMODULES = frozenset(
    {"auth", "calls", "client", "errors", "events", "feed", "models", "queues", "settings", "watcher"}
)


if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _SUBMODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_SUBMODULES})
