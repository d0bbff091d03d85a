"""Spans of time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import pytest

from sipqueue_async.cli.timespan import span_of

pytestmark = pytest.mark.one_python

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 30, 14, 5, 7, tzinfo=BERLIN).astimezone(UTC)
"""A Monday."""


def local(text: str) -> datetime:
    """Return the moment of a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("today", None, "2026-11-30", "2026-12-01"),
        ("yesterday", None, "2026-11-29", "2026-11-30"),
        (" Last  WEEK ", None, "2026-11-23", "2026-11-30"),
        ("this week", None, "2026-11-30", "2026-12-07"),
        ("this month", None, "2026-11-01", "2026-12-01"),
        ("last month", None, "2026-10-01", "2026-11-01"),
        ("2026-10", None, "2026-10-01", "2026-11-01"),
        ("2026-11-29", None, "2026-11-29", "2026-11-30"),
        ("2026-11-01", "2026-11-29", "2026-11-01", "2026-11-30"),
        ("2026-11-01", "yesterday", "2026-11-01", "2026-11-30"),
        ("9:00-12:00", None, "2026-11-30 09:00", "2026-11-30 12:00"),
        ("9:00 - 24:00", None, "2026-11-30 09:00", "2026-12-01"),
        ("yesterday 22:00-2:00", None, "2026-11-29 22:00", "2026-11-30 02:00"),
        ("9:00", None, "2026-11-30 09:00", "2026-11-30 14:05:07"),
        ("23:00", None, "2026-11-30 23:00", "2026-11-30 23:00"),
        ("9:00", "10:30:15", "2026-11-30 09:00", "2026-11-30 10:30:15"),
        ("yesterday 9:00", None, "2026-11-29 09:00", "2026-11-30 14:05:07"),
        ("yesterday 9:00-12:00", None, "2026-11-29 09:00", "2026-11-29 12:00"),
        ("2026-11-28 22:00", "2026-11-29 06:00", "2026-11-28 22:00", "2026-11-29 06:00"),
        ("2026-11-29T09:00:30", "2026-11-29T08:30:00Z", "2026-11-29 09:00:30", "2026-11-29 09:30"),
        # A day has the length that the clocks give it.
        ("2026-10-25", None, "2026-10-25", "2026-10-26"),
    ],
)
def test_a_span_in_words_has_a_beginning_and_an_end(since: str, until: str | None, start: str, end: str) -> None:
    """Days are those of the zone. Without an end, a span ends with its day, or now."""
    assert span_of(since, until, BERLIN, NOW) == (local(start), local(end))


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        ("tomorrow", None, "--since 'tomorrow' is not a time: give one such as yesterday"),
        ("today", "soon", "--until 'soon' is not a time"),
        ("25:00", None, "--since '25:00' is not a time"),
        ("9:00-soon", None, "--since '9:00-soon' is not a time"),
        ("last week 9:00", None, "--since 'last week 9:00' is not a time"),
        ("2026-02-30", None, "--since '2026-02-30' is not a day of the calendar"),
        ("9999-12-31", None, "--since '9999-12-31' is not a time"),
        ("today", "9999-12", "--until '9999-12' is not a time"),
        ("0001-01-01", None, "--since '0001-01-01' is not a time"),
        ("yesterday", "2026-11-01", "--until, .*, is before --since, "),
        ("", None, "--since '' is not a time"),
    ],
)
def test_an_invalid_span_is_refused(since: str, until: str | None, message: str) -> None:
    """The error names the option and, for unreadable times, gives examples."""
    with pytest.raises(click.UsageError, match=message):
        span_of(since, until, BERLIN, NOW)
