"""Every fault, met by a call: the right error with a text to act on, or a good snapshot, in time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentStatus, SeatKey, SipQueueError, Snapshot
from tests.faults.catalogue import FAULTS
from tests.faults.run import ask, run_matrix
from tests.faults.ways import COUNTERS, Fault

SLACK = 0.5
"""How much later than its timeout a call may end on a machine that is busy, in seconds."""

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
async def test_a_call_gives_the_truth_or_the_right_error_in_time(fault: Fault) -> None:
    """A fault hangs a call, is told as something else, cannot be told from the text, or makes records up."""
    asked = await ask(fault)
    assert asked.took <= fault.timeout + SLACK
    assert asked.took >= (fault.timeout - 0.05 if fault.hangs else 0)
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
def test_a_login_gives_a_token_or_an_error_of_the_librarys_own(fault: Fault) -> None:
    """A fault that a login meets hangs a call, or comes out as an exception that no caller expects."""
    asked = run_matrix().asked_at_login[fault.name]
    assert asked.took <= fault.timeout + SLACK
    assert isinstance(asked.outcome, Snapshot | SipQueueError)
