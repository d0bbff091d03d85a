"""What can be read off the figures of a span."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState
from sipqueue_async.history import Figures

pytestmark = pytest.mark.one_python

counts = st.integers(0, 2**50)
moments = st.none() | st.integers(0, 2**53)
times = st.dictionaries(st.sampled_from(AgentState), counts)
some_figures = st.builds(
    Figures,
    answered=counts,
    hidden=counts,
    missed=counts,
    elapsed=times,
    unseen=counts,
    first_signed_in=moments,
    last_signed_in=moments,
    longest_talk=counts,
)


@given(some_figures, some_figures, some_figures)
def test_sums_do_not_depend_on_the_order(one: Figures, two: Figures, three: Figures) -> None:
    """Addition is associative and commutative, and no figures are its neutral element."""
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + Figures() == one
    assert sum([one, two, three], Figures()) == one + two + three


def test_rates_are_of_the_sums() -> None:
    """Shares are from 0 to 1 and means in seconds, both computed from the sums."""
    eight = datetime(2026, 1, 5, 8, tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    figures = Figures(
        answered=3,
        missed=1,
        elapsed={AgentState.TALKING: 30_000_000, AgentState.WAITING: 90_000_000, AgentState.OFFLINE: 7},
        unseen=500_000,
        first_signed_in=(eight - epoch) // timedelta(microseconds=1),
        last_signed_in=(eight - epoch) // timedelta(microseconds=1) + 1,
        longest_talk=12_000_000,
    )
    assert (figures.talk_seconds, figures.signed_in_seconds, figures.unseen_seconds) == (30, 120, 0.5)
    assert (figures.occupancy, figures.answer_rate) == (0.25, 0.75)
    assert (figures.mean_talk_seconds, figures.longest_talk_seconds) == (10, 12)
    assert figures.first_signed_in_at == eight
    assert figures.last_signed_in_at == eight + timedelta(microseconds=1)
    assert figures.seconds[AgentState.PAUSED] == 0


def test_a_rate_without_calls_is_none() -> None:
    """A rate or a mean without anything to divide by is None, not 0."""
    none = Figures()
    assert (none.occupancy, none.answer_rate, none.mean_talk_seconds) == (None, None, None)
    assert (none.first_signed_in_at, none.last_signed_in_at) == (None, None)
