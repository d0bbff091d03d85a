"""Types of the history: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_type

from sipqueue_async import AgentState
from sipqueue_async.history import Figures


def test_figures() -> None:
    figures = Figures(answered=1, missed=1)
    assert_type(figures + figures, Figures)
    assert_type(figures.elapsed, Mapping[AgentState, int])
    assert_type(figures.seconds, dict[AgentState, float])
    assert_type(figures.occupancy, float | None)
    assert_type(figures.answer_rate, float | None)
    assert_type(figures.mean_talk_seconds, float | None)
    assert_type(figures.first_signed_in_at, datetime | None)
    assert_type(figures.last_signed_in_at, datetime | None)
    assert_type(figures.longest_talk_seconds, float)
    assert_type(figures.talk_seconds, float)
    assert_type(figures.signed_in_seconds, float)
    assert_type(figures.unseen_seconds, float)
    assert figures.answer_rate == 0.5
