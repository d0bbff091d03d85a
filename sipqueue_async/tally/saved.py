"""A tally in JSON: a versioned document that is checked when it is read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sipqueue_async import AgentState, SeatKey, Snapshot
from sipqueue_async.tally.clock import Clock
from sipqueue_async.tally.counts import SeatCount

_FORMAT: Final = "sipqueue-tally"
_VERSION: Final = 1


def dump(clock: Clock, records: Snapshot | None, seats: Iterable[SeatCount]) -> bytes:
    """Return the JSON; times are in microseconds.

    Args:
        clock: The tally's clock.
        records: The last record of every seat, observed when the tally was; None before anything is known.
        seats: The other figures of every seat, settled.
    """
    figures = {
        "format": _FORMAT,
        "version": _VERSION,
        "started_at": None if clock.started_at is None else clock.started_at.isoformat(),
        "seats": [_seat_to_json(seat) for seat in seats],
    }
    # A lone surrogate in a name is kept, as in a saved snapshot, which the records already are.
    text = json.dumps(figures, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
    return text[:-1] + b',"records":' + (b"null" if records is None else records.to_json()) + b"}"


def load(data: bytes | str, clock: Clock) -> tuple[Snapshot | None, list[SeatCount]]:
    """Return the records and figures that `dump` was given, and set the clock, by which the seats go on.

    Raises:
        ValueError: The data is damaged, of another kind, or of a version that this release does not know.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a saved tally must be JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f'this is no saved tally: it does not say "format": "{_FORMAT}"')
    version = document.get("version")
    if type(version) is not int or version != _VERSION:
        raise ValueError(f"the saved tally has version {version!r}; this release reads version {_VERSION}")
    try:
        return _load(document, clock)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the saved tally is damaged: {type(error).__name__}: {error}") from error


def _load(document: dict[str, Any], clock: Clock) -> tuple[Snapshot | None, list[SeatCount]]:
    figures = document["seats"]
    if not isinstance(figures, list):
        raise TypeError(f"{figures!r} is no list")
    if document["records"] is None or document["started_at"] is None:
        if figures or document["records"] is not document["started_at"]:
            raise ValueError("there are seats, but no records of them")
        return None, []
    records = Snapshot.from_json(json.dumps(document["records"]))
    by_seat = {SeatKey(fields["queue"], fields["extension"]): fields for fields in figures}
    if by_seat.keys() != records.keys() or len(figures) != len(records):
        raise ValueError("seats and records are not the same ones")
    clock.start(records.observed_at)
    clock.started_at = _moment(document["started_at"])
    return records, [_seat_from_json(clock, records, fields) for fields in figures]


def _seat_to_json(seat: SeatCount) -> dict[str, Any]:
    return {
        "queue": seat.key.queue,
        "extension": seat.key.extension,
        "present": seat.present,
        "since": seat.since.isoformat(),
        "lasted": seat.clock.total - seat.began,
        "approximate": seat.approximate,
        "calls_answered": seat.calls_answered,
        "calls_missed": seat.calls_missed,
        "spent": {state.value: elapsed for state, elapsed in seat.elapsed.items() if elapsed},
        "unseen": seat.unseen,
    }


def _seat_from_json(clock: Clock, records: Snapshot, fields: dict[str, Any]) -> SeatCount:
    agent, since = records[fields["queue"], fields["extension"]], _moment(fields["since"])
    seat = SeatCount(clock, agent, since, approximate=_flag(fields["approximate"]))
    seat.present = _flag(fields["present"])
    seat.calls_answered, seat.calls_missed = _number(fields["calls_answered"]), _number(fields["calls_missed"])
    seat.unseen = _number(fields["unseen"])
    seat.elapsed |= {AgentState(state): _number(elapsed) for state, elapsed in _fields(fields["spent"]).items()}
    # Tallies that earlier releases saved lack this field.
    by_the_wall_clock = max(0, (records.observed_at - since) // timedelta(microseconds=1))
    seat.began -= _number(fields.get("lasted", by_the_wall_clock))
    return seat


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(f"the time {text!r} has no zone")
    return moment


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
