"""The raised alerts on the screen of `sipqueue top`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rich.cells import cell_len

from sipqueue_async import AgentState, FeedDown, TransportError, Update
from sipqueue_async.alerts import AlertRaised, AlertState, FeedSilent, StateLasts, evaluate
from sipqueue_async.cli.terminal.alerts import Moments, alerts_text, banner
from sipqueue_async.cli.terminal.lines import clock
from tests.kit.builders import START, agent, snapshot

MOMENTS = Moments(at=START + timedelta(seconds=90), now=START + timedelta(seconds=130))
RULES = (StateLasts("talks", AgentState.TALKING, longer_than=0), FeedSilent("away", lasting=0))


def raised(agents: int, *, down: bool = False) -> tuple[AlertRaised, ...]:
    """Return the alerts of this many agents, and one of the feed if it is down since second 60."""
    known = snapshot(
        *(agent(str(number), AgentState.TALKING, name=f"[b]Agent\x1b {number}") for number in range(agents))
    )
    state, _, _ = evaluate(AlertState(RULES), known)
    if down:
        event = FeedDown(error=TransportError("away"), since=START + timedelta(seconds=60))
        state, _, _ = evaluate(state, Update(sequence=1, snapshot=known, previous=known, events=(event,)))
        state, _, _ = evaluate(state, MOMENTS.now)
    return state.raised


def shown(
    alerts: tuple[AlertRaised, ...], width: int, most: int, language: str = "en", *, down: bool = False
) -> list[str]:
    lines = banner(alerts, MOMENTS, language=language, width=width, most=most, ellipsis="…", down=down)
    assert all(cell_len(field.text) == width for line in lines for field in line)
    return [" ".join(field.text.split()) for line in lines for field in line]


def test_the_first_alerts_have_a_line_each_and_the_others_are_counted() -> None:
    """Names are text: neither markup nor control characters."""
    start = clock(START)
    assert shown(raised(5), 80, 3) == [
        *(rf"! [b]Agent\x1b {number} ({number}) in queue-1 talking since {start} 1:30+" for number in (4, 3, 2)),
        "and 2 more",
    ]
    assert shown(raised(3), 80, 3, "zh")[2] == rf"! 队列 queue-1，[b]Agent\x1b 0（0） 通话中 始于 {start} 1:30+"
    assert shown((), 80, 3) == []


@pytest.mark.parametrize(
    ("width", "expected"),
    [(50, r"! [b]Agent\x1b 4 (4) in queue-… 1:30+ and 4 more"), (12, "1:30+ and…"), (6, "1:30+…")],
)
def test_on_a_small_screen_the_duration_stays(width: int, expected: str) -> None:
    assert shown(raised(5), width, 1) == [expected]


def test_in_an_outage_the_feeds_alert_runs_on_and_the_others_stand_still_and_are_dim() -> None:
    alerts = raised(4, down=True)
    lines = shown(alerts, 80, 3, down=True)
    assert lines[0].startswith("! The platform cannot be reached since")
    assert lines[0].endswith(" 1:10")
    assert lines[1].endswith(" 1:30+")
    styles = [
        line[0].style for line in banner(alerts, MOMENTS, language="en", width=80, most=3, ellipsis="…", down=True)
    ]
    assert styles == ["bold black on yellow", "dim", "dim", "dim"]


def test_the_page_has_all_alerts_with_their_rules() -> None:
    page = alerts_text(raised(5), MOMENTS, "en").plain
    assert page.count("in queue-1 talking") == 5
    assert page.count(f"talks, since {clock(START)}, 1:30+") == 5
    assert "none; option --rules" in alerts_text((), MOMENTS, "en").plain
