"""Rules with hours: what counts, when an alert is raised, and what its clearing says when the hours end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipqueue_async import AgentState, FeedDown, FeedUp, SeatFilter, Snapshot, TransportError, Update, diff
from sipqueue_async.alerts import (
    Alert,
    AlertCleared,
    AlertState,
    Available,
    FeedSilent,
    Hours,
    MissedCalls,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    evaluate,
)
from tests.kit.builders import agent

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def clock(text: str, day: datetime = MONDAY) -> datetime:
    """Return a time of a day."""
    return datetime.combine(day, datetime.strptime(text, "%H:%M").time(), UTC)  # noqa: DTZ007  # only its time


def missed(text: str, number: int) -> Snapshot:
    return Snapshot([agent(no_answer_count=number)], observed_at=clock(text))


def talking(text: str, state: AgentState = AgentState.TALKING) -> Snapshot:
    return Snapshot([agent(state=state)], observed_at=clock(text))


class Watching:
    """Applies snapshots and outages in order, and every deadline in between."""

    def __init__(self, *rules: Rule) -> None:
        self.state = AlertState(rules)
        self.rules = rules
        self.alerts: list[Alert] = []
        self.deadline: datetime | None = None
        self.known: Snapshot | None = None
        self.is_down = False

    def take(self, what: Update | Snapshot | datetime) -> None:
        self.state, alerts, self.deadline = evaluate(self.state, what)
        self.alerts += alerts

    def until(self, moment: datetime) -> None:
        while self.deadline is not None and self.deadline < moment:
            self.take(self.deadline)
        self.take(moment)

    def see(self, new: Snapshot) -> None:
        old = self.known
        if old is None:
            self.take(new)
        else:
            self.until(new.observed_at - timedelta(seconds=1))
            up = FeedUp(observed_at=new.observed_at, outage=timedelta(hours=1), failures=1)
            events = (*([up] if self.is_down else ()), *diff(old, new))
            self.take(Update(sequence=1, snapshot=new, previous=old, events=events))
        self.known, self.is_down = new, False

    def lose(self, text: str, *, since: str | None = None) -> None:
        """Begin an outage, after a last good poll at `since`."""
        self.until(clock(text))
        down = FeedDown(error=TransportError("away"), since=clock(since or text))
        self.take(Update(sequence=1, snapshot=self.known, previous=self.known, events=(down,)))
        self.is_down = True

    def restart(self) -> None:
        self.state = AlertState.from_json(self.state.to_json(), self.rules)
        self.is_down = True

    @property
    def told(self) -> list[str]:
        """The alerts: the time, and what was told; the clearings with their reason."""
        return [f"{it.at:%H:%M} {it.reason if isinstance(it, AlertCleared) else 'raised'}" for it in self.alerts]


EVES = [(3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (10, 31)]
"""Days before those on which clocks change."""


@settings(deadline=None)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe"]),
    st.integers(0, 47),
    st.integers(0, 47),
    st.sampled_from(
        [datetime(2026, *day, tzinfo=UTC) for day in ((3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (10, 31))]
    ),
    st.sampled_from([0.0, 600.0, 5400.0]),
)
def test_an_alert_is_raised_only_at_times_within_the_hours(
    zone: str, first: int, last: int, day: datetime, delay: float
) -> None:
    begin, end = (f"{number // 2:02}:{number % 2 * 30:02}" for number in (first, last))
    hours = Hours(f"Sun {begin}-{end}", zone)
    rule = StateLasts("lasts", AgentState.TALKING, longer_than=delay, hours=hours)
    watching = Watching(rule)
    watching.see(Snapshot([agent(state=AgentState.TALKING)], observed_at=day))
    watching.until(day + timedelta(days=9))
    assert watching.alerts
    for alert in watching.alerts:
        shown = f"{alert.at.astimezone(ZoneInfo(zone)):%H:%M}"
        is_within = begin <= shown < end if begin < end else shown >= begin or shown < end
        assert is_within != isinstance(alert, AlertCleared) or begin == end
        assert isinstance(alert, AlertCleared) or alert.at.astimezone(ZoneInfo(zone)).weekday() in {6, 0}


@pytest.mark.parametrize("rule", [SignedOut("desk", extensions="9", longer_than=60, hours=Hours("09:00-10:00"))])
def test_the_end_of_the_hours_is_told_as_such_and_each_raising_has_an_id_of_its_own(rule: Rule) -> None:
    watching = Watching(rule)
    watching.see(Snapshot([agent()], observed_at=clock("08:00")))
    watching.until(MONDAY + timedelta(days=1, hours=9, minutes=30))
    watching.restart()
    known = watching.state.snapshot
    assert known is not None
    watching.take(known)
    watching.until(MONDAY + timedelta(days=1, hours=11))
    assert watching.told == ["09:01 raised", "10:00 hours", "09:01 raised", "10:00 hours"]
    first, second = watching.alerts[:2], watching.alerts[2:]
    assert first[0].since == second[0].since == clock("08:00")
    assert first[0].id == first[1].id != second[0].id == second[1].id


def test_a_raising_that_was_not_saved_has_the_same_id_when_it_is_raised_again() -> None:
    watching = Watching(StateLasts("lasts", AgentState.TALKING, longer_than=60, hours=Hours("09:00-10:00")))
    watching.see(talking("09:00"))
    watching.until(clock("10:30"))
    saved = watching.state.to_json()
    watching.until(MONDAY + timedelta(days=1, hours=9, minutes=30))
    again, _, _ = evaluate(AlertState.from_json(saved, watching.rules), MONDAY + timedelta(days=1, hours=9))
    _, [alert], _ = evaluate(
        again, Snapshot([agent(state=AgentState.TALKING)], observed_at=MONDAY + timedelta(days=1, hours=9, minutes=5))
    )
    assert alert.id == watching.alerts[-1].id != watching.alerts[0].id


def test_a_condition_that_ended_before_the_hours_did_is_over() -> None:
    rule = StateLasts("lasts", AgentState.TALKING, longer_than=60, clear_after=600, hours=Hours("09:00-10:00"))
    watching = Watching(rule)
    watching.see(talking("09:00"))
    watching.see(talking("09:55", AgentState.WAITING))
    watching.until(clock("11:00"))
    assert watching.told == ["09:01 raised", "10:00 ended"]


def test_the_feeds_alert_says_that_the_platform_is_still_away() -> None:
    watching = Watching(FeedSilent("away", lasting=60, hours=Hours("09:00-10:00")))
    watching.see(talking("09:00"))
    watching.lose("09:30")
    watching.until(clock("11:00"))
    assert watching.told == ["09:31 raised", "10:00 hours"]
    assert "still cannot be reached after 30 min" in str(watching.alerts[1])


def test_hours_that_end_and_begin_in_an_outage_end_the_alert() -> None:
    hours = Hours("08:00-09:00; 09:30-10:00")
    watching = Watching(StateLasts("lasts", AgentState.TALKING, longer_than=600, hours=hours))
    watching.see(talking("08:00"))
    watching.lose("08:50")
    watching.see(talking("09:35"))
    watching.until(clock("09:59"))
    assert watching.told == ["08:10 raised", "09:35 hours", "09:40 raised"]


@pytest.mark.parametrize("restarts", [[], ["08:58"], ["09:05"], ["08:58", "09:05"]])
@pytest.mark.parametrize(
    ("longer_than", "told"),
    [(600, ["08:10 raised", "09:35 hours"]), (3300, [])],
    ids=["raised before", "due meanwhile"],
)
def test_hours_that_end_in_an_outage_end_the_alert_and_none_is_raised_after_them(
    restarts: list[str], longer_than: float, told: list[str]
) -> None:
    rule = StateLasts("lasts", AgentState.TALKING, longer_than=longer_than, hours=Hours("08:00-09:00"))
    watching = Watching(rule)
    watching.see(talking("08:00"))
    watching.lose("08:50")
    for text in restarts:
        watching.until(clock(text))
        watching.restart()
    watching.see(talking("09:35"))
    watching.until(clock("12:00"))
    assert watching.told == told
    watching.until(clock("09:00") + timedelta(days=1))
    assert watching.told[len(told) :] == (["08:10 raised", "09:00 hours"] if told else ["08:55 raised", "09:00 hours"])


def test_an_alert_that_another_one_suppressed_is_not_raised_after_its_hours() -> None:
    hours, seats = Hours("08:00-10:00"), SeatFilter(queues="other")
    watching = Watching(
        StateLasts("lasts", AgentState.TALKING, longer_than=600, hours=Hours("08:00-09:00"), unless="desk"),
        SignedOut("desk", extensions=agent().extension, hours=hours, seats=seats),
    )
    watching.see(talking("08:00"))
    watching.until(clock("12:00") + timedelta(days=1))
    assert {it.rule.name for it in watching.alerts} == {"desk"}
    assert watching.told == ["08:00 raised", "10:00 hours"] * 2


@pytest.mark.parametrize(
    "rule",
    [
        StateLasts("lasts", AgentState.TALKING, longer_than=600, hours=Hours("08:00-09:00")),
        Occupancy("busy", above=0.9, within=600, hours=Hours("08:00-09:00")),
    ],
)
@pytest.mark.parametrize(
    ("polls", "told"),
    [
        ([("08:00", 0), ("08:11", 11), ("08:20", 20), ("09:20", 21)], ["08:10 raised", "09:20 hours"]),
        ([("08:00", 0), ("08:05", 5), ("09:05", 6)], []),
        ([("07:00", 0), ("07:05", 5), ("08:05", 6), ("08:50", 51)], ["08:10 raised", "09:00 hours"]),
        ([("08:30", 0), ("08:41", 11), ("07:41", 12)], ["08:40 raised", "07:41 hours", "08:10 raised", "09:00 hours"]),
        ([("08:00", 0), ("08:11", 11), ("08:50", 50), ("08:05", 51)], ["08:10 raised", "09:00 hours"]),
    ],
    ids=["out of them", "past them", "into them", "back out of them", "back within them"],
)
def test_hours_follow_a_wall_clock_that_is_set(rule: Rule, polls: list[tuple[str, float]], told: list[str]) -> None:
    watching = Watching(rule)
    for text, minutes in polls:
        records = [agent(state=AgentState.TALKING)]
        watching.take(Snapshot(records, observed_at=clock(text), steady_at=60 * minutes))
        watching.until(clock(text) + timedelta(seconds=59))
    watching.until(clock("11:00"))
    assert watching.told == told


@pytest.mark.parametrize("hours", ["00:00-24:00", "Mon-Sat 00:00-24:00; Sun 00:00-24:00"])
def test_a_delay_may_be_longer_than_a_span_of_hours_that_follow_each_other(hours: str) -> None:
    rule = StateLasts("lasts", AgentState.TALKING, longer_than=20 * 86400, hours=Hours(hours, "Europe/Berlin"))
    watching = Watching(rule)
    watching.see(talking("08:00"))
    watching.until(MONDAY + timedelta(days=60))
    assert [it.at for it in watching.alerts] == [clock("08:00") + timedelta(days=20)]


class TestMissedCalls:
    def missing(self, *calls: tuple[str, int], hours: str = "09:00-10:00", within: float = 3600) -> Watching:
        watching = Watching(MissedCalls("missed", count=2, within=within, hours=Hours(hours)))
        watching.see(missed("07:00", 0))
        for text, number in calls:
            watching.see(missed(text, number))
        return watching

    @pytest.mark.parametrize(
        ("calls", "told"),
        [
            ([("08:50", 2)], []),
            ([("08:50", 1), ("09:10", 2)], []),
            ([("08:50", 1), ("09:10", 2), ("09:20", 3)], ["09:20 raised", "10:00 hours"]),
            ([("09:50", 1), ("09:55", 3), ("10:05", 9)], ["09:55 raised", "10:00 hours"]),
        ],
    )
    def test_only_calls_within_the_hours_count(self, calls: list[tuple[str, int]], told: list[str]) -> None:
        watching = self.missing(*calls)
        watching.until(clock("20:00"))
        assert watching.told == told

    def test_calls_of_earlier_hours_do_not_count(self) -> None:
        calls = ("08:30", 1), ("09:10", 2), ("09:40", 3)
        watching = self.missing(*calls, hours="08:00-09:00; 09:05-10:00")
        assert watching.told == ["09:40 raised"]

    def test_hours_that_are_always_open_cut_nothing(self) -> None:
        calls = ("22:00", 1), ("23:00", 3)
        watching = self.missing(*calls, hours="00:00-24:00", within=36000)
        watching.until(MONDAY + timedelta(days=1, hours=5))
        assert watching.told == ["23:00 raised"]

    def test_hours_that_end_and_begin_in_an_outage_end_the_alert(self) -> None:
        watching = self.missing(("08:10", 2), hours="08:00-09:00; 09:05-10:00")
        watching.lose("08:30")
        watching.see(missed("09:10", 3))
        assert watching.told == ["08:10 raised", "09:10 hours"]
        watching.see(missed("09:11", 4))
        assert watching.told[2:] == ["09:11 raised"]

    def test_calls_of_these_hours_count_although_the_clock_is_set_back(self) -> None:
        watching = Watching(MissedCalls("missed", count=2, within=3600, hours=Hours("08:00-10:00")))
        polls = [("08:30", 30, 0), ("08:50", 50, 2), ("09:30", 90, 2), ("08:05", 91, 2), ("08:10", 96, 3)]
        for text, minutes, number in polls:
            watching.see(Snapshot(missed(text, number).values(), observed_at=clock(text), steady_at=60 * minutes))
        assert watching.told == ["08:50 raised"]

    def test_an_alert_whose_calls_expired_in_an_outage_is_not_repeated_after_it(self) -> None:
        watching = Watching(MissedCalls("missed", count=2, within=600, repeat_every=300))
        watching.see(missed("08:00", 0))
        watching.see(missed("08:10", 2))
        watching.lose("08:11")
        watching.see(missed("09:10", 2))
        assert watching.told == ["08:10 raised", "09:10 ended"]

    def test_an_alert_that_was_held_back_is_not_raised_after_a_restart_if_its_calls_expired(self) -> None:
        few = Available("few", fewer_than=1, per="all")
        watching = Watching(few, MissedCalls("missed", count=2, within=600, unless="few"))
        watching.see(talking("08:00"))
        watching.see(Snapshot([agent(state=AgentState.TALKING, no_answer_count=2)], observed_at=clock("08:10")))
        watching.restart()
        watching.see(missed("09:10", 2))
        assert watching.told == ["08:00 raised", "09:10 ended"]

    def test_hours_that_end_in_an_outage_without_calls_end_the_alert(self) -> None:
        watching = self.missing(("08:10", 2), hours="08:00-09:00")
        watching.lose("08:30")
        watching.see(missed("09:10", 2))
        assert watching.told == ["08:10 raised", "09:10 hours"]


class TestOccupancy:
    RULE = Occupancy("busy", above=0.9, within=600, hours=Hours("08:00-09:00; 09:30-10:00"))

    def test_the_window_begins_with_the_hours(self) -> None:
        watching = Watching(self.RULE)
        watching.see(talking("07:00"))
        watching.until(clock("11:00"))
        assert watching.told == ["08:10 raised", "09:00 hours", "09:40 raised", "10:00 hours"]

    def test_hours_that_began_before_the_first_snapshot_count_from_it(self) -> None:
        watching = Watching(self.RULE)
        watching.see(talking("08:30"))
        watching.until(clock("09:00"))
        assert watching.told == ["08:40 raised", "09:00 hours"]

    @pytest.mark.parametrize(("restarted", "first"), [("08:05", "08:10"), ("07:30", "08:10")])
    def test_a_restart_keeps_the_window(self, restarted: str, first: str) -> None:
        """The time between the save and the next snapshot, a second here, is an outage."""
        watching = Watching(self.RULE)
        watching.see(talking("07:00"))
        watching.until(clock(restarted))
        watching.restart()
        watching.see(Snapshot([agent(state=AgentState.TALKING)], observed_at=clock(restarted) + timedelta(seconds=1)))
        watching.until(clock("08:50"))
        assert watching.told == [f"{first} raised"]

    def test_a_repeat_has_the_present_share(self) -> None:
        watching = Watching(Occupancy("busy", above=0.1, within=3600, repeat_every=900))
        watching.see(talking("07:00"))
        watching.see(talking("08:00", AgentState.WAITING))
        watching.until(clock("08:50"))
        assert [round(it.value, 6) for it in watching.alerts] == [1, 0.75, 0.5, 0.25]

    @pytest.mark.parametrize("restarted", [[], ["08:50"], ["08:50", "09:10"], ["09:35"]])
    def test_hours_that_end_and_begin_in_an_outage_end_the_alert_and_restart_the_window(
        self, restarted: list[str]
    ) -> None:
        watching = Watching(self.RULE)
        watching.see(talking("07:00"))
        watching.lose("08:50")
        for text in restarted:
            watching.until(clock(text))
            watching.restart()
        watching.see(talking("09:35"))
        watching.until(clock("09:59"))
        assert watching.told == ["08:10 raised", "09:35 hours", "09:45 raised"]

    @pytest.mark.parametrize("noticed", [0, 50, 170])
    @pytest.mark.parametrize("is_restarted", [False, True])
    def test_the_time_until_an_outage_is_noticed_does_not_count_either(self, noticed: int, is_restarted: bool) -> None:
        """Spans that leave the window in this time are in it again after the outage."""
        watching = Watching(Occupancy("busy", above=0.3, within=600))
        at, shown = clock("08:00"), (AgentState.TALKING, AgentState.WAITING)
        for number in range(40):
            known = Snapshot([agent(state=shown[number % 2])], observed_at=at)
            watching.see(known)
            watching.until(at + timedelta(seconds=20 + noticed))
            down = FeedDown(error=TransportError("away"), since=at + timedelta(seconds=20))
            watching.take(Update(sequence=1, snapshot=known, previous=known, events=(down,)))
            watching.is_down = True
            if is_restarted:
                watching.restart()
            at += timedelta(seconds=200)
        assert [round(it.value, 6) for it in watching.state.raised] == [0.5]

    @pytest.mark.parametrize("is_restarted", [False, True])
    def test_an_outage_that_began_before_the_window_was_complete_does_not_end_the_alert(
        self, is_restarted: bool
    ) -> None:
        """The outage is known only after the alert was raised: it began with the last good poll."""
        watching = Watching(self.RULE)
        watching.see(talking("08:00"))
        watching.until(clock("08:10"))
        watching.lose("08:12", since="08:08")
        if is_restarted:
            watching.restart()
        watching.see(talking("08:13", AgentState.WAITING))
        watching.until(clock("09:10"))
        assert watching.told == ["08:10 raised", "08:15 ended"]
