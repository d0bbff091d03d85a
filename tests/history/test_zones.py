"""The zone of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async.history.buckets import buckets
from sipqueue_async.history.zones import LocalZone

pytestmark = [pytest.mark.one_python, pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set")]


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine be in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_berlin")
def test_the_local_zone_changes_its_clocks() -> None:
    """Its days are those of the same zone by name, also where an hour is missing or comes twice."""
    local, named = LocalZone(), ZoneInfo("Europe/Berlin")
    for start in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)):
        end = start + timedelta(days=2)
        for moment in (start, start + timedelta(hours=12.5), start + timedelta(hours=13.5)):
            assert moment.astimezone(local).isoformat() == moment.astimezone(named).isoformat()
            assert moment.astimezone(local).fold == moment.astimezone(named).fold
        assert buckets(start, end, "hour", local) == buckets(start, end, "hour", named)
        assert buckets(start, end, "day", local) == buckets(start, end, "day", named)


@pytest.mark.usefixtures("_berlin")
def test_the_local_zone_has_the_names_of_the_system() -> None:
    """There is one local zone, so all are equal."""
    zone = LocalZone()
    assert (str(zone), repr(zone)) == ("CET/CEST", "<LocalZone CET/CEST>")
    winter = datetime(2026, 1, 5, tzinfo=UTC).astimezone(zone)
    assert (winter.tzname(), winter.utcoffset(), winter.dst()) == ("CET", timedelta(hours=1), None)
    assert (zone.utcoffset(None), zone.tzname(None)) == (None, None)
    assert zone == LocalZone()
    assert {zone, LocalZone()} == {zone}
    assert zone != UTC
