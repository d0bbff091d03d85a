"""What a relay would say, for tests of what reads it."""

from __future__ import annotations

from sipqueue_async import FeedEvent, Snapshot, diff
from sipqueue_async.redis._format import Change, Words, read_change, words


def publication(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
) -> Words:
    """Return the words for what lies between two snapshots."""
    changes = () if after is None else diff(before, after)
    return words(sequence=sequence, snapshot=after, feed=feed, changes=changes, coalesced=coalesced)


def fields_of(said: Words, after: str = "7-0") -> dict[str, str]:
    """Return the fields of an entry of the stream, as the script that publishes writes them."""
    return {"after": after, "update": said.update, "seats": said.seats, "was": said.was, "now": said.now}


def change_of(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
    follows: str = "7-0",
) -> Change:
    """Return what a reader reads of what lies between two snapshots."""
    return read_change(
        fields_of(publication(before, after, feed, sequence=sequence, coalesced=coalesced), after=follows)
    )
