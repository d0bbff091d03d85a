"""What several tests use: builders of records, snapshots and bodies, and a scripted source."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sipqueue_async import AgentState, AgentStatus, Snapshot

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

_CODES = {
    AgentState.IDLE: 1201,
    AgentState.WAITING: 1213,
    AgentState.RECEIVING: 1214,
    AgentState.TALKING: 1215,
    AgentState.PAUSED: 1217,
    AgentState.OFFLINE: 1200,
    AgentState.UNKNOWN: 1208,
}


def agent(
    extension: str = "100001", state: AgentState = AgentState.WAITING, *, queue: str = "queue-1", **fields: Any
) -> AgentStatus:
    """Return a record with plausible codes for its state."""
    fields = {"state_code": _CODES[state], "status_code": _CODES[state], **fields}
    return AgentStatus(queue=queue, extension=extension, state=state, **fields)


def snapshot(*agents: AgentStatus, at: float = 0.0, server: float | None = None) -> Snapshot:
    """Return a snapshot observed `at` seconds after START; `server` is the server's clock on the same scale."""
    return Snapshot(
        agents,
        observed_at=START + timedelta(seconds=at),
        server_time=None if server is None else START + timedelta(seconds=server),
    )


RECORD: dict[str, Any] = {
    "queuename": "queue-1",
    "seatsname": "9026004_9026004_autocall-9026",
    "extnumber": "100001",
    "status": 1213,
    "state": 1213,
    "lastanswertime": "2020-02-05 21:03:36",
    "lastassigntime": "2020-02-05 21:03:34",
    "seatschangetime": "2020-02-05 21:03:29",
    "noanswercount": 0,
    "callsanswered": 1,
    "externalcallscount": 0,
    "wrapuptime": 0,
    "maxnoanswer": 0,
}
"""The record of the platform's own example."""


def record(**fields: Any) -> dict[str, Any]:
    """Return the example's record with other fields."""
    return {**RECORD, **fields}


def envelope(result: Any = (), **data: Any) -> dict[str, Any]:
    """Return a good answer, to be encoded, with these records."""
    fields = {"status": 0, "desc": "get success", "result": result, "reqtime": 1581488746, "rsptime": 1581488746}
    return {"ret": 200, "data": {**fields, **data}, "msg": ""}


def body(*records: dict[str, Any], **data: Any) -> bytes:
    """Return a good answer's body with these records."""
    return json.dumps(envelope(list(records), **data)).encode()


def error_body(ret: int, msg: str = "no") -> bytes:
    """Return an answer's body that says that the request failed."""
    return json.dumps({"ret": ret, "data": [], "msg": msg}).encode()


def failure_body(code: int | str, message: str = "no") -> bytes:
    """Return an answer's body that says that the operation failed."""
    data = {"status": 1, "desc": "failed", "errors": {"code": str(code), "codemsg": message}}
    return json.dumps({"ret": 200, "data": data, "msg": ""}).encode()


class ScriptedSource:
    """Gives one answer a poll: a snapshot to return or an exception to raise; the last one over and over."""

    def __init__(self, answers: Iterable[Snapshot | BaseException], *, takes: float = 0.0) -> None:
        self._answers = list(answers)
        self._takes = takes
        self.polled_at: list[float] = []
        """The loop's time at the start of each poll."""
        self.running = 0
        """Polls under way."""

    async def __call__(self) -> Snapshot:
        """Give the next answer."""
        assert self.running == 0, "two polls at once"
        self.polled_at.append(asyncio.get_running_loop().time())
        self.running += 1
        try:
            await asyncio.sleep(self._takes)
        finally:
            self.running -= 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer
