"""Queues, registrations and the fields of commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipqueue_async import MalformedResponse, QueueInfo, QueueStrategy, Registration
from sipqueue_async._wire import decode_queues, decode_registrations, extension_list, seat_fields
from sipqueue_async.queues import STRATEGY_CODES
from tests.kit.builders import envelope

QUEUE: dict[str, Any] = {
    "queuename": "queue-1",
    "remark": "sales",
    "strategy": "1",
    "announce": "hold.wav",
    "announcefreq": 30,
    "ringdelay": 5,
    "maxwaittime": "300",
    "withnoagenttime": 60,
    "noagentrejoiningtime": "10",
    "discardtime": 120,
    "autocall": 0,
}


def _body(result: Any) -> bytes:
    return json.dumps(envelope(result)).encode()


def test_a_queue_is_read_to_the_last_field() -> None:
    (queue,) = decode_queues(_body([QUEUE]))
    assert queue == QueueInfo(
        name="queue-1",
        remark="sales",
        strategy=QueueStrategy.LONGEST_IDLE,
        strategy_code=1,
        announcement="hold.wav",
        announcement_interval=30,
        ring_delay=5,
        max_wait=300,
        max_wait_without_agent=60,
        rejoin_delay_without_agent=10,
        discard_after=120,
        auto_call="0",
    )
    assert str(queue) == "queue-1, longest idle"
    assert json.loads(json.dumps(queue.to_dict()))["problems"] == []


def test_only_the_name_is_needed() -> None:
    (queue,) = decode_queues(_body([{"queuename": "q", "strategy": 99, "maxwaittime": "long"}]))
    assert (queue.strategy, queue.strategy_code) == (QueueStrategy.UNKNOWN, 99)
    assert [(it.field, it.reason) for it in queue.problems] == [("maxwaittime", "is not a number of seconds")]
    assert queue.to_dict()["problems"][0]["field"] == "maxwaittime"
    assert str(queue) == "q, code 99"


def test_every_strategy_has_a_code() -> None:
    assert sorted(STRATEGY_CODES) == list(range(1, 9))
    assert set(STRATEGY_CODES.values()) == set(QueueStrategy) - {QueueStrategy.UNKNOWN}


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (None, []),
        ("", []),
        ([], []),
        ({}, []),
        (QUEUE, ["queue-1"]),
        ({"0": QUEUE, "2": {**QUEUE, "queuename": 7}}, ["queue-1", "7"]),
    ],
)
def test_a_list_has_several_forms(result: Any, names: list[str]) -> None:
    assert [queue.name for queue in decode_queues(_body(result))] == names


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ([QUEUE, {**QUEUE, "queuename": ""}], "queue 2 of the list: queuename is empty"),
        ([7], "a record is not an object"),
        ([{**QUEUE, "ringdelay": float("inf")}], "a record cannot be read"),
        ({"queues": []}, "data.result is not a list of records"),
        (True, "data.result is not a list of records"),
    ],
)
def test_an_invalid_list_of_queues_is_refused(result: Any, reason: str) -> None:
    with pytest.raises(MalformedResponse, match=reason):
        decode_queues(_body(result).replace(b"Infinity", b"1e999"))


def test_registrations() -> None:
    one = {"extnumber": "100001", "code": "1017", "clientip": "198.51.100.7", "serverip": "203.0.113.1"}
    found = decode_registrations(_body([one, {"extnumber": 100002, "code": 1014}]), ["100001", "100002"])
    assert list(found) == ["100001", "100002"]
    first, second = found.values()
    assert first == Registration(
        extension="100001", code=1017, client_address="198.51.100.7", server_address="203.0.113.1"
    )
    assert (first.is_registered, first.label, str(first)) == (True, "registered", "100001, registered")
    assert (second.is_registered, second.label) == (False, "not registered")
    assert "198.51.100.7" not in repr(first)


def test_registrations_without_a_name_are_those_of_their_places() -> None:
    found = decode_registrations(_body([{"code": 1017}, {"code": 1014}]), ["2", "1"])
    assert {name: it.code for name, it in found.items()} == {"2": 1017, "1": 1014}
    assert list(decode_registrations(_body({"code": 1017}), ["5"])) == ["5"]
    with pytest.raises(MalformedResponse, match="registration 1: extnumber is None"):
        decode_registrations(_body([{"code": 1017}]), ["2", "1"])


def test_a_registration_without_a_code_is_refused() -> None:
    with pytest.raises(MalformedResponse, match="registration of extension '7': code is None, not an integer"):
        decode_registrations(_body([{"extnumber": "7"}]), ["7"])


def test_the_fields_of_a_command() -> None:
    assert seat_fields("queue-1", "007", crmid="a", settype="1") == {
        "queuename": "queue-1",
        "extnumber": "007",
        "crmid": "a",
        "settype": "1",
    }
    assert seat_fields(None, "1") == {"extnumber": "1"}


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("", "1"), ValueError, "queue is empty"),
        (("q", ""), ValueError, "extension is empty"),
        (("q", None), TypeError, "extension must be a string, not None"),
        ((7, "1"), TypeError, "queue must be a string, not 7"),
        (("q", "1,2"), ValueError, "extension is '1,2'; it must name one extension"),
    ],
)
def test_an_invalid_name_in_a_command_is_refused(arguments: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        seat_fields(*arguments)


def test_extensions_are_several() -> None:
    assert extension_list(["1", "2", "1"]) == ["1", "2"]
    with pytest.raises(TypeError, match=r"extensions must be several strings, such as \['12'\], not one"):
        extension_list("12")
