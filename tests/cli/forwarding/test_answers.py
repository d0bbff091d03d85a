"""What each answer means."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from sipqueue_async.cli.forwarding.answers import Outcome, judge

NOW = 1_800_000_000.0
DELIVERED, FAILED, REFUSED, GONE = Outcome.DELIVERED, Outcome.FAILED, Outcome.REFUSED, Outcome.GONE


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, DELIVERED), (204, DELIVERED), (299, DELIVERED), (301, FAILED), (307, FAILED), (400, REFUSED),
        (401, REFUSED), (404, REFUSED), (408, FAILED), (410, GONE), (413, REFUSED), (425, FAILED), (429, FAILED),
        (499, REFUSED), (500, FAILED), (503, FAILED), (600, FAILED),
    ],
)  # fmt: skip
def test_each_status_has_one_outcome(status: int, outcome: Outcome) -> None:
    answer = judge(status, None, NOW)
    assert answer.outcome is outcome
    assert (str(status) in answer.reason) == (outcome is not DELIVERED)
    assert ("redirects are not followed" in answer.reason) == (300 <= status < 400)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0), ("", 0), ("120", 120), (" 7 ", 7), ("-5", 0), ("1.5", 0), ("soon", 0), ("9" * 400, 3600),
        ("4000", 3600), (formatdate(NOW + 60, usegmt=True), 60), (formatdate(NOW - 60, usegmt=True), 0),
        (formatdate(NOW + 1e6, usegmt=True), 3600), ("Mon, 99 Jan 2040 99:99:99 GMT", 0), ("\N{SUPERSCRIPT TWO}", 0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(header: str | None, seconds: float) -> None:
    assert judge(503, header, NOW).retry_after == seconds
