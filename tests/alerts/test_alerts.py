"""`Alerts` on a real watcher, in virtual time: raised at the deadline, at any polling interval."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from sipqueue_async import AgentState, AgentStatus, AuthError, Snapshot, StatusWatcher, TransportError
from sipqueue_async.alerts import (
    Alert,
    AlertRaised,
    Alerts,
    AlertState,
    Available,
    FeedSilent,
    Hours,
    StateLasts,
    minutes,
)
from tests.kit.builders import START, agent

pytestmark = pytest.mark.virtual_time

TALKING = agent(state=AgentState.TALKING)


def a_source(
    record_at: Callable[[float], AgentStatus | BaseException], *, steady: bool = True, speed: float = 1.0
) -> Callable[[], object]:
    """Return a source that answers with the record of the moment; `speed` is that of the time it shows."""
    began = asyncio.get_running_loop().time()

    async def source() -> Snapshot:
        await asyncio.sleep(0.02)
        loop_time = asyncio.get_running_loop().time()
        at = (loop_time - began) * speed
        record = record_at(at)
        if isinstance(record, BaseException):
            raise record
        there = START + timedelta(seconds=at)
        return Snapshot([record], observed_at=there, steady_at=loop_time if steady else None)

    return source


async def first(alerts: Alerts, number: int) -> list[Alert]:
    return [await anext(alerts) for _ in range(number)]


def at(alert: Alert) -> float:
    return (alert.at - START).total_seconds()


@pytest.mark.parametrize("interval", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("steady", [True, False])
async def test_an_alert_comes_at_its_deadline_and_not_at_the_next_poll(interval: float, steady: bool) -> None:
    rules = [StateLasts("long-talk", AgentState.TALKING, longer_than=minutes(10))]
    source = a_source(lambda _: TALKING, steady=steady)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with StatusWatcher(source, interval=interval) as watcher:  # type: ignore[arg-type]
        [alert] = await first(Alerts(watcher, rules), 1)
        assert at(alert) == pytest.approx(600.02, abs=0.001)
        assert loop.time() - began == pytest.approx(600.02, abs=0.001)


async def test_a_source_in_model_time_is_followed_by_its_own_time() -> None:
    rules = [StateLasts("long-talk", AgentState.TALKING, longer_than=minutes(10))]
    loop = asyncio.get_running_loop()
    began = loop.time()
    source = a_source(lambda _: TALKING, steady=False, speed=60)
    async with StatusWatcher(source, interval=1) as watcher:  # type: ignore[arg-type]
        [alert] = await first(Alerts(watcher, rules), 1)
        assert 600 <= at(alert) <= 670
        assert 10 <= loop.time() - began <= 11.1


async def test_an_outage_is_raised_in_time_and_cleared() -> None:
    def record(now: float) -> AgentStatus | BaseException:
        return TransportError("away") if 100 < now < 200 else agent()

    rules = [FeedSilent("away", lasting=30), Available("few", fewer_than=1)]
    async with StatusWatcher(a_source(record), interval=2, max_backoff=2) as watcher:  # type: ignore[arg-type]
        raised, cleared = await first(Alerts(watcher, rules), 2)
        assert isinstance(raised, AlertRaised)
        assert raised.rule.name == "away"
        assert at(raised) == pytest.approx(128.02, abs=0.01)
        assert 200 <= at(cleared) <= 204.1


async def test_a_platform_that_is_away_from_the_start_is_told_of() -> None:
    rules = [FeedSilent("away", lasting=30)]
    loop = asyncio.get_running_loop()
    async with StatusWatcher(a_source(lambda _: TransportError("away")), interval=1) as watcher:  # type: ignore[arg-type]
        began = loop.time()
        [alert] = await first(Alerts(watcher, rules), 1)
        assert alert.rule.name == "away"
        assert loop.time() - began == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("last_poll", [0.0, 3.0])
async def test_an_outage_before_the_first_look_is_told_of(last_poll: float) -> None:
    rules = [FeedSilent("away", lasting=30, hours=Hours("00:00-24:00"))]
    source = a_source(lambda now: TransportError("away") if now > last_poll else agent())
    async with StatusWatcher(source, interval=1) as watcher:  # type: ignore[arg-type]
        alerts = Alerts(watcher, rules)
        await asyncio.sleep(5)
        [alert] = await first(alerts, 1)
        assert alert.rule.name == "away"


async def test_alerts_are_taken_up_again_after_a_cancellation_and_a_restart() -> None:
    def record(now: float) -> AgentStatus:
        return TALKING if now < 500 else agent()

    rules = [StateLasts("long-talk", AgentState.TALKING, longer_than=100)]
    async with StatusWatcher(a_source(record), interval=5) as watcher:  # type: ignore[arg-type]
        with Alerts(watcher, rules) as alerts:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await anext(alerts)
            [raised] = await first(alerts, 1)
            assert isinstance(raised, AlertRaised)
            state = AlertState.from_json(alerts.state.to_json(), rules)
    assert state.standing == 1
    there = a_source(record)
    async with StatusWatcher(there, interval=5, baseline=state.snapshot) as watcher:  # type: ignore[arg-type]
        alerts = Alerts(watcher, state)
        assert repr(alerts) == "<Alerts by 1 rules, 1 raised>"
        assert repr(state) == "<AlertState of 1 rules, 1 raised>"
        [cleared] = await first(alerts, 1)
        assert cleared.id == raised.id
        assert not isinstance(cleared, AlertRaised)


async def test_alerts_that_were_not_yielded_come_first_after_a_restart() -> None:
    """The body of an ``async for`` may be cancelled while further alerts wait."""
    rules = [StateLasts(f"lasts-{number}", AgentState.TALKING, longer_than=10) for number in range(3)]
    state, got = AlertState(rules), list[str]()
    for expected in (1, 3):
        async with StatusWatcher(a_source(lambda _: TALKING), interval=5, baseline=state.snapshot) as watcher:  # type: ignore[arg-type]
            alerts = Alerts(watcher, state)

            async def slowly(alerts: Alerts = alerts) -> None:
                async for it in alerts:
                    got.append(it.rule.name)
                    await asyncio.sleep(50 if len(got) == 1 else 1)

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slowly(), 30)
            state = AlertState.from_json(alerts.state.to_json(), rules)
        assert len(got) == expected
    assert sorted(got) == [rule.name for rule in rules]


async def test_they_end_with_the_feed_and_raise_what_ended_it() -> None:
    async with StatusWatcher(a_source(lambda _: AuthError(601, "no")), interval=1) as watcher:  # type: ignore[arg-type]
        with pytest.raises(AuthError):
            await anext(Alerts(watcher, []))
    watcher = StatusWatcher(a_source(lambda _: TALKING), interval=1)  # type: ignore[arg-type]
    alerts = Alerts(watcher, [])
    async with watcher:
        await watcher.ready()
    assert [it async for it in alerts] == []


async def test_updates_that_came_before_the_first_look_are_taken_in() -> None:
    rules = [StateLasts("talks", AgentState.TALKING, longer_than=0)]
    source = a_source(lambda now: TALKING if now > 2 else agent())
    async with StatusWatcher(source, interval=1) as watcher:  # type: ignore[arg-type]
        alerts = Alerts(watcher, rules)
        await asyncio.sleep(5)
        [raised] = await first(alerts, 1)
        assert at(raised) == pytest.approx(2.02)


async def test_an_alert_that_was_due_before_an_outage_comes_late_if_the_consumer_is() -> None:
    def record(now: float) -> AgentStatus | BaseException:
        return TransportError("away") if 20 < now < 40 else TALKING if 2 < now < 30 else agent()

    rules = [StateLasts("talks", AgentState.TALKING, longer_than=5)]
    async with StatusWatcher(a_source(record), interval=1, max_backoff=1) as watcher:  # type: ignore[arg-type]
        alerts = Alerts(watcher, rules)
        await asyncio.sleep(50)
        async with asyncio.timeout(60):
            raised, cleared = await first(alerts, 2)
        assert isinstance(raised, AlertRaised)
        assert at(cleared) > 40


async def test_a_consumer_that_falls_behind_gets_the_final_condition() -> None:
    def record(now: float) -> AgentStatus:
        return TALKING if int(now) % 4 < 2 or now > 400 else agent()

    rules = [StateLasts("talks", AgentState.TALKING, longer_than=0)]
    async with StatusWatcher(a_source(record), interval=1) as watcher:  # type: ignore[arg-type]
        alerts = Alerts(watcher, rules)
        await first(alerts, 1)
        await asyncio.sleep(410)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await first(alerts, 1_000)
        assert alerts.state.standing == 1
