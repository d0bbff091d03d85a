"""Pushes of the platform as hints: each makes a watcher poll at once, and no more than that.

A push can be lost, repeated, late or forged, so nothing of its content is used: the events come from polls alone.
"""

from sipqueue_async.push.receiver import Pollable, PushHealth, PushReceiver, PushRefused
from sipqueue_async.push.server import PushServer

__all__ = ["Pollable", "PushHealth", "PushReceiver", "PushRefused", "PushServer"]
