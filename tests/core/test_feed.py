"""What every feed offers beside its streams: `wait_for`, and `state_since`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AuthError,
    CallMissed,
    StateChanged,
    StatusWatcher,
    TransportError,
)
from sipqueue_async.tally import Tally
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import START, agent, snapshot

pytestmark = pytest.mark.virtual_time

ERROR = TransportError("away")
WAITING, TALKING = AgentState.WAITING, AgentState.TALKING
ONE, OTHER = agent("1", state=TALKING), agent("2", queue="queue-2", state=TALKING, no_answer_count=1)


def both_change() -> ScriptedSource:
    """Return a source whose second snapshot changes two queues; nothing changes after that."""
    return ScriptedSource([snapshot(agent("1"), agent("2", queue="queue-2")), snapshot(ONE, OTHER, at=2)])


class TestWaitFor:
    @pytest.mark.parametrize(
        ("types", "options", "expected"),
        [
            ([StateChanged], {}, ("queue-1", "1")),
            ([StateChanged, AgentLeft], {"queue": "queue-2"}, ("queue-2", "2")),
            ([], {"extension": "2"}, ("queue-2", "2")),
            ([CallMissed], {"queues": ["queue-1", "queue-2"], "extensions": ["1", "2"]}, ("queue-2", "2")),
            ([StateChanged], {"where": lambda event: event.extension != "1"}, ("queue-2", "2")),
        ],
    )
    async def test_returns_the_next_event_that_fits(
        self, types: Sequence[Any], options: dict[str, Any], expected: tuple[str, str]
    ) -> None:
        async with StatusWatcher(both_change()) as watcher:
            event = await watcher.wait_for(*types, **options, timeout=30)
            assert event.key == expected

    async def test_a_timeout_names_what_did_not_come(self) -> None:
        async with StatusWatcher(both_change()) as watcher:
            with pytest.raises(TimeoutError, match=r"^no AgentJoined, AgentLeft came within 5 s$"):
                await watcher.wait_for(AgentJoined, AgentLeft, timeout=5)
            with pytest.raises(TimeoutError, match=r"^no event came within 0\.5 s$"):
                await watcher.wait_for(timeout=0.5)

    async def test_a_timeout_must_be_a_number_of_seconds(self) -> None:
        async with StatusWatcher(both_change()) as watcher:
            with pytest.raises(TypeError, match="timeout must be a number of seconds, not 'x'"):
                await watcher.wait_for(StateChanged, timeout=cast("Any", "x"))
            with pytest.raises(ValueError, match="timeout must be at least 0 seconds, not -1"):
                await watcher.ready(timeout=-1)

    async def test_an_own_timeout_of_the_condition_is_its_own(self) -> None:
        def fail(_event: object) -> bool:
            raise TimeoutError("mine")

        async with StatusWatcher(both_change()) as watcher:
            with pytest.raises(TimeoutError, match=r"^mine$"):
                await watcher.wait_for(StateChanged, where=fail, timeout=30)

    async def test_the_end_of_the_feed_ends_it(self) -> None:
        """The error is the feed's own if the feed failed."""
        watcher = StatusWatcher(both_change())
        with pytest.raises(RuntimeError, match="is not running"):
            await watcher.wait_for(StateChanged)
        async with watcher:
            waiting = asyncio.create_task(watcher.wait_for(AgentLeft))
            await watcher.ready()
        with pytest.raises(RuntimeError, match=r"^the watcher was closed before such an event came$"):
            await waiting
        async with StatusWatcher(ScriptedSource([snapshot(), AuthError(602)])) as refused:
            with pytest.raises(AuthError):
                await refused.wait_for(AgentLeft)


class TestSubscribe:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"queues": []}, "queues needs at least one name"),
            ({"extensions": [""]}, "extensions needs at least one name"),
            ({"queue": "a", "queues": ["b"]}, "give queue or queues, not both"),
            ({"extension": ["1", "2"]}, "extension must be one name"),
        ],
    )
    def test_invalid_names_raise_value_error_naming_the_argument(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            StatusWatcher(both_change()).subscribe(**options)

    async def test_streams_made_before_the_start_and_after_it_receive_the_same(self) -> None:
        watcher = StatusWatcher(both_change())
        before = watcher.subscribe(queues="queue-2"), watcher.updates()
        async with watcher:
            after = watcher.subscribe(queues=["queue-2", "queue-3"]), watcher.updates()
            await watcher.wait_for(CallMissed)
        events = [event async for event in before[0]]
        assert events == [event async for event in after[0]]
        assert {event.queue for event in events} == {"queue-2"}
        updates = [update async for update in before[1]]
        assert updates == [update async for update in after[1]] != []


class TestStateSince:
    async def test_it_is_exact_once_the_change_was_seen(self) -> None:
        async with StatusWatcher(both_change()) as watcher:
            with pytest.raises(KeyError):
                watcher.state_since(ONE.key)
            await watcher.ready()
            assert watcher.state_since(ONE.key) == (START, True)
            assert str(watcher.state_since(ONE.key)) == f"since {START.isoformat(' ', 'seconds')} or earlier"
            await watcher.wait_for(StateChanged)
            assert watcher.state_since(("queue-1", "1")) == (START + timedelta(seconds=2), False)
            with pytest.raises(KeyError):
                watcher.state_since(("queue-1", "3"))

    @given(data=st.data())
    @settings(max_examples=40)
    async def test_it_is_what_a_tally_shows(self, data: st.DataObject) -> None:
        """They agree across outages, hidden calls, leaving and returning agents, and with a baseline."""
        records = st.lists(
            st.builds(
                agent,
                st.sampled_from(["1", "2", "3"]),
                state=st.sampled_from([WAITING, TALKING]),
                calls_answered=st.integers(0, 2),
            ),
            unique_by=lambda it: it.key,
        )
        steps = data.draw(st.lists(st.one_of(st.none(), records), min_size=2, max_size=8))
        script = [
            ERROR if step is None else snapshot(*step, at=2 * number) for number, step in enumerate(steps, start=1)
        ]
        baseline = data.draw(st.one_of(st.none(), records.map(lambda them: snapshot(*them, at=0))))
        watcher, tally = StatusWatcher(ScriptedSource(script), leave_after=1, baseline=baseline), Tally()
        tally.follow(watcher)
        compared: list[object] = []

        def check(_health: object) -> None:
            for key in watcher.snapshot or ():
                if watcher.health.up:
                    seat = tally.seats[key]
                    assert watcher.state_since(key) == (seat.since, seat.approximate)
            compared.append(None)

        watcher.add_listener(check)
        async with watcher:
            while len(compared) < len(script):
                await asyncio.sleep(1)
