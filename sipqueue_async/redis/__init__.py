"""One poller and many consumers, through Redis: a `Relay` polls and publishes, any number of `RedisFeed` read.

Needs the extra ``redis`` and a Redis server of version 7 or later. `docs/relay.md` explains both sides.
"""

try:
    import redis  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ModuleNotFoundError as error:
    remedy = "pip install 'sipqueue_async[redis]'"
    raise ModuleNotFoundError(
        f"sipqueue_async.redis needs redis, which is not installed: {remedy}", name=error.name
    ) from None

from sipqueue_async.redis.publication import RelayError, SourceError
from sipqueue_async.redis.reader import RedisFeed, RedisFeedHealth
from sipqueue_async.redis.relay import Relay

__all__ = ["RedisFeed", "RedisFeedHealth", "Relay", "RelayError", "SourceError"]
