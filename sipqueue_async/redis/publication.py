"""The versioned JSON that relays write and readers read. `docs/relay.md` describes it for other languages."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, TypeGuard

import attrs

from sipqueue_async import (
    AgentStatus,
    ApiError,
    AuthError,
    Event,
    FeedDown,
    FeedEvent,
    FeedUp,
    FieldProblem,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SeatEvent,
    SeatKey,
    SipQueueError,
    Snapshot,
    TransportError,
    diff,
)
from sipqueue_async._saved_format import DAMAGE, damage
from sipqueue_async.models import COUNTER_FIELDS

VERSION: Final = 2
"""The format that relays write. Readers accept format 1 too, which lacks the field `confirmed`."""
_READABLE: Final = (1, 2)
_NO_RECORD: Final = "null"
_PROBLEMS: Final = "problems"
"""In a record: the problems of its counters that the platform has never sent."""

_ERRORS: Final[Mapping[str, type[SipQueueError]]] = {
    kind.__name__: kind
    for kind in (TransportError, HttpStatusError, MalformedResponse, ApiError, AuthError, OperationFailed)
}


class RelayError(SipQueueError):
    """Redis refuses a request, or holds data that relays and readers cannot use. Retrying does not help."""


class SourceError(SipQueueError):
    """The relay's source raised an error of another library. Readers get only its class: its text may hold secrets."""


@attrs.frozen(kw_only=True)
class Moment:
    """The fields of a snapshot besides its records."""

    observed_at: datetime
    server_time: datetime | None
    problems: tuple[FieldProblem, ...]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Moment:
        """Return these fields of a snapshot."""
        return cls(observed_at=snapshot.observed_at, server_time=snapshot.server_time, problems=snapshot.problems)

    def snapshot(self, records: Iterable[AgentStatus]) -> Snapshot:
        """Return a snapshot with these fields and records."""
        return Snapshot(records, **attrs.asdict(self, recurse=False))

    def changed(self, before: Snapshot, agents: Mapping[SeatKey, AgentStatus | None]) -> Snapshot:
        """Return a snapshot with these fields, and the records of `before` with the given changes (None: left)."""
        return before.with_changes(agents, **attrs.asdict(self, recurse=False))


@attrs.frozen(kw_only=True, slots=False)
class Change:
    """One publication, as readers use it."""

    after: str
    """The id of the entry before this one; empty in the first entry."""
    sequence: int
    """The publication's number."""
    confirmed: int | None
    """The relay's counter of confirmations at the time; None in format 1."""
    moment: Moment | None
    """None until a poll has succeeded for the first time."""
    feed: FeedEvent | None
    """The change of the feed's condition, if there was one."""
    coalesced: bool
    """Whether this publication merges several changes."""
    seats: tuple[SeatKey, ...]
    """The seats that changed."""
    was: tuple[AgentStatus | None, ...]
    """Their records before, in the order of `seats`; None for a seat that joined."""
    now: tuple[AgentStatus | None, ...]
    """Their records after, in the same order; None for a seat that left."""
    never_sent: tuple[FieldProblem, ...] = ()
    """The counters in `was` whose 0 means nothing, because the platform had never sent them."""

    @cached_property
    def agents(self) -> dict[SeatKey, AgentStatus | None]:
        """The new records by seat; None for a seat that left."""
        return dict(zip(self.seats, self.now, strict=True))

    @cached_property
    def seat_events(self) -> tuple[SeatEvent, ...]:
        """The events of these seats. They equal those of the whole snapshots, since `diff` compares seat by seat."""
        return () if self.after_snapshot is None else diff(self.before_snapshot, self.after_snapshot)

    @property
    def before_snapshot(self) -> Snapshot | None:
        """A snapshot of the old records of the seats that changed, and of no others."""
        if self.moment is None:
            return None
        before = attrs.evolve(self.moment, problems=self.never_sent)
        return before.snapshot(it for it in self.was if it is not None)

    @cached_property
    def after_snapshot(self) -> Snapshot | None:
        """A snapshot of the new records of the seats that changed, and of no others."""
        return None if self.moment is None else self.moment.snapshot(it for it in self.now if it is not None)


def with_feed(feed: FeedEvent | None, events: Sequence[SeatEvent]) -> tuple[Event, ...]:
    """Return all events in order: `FeedUp` comes before the seats' events, `FeedDown` after them."""
    if feed is None:
        return tuple(events)
    return (feed, *events) if isinstance(feed, FeedUp) else (*events, feed)


# ---- writing ---------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Publication:
    """A publication as a relay sends it to Redis. `docs/relay.md` describes the fields of an entry."""

    snapshot: str
    update: str
    seats: str
    was: str
    now: str


def publication(
    *,
    sequence: int,
    previous: Snapshot | None,
    snapshot: Snapshot | None,
    feed: FeedEvent | None,
    changes: Sequence[SeatEvent],
    coalesced: bool,
) -> Publication:
    """Return the publication of some changes.

    Args:
        sequence: The publication's number.
        previous: The snapshot before the changes, if there was one.
        snapshot: The snapshot after the changes; None until a poll has succeeded for the first time.
        feed: The change of the feed's condition, if there was one.
        changes: The seats' events.
        coalesced: Whether several changes were merged.
    """
    was: dict[SeatKey, AgentStatus | None] = {}
    now: dict[SeatKey, AgentStatus | None] = {}
    for event in changes:
        was[event.key], now[event.key] = event.previous, event.agent
    moment = None if snapshot is None else _moment_to_json(Moment.of(snapshot))
    update = {
        "version": VERSION,
        "sequence": sequence,
        "snapshot": moment,
        "coalesced": coalesced,
        "feed": None if feed is None else _feed_to_json(feed),
        "events": [_event_to_json(event) for event in with_feed(feed, changes)],
    }
    return Publication(
        snapshot=_dump(moment),
        update=_dump(update),
        seats="\n".join(_dump(list(key)) for key in now),
        was=_records(was.values(), previous),
        now=_records(now.values(), snapshot),
    )


def feed_to_json(feed: FeedEvent | None) -> str:
    """Return a feed event as JSON; ``null`` if there is none."""
    return _dump(None if feed is None else _feed_to_json(feed))


def _records(agents: Collection[AgentStatus | None], of: Snapshot | None) -> str:
    seats = {agent.key for agent in agents if agent is not None}
    never_sent: dict[SeatKey, list[dict[str, Any]]] = {}
    for problem in () if of is None else of.problems:
        key = SeatKey(problem.queue or "", problem.extension or "")
        if key in seats and problem.field in COUNTER_FIELDS and not problem.carried:
            never_sent.setdefault(key, []).append(problem.to_dict())

    def line(agent: AgentStatus | None) -> str:
        if agent is None:
            return _NO_RECORD
        problems = never_sent.get(agent.key)
        return _dump(agent.to_dict() | ({_PROBLEMS: problems} if problems else {}))

    return "\n".join(map(line, agents))


# One line of ASCII, so that lone surrogates in names survive, whatever encoding a client uses. `json.dumps` with
# options would create an encoder for each record.
_dump: Final[Callable[[object], str]] = json.JSONEncoder(separators=(",", ":")).encode


def _moment_to_json(moment: Moment) -> dict[str, Any]:
    return {
        "observed_at": moment.observed_at.isoformat(),
        "server_time": None if moment.server_time is None else moment.server_time.isoformat(),
        "problems": [problem.to_dict() for problem in moment.problems],
    }


def _event_to_json(event: Event) -> dict[str, Any]:
    redacted = {"error": ""} if isinstance(event, FeedDown) and not _is_ours(event.error) else {}
    return event.to_dict() | redacted


def _feed_to_json(feed: FeedEvent) -> dict[str, Any]:
    if isinstance(feed, FeedUp):
        return feed.to_dict()
    arguments: list[Any] = []
    where = None
    if _is_ours(feed.error):
        arguments = [it if isinstance(it, str | int | float | None) else str(it) for it in feed.error.args]
        where = feed.error.where
    since = None if feed.since is None else feed.since.isoformat()
    own = {"error": arguments, "error_type": type(feed.error).__name__, "where": where}
    return {"event": feed.kind, "since": since, **own}


def _is_ours(error: BaseException) -> TypeGuard[SipQueueError]:
    """Return whether the error is of this library: the text of these never contains a secret."""
    return type(error) in _ERRORS.values()


# ---- reading ---------------------------------------------------------------------------------------------------------


@contextmanager
def reading(what: str) -> Generator[None]:
    """Translate the errors of decoding inside the block.

    Args:
        what: The data that is decoded, for the message.

    Raises:
        RelayError: The data is damaged.
    """
    try:
        yield
    except DAMAGE as error:
        raise RelayError(f"{what} in Redis is damaged: {damage(error)}") from error


def read_change(fields: Mapping[str, str]) -> Change:
    """Read the fields of a stream entry.

    Raises:
        RelayError: The entry is damaged, or has a version that this release does not read.
    """
    with reading("an entry of the stream"):
        update = json.loads(fields["update"])
        version = check_version(update["version"])
        return Change(
            after=fields["after"],
            sequence=int(update["sequence"]),
            confirmed=None if version == 1 else int(fields["confirmed"]),
            moment=read_moment(update["snapshot"]),
            feed=read_feed(update["feed"]),
            coalesced=bool(update["coalesced"]),
            **_read_records(fields),
        )


def read_work(text: str) -> Change:
    """Read a group's entry: the fields of a stream entry, or a difference that replaces trimmed entries.

    Raises:
        RelayError: The entry is damaged, or has a version that this release does not read.
    """
    with reading("a group's work"):
        fields = json.loads(text)
        if "update" in fields:
            return read_change(fields)
        return Change(
            after="-",
            sequence=int(fields["sequence"]),
            confirmed=None,
            moment=read_moment(json.loads(fields["snapshot"])),
            # Earlier releases did not write this field.
            feed=read_feed(json.loads(fields.get("feed", "null"))),
            coalesced=True,
            **_read_records(fields),
        )


def read_snapshot(moment: str, records: Iterable[str]) -> Snapshot | None:
    """Read the whole snapshot; None until a poll has succeeded for the first time.

    Raises:
        RelayError: The snapshot is damaged.
    """
    with reading("the snapshot"):
        found = read_moment(json.loads(moment))
        if found is None:
            return None
        agents = (agent for agent, _ in map(_read_record, records) if agent is not None)
        return found.snapshot(sorted(agents, key=attrgetter("key")))


def check_version(version: object) -> int:
    """Return the version of the format if this release reads it.

    Raises:
        RelayError: This release does not read the version.
    """
    if type(version) is not int or version not in _READABLE:
        raise RelayError(
            f"the data in Redis has version {version!r}; this release reads versions up to {VERSION}: run the same "
            "release of sipqueue_async everywhere"
        )
    return version


def read_moment(document: Any) -> Moment | None:
    """Read a snapshot's fields besides its records; None for ``null``."""
    if document is None:
        return None
    return Moment(
        observed_at=read_time(document["observed_at"]),
        server_time=None if document["server_time"] is None else read_time(document["server_time"]),
        problems=tuple(map(FieldProblem.from_dict, document["problems"])),
    )


def read_time(text: str) -> datetime:
    """Read an ISO time with a time zone.

    Raises:
        ValueError: The text is not a time, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def read_feed(document: Any) -> FeedEvent | None:
    """Read a feed event; None for ``null``."""
    if document is None:
        return None
    if document["event"] == FeedUp.kind:
        return FeedUp(
            observed_at=read_time(document["observed_at"]),
            outage=timedelta(seconds=document["outage"]),
            failures=int(document["failures"]),
        )
    since = None if document["since"] is None else read_time(document["since"])
    return FeedDown(error=_read_error(document), since=since)


def _read_error(document: Mapping[str, Any]) -> SipQueueError:
    name, where = document["error_type"], document["where"]
    kind = _ERRORS.get(name)
    error = SourceError(f"the relay's source failed: {name}") if kind is None else kind(*document["error"])
    if not isinstance(where, str | None):
        raise ValueError(f"{where!r} is not text")  # noqa: TRY004  # `reading` keeps the text of a ValueError
    error.where = where
    return error


def _read_records(fields: Mapping[str, str]) -> dict[str, Any]:
    seats = tuple(SeatKey(*json.loads(line)) for line in fields["seats"].splitlines())
    before = tuple(map(_read_record, fields["was"].splitlines()))
    was = tuple(agent for agent, _ in before)
    now = tuple(agent for agent, _ in map(_read_record, fields["now"].splitlines()))
    if len(set(seats)) != len(seats):
        raise ValueError("a seat is listed twice")
    for seat, *agents in zip(seats, was, now, strict=True):
        if any(agent is not None and agent.key != seat for agent in agents):
            raise ValueError(f"the record for {seat} names another seat")
    return {
        "seats": seats,
        "was": was,
        "now": now,
        "never_sent": tuple(it for _, problems in before for it in problems),
    }


def _read_record(line: str) -> tuple[AgentStatus | None, Sequence[FieldProblem]]:
    if line == _NO_RECORD:
        return None, ()
    fields = json.loads(line)
    problems = fields.pop(_PROBLEMS, ())
    return AgentStatus.from_dict(fields), [FieldProblem.from_dict(problem) for problem in problems]
