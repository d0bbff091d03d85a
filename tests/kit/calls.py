"""Helpers for tests of call records: a record as the platform sends it, and whole answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sipqueue_async import CallDirection, CallMethod, CallRecord
from tests.kit.builders import envelope

CALL: dict[str, Any] = {
    "id": 17,
    "uuid": "u-17",
    "type": "callin",
    "callmethod": 6,
    "starttime": "2026-01-05 09:00:00",
    "answertime": "2026-01-05 09:00:04",
    "endtime": "2026-01-05 09:01:00",
    "duration": 4,
    "billsec": 56,
    "disnumber": "02079460123",
    "destnumber": "4000000000",
    "extnumber": "100001",
    "hangupdirection": 10040,
    "hangupcause": 10001,
    "userid": "crm-7",
    "memberid": "",
    "customuuid": None,
    "recordurl": "http://recordings.example/02079460123.mp3",
    "recordfilename": "02079460123.mp3",
    "downloadip": "192.0.2.7",
    "taskid": 3,
    "round": "1",
    "userkey": "48151623",
    "companycode": 1001,
}
_STARTED = datetime.fromisoformat("2026-01-05 09:00:00")
RECORD = CallRecord(
    id="17",
    uuid="u-17",
    direction=CallDirection.IN,
    direction_code="callin",
    method=CallMethod.GROUP,
    method_code=6,
    caller="02079460123",
    callee="4000000000",
    extension="100001",
    started_at=_STARTED,
    answered_at=_STARTED.replace(second=4),
    ended_at=_STARTED.replace(minute=1),
    waiting_seconds=4,
    talk_seconds=56,
    hang_up_side_code=10040,
    hang_up_cause_code=10001,
    recording_url="http://recordings.example/02079460123.mp3",
    recording_file="02079460123.mp3",
    recording_host="192.0.2.7",
    key_press="48151623",
    task_id="3",
    task_round=1,
    company_code="1001",
    own_values={"userid": "crm-7"},
)
"""The record that a client decodes from `CALL`."""
NUMBERS = ("02079460123", "4000000000", "48151623", "recordings.example", "crm-7")
"""Personal data that no error, log line or repr may show."""


def call(number: int | str = 17, **fields: Any) -> dict[str, Any]:
    """Return a call's record with some fields replaced."""
    return {**CALL, "id": number, **fields}


def calls_body(*records: Any, total: Any = None, **result: Any) -> bytes:
    """Return the body of an answer with these records."""
    found = {"totalitems": len(records) if total is None else total, "list": list(records), **result}
    return json.dumps(envelope(found)).encode()
