"""The builders of agents and snapshots for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import AgentState, FieldProblem, SeatKey
from sipqueue_async.models import STATE_CODES
from sipqueue_async.testing import START, make_agent, make_snapshot


def test_an_agent_needs_nothing() -> None:
    agent = make_agent()
    assert (agent.key, agent.state) == (SeatKey("queue-1", "100001"), AgentState.WAITING)
    assert (agent.state_label, agent.status_label) == ("waiting", "waiting")
    assert (agent.calls_answered, agent.no_answer_count, agent.last_answered_at) == (0, 0, None)


@pytest.mark.parametrize("state", AgentState)
def test_the_codes_are_the_states(state: AgentState) -> None:
    agent = make_agent("100002", state.value, queue="queue-2")
    assert (agent.extension, agent.queue, agent.state) == ("100002", "queue-2", state)
    assert STATE_CODES.get(agent.state_code, AgentState.UNKNOWN) is state


def test_a_given_field_is_kept() -> None:
    agent = make_agent(state=AgentState.UNKNOWN, state_code=1299, status_code=None, name="王小明", calls_answered=3)
    assert (agent.state_code, agent.status_code, agent.name, agent.calls_answered) == (1299, None, "王小明", 3)


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(ValueError, match="taking"):
        make_agent(state="taking")


def test_a_number_is_refused_as_extension_and_queue() -> None:
    with pytest.raises(TypeError, match="extension must be a string, not 100001"):
        make_agent(cast("Any", 100001))
    with pytest.raises(TypeError, match="queue must be a string, not 1"):
        make_agent(queue=cast("Any", 1))


def test_times_are_seconds_or_moments() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert make_snapshot().observed_at == START
    assert make_snapshot().server_time is None
    assert make_snapshot(at=1.5, server=0).observed_at == START + timedelta(seconds=1.5)
    assert make_snapshot(at=1.5, server=0).server_time == START
    assert make_snapshot(at=noon, server=START).observed_at == noon
    assert START.tzinfo is UTC


def test_invalid_arguments_of_a_snapshot_are_refused() -> None:
    with pytest.raises(ValueError, match="two different records"):
        make_snapshot(make_agent(), make_agent(state="talking"))
    with pytest.raises(TypeError, match="must be an AgentStatus"):
        make_snapshot(cast("Any", [make_agent()]))
    with pytest.raises(ValueError, match="aware"):
        make_snapshot(at=datetime(2026, 3, 1))  # noqa: DTZ001  # that is the point


def test_problems_are_kept() -> None:
    problem = FieldProblem("queue-1", "100001", "lastanswertime", "no time")
    assert make_snapshot(make_agent(), problems=[problem]).problems == (problem,)
