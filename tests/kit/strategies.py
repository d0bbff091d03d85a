"""Generated records and snapshots for property tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from hypothesis import strategies as st

from sipqueue_async import AgentState, AgentStatus, SeatKey, Snapshot
from sipqueue_async.models import STATE_CODES

queues = st.sampled_from(["queue-1", "queue-2", "Verkauf ü", "售后"])
extensions = st.sampled_from(["100001", "100002", "0100001", "7"])
seats = st.builds(SeatKey, queues, extensions)
codes = st.sampled_from([*STATE_CODES, 1208, 1299, 0])
times = st.none() | st.integers(0, 50).map(lambda seconds: datetime(2026, 1, 5, 8) + timedelta(seconds=seconds))  # noqa: DTZ001
counters = st.integers(0, 5)
names_or_none = st.sampled_from([None, "Agent 01", "<b>Agent</b>", "小王"])
moments = st.integers(0, 10_000).map(lambda seconds: datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=seconds))


@st.composite
def agents(draw: st.DrawFn, seat: SeatKey | None = None) -> AgentStatus:
    """Generate a record, of the given seat or of any."""
    queue, extension = seat or draw(seats)
    code = draw(codes)
    return AgentStatus(
        queue=queue,
        extension=extension,
        name=draw(names_or_none),
        state=STATE_CODES.get(code, AgentState.UNKNOWN),
        state_code=code,
        status_code=draw(st.none() | codes),
        last_answered_at=draw(times),
        last_offered_at=draw(times),
        last_changed_at=draw(times),
        no_answer_count=draw(counters),
        calls_answered=draw(counters),
        external_calls_count=draw(st.none() | counters),
        wrap_up_time=draw(st.none() | counters),
        max_no_answer=draw(st.none() | counters),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Generate a snapshot of a few seats."""
    keys = draw(st.lists(seats, unique=True, max_size=6))
    return Snapshot([draw(agents(key)) for key in keys], observed_at=draw(moments))


@st.composite
def chains_without_reset(draw: st.DrawFn) -> list[Snapshot]:
    """Generate snapshots of the same seats and people; counters never decrease, every other field may change."""
    keys = draw(st.lists(seats, unique=True, min_size=1, max_size=4))
    names = {key: draw(names_or_none) for key in keys}
    length = draw(st.integers(2, 6))
    chain: list[Snapshot] = []
    totals: dict[SeatKey, tuple[int, int]] = dict.fromkeys(keys, (0, 0))
    for step in range(length):
        records: list[AgentStatus] = []
        for key in keys:
            answered, missed = totals[key]
            totals[key] = answered + draw(counters), missed + draw(counters)
            record = draw(agents(key))
            records.append(_with_counters(record, names[key], *totals[key]))
        chain.append(Snapshot(records, observed_at=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=step)))
    return chain


def _with_counters(record: AgentStatus, name: str | None, answered: int, missed: int) -> AgentStatus:
    return attrs.evolve(record, name=name, calls_answered=answered, no_answer_count=missed)
