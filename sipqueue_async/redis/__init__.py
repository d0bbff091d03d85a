"""One poller and many consumers, through Redis: a `Relay` polls and publishes, any number of `RedisFeed` read.

Needs the extra ``redis`` and a Redis server of version 7 or later. `docs/relay.md` explains both sides.
"""

from importlib import import_module

from sipqueue_async._extras import needed_by

with needed_by("redis", "redis"):
    import_module("redis")

from sipqueue_async.redis.publication import RelayError, SourceError
from sipqueue_async.redis.reader import RedisFeed, RedisFeedHealth
from sipqueue_async.redis.relay import Relay

__all__ = ["RedisFeed", "RedisFeedHealth", "Relay", "RelayError", "SourceError"]
