"""Pauses after failures."""

from __future__ import annotations

from sipqueue_async._backoff import backoff, jittered


def test_the_pause_doubles_up_to_its_limit_however_many_failures_follow() -> None:
    assert [backoff(failures, 0.5, 3.0) for failures in (1, 2, 3, 4, 10_000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff(1, 5.0, 3.0) == 3.0


def test_jitter_shortens_a_pause_by_half_at_most() -> None:
    pauses = [jittered(8.0) for _ in range(1000)]
    assert 4 <= min(pauses) < 5
    assert 7 < max(pauses) <= 8
