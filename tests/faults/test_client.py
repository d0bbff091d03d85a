"""Every fault, met by a call: the right error with a text to act on, or a good snapshot."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentStatus, SeatKey, SipQueueError, Snapshot
from tests.faults.catalogue import FAULTS
from tests.faults.run import run_matrix
from tests.faults.ways import COUNTERS, Fault

pytestmark = pytest.mark.timeout(300)

FIRST = SeatKey("queue-1", "100001")

every_fault = pytest.mark.parametrize("fault", [pytest.param(it, id=it.name) for it in FAULTS])


def known_of(fault: Fault, sound: Snapshot, *, first_answer: bool = False) -> Snapshot:
    """Return what is to be known of a platform that shows `sound` when it is.

    In a client's first answer a blank counter is 0.
    """
    if fault.shows == "nobody":
        return Snapshot((), observed_at=sound.observed_at)
    lost: dict[str, Any] = {} if fault.loses is None else {fault.loses: None}
    counters: dict[str, Any] = dict.fromkeys(("calls_answered", "no_answer_count"), 0) if first_answer else {}
    known: list[AgentStatus] = []
    for agent in sound.values():
        is_first = agent.key == FIRST
        is_blank = fault.blank_counters == "all" or (is_first and fault.blank_counters == "first")
        known.append(attrs.evolve(agent, **(lost if is_first else {}), **(counters if is_blank else {})))
    return Snapshot(known, observed_at=sound.observed_at)


@every_fault
def test_a_call_gives_the_truth_or_the_right_error(fault: Fault) -> None:
    """A call ends with the platform's records, or with the error of the fault and a text to act on."""
    asked = run_matrix().asked[fault.name]
    assert set(asked.paths) <= {"/"}
    if fault.error is None:
        assert isinstance(asked.outcome, Snapshot)
        assert asked.outcome == known_of(fault, asked.sound, first_answer=True)
        problems = Counter(it.field for it in asked.outcome.problems if it.field not in {"rsptime", *COUNTERS})
        assert problems.total() == (fault.loses is not None)
        blank = Counter((it.queue, it.extension) for it in asked.outcome.problems if it.field in COUNTERS)
        expected = {"first": [FIRST], "all": list(asked.sound), None: []}[fault.blank_counters]
        assert blank == dict.fromkeys(expected, len(COUNTERS))
        return
    assert isinstance(asked.outcome, SipQueueError)
    assert type(asked.outcome) is fault.error
    assert fault.says in asked.outcome.describe()
    assert str(asked.outcome).startswith("App.Sip_")
    assert f" at {asked.url}: " in str(asked.outcome)
    assert asked.outcome.retryable is fault.retryable


@every_fault
def test_a_login_gives_a_token_or_an_error_of_the_library(fault: Fault) -> None:
    """A fault that a login meets is an error of the library too."""
    asked = run_matrix().asked_at_login[fault.name]
    assert isinstance(asked.outcome, Snapshot | SipQueueError)
