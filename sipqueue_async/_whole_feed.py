"""Checks that an argument is a feed that receives every change."""

from __future__ import annotations

from sipqueue_async.feed import Feed


def check_whole_feed(name: str, feed: object) -> None:
    """Check that an argument is a feed that receives every change.

    Raises:
        TypeError: It is not a feed.
        ValueError: It shares the changes with a group.
    """
    if not isinstance(feed, Feed):
        raise TypeError(f"{name} must be a StatusWatcher or another Feed, not {type(feed).__name__}")
    if feed.is_shared:
        raise ValueError("a feed with a group receives only part of the changes: use one without a group")
