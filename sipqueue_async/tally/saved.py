"""Saves a tally as versioned JSON, and checks the JSON when it is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sipqueue_async import AgentState, SeatKey, Snapshot
from sipqueue_async._saved_format import SavedFormat
from sipqueue_async.tally.clock import Clock
from sipqueue_async.tally.counts import SeatCount

_FORMAT: Final = SavedFormat(kind="tally", name="sipqueue-tally", version=1)


def dump(clock: Clock, records: Snapshot | None, seats: Iterable[SeatCount]) -> bytes:
    """Return the JSON; durations are in microseconds.

    Args:
        clock: The tally's clock.
        records: The last record of each seat, observed when the tally was; None before the first snapshot.
        seats: The figures of each seat, counted up to the clock's time.
    """
    figures = _FORMAT.dump(
        {
            "started_at": None if clock.started_at is None else clock.started_at.isoformat(),
            "seats": [_seat_to_json(seat) for seat in seats],
        }
    )
    # Append the records as the JSON that they already are.
    return figures[:-1] + b',"records":' + (b"null" if records is None else records.to_json()) + b"}"


def load(data: bytes | str, clock: Clock) -> tuple[Snapshot | None, list[SeatCount]]:
    """Return the records and figures that `dump` saved, and start the clock from which the seats continue.

    Raises:
        ValueError: The data is damaged, of another kind, or of a version that this release does not know.
    """
    document = _FORMAT.load(data)
    with _FORMAT.decoding():
        return _load(document, clock)


def _load(document: dict[str, Any], clock: Clock) -> tuple[Snapshot | None, list[SeatCount]]:
    figures = document["seats"]
    if not isinstance(figures, list):
        raise ValueError(f"{figures!r} is not a list")  # noqa: TRY004  # `decoding` keeps the text of a ValueError
    if document["records"] is None or document["started_at"] is None:
        if figures or document["records"] is not document["started_at"]:
            raise ValueError("it has seats but no records, or a start but no records")
        return None, []
    records = Snapshot.from_json(json.dumps(document["records"]))
    by_seat = {SeatKey(fields["queue"], fields["extension"]): fields for fields in figures}
    if by_seat.keys() != records.keys() or len(figures) != len(records):
        raise ValueError("its seats differ from those of its records")
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
    by_wall_clock = max(0, (records.observed_at - since) // timedelta(microseconds=1))
    seat.began -= _number(fields.get("lasted", by_wall_clock))
    return seat


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not an object")  # noqa: TRY004  # as above
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(f"the time {text!r} has no time zone")
    return moment


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")  # noqa: TRY004  # as above
    return value
