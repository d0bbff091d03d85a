"""Named queues and extensions that the status does not contain, probably because of a typing error."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sipqueue_async import AgentState, OperationFailed, SeatFilter, SeatKey, SipQueueClient, Snapshot
from sipqueue_async._text import harmless
from sipqueue_async.cli.exits import Failure

_NO_SUCH_EXTENSION: Final = frozenset({1011, 1012})
"""The platform's codes for an extension that it lacks or that is another company's."""

_LISTED: Final = 10
"""How many names an error lists at most."""


class Platform:
    """A platform that answers a request for an unknown extension with an empty snapshot, as it does for a queue."""

    def __init__(self, client: SipQueueClient) -> None:
        self._client = client

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
    ) -> Snapshot:
        """Return the status of these seats."""
        try:
            return await self._client.fetch_snapshot(queue=queue, extension=extension, state=state)
        except OperationFailed as error:
            if extension is None or error.code not in _NO_SUCH_EXTENSION:
                raise
            return Snapshot(observed_at=datetime.now(UTC))


def has_absent(seats: SeatFilter, known: Iterable[SeatKey]) -> bool:
    """Return whether some of the named queues or extensions have no seat among the known ones."""
    keys = list(known)
    queues = (seats.queues or frozenset()) - {key.queue for key in keys}
    extensions = (seats.extensions or frozenset()) - {key.extension for key in keys}
    return bool(queues or extensions)


def check_all_watched(keys: Iterable[SeatKey], seats: SeatFilter, source: str, remedy: str) -> None:
    """Check that a run watches all seats of an earlier one, which would otherwise be reported as leaving.

    Args:
        keys: The seats of the earlier run.
        seats: Which seats this run watches.
        source: What has the seats.
        remedy: What to use instead of the same filters.

    Raises:
        Failure: A seat would not be watched.
    """
    for key in keys:
        if not seats.admits(key):
            raise Failure(
                f"{source} has queue {harmless(key.queue)}, extension {harmless(key.extension)}, which would not be "
                f"watched now: use the same filters as before, or {remedy}"
            )


def describe_absent(seats: SeatFilter, known: Iterable[SeatKey], everything: Iterable[SeatKey]) -> str | None:
    """Return a sentence about the named queues and extensions that do not exist, with the names that exist.

    It is None if every name exists and a seat was found: a queue need not have every extension.

    Args:
        seats: The names.
        known: The seats that were found.
        everything: All seats of the platform; none if they are not known.
    """
    found = frozenset(known)
    all_seats = frozenset(everything) | found
    sentences = [
        *_missing("queue", seats.queues, {key.queue for key in all_seats}),
        *_missing("extension", seats.extensions, {key.extension for key in all_seats}),
    ]
    if not sentences and not found:
        # Each name exists, but no seat has this combination.
        extensions = sorted(seats.extensions or ())
        sentences = [f"extension {it!r} is only in {_listed(_queues_of(it, all_seats))}" for it in extensions]
    return "; ".join(sentences) or None


def _missing(noun: str, named: Iterable[str] | None, there: Iterable[str]) -> list[str]:
    absent = sorted(frozenset(named or ()) - frozenset(there))
    if not absent:
        return []
    names = ", ".join(map(repr, absent))
    what = f"no {noun} named {names}" if len(absent) == 1 else f"no {noun}s named {names}"
    if there:
        what += f"; there are {_listed(sorted(there))}"
    # The name of the option is the noun.
    option = noun
    return [f"{what}; repeat --{option} for several" if any("," in name for name in absent) else what]


def _queues_of(extension: str, keys: Iterable[SeatKey]) -> list[str]:
    return sorted(key.queue for key in keys if key.extension == extension)


def _listed(names: list[str]) -> str:
    shown, more = ", ".join(map(harmless, names[:_LISTED])), len(names) - _LISTED
    return f"{shown} and {more} more" if more > 0 else shown
