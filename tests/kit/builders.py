"""Builders of records, snapshots and bodies, and a scripted source."""

from __future__ import annotations

import json
from typing import Any

from sipqueue_async.testing import START, ScriptedSource
from sipqueue_async.testing import make_agent as agent
from sipqueue_async.testing import make_snapshot as snapshot

__all__ = [
    "RECORD",
    "START",
    "ScriptedSource",
    "agent",
    "body",
    "envelope",
    "error_body",
    "failure_body",
    "record",
    "snapshot",
]

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
"""The record in the platform's own documentation."""


def record(**fields: Any) -> dict[str, Any]:
    """Return the example record with some fields replaced."""
    return {**RECORD, **fields}


def envelope(result: Any = (), **data: Any) -> dict[str, Any]:
    """Return a successful answer with these records, before encoding."""
    fields = {"status": 0, "desc": "get success", "result": result, "reqtime": 1581488746, "rsptime": 1581488746}
    return {"ret": 200, "data": {**fields, **data}, "msg": ""}


def body(*records: dict[str, Any], **data: Any) -> bytes:
    """Return the body of a successful answer with these records."""
    return json.dumps(envelope(list(records), **data)).encode()


def error_body(ret: int, msg: str = "no") -> bytes:
    """Return the body of an answer that reports a failed request."""
    return json.dumps({"ret": ret, "data": [], "msg": msg}).encode()


def failure_body(code: int | str, message: str = "no") -> bytes:
    """Return the body of an answer that reports a failed operation."""
    data = {"status": 1, "desc": "failed", "errors": {"code": str(code), "codemsg": message}}
    return json.dumps({"ret": 200, "data": data, "msg": ""}).encode()
