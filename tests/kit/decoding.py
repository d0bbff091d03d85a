"""Comparable outcomes of decoding, and a reference decoder that reads every answer in full."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sipqueue_async import AgentStatus, SipQueueError, Snapshot
from sipqueue_async._wire import SnapshotDecoder
from tests.kit.builders import START, envelope


def outcome(decoder: SnapshotDecoder, raw: bytes, encoding: str = "utf-8") -> Snapshot | SipQueueError:
    """Return the decoded snapshot, or the error that decoding raised."""
    try:
        return decoder.decode(raw, observed_at=START, encoding=encoding)
    except SipQueueError as error:
        return error


def essence(read: Snapshot | SipQueueError) -> tuple[Any, ...]:
    """Return every part of an outcome in comparable form."""
    if isinstance(read, Snapshot):
        return list(read.items()), read.server_time, read.problems
    return type(read), read.args


class FullDecoder:
    """Reads each body in full; it keeps only names and counters of the last answer, to fill blank counters."""

    def __init__(self) -> None:
        self._decoder = SnapshotDecoder()
        self._known: Iterable[AgentStatus] = ()

    def outcome(self, raw: bytes, encoding: str = "utf-8") -> Snapshot | SipQueueError:
        """Return the decoded snapshot, or the error that decoding raised."""
        # Feed the known counters in an answer of another shape, so that the decoder reuses no part of it for the next
        # body.
        counters = {
            f"seat {number}": {
                "queuename": agent.queue,
                "seatsname": agent.name,
                "extnumber": agent.extension,
                "state": -1,
                "noanswercount": agent.no_answer_count,
                "callsanswered": agent.calls_answered,
            }
            for number, agent in enumerate(self._known)
        }
        self._decoder.decode(json.dumps(envelope(counters)).encode(), observed_at=START)
        read = outcome(self._decoder, raw, encoding)
        if isinstance(read, Snapshot):
            self._known = read.values()
        return read
