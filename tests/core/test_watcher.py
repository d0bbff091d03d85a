"""The watcher, in virtual time with scripted sources: no test waits for real time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

import pytest

from sipqueue_async import (
    AgentJoined,
    AgentState,
    AuthError,
    CallAnswered,
    Event,
    FeedDown,
    FeedUp,
    FieldProblem,
    HttpStatusError,
    MalformedResponse,
    SeatEvent,
    SipQueueError,
    Snapshot,
    StateChanged,
    StatusWatcher,
    TransportError,
    WatcherHealth,
)
from tests.kit.builders import START, ScriptedSource, agent, snapshot

ERROR = TransportError("away")
TALKING = agent(state=AgentState.TALKING)

pytestmark = pytest.mark.virtual_time


def alternating(changes: int = 1_000_000) -> Iterable[Snapshot]:
    """Return snapshots of an agent who alternates between waiting and talking."""
    for at, state in zip(range(changes), itertools.cycle([AgentState.WAITING, AgentState.TALKING]), strict=False):
        yield snapshot(agent(state=state), at=at)


def others() -> set[asyncio.Task[Any]]:
    """Return all tasks except this test's own."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def collected(watcher: StatusWatcher, number: int) -> list[Event]:
    """Return the next events of a watcher's stream."""
    return [event async for _, event in aenumerate(watcher, number)]


async def aenumerate(watcher: StatusWatcher, number: int):  # type: ignore[no-untyped-def]
    """Yield that many events, then stop."""
    stream = aiter(watcher)
    for index in range(number):
        yield index, await anext(stream)


class TestSchedule:
    async def test_polls_at_a_fixed_rate_from_the_start(self) -> None:
        """The first poll is immediate, and a poll's duration does not add to the interval."""
        source = ScriptedSource([snapshot()], takes=0.25)
        async with StatusWatcher(source, interval=1):
            await asyncio.sleep(10.5)
        assert source.polled_at == pytest.approx(list(range(11)))

    async def test_a_slow_poll_is_never_overlapped_nor_made_up_for(self) -> None:
        source = ScriptedSource([snapshot()], takes=2.5)
        async with StatusWatcher(source, interval=1):
            await asyncio.sleep(10)
        assert source.polled_at == pytest.approx([0, 3, 6, 9])

    async def test_failures_back_off_and_recovery_returns_to_the_rate(self) -> None:
        source = ScriptedSource([snapshot(), *[ERROR] * 12, snapshot()])
        async with StatusWatcher(source, interval=1, max_backoff=8) as watcher:
            while watcher.health.failures < 12:
                await asyncio.sleep(0.01)
            await asyncio.sleep(20)
        pauses = [b - a for a, b in itertools.pairwise(source.polled_at[1:14])]
        assert max(pauses) <= 8
        assert max(pauses[4:]) > 1, "the pause does not grow"
        good = source.polled_at[14:]
        assert [at % 1 for at in good] == pytest.approx([0] * len(good))
        assert [b - a for a, b in itertools.pairwise(good)] == pytest.approx([1] * (len(good) - 1))

    @pytest.mark.parametrize(("status", "asked", "pause"), [(429, 30.0, 30), (503, 1e12, 3600)])
    async def test_retry_after_is_honoured_up_to_an_hour(self, status: int, asked: float, pause: float) -> None:
        """A Retry-After of years is limited, so polling continues."""
        source = ScriptedSource([HttpStatusError(status, asked), snapshot()])
        async with StatusWatcher(source, interval=1) as watcher:
            await watcher.ready()
        assert source.polled_at[1] == pytest.approx(pause)


class TestStream:
    async def test_yields_changes(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot(agent()), snapshot(TALKING, at=2)])) as watcher:
            (event,) = await collected(watcher, 1)
        assert isinstance(event, StateChanged)
        assert (event.before, event.after) == (AgentState.WAITING, AgentState.TALKING)

    async def test_initial_events_wait_for_their_consumer(self) -> None:
        """Events that occur before the first iteration are kept."""
        async with StatusWatcher(ScriptedSource([snapshot(agent())]), initial=True) as watcher:
            await watcher.ready()
            await asyncio.sleep(100)
            (event,) = await collected(watcher, 1)
        assert isinstance(event, AgentJoined)

    async def test_goes_on_from_a_baseline(self) -> None:
        """The first poll is compared with the baseline."""
        source = ScriptedSource([snapshot(agent(calls_answered=5), at=100)])
        async with StatusWatcher(source, baseline=snapshot(agent(calls_answered=2))) as watcher:
            assert watcher.snapshot == snapshot(agent(calls_answered=2))
            (event,) = await collected(watcher, 1)
        assert isinstance(event, CallAnswered)
        assert event.count == 3

    async def test_an_outage_is_down_up_and_the_difference(self) -> None:
        source = ScriptedSource([snapshot(agent()), ERROR, ERROR, snapshot(TALKING, at=60)])
        async with StatusWatcher(source) as watcher:
            down, up, change = await collected(watcher, 3)
        assert down == FeedDown(error=ERROR, since=START)
        assert isinstance(up, FeedUp)
        assert (up.failures, up.outage.total_seconds()) == (2, 60)
        assert isinstance(change, StateChanged)

    async def test_updates_number_the_changes(self) -> None:
        async with StatusWatcher(ScriptedSource(alternating(20))) as watcher:
            updates = watcher.updates()
            await watcher.ready()
            got = [await anext(updates) for _ in range(5)]
        assert [update.sequence for update in got] == [1, 2, 3, 4, 5]
        assert [update.previous for update in got[1:]] == [update.snapshot for update in got[:-1]]

    async def test_polling_never_waits_for_a_consumer(self) -> None:
        source = ScriptedSource(alternating(2000))
        async with StatusWatcher(source, interval=1) as watcher:
            stuck = watcher.subscribe(max_pending=3)
            await asyncio.sleep(1000.5)
            assert stuck.pending <= 3
        assert len(source.polled_at) == 1001

    async def test_a_union_of_events_can_be_asked_for(self) -> None:
        """`subscribe(Event)` is accepted."""
        async with StatusWatcher(ScriptedSource([snapshot(agent()), snapshot(TALKING)])) as watcher:
            everything, seats = watcher.subscribe(cast("Any", Event)), watcher.subscribe(cast("Any", SeatEvent))
            assert isinstance(await anext(everything), StateChanged)
            assert isinstance(await anext(seats), StateChanged)

    async def test_many_subscriptions_made_before_the_start(self) -> None:
        """Each subscription gets all events from the first poll on."""
        watcher = StatusWatcher(ScriptedSource([snapshot(agent("1"), agent("2"))]), initial=True)
        everything, one = watcher.subscribe(), watcher.subscribe(AgentJoined, extension="2")
        async with watcher:
            assert [(await anext(everything)).extension for _ in range(2)] == ["1", "2"]
            assert (await anext(one)).agent == agent("2")


class TestFatal:
    @pytest.mark.parametrize("error", [AuthError(601, "no"), ZeroDivisionError("a bug")], ids=["auth", "bug"])
    async def test_ends_the_watcher_and_is_raised_everywhere(self, error: Exception) -> None:
        """A fatal error ends the watcher and reaches every consumer."""
        async with StatusWatcher(ScriptedSource([snapshot(agent()), error])) as watcher:
            subscription, updates = watcher.subscribe(), watcher.updates()
            assert [type(event) for event in await collected(watcher, 1)] == [FeedDown]
            for _ in range(2):
                for stream in (aiter(watcher), subscription, updates):
                    with pytest.raises(type(error)) as caught:
                        async for _ in stream:
                            pass
                    assert caught.value is error
            with pytest.raises(type(error)):
                await watcher.ready()
            with pytest.raises(type(error)):
                await watcher.refresh()
            assert not others()

    @pytest.mark.parametrize(
        "error", [HttpStatusError(404), HttpStatusError(501), MalformedResponse("the URL answered with a web page")]
    )
    async def test_an_answer_of_another_server_ends_it_only_before_the_first_good_one(
        self, error: SipQueueError
    ) -> None:
        """Later it counts as an outage; the baseline always comes from a good answer."""
        async with StatusWatcher(ScriptedSource([TransportError("away"), error])) as watcher:
            with pytest.raises(type(error)):
                await watcher.ready()
        known = snapshot()
        scripts: list[tuple[list[Snapshot | BaseException], Snapshot | None]] = [
            ([known, error, known], None),
            ([error, known], known),
        ]
        for script, baseline in scripts:
            async with StatusWatcher(ScriptedSource(script), baseline=baseline) as watcher:
                assert [type(event) for event in await collected(watcher, 2)] == [FeedDown, FeedUp]

    async def test_a_source_that_gives_something_else(self) -> None:
        """A source that returns no snapshot is a TypeError."""

        async def source() -> Snapshot:
            return cast("Snapshot", None)

        async with StatusWatcher(source) as watcher:
            with pytest.raises(TypeError, match="the source returned None, not a Snapshot"):
                await watcher.ready()

    async def test_a_task_that_is_cancelled_from_outside_says_so(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot()], takes=1)) as watcher:
            await asyncio.sleep(0.5)
            for task in others():
                task.cancel()
            with pytest.raises(RuntimeError, match="cancelled from outside"):
                await watcher.ready()

    async def test_a_source_that_has_come_to_its_end_says_so(self) -> None:
        """An exhausted source is an error, not a normal end of the watcher."""
        async with StatusWatcher(ScriptedSource([snapshot(), StopAsyncIteration()])) as watcher:
            with pytest.raises(RuntimeError, match="no more snapshots"):
                async for _ in watcher:
                    pass

    @pytest.mark.parametrize(("errors", "fatal"), [([ERROR, ERROR], False), ([ERROR, LookupError()], True)])
    async def test_a_group_is_as_bad_as_its_worst(self, errors: list[Exception], fatal: bool) -> None:
        """A group of errors is retryable only if all of them are."""
        async with StatusWatcher(ScriptedSource([ExceptionGroup("both", errors), snapshot()])) as watcher:
            with pytest.raises(ExceptionGroup) if fatal else contextlib.nullcontext():
                await watcher.ready()

    async def test_is_logged_and_seen_in_its_health(self, caplog: pytest.LogCaptureFixture) -> None:
        async with StatusWatcher(ScriptedSource([ERROR, AuthError(602, "expired")])) as watcher:
            with pytest.raises(AuthError):
                await watcher.ready()
        assert watcher.health.ended
        assert "ended, was down" in repr(watcher)
        assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]

    async def test_the_interpreters_own_exceptions_pass(self) -> None:

        class Exit(BaseException):
            pass

        async with StatusWatcher(ScriptedSource([Exit()])) as watcher:
            (task,) = others()
            with pytest.raises(Exit):
                await watcher.ready()
            await asyncio.wait([task])
            assert isinstance(task.exception(), Exit)


class TestReady:
    async def test_gives_the_first_good_snapshot(self) -> None:
        async with StatusWatcher(ScriptedSource([ERROR, ERROR, snapshot(agent())])) as watcher:
            assert watcher.snapshot is None
            assert await watcher.ready() == snapshot(agent()) == watcher.snapshot

    async def test_a_timeout_tells_why(self) -> None:
        async with StatusWatcher(ScriptedSource([ERROR])) as watcher:
            with pytest.raises(TimeoutError, match=r"no poll has worked within 5 s; the last error: away"):
                await watcher.ready(timeout=5)

    async def test_a_timeout_while_the_source_is_silent(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot()], takes=99)) as watcher:
            with pytest.raises(TimeoutError, match="the source is silent"):
                await watcher.ready(timeout=5)

    async def test_closing_wakes_it(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot()], takes=99)) as watcher:
            waiting = asyncio.ensure_future(watcher.ready())
            await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="closed before the status was known"):
            await waiting

    async def test_a_closed_watcher_still_has_its_last_snapshot(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot(agent())])) as watcher:
            await watcher.ready()
        assert watcher.snapshot == await watcher.ready() == snapshot(agent())


class TestRefresh:
    async def test_polls_now(self) -> None:
        source = ScriptedSource([snapshot(agent()), snapshot(TALKING, at=7)])
        async with StatusWatcher(source, interval=100) as watcher:
            await watcher.ready()
            await asyncio.sleep(7)
            assert await watcher.refresh() == snapshot(TALKING)
            await asyncio.sleep(100)
        assert source.polled_at == pytest.approx([0, 7, 100])

    async def test_joins_a_poll_under_way(self) -> None:
        source = ScriptedSource([snapshot()], takes=1)
        async with StatusWatcher(source, interval=100) as watcher:
            await asyncio.sleep(0.5)
            await asyncio.gather(*(watcher.refresh() for _ in range(100)))
            assert asyncio.get_running_loop().time() == pytest.approx(1)
        assert len(source.polled_at) == 1

    async def test_does_not_wait_for_a_backoff(self) -> None:
        source = ScriptedSource([HttpStatusError(503, 60.0), snapshot(agent())])
        async with StatusWatcher(source) as watcher:
            await asyncio.sleep(1)
            assert await watcher.refresh() == snapshot(agent())
        assert source.polled_at == pytest.approx([0, 1])

    async def test_ends_the_pause_before_it(self) -> None:
        """A pause that a refresh cut short does not cause a poll during the next pause."""
        source = ScriptedSource([HttpStatusError(503, 10.0), HttpStatusError(503, 60.0), snapshot()])
        async with StatusWatcher(source) as watcher:
            await asyncio.sleep(1)
            with pytest.raises(HttpStatusError):
                await watcher.refresh()
            await asyncio.sleep(61)
        assert source.polled_at[:3] == pytest.approx([0, 1, 61])

    async def test_raises_what_the_poll_raised(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot(), ERROR]), interval=100) as watcher:
            await watcher.ready()
            with pytest.raises(TransportError):
                await watcher.refresh()

    async def test_a_cancelled_refresh_leaves_the_poll_to_the_others(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot(agent())], takes=1)) as watcher:
            gives_up, stays = asyncio.ensure_future(watcher.refresh()), asyncio.ensure_future(watcher.refresh())
            await asyncio.sleep(0.5)
            gives_up.cancel()
            assert await stays == snapshot(agent())
            assert gives_up.cancelled()

    async def test_a_stale_answer_is_not_taken_for_the_present_one(self) -> None:
        """A refresh waits until an answer is accepted."""
        stale, fresh = snapshot(server=50), snapshot(TALKING, server=101)
        source = ScriptedSource([snapshot(agent(), server=100), stale, stale, fresh])
        async with StatusWatcher(source, interval=100) as watcher:
            await watcher.ready()
            assert await watcher.refresh() == fresh
            assert (watcher.health.stale_polls, watcher.health.failures) == (2, 0)
        assert source.polled_at == pytest.approx([0, 0, 0, 0])

    async def test_closing_wakes_it(self) -> None:
        async with StatusWatcher(ScriptedSource([snapshot()], takes=99)) as watcher:
            waiting = asyncio.ensure_future(watcher.refresh())
            await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="closed"):
            await waiting
        with pytest.raises(RuntimeError, match="has ended"):
            await watcher.refresh()


class TestWhatIsWatched:
    class Platform:
        """A source that supports filters, and records the requested ones."""

        def __init__(self) -> None:
            self.asked: list[tuple[str | None, str | None]] = []

        async def fetch_snapshot(
            self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
        ) -> Snapshot:
            """Return all agents, like a platform that ignores filters."""
            self.asked.append((queue, extension))
            return snapshot(*(agent(number, queue=name) for name in ("a", "b", "c") for number in ("1", "2")))

    @pytest.mark.parametrize(
        ("queues", "extensions", "asked", "seen"),
        [
            (None, None, (None, None), {("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"), ("c", "2")}),
            (["a"], None, ("a", None), {("a", "1"), ("a", "2")}),
            ("a", ["2"], ("a", "2"), {("a", "2")}),
            (["a", "b"], None, (None, None), {("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")}),
            (None, ["1", "9"], (None, None), {("a", "1"), ("b", "1"), ("c", "1")}),
        ],
    )
    async def test_one_request_a_poll_and_only_what_was_asked_for(
        self,
        queues: Iterable[str] | None,
        extensions: Iterable[str] | None,
        asked: tuple[str | None, str | None],
        seen: set[tuple[str, str]],
    ) -> None:
        platform = self.Platform()
        async with StatusWatcher(platform, queues=queues, extensions=extensions) as watcher:
            assert set(await watcher.ready()) == seen
        assert platform.asked == [asked]

    async def test_of_a_baseline_too(self) -> None:
        """Agents of a baseline in unwatched queues are not reported as leaving."""
        baseline = snapshot(agent("1"), agent("2", queue="queue-2"))
        source = ScriptedSource([snapshot(agent("1"), at=at) for at in range(9)])
        async with StatusWatcher(source, interval=1, queues=["queue-1"], baseline=baseline) as watcher:
            assert watcher.snapshot == snapshot(agent("1"))
            updates = watcher.updates()
            await asyncio.sleep(5)
        assert [update async for update in updates] == []

    async def test_problems_of_others_are_not_shown(self) -> None:
        here, there = FieldProblem("queue-1", "1", "f", "r"), FieldProblem("queue-2", "1", "f", "r")
        clock = FieldProblem(None, None, "rsptime", "r")
        given = Snapshot([agent("1")], observed_at=START, problems=[here, there, clock])
        async with StatusWatcher(ScriptedSource([given]), queues=["queue-1"]) as watcher:
            assert (await watcher.ready()).problems == (here, clock)


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"interval": 0}, "interval must be above 0"),
            ({"interval": "2"}, "interval must be a number of seconds, not '2'"),
            ({"max_backoff": True}, "max_backoff must be a number of seconds, not True"),
            ({"leave_after": None}, "leave_after must be a number of polls, not None"),
            ({"max_lag": "60"}, "max_lag must be a number of seconds, not '60'"),
            ({"max_lag": -1}, "max_lag must be at least 0 seconds, not -1"),
            ({"interval": float("nan")}, "interval must be above 0"),
            ({"interval": float("inf")}, "interval must be above 0"),
            ({"max_backoff": -1}, "max_backoff must be above 0"),
            ({"leave_after": 0}, "leave_after must be at least 1"),
            ({"queues": []}, "queues needs at least one name"),
            ({"queues": [""]}, "queues needs at least one name"),
            ({"extensions": [100001]}, "extensions needs at least one name"),
        ],
    )
    def test_nonsense_is_refused_at_once(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            StatusWatcher(ScriptedSource([snapshot()]), **arguments)

    def test_a_source_that_is_none(self) -> None:
        with pytest.raises(TypeError, match="source must be"):
            StatusWatcher(cast("Any", None))

    def test_a_baseline_that_is_none(self) -> None:
        """A baseline that is not a Snapshot is a TypeError that names the argument."""
        with pytest.raises(TypeError, match="baseline must be a Snapshot"):
            StatusWatcher(ScriptedSource([snapshot()]), baseline=cast("Any", snapshot().to_json()))

    def test_a_type_other_than_an_event_class_is_refused(self) -> None:
        with pytest.raises(TypeError, match="not an event class"):
            StatusWatcher(ScriptedSource([snapshot()])).subscribe(cast("Any", Snapshot))
        with pytest.raises(TypeError, match="not an event class"):
            StatusWatcher(ScriptedSource([snapshot()])).subscribe(cast("Any", "StateChanged"))
        with pytest.raises(TypeError, match="not an event class"):
            StatusWatcher(ScriptedSource([snapshot()])).subscribe(cast("Any", [StateChanged]))


class TestLife:
    async def test_must_be_started(self) -> None:
        watcher = StatusWatcher(ScriptedSource([snapshot()]))
        with pytest.raises(RuntimeError, match="use it in 'async with'"):
            aiter(watcher)
        with pytest.raises(RuntimeError, match="use it in 'async with'"):
            await watcher.ready()
        with pytest.raises(RuntimeError, match="use it in 'async with'"):
            await watcher.refresh()

    async def test_runs_once(self) -> None:
        watcher = StatusWatcher(ScriptedSource([snapshot()]))
        async with watcher:
            with pytest.raises(RuntimeError, match="runs once"):
                await watcher.__aenter__()
        with pytest.raises(RuntimeError, match=r"baseline=old\.snapshot"):
            await watcher.__aenter__()

    async def test_can_be_left_before_its_task_has_begun(self) -> None:
        watcher = StatusWatcher(ScriptedSource([snapshot()]))
        subscription = watcher.subscribe()
        async with watcher:
            pass
        assert [event async for event in subscription] == []
        assert not others()

    async def test_a_source_that_swallows_its_cancellation_is_left_all_the_same(self) -> None:

        async def careless() -> Snapshot:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(50)
            return snapshot()

        async with StatusWatcher(careless, interval=60):
            await asyncio.sleep(1)
        assert not others()
        assert asyncio.get_running_loop().time() == pytest.approx(1)

    @pytest.mark.parametrize("how", ["break", "exception", "cancellation"])
    async def test_leaving_the_loop_leaves_nothing_running(self, how: str) -> None:

        async def consume() -> None:
            async with StatusWatcher(ScriptedSource(alternating(99))) as watcher:
                async for _ in watcher:
                    if how == "break":
                        break
                    if how == "exception":
                        raise LookupError
                    cast("Any", asyncio.current_task()).cancel()

        task = asyncio.create_task(consume())
        await asyncio.wait([task])
        assert task.cancelled() == (how == "cancellation")
        if how == "exception":
            assert isinstance(task.exception(), LookupError)
        assert not others()

    async def test_repr_tells_its_condition(self) -> None:
        source = ScriptedSource([snapshot(), ERROR])
        watcher = StatusWatcher(source, interval=1.5)
        assert watcher.health == WatcherHealth()
        assert repr(watcher) == "<StatusWatcher every 1.5 s, not polled yet, 0 polls>"
        async with watcher:
            await watcher.ready()
            assert "up, 1 polls" in repr(watcher)
            with pytest.raises(TransportError):
                await watcher.refresh()
            assert "down, 2 polls" in repr(watcher)


class TestHealth:
    async def test_counts_and_figures(self) -> None:
        source = ScriptedSource([snapshot(), ERROR, ERROR, snapshot(at=9)], takes=0.5)
        async with StatusWatcher(source, interval=1, max_backoff=1) as watcher:
            await watcher.ready()
            while watcher.health.failures < 2:
                await asyncio.sleep(0.1)
            down = watcher.health
            while not watcher.health.up:
                await asyncio.sleep(0.1)
        assert (down.up, down.polls, down.failures, down.failures_in_a_row) == (False, 3, 2, 2)
        assert (down.last_error, down.last_good_at) == (ERROR, START)
        assert down.last_duration == pytest.approx(0.5)
        assert (watcher.health.polls, watcher.health.failures_in_a_row) == (4, 0)
        assert watcher.health.last_error is ERROR
        assert watcher.health.last_lateness == pytest.approx(0, abs=1e-3)

    async def test_logs_the_first_failure_the_rest_and_the_recovery(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "sipqueue_async")
        async with StatusWatcher(ScriptedSource([ERROR, ERROR, ERROR, snapshot()])) as watcher:
            await watcher.ready()
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("WARNING", "a poll failed: away"),
            ("DEBUG", "a poll failed: away"),
            ("DEBUG", "a poll failed: away"),
            ("INFO", "polling works again, after 3 failures"),
        ]

    async def test_warns_of_older_records_after_an_outage_and_of_names_that_are_absent(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each warning is logged once, and explains why a stream is silent."""
        calls = [agent(calls_answered=it, last_answered_at=START + timedelta(seconds=it)) for it in (1, 2)]
        older, later = (snapshot(it, at=10) for it in calls)
        source = ScriptedSource([later, ERROR, older, older, ERROR, later])
        async with StatusWatcher(
            source, interval=1, queues=[TALKING.queue, "nosuch"], extensions=[TALKING.extension, "9"]
        ) as watcher:
            await watcher.ready()
            while watcher.health.polls < 6:
                await asyncio.sleep(1)
        logged = [record.getMessage() for record in caplog.records if "poll" not in record.getMessage()]
        assert logged == [
            "the first status has no queue 'nosuch'; nothing is reported of it until it appears",
            "the first status has no extension '9'; nothing is reported of it until it appears",
            "the platform answers again, but with older records than before; they are held back for up to 60 s",
        ]


class TestStaggering:
    async def test_watchers_of_one_process_poll_one_after_the_other(self) -> None:
        loop = asyncio.get_running_loop()
        polled: list[tuple[int, float]] = []

        async with contextlib.AsyncExitStack() as stack:
            for number in range(3):

                async def source(number: int = number) -> Snapshot:
                    polled.append((number, loop.time()))
                    return snapshot(agent())

                await stack.enter_async_context(StatusWatcher(source, interval=1))
            await asyncio.sleep(1.5)
        assert [number for number, _ in polled] == [0, 1, 2, 0, 1, 2]
        times = [at for _, at in polled]
        assert all(0.005 < later - earlier < 0.01 for earlier, later in itertools.pairwise(times[:3]))
        assert times[3:] == pytest.approx([at + 1 for at in times[:3]])

    async def test_a_place_in_the_row_is_given_back(self) -> None:
        """When a watcher ends, the next one gets its place in the queue of polls."""
        loop = asyncio.get_running_loop()
        for _ in range(3):
            began = loop.time()
            async with StatusWatcher(ScriptedSource([snapshot()])) as watcher:
                await watcher.ready()
            assert loop.time() == pytest.approx(began)

    async def test_a_refresh_polls_without_waiting_for_the_watchers_slot(self) -> None:
        """A refresh polls at once, whatever the watcher's place in the queue of polls."""
        loop = asyncio.get_running_loop()
        first, second = (StatusWatcher(ScriptedSource([snapshot()]), interval=60) for _ in range(2))
        async with first, second:
            began = loop.time()
            await second.refresh()
            assert loop.time() == pytest.approx(began)
