"""Pushes of the platform as hints: each makes a watcher poll at once, and no more than that.

A push can be lost, repeated, late or forged, so its content decides only what is polled: the events come from polls
alone.
"""

from sipqueue_async.push.receiver import PartlyPollable, Pollable, PushHealth, PushReceiver, PushRefused
from sipqueue_async.push.server import PushServer

__all__ = ["PartlyPollable", "Pollable", "PushHealth", "PushReceiver", "PushRefused", "PushServer"]
