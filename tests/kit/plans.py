"""Hypothesis strategies: small, busy call centres in which every kind of event occurs."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from hypothesis import strategies as st

from sipqueue_async.simulator import CallCentre, Plan

AFTERNOON: Final = datetime.fromisoformat("2026-01-05 14:30:00")
TEN_TO_MIDNIGHT: Final = datetime.fromisoformat("2026-01-05 23:50:00")

seeds = st.integers(0, 2**32)
durations = st.floats(0, 1800)


def _numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


plans: st.SearchStrategy[Plan] = st.builds(
    Plan,
    start=st.sampled_from([AFTERNOON, TEN_TO_MIDNIGHT]),
    queues=st.integers(1, 3),
    agents=st.integers(1, 6),
    several_queues=_numbers(0, 1),
    calls_per_hour=st.sampled_from([0.0, 30.0, 200.0, 1000.0]),
    opening_callers=st.integers(0, 3),
    patience=st.sampled_from([4.0, 60.0, math.inf]),
    talk_median=st.sampled_from([0.5, 20.0, 120.0]),
    talk_sigma=_numbers(0, 1.5),
    short_calls=st.sampled_from([0.0, 0.3, 1.0]),
    ring_timeout=_numbers(1, 20),
    answer_delay=_numbers(0.1, 15),
    refused=_numbers(0, 0.5),
    missed=_numbers(0, 0.5),
    wrap_up=st.integers(0, 20),
    no_answer_pause=st.sampled_from([0.0, 5.0, 30.0]),
    shift_hours=st.none() | _numbers(0.01, 0.3),
    off_hours=_numbers(0.01, 0.2),
    staggered=st.booleans(),
    breaks_per_hour=st.sampled_from([0.0, 5.0, 60.0]),
    break_minutes=_numbers(0.05, 5),
    external_calls_per_hour=st.sampled_from([0.0, 20.0]),
    show_signed_out=st.booleans(),
    counter_reset=st.booleans(),
)


def play(plan: Plan, seed: int, seconds: float) -> CallCentre:
    """Return a call centre that has run for some model seconds."""
    centre = CallCentre(plan, seed=seed)
    centre.run_until(seconds)
    return centre


eventful = Plan(
    start=TEN_TO_MIDNIGHT,
    queues=3,
    agents=6,
    several_queues=0.5,
    calls_per_hour=200.0,
    opening_callers=1,
    patience=60.0,
    talk_median=20.0,
    short_calls=0.3,
    refused=0.2,
    missed=0.2,
    shift_hours=0.1,
    off_hours=0.05,
    breaks_per_hour=5.0,
    break_minutes=1.0,
    external_calls_per_hour=20.0,
    counter_reset=True,
)
"""A centre in which every kind of event occurs within half an hour; other parameters may replace these."""

played = st.builds(play, plans, seeds, durations)
"""Call centres after up to half an hour."""
