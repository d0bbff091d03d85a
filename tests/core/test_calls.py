"""`CallRecord`: its properties, and the personal data that its repr omits."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC
from typing import Any

import attrs
import pytest

from sipqueue_async import CallDirection, CallMethod, CallRecord, FieldProblem, HangUpSide
from sipqueue_async.calls import DIRECTION_CODES, HANG_UP_LABELS, METHOD_CODES, SIDE_CODES, hang_up_label
from tests.kit.calls import NUMBERS, RECORD

SECRETS = (*NUMBERS, "192.0.2.7")


def test_no_text_shows_personal_data() -> None:
    texts = [repr(RECORD), str(RECORD), f"{RECORD}", json.dumps(RECORD.to_dict())]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []
    assert (RECORD.caller, RECORD.callee) == ("02079460123", "4000000000")


def test_a_dict_has_the_numbers_if_they_are_asked_for() -> None:
    fields = json.loads(json.dumps(RECORD.to_dict(numbers=True)))
    assert [secret for secret in SECRETS if secret not in json.dumps(fields)] == []
    assert set(fields) == {attribute.name for attribute in attrs.fields(CallRecord)}
    assert set(fields) - set(RECORD.to_dict()) == {
        *("caller", "callee", "key_press", "own_values", "recording_file", "recording_host", "recording_url")
    }
    assert fields["started_at"] == "2026-01-05T09:00:00"
    assert fields["direction"] == "in"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"started_at": RECORD.started_at.replace(tzinfo=UTC)},
            "call in at 100001, 2026-01-05 09:00:00+00:00, answered after 4 s, talked 56 s",
        ),
        (
            {"answered_at": None, "extension": None},
            "call in, 2026-01-05 09:00:00, not answered after 4 s",
        ),
        (
            {"direction": CallDirection.UNKNOWN, "waiting_seconds": None, "talk_seconds": None, "extension": "1\x1b"},
            "call at 1\\x1b, 2026-01-05 09:00:00, answered",
        ),
    ],
)
def test_a_record_is_one_line(changes: dict[str, Any], text: str) -> None:
    assert str(attrs.evolve(RECORD, **changes)) == text


def test_hang_up_codes_have_words() -> None:
    assert (RECORD.hang_up_side, RECORD.hang_up_cause) == (HangUpSide.CALLER, "normal")
    other = attrs.evolve(RECORD, hang_up_side_code=1, hang_up_cause_code=10099)
    assert (other.hang_up_side, other.hang_up_cause) == (HangUpSide.UNKNOWN, "code 10099")
    silent = attrs.evolve(RECORD, hang_up_side_code=None, hang_up_cause_code=None)
    assert (silent.hang_up_side, silent.hang_up_cause) == (None, None)
    assert hang_up_label(10016) == "no answer"


def test_the_tables_are_those_of_the_protocol() -> None:
    assert len(HANG_UP_LABELS) == 25
    assert sorted(METHOD_CODES) == [1, 2, 3, 4, 5, 6]
    assert set(METHOD_CODES.values()) == set(CallMethod) - {CallMethod.UNKNOWN}
    assert set(DIRECTION_CODES.values()) == set(CallDirection) - {CallDirection.UNKNOWN}
    assert set(SIDE_CODES.values()) == set(HangUpSide) - {HangUpSide.UNKNOWN}


def test_a_record_can_be_copied_hashed_and_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(RECORD)) == copy.deepcopy(RECORD) == RECORD
    assert len({RECORD, attrs.evolve(RECORD)}) == 1


def test_problems_are_no_part_of_the_call() -> None:
    problem = FieldProblem(None, None, "billsec", "is not a number of seconds")
    troubled = attrs.evolve(RECORD, problems=(problem,))
    assert troubled == RECORD
    assert troubled.to_dict()["problems"] == [problem.to_dict()]
