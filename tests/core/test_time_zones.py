"""Time zones as objects and as names."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async._time_zones import time_zone


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=8)), ZoneInfo("Asia/Shanghai")])
def test_a_zone_is_taken_as_it_is(zone: timezone | ZoneInfo) -> None:
    assert time_zone("zone", zone) is zone


def test_a_name_gives_its_zone() -> None:
    assert time_zone("zone", "Asia/Shanghai") == ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize("name", ["Asia/Beijing", "Asia", "", "/etc/passwd", "a\0b"])
def test_an_unknown_name_is_refused_with_the_name_of_the_argument(name: str) -> None:
    with pytest.raises(ValueError, match=r"^days is .*, which is not the name of a time zone such as Asia/Shanghai"):
        time_zone("days", name)


@pytest.mark.parametrize("zone", [8, None, timedelta(hours=8)])
def test_what_is_neither_a_zone_nor_a_name_is_refused(zone: Any) -> None:
    with pytest.raises(TypeError, match=r"^days must be a tzinfo or a name like Asia/Shanghai, not "):
        time_zone("days", zone)
