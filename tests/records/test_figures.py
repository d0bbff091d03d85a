"""`CallFigures`: each figure by its definition, and of a model's calls as the model knows them."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import attrs
import pytest

from sipqueue_async import AppCredentials, CallDirection, CallMethod, CallRecord, SipQueueClient
from sipqueue_async.records import CallCounter, CallFigures
from sipqueue_async.simulator import Plan, Simulator
from tests.records.test_feed import START, record


def call(number: int, wait: int, talk: int | None = None, **fields: Any) -> CallRecord:
    """Return the record of a call that waited and, if it was answered, talked."""
    given = {"waiting_seconds": wait, "talk_seconds": talk, **fields}
    return record(number, answered=None if talk is None else wait, **given)


def test_each_figure_is_that_of_its_definition() -> None:
    records = [
        call(1, 10, 100),
        call(2, 20, 50),
        call(3, 21, 30),
        call(4, 5),
        call(5, 7, 60, direction=CallDirection.OUT),
        call(6, 7, 60, direction=CallDirection.UNKNOWN),
    ]
    found = CallFigures.of(records)
    assert found.to_dict() == {
        "within": 20.0,
        "wrap_up": 0.0,
        "offered": 4,
        "answered": 3,
        "abandoned": 1,
        "answered_within": 2,
        "abandonment": 0.25,
        "service_level": 0.5,
        "average_speed_of_answer": 17.0,
        "average_talk": 60.0,
        "average_handle": 60.0,
    }
    assert CallFigures.of(records, within=21).service_level == 0.75
    assert CallFigures.of(records, wrap_up=15).average_handle == 75.0


def test_a_counter_says_how_many_calls_it_has() -> None:
    counter = CallCounter[str]()
    counter.add("a", call(1, 10))
    assert repr(counter) == "<CallCounter, 1 calls>"


def test_without_a_call_there_are_no_shares() -> None:
    found = CallFigures.of([])
    assert (found.offered, found.abandonment, found.service_level) == (0, None, None)
    assert (found.average_speed_of_answer, found.average_talk, found.average_handle) == (None, None, None)


def test_the_records_of_one_call_count_once() -> None:
    """It is answered if one of its records is, and counts in that one's group, in whatever order they come."""
    records = [call(1, 10, uuid="a"), call(2, 15, 30, uuid="a"), call(3, 20, uuid="a"), call(4, 9), call(5, 9)]
    found = CallFigures.of(records)
    for order in permutations(records):
        found = CallFigures.of([*order, *records])
        assert (found.offered, found.answered, found.average_speed_of_answer) == (3, 1, 15)
        groups = CallFigures.by(order, lambda it: it.id)
        assert {group: (it.offered, it.answered) for group, it in groups.items()} == {
            "2": (1, 1),
            "4": (1, 0),
            "5": (1, 0),
        }


@pytest.mark.parametrize(
    ("fields", "wait", "talk"),
    [
        ({"waiting_seconds": None, "ended_at": START + timedelta(seconds=30)}, 10, 20),
        ({"waiting_seconds": 9, "ended_at": None}, 9, 0),
        ({"waiting_seconds": None, "ended_at": START}, 10, 0),
    ],
)
def test_missing_seconds_come_from_the_times(fields: dict[str, Any], wait: float, talk: float) -> None:
    found = CallFigures.of([record(1, answered=10.0, **fields)])
    assert (found.average_speed_of_answer, found.average_talk) == (wait, talk)


@pytest.mark.parametrize("name", ["within", "wrap_up"])
@pytest.mark.parametrize("seconds", [-1, float("inf")])
def test_invalid_seconds_are_refused(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0 seconds"):
        CallFigures.of([], **{name: seconds})


async def test_figures_of_a_models_calls_are_the_models() -> None:
    plan = attrs.evolve(Plan.lively(), external_calls_per_hour=10.0, patience=30.0)
    async with Simulator(plan, seed=5, speed=0) as simulator:
        simulator.advance(1800)
        auth = AppCredentials(simulator.appid, simulator.accesskey)
        async with SipQueueClient(simulator.url, auth) as client:
            records = [it async for it in client.fetch_calls(START - timedelta(hours=9), START + timedelta(days=1))]
        truth = [it for it in simulator.centre.past_calls() if not it.outgoing]
    found = CallFigures.of(records)
    answered = [it for it in truth if it.answered_at is not None]
    assert (found.offered, found.answered) == (len(truth), len(answered))
    assert found.abandoned > 0
    assert found.talk_seconds == sum(it.talk_seconds for it in answered)
    assert found.service_level == sum(it.waiting_seconds <= 20 for it in answered) / len(truth)
    groups = CallFigures.by(records, lambda it: it.extension)
    assert sum(it.answered for it in groups.values()) == found.answered
    assert groups.keys() == {it.extension for it in records}
    queue_calls = [it for it in records if it.method is CallMethod.GROUP]
    assert CallFigures.of(queue_calls).offered == found.offered
