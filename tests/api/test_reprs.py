"""The `repr` of public objects; a class with several forms tests them beside its other tests."""

from __future__ import annotations

from sipqueue_async import (
    AgentState,
    AppCredentials,
    CallAnswered,
    FeedEvent,
    HighWater,
    SipQueueClient,
    StateChanged,
    StatusWatcher,
    Update,
    diff,
)
from sipqueue_async.alerts import Alerts
from sipqueue_async.prometheus import AlertsCollector, WatcherCollector
from sipqueue_async.simulator import CallCentre, LiveCentre, Plan, Platform, Simulator
from sipqueue_async.tally import Tally
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import agent, snapshot


async def test_streams_show_what_they_were_asked_for_and_what_waits() -> None:
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking"))])
    async with StatusWatcher(source, interval=60) as watcher:
        one = watcher.subscribe(StateChanged, CallAnswered, queue="queue-1", extension="100001")
        feed, updates = watcher.subscribe(FeedEvent), watcher.updates()
        assert repr(one) == ("<Subscription to StateChanged, CallAnswered, queue queue-1, extension 100001, 0 pending>")
        assert repr(feed) == "<Subscription to FeedDown, FeedUp, 0 pending>"
        await watcher.ready()
        await watcher.refresh()
        assert repr(updates) == "<Updates to everything, 1 pending>"
        one.close()
        assert repr(one).endswith("0 pending, closed>")
    assert repr(updates) == "<Updates to everything, 1 pending, ended>"


def test_updates_count_their_events_and_agents_are_one_line() -> None:
    before = snapshot(agent("1"), agent("2"))
    after = snapshot(agent("1", "talking", calls_answered=1), agent("2", "talking"))
    update = Update(sequence=7, snapshot=after, previous=before, events=diff(before, after), coalesced=True)
    assert repr(update) == "<Update 7 (coalesced): 2 StateChanged, 1 CallAnswered; 2 agents>"
    assert repr(Update(sequence=1, snapshot=None, previous=None, events=())) == "<Update 1: no events>"
    assert str(agent("2", "talking", name="王小明")) == "queue-1 2 王小明, talking"
    assert str(agent("2", name=None)) == "queue-1 2, waiting"
    assert str(agent("1", AgentState.UNKNOWN, state_code=7, name="a\x1b[2Jb")) == "queue-1 1 a\\x1b[2Jb, code 7"


def test_credentials_and_clients_show_no_secret() -> None:
    credentials = AppCredentials("demo", "very-secret")
    assert repr(credentials) == "AppCredentials(appid='demo', accesskey='***')"
    client = SipQueueClient("http://127.0.0.1:1", "very-secret")
    assert repr(client) == "<SipQueueClient of http://127.0.0.1:1>"


def test_the_simulators_parts_show_where_they_are() -> None:
    centre = CallCentre(Plan(agents=20, queues=3))
    centre.advance(90)
    assert repr(centre) == "<CallCentre of 20 agents in 3 queues, second 90.0>"
    live = LiveCentre(centre, speed=10, clock=lambda: 0.0)
    assert repr(live) == f"<LiveCentre at speed 10, stopped: {centre!r}>"
    live.start()
    assert repr(live) == f"<LiveCentre at speed 10: {centre!r}>"
    answered, missed = centre.truth.answered(), centre.truth.missed()
    seats = len({interval.key for interval in centre.truth.intervals})
    assert repr(centre.truth) == f"<GroundTruth of {seats} seats: {answered} calls answered, {missed} missed>"
    platform = Platform(centre, accesskey="very-secret")
    platform.answer({})
    assert repr(platform) == "<Platform for appid 'demo', 1 requests answered>"
    assert repr(Simulator()) == "<Simulator at model second 0.0, <PlatformServer on 127.0.0.1 port 0, stopped>>"


def test_figures_and_metrics_show_whose_they_are() -> None:
    assert repr(HighWater()) == "<HighWater of 0 seats, 0 records and 0 answers held back>"
    assert repr(HighWater(60.0, snapshot(agent()))).startswith("<HighWater of 1 seats, ")
    assert repr(Tally(snapshot(agent())).total) == "<GroupTally, 1 signed in, 0 calls answered>"
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
    assert repr(WatcherCollector(watcher)) == "<WatcherCollector of a feed>"
    named = WatcherCollector({"north": watcher, "south": watcher}, agents=True)
    assert repr(named) == "<WatcherCollector of north, south, agents too>"
    of_alerts = AlertsCollector(Alerts(watcher, []))
    assert repr(of_alerts) == "<AlertsCollector of <Alerts by 0 rules, 0 raised>>"
