"""Events as rows of the database, and back: pure functions.

A record is stored as what differs from the seat's record before: MessagePack of a bit mask of fields and their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

import attrs
import msgspec

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    FieldProblem,
    SeatEvent,
    SeatKey,
    SipQueueError,
    StateChanged,
)
from sipqueue_async.history.errors import HistoryError, RecordedError
from sipqueue_async.history.figures import MICROSECONDS, microseconds, moment_of
from sipqueue_async.history.schema import STATE_NUMBERS, STATES

SEEN, JOINED, LEFT, STATE, ANSWERED, MISSED, CHANGED, DOWN, UP = range(9)
"""The kinds of rows. SEEN is a seat of the first known snapshot; the others are events."""

NO_SEAT: Final = 0
"""The seat of a feed event."""

FIELDS: Final = (
    "name",
    "state_code",
    "status_code",
    "last_answered_at",
    "last_offered_at",
    "last_changed_at",
    "no_answer_count",
    "calls_answered",
    "external_calls_count",
    "wrap_up_time",
    "max_no_answer",
)
"""The fields of a record besides the seat and the state, in the order of their bits."""

_BITS: Final = {name: 1 << number for number, name in enumerate((*FIELDS, "state"))}
_ALL: Final = (1 << len(FIELDS)) - 1
_TIMES: Final = frozenset(number for number, name in enumerate(FIELDS) if name.endswith("_at"))
_values: Final = attrgetter(*FIELDS)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # the platform's times have no zone
_MICROSECOND: Final = timedelta(microseconds=1)
_ESCAPE: Final = "\\u:"
_LONGEST_ERROR: Final = 1000

_KINDS: Final[Mapping[type[Event], int]] = {
    AgentJoined: JOINED,
    AgentLeft: LEFT,
    StateChanged: STATE,
    CallAnswered: ANSWERED,
    CallMissed: MISSED,
    AgentChanged: CHANGED,
}

Outcome: TypeAlias = tuple[int, int, int, int, int, bytes | None]
"""The columns kind, state, count, hidden_count, begins_state and record of a row."""


class Row(NamedTuple):
    """A row of the table `event`, without the platform."""

    at: int
    n: int
    seat_id: int
    kind: int
    state: int
    # `count` is a method of tuples.
    calls: int
    hidden_count: int
    begins_state: int
    sequence: int | None
    server_lag: int | None
    extra: bytes | None
    record: bytes | None


def storable(text: str) -> str:
    """Return text that every database can store: a NUL or a lone surrogate is escaped; `original` undoes it."""
    if text.isprintable() and not text.startswith(_ESCAPE):
        return text
    if "\0" in text or text.startswith(_ESCAPE) or any("\ud800" <= letter <= "\udfff" for letter in text):
        return _ESCAPE + text.encode("unicode_escape").decode("ascii")
    return text


def original(text: str) -> str:
    """Return the text that `storable` was given."""
    if text.startswith(_ESCAPE):
        return text.removeprefix(_ESCAPE).encode("ascii").decode("unicode_escape")
    return text


def encode_seen(agent: AgentStatus) -> Outcome:
    """Return the row of a seat of the first known snapshot."""
    return SEEN, STATE_NUMBERS[agent.state], 0, 0, 1, encode_record(agent)


def encode_seat_event(event: SeatEvent, known: AgentStatus | None) -> Outcome:
    """Return the row of an event.

    Args:
        event: The event.
        known: The seat's record before it, as far as it is stored.
    """
    agent = event.agent
    count, hidden = 0, 0
    match event:
        case StateChanged():
            count = int(event.occurred_at is not None)
        case CallAnswered():
            count, hidden = event.count, event.hidden_count
        case CallMissed():
            count = event.count
        case AgentChanged():
            count = sum(_BITS[name] for name in event.fields)
        case AgentLeft():
            return LEFT, 0, 0, 0, 0, None
        case _:
            pass
    assert agent is not None  # noqa: S101  # only AgentLeft has none
    record = None if agent is known else encode_record(agent, known)
    return _KINDS[type(event)], STATE_NUMBERS[agent.state], count, hidden, int(event.begins_state), record


def encode_feed_event(event: FeedDown | FeedUp) -> Outcome:
    """Return the row of a feed event."""
    if isinstance(event, FeedDown):
        since = None if event.since is None else microseconds(event.since)
        return DOWN, 0, 0, 0, 0, _encode((since, *error_text(event.error)))
    return UP, 0, event.failures, 0, 0, _encode(event.outage // _MICROSECOND)


def error_text(error: BaseException) -> tuple[str, str]:
    """Return an error's class and its text; of errors of other libraries no text, since it may hold secrets."""
    text = str(error) if isinstance(error, SipQueueError) else ""
    return type(error).__name__, storable(text[:_LONGEST_ERROR])


def encode_record(agent: AgentStatus, known: AgentStatus | None = None) -> bytes | None:
    """Return the fields of a record that differ from the known one, or None if none differs."""
    now = _values(agent)
    if known is None:
        mask, changed = _ALL, list(now)
        for number in _TIMES:
            changed[number] = _encode_time(changed[number])
        changed[0] = _encode_name(changed[0])
        return _encode((mask, *changed))
    mask, fields = 0, [0]
    for number, (before, after) in enumerate(zip(_values(known), now, strict=True)):
        if before != after or (number in _TIMES and not _same_zone(before, after)):
            mask |= 1 << number
            fields.append(_encode_time(after) if number in _TIMES else _encode_name(after) if not number else after)
    fields[0] = mask
    return _encode(fields) if mask else None


def decode_record(record: bytes | None, state: int, key: SeatKey, known: AgentStatus | None) -> AgentStatus:
    """Return the record after a row: the known one with the changes.

    Raises:
        HistoryError: The record is damaged.
    """
    agent_state = STATES[state - 1]
    if known is not None and record is None and known.state is agent_state:
        return known
    try:
        fields = _decoded_fields(record)
        if known is not None:
            return attrs.evolve(known, state=agent_state, **fields)
        return AgentStatus(queue=key.queue, extension=key.extension, state=agent_state, **fields)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        raise HistoryError(f"the stored record of {key.queue!r} {key.extension!r} is damaged") from error


def _decoded_fields(record: bytes | None) -> dict[str, Any]:
    if record is None:
        return {}
    mask, *values = _decode(record)
    fields: dict[str, Any] = {}
    for number in range(len(FIELDS)):
        if mask & (1 << number):
            value = values[len(fields)]
            if number in _TIMES:
                value = _decode_time(value)
            elif number == 0 and value is not None:
                value = original(value)
            fields[FIELDS[number]] = value
    return fields


def decode_seat_event(row: Row, key: SeatKey, previous: AgentStatus | None, agent: AgentStatus) -> SeatEvent:
    """Return the event of a row about a seat that has a record after it.

    Args:
        row: The row.
        key: Its seat.
        previous: The seat's record before the update, or before an earlier change in it.
        agent: The record after the event.
    """
    at = moment_of(row.at)
    if row.kind == JOINED or previous is None:
        return AgentJoined(key=key, observed_at=at, agent=agent)
    match row.kind:
        case 3:
            occurred = agent.last_answered_at if agent.state is AgentState.TALKING else agent.last_offered_at
            occurred_at = occurred if row.calls else None
            return StateChanged(key=key, observed_at=at, agent=agent, previous=previous, occurred_at=occurred_at)
        case 4:
            hidden = row.hidden_count
            return CallAnswered(
                key=key,
                observed_at=at,
                agent=agent,
                previous=previous,
                count=row.calls,
                hidden=hidden > 0,
                hidden_count=hidden,
            )
        case 5:
            return CallMissed(key=key, observed_at=at, agent=agent, previous=previous, count=row.calls)
        case _:
            fields = frozenset(name for name, bit in _BITS.items() if row.calls & bit)
            return AgentChanged(key=key, observed_at=at, agent=agent, previous=previous, fields=fields)


def decode_feed_event(row: Row) -> FeedDown | FeedUp:
    """Return the event of a row about the feed."""
    content: Any = _decode(row.record or b"")
    if row.kind == DOWN:
        since, kind, text = content
        error = RecordedError(original(text) or kind)
        return FeedDown(error=error, since=None if since is None else moment_of(since))
    return FeedUp(observed_at=moment_of(row.at), outage=content * _MICROSECOND, failures=row.calls)


def encode_extra(problems: Sequence[FieldProblem] | None, *, coalesced: bool) -> bytes | None:
    """Return what few updates have: that they are coalesced, and problems that differ from the update's before."""
    if problems is None and not coalesced:
        return None
    found = None if problems is None else [_problem(problem) for problem in problems]
    return _encode((coalesced, found))


def decode_extra(extra: bytes | None) -> tuple[bool, tuple[FieldProblem, ...] | None]:
    """Return what `encode_extra` was given."""
    if extra is None:
        return False, None
    coalesced, found = _decode(extra)
    if found is None:
        return coalesced, None
    return coalesced, tuple(
        FieldProblem(
            None if queue is None else original(queue),
            None if extension is None else original(extension),
            original(field),
            original(reason),
            carried,
        )
        for queue, extension, field, reason, carried in found
    )


def _problem(problem: FieldProblem) -> tuple[object, ...]:
    texts = (problem.queue, problem.extension, problem.field, problem.reason)
    return (*(None if text is None else storable(text) for text in texts), problem.carried)


def _encode_name(name: Any) -> Any:
    return None if name is None else storable(name)


def _same_zone(before: datetime | None, after: datetime | None) -> bool:
    """Return whether equal times have the same offset too."""
    return before is after or (before is not None and after is not None and before.utcoffset() == after.utcoffset())


def _encode_time(time: Any) -> Any:
    """Return a naive time as seconds; an aware one, or one with fractions, as seconds, offset and microseconds."""
    if time is None:
        return None
    offset = time.utcoffset()
    since = (time.replace(tzinfo=None) - _LOCAL_EPOCH) // _MICROSECOND
    seconds, fraction = divmod(since, MICROSECONDS)
    if offset is None and not fraction:
        return seconds
    shift = None if offset is None else offset // timedelta(seconds=1)
    return (seconds, shift, fraction) if fraction else (seconds, shift)


def _decode_time(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, int):
        return _LOCAL_EPOCH + timedelta(seconds=value)
    seconds, shift, *fraction = value
    time = _LOCAL_EPOCH + timedelta(seconds=seconds, microseconds=sum(fraction))
    return time if shift is None else time.replace(tzinfo=_zone(shift))


@lru_cache(maxsize=64)
def _zone(shift: int) -> timezone:
    return timezone(timedelta(seconds=shift)) if shift else UTC
