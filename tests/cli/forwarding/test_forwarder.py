"""The order, the retries and the bounds of each destination, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sipqueue_async import AgentState, Event, FeedDown, FeedUp, MalformedResponse, diff
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.forwarding.answers import Answer, Outcome
from sipqueue_async.cli.forwarding.destinations import Target
from sipqueue_async.cli.forwarding.forwarder import Forwarder
from sipqueue_async.cli.forwarding.store import Pause, Store
from tests.kit.builders import START, agent, snapshot
from tests.kit.forwarding import target
from tests.kit.tasks import running

pytestmark = pytest.mark.virtual_time

OK = Answer(Outcome.DELIVERED)
DOWN = Answer(Outcome.FAILED, "it answered with the HTTP status 503")
NO = Answer(Outcome.REFUSED, "it answered with the HTTP status 400")
GONE = Answer(Outcome.GONE, "it answered with the HTTP status 410")


def event(number: int) -> Event:
    """Return one event about the extension with this number."""
    (it,) = diff(snapshot(), snapshot(agent(extension=str(number))))
    return it


class Hook:
    """A destination whose answers a test decides."""

    def __init__(self, answer: Callable[[int], Answer] = lambda _: OK, takes: float = 0.0) -> None:
        self.answer = answer
        self.takes = takes
        self.attempts: list[tuple[float, str, int]] = []
        """The time, the id and the extension of each attempt."""

    async def send(self, identity: str, body: bytes) -> Answer:
        number = int(json.loads(body)["extension"])
        self.attempts.append((asyncio.get_running_loop().time(), identity, number))
        await asyncio.sleep(self.takes)
        return self.answer(number)

    @property
    def numbers(self) -> list[int]:
        return [number for *_, number in self.attempts]


@asynccontextmanager
async def forwarding(path: Path, hooks: dict[Target, Hook]) -> AsyncGenerator[tuple[Forwarder, Store]]:
    """Run the destinations until the block ends."""
    loop = asyncio.get_running_loop()
    with Store(path) as store:
        forwarder = Forwarder(store, {it: hook.send for it, hook in hooks.items()}, clock=loop.time)
        async with running(forwarder.run()):
            yield forwarder, store


def buried(store: Store) -> list[tuple[int, str]]:
    return [(int(json.loads(it.body)["extension"]), it.reason) for it in store.dead_letters()]


async def test_a_destination_that_is_down_delays_no_other_and_gets_all_in_order_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    up = asyncio.Event()
    hooks = {target(name="a"): Hook(lambda _: OK if up.is_set() else DOWN), target(name="b"): Hook(takes=0.001)}
    first, second = hooks.values()
    async with forwarding(tmp_path / "state", hooks) as (forwarder, store):
        for number in range(20):
            forwarder.keep([event(number)], None)
        await asyncio.sleep(1)
        assert second.numbers == list(range(20))
        assert store.pending("a") == 20
        await asyncio.sleep(3600)
        up.set()
        await asyncio.sleep(400)
        assert (store.pending(), buried(store)) == (0, [])
    times = [at for at, _, number in first.attempts if number == 0]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for number, pause in enumerate(pauses):
        longest = min(2.0**number, 300.0)
        assert longest / 2 <= pause <= longest + 1e-6
    assert len(set(pauses[-5:])) == 5
    assert list(dict.fromkeys(first.numbers)) == list(range(20))
    assert len({identity for _, identity, _ in first.attempts}) == 20
    assert capsys.readouterr().err.splitlines() == [
        "sipqueue: destination 'a': it answered with the HTTP status 503; retrying",
        "sipqueue: destination 'a': delivers again",
    ]


async def test_a_crash_between_sending_and_saving_repeats_the_message_with_its_id(tmp_path: Path) -> None:
    """A cancellation while the answer is under way leaves the file as a crash does."""
    slow, later = Hook(takes=10), Hook()
    async with forwarding(tmp_path / "state", {target(): slow}) as (forwarder, _):
        forwarder.keep([event(1), event(2)], None)
        await asyncio.sleep(5)
    async with forwarding(tmp_path / "state", {target(): later}) as (forwarder, store):
        forwarder.keep([event(3)], None)
        await asyncio.sleep(1)
        assert store.pending() == 0
    assert (slow.numbers, later.numbers) == ([1], [1, 2, 3])
    assert slow.attempts[0][1] == later.attempts[0][1]


async def test_an_event_has_one_id_for_all_destinations_and_goes_only_where_it_is_wanted(tmp_path: Path) -> None:
    kinds = [target(name="a"), target(name="b"), target(name="c", events=frozenset({"feed-up"}))]
    hooks = {it: Hook() for it in kinds}
    async with forwarding(tmp_path / "state", hooks) as (forwarder, _):
        forwarder.keep([event(1)], None)
        await asyncio.sleep(1)
    [a], [b], none = (hook.attempts for hook in hooks.values())
    assert a[1] == b[1]
    assert none == []


async def test_refused_events_become_dead_letters_at_once_and_delay_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = Hook(lambda number: OK if number % 3 == 0 else NO)
    async with forwarding(tmp_path / "state", {target(): hook}) as (forwarder, store):
        forwarder.keep([event(number) for number in range(5)], None)
        await asyncio.sleep(0.1)
        assert buried(store) == [(1, NO.reason), (2, NO.reason), (4, NO.reason)]
        assert (store.pending(), hook.numbers) == (0, list(range(5)))
    line = "sipqueue: destination 'crm': events become dead letters: it answered with the HTTP status 400"
    assert capsys.readouterr().err.splitlines() == [line, "sipqueue: destination 'crm': delivers again", line]


async def test_events_that_are_too_old_become_dead_letters_at_the_next_failure(tmp_path: Path) -> None:
    hook = Hook(lambda number: DOWN if number < 3 else OK)
    async with forwarding(tmp_path / "state", {target(retry_for=1000.0): hook}) as (forwarder, store):
        forwarder.keep([event(1), event(2)], None)
        await asyncio.sleep(900)
        forwarder.keep([event(3)], None)
        await asyncio.sleep(800)
        reason = f"not delivered within 1000 s: {DOWN.reason}"
        assert buried(store) == [(1, reason), (2, reason)]
        assert store.pending() == 0
    assert (2 in hook.numbers, hook.numbers[-1]) == (False, 3)


async def test_a_long_outage_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with forwarding(tmp_path / "state", {target(max_pending=2): Hook(lambda _: DOWN)}) as (forwarder, _):
        for number in range(20):
            forwarder.keep([event(number)], None)
            await asyncio.sleep(60)
    assert capsys.readouterr().err.splitlines() == [
        "sipqueue: destination 'crm': it answered with the HTTP status 503; retrying",
        "sipqueue: destination 'crm': events become dead letters: more than 2 events wait",
    ]


async def test_the_oldest_of_too_many_become_dead_letters_except_the_one_that_is_being_sent(tmp_path: Path) -> None:
    hook = Hook(takes=10)
    bounded = target(max_pending=3)
    async with forwarding(tmp_path / "state", {bounded: hook}) as (forwarder, store):
        for number in range(1, 8):
            forwarder.keep([event(number)], None)
            await asyncio.sleep(0.1)
        assert [number for number, _ in buried(store)] == [2, 3, 4]
        assert {reason for _, reason in buried(store)} == {"more than 3 events wait"}
        await asyncio.sleep(100)
    assert hook.numbers == [1, 5, 6, 7]
    # A smaller bound in the file counts from the start.
    async with forwarding(tmp_path / "other", {bounded: Hook(lambda _: DOWN)}) as (forwarder, store):
        forwarder.keep([event(number) for number in range(3)], None)
    async with forwarding(tmp_path / "other", {target(max_pending=1): Hook()}) as (forwarder, store):
        assert [number for number, _ in buried(store)] == [0, 1]


async def test_a_retry_waits_as_long_as_the_destination_asked(tmp_path: Path) -> None:
    hook = Hook()
    hook.answer = lambda _: OK if len(hook.attempts) > 1 else Answer(Outcome.FAILED, "busy", 500.0)
    async with forwarding(tmp_path / "state", {target(): hook}) as (forwarder, _):
        forwarder.keep([event(1)], None)
        await asyncio.sleep(600)
    (first, *_), (second, *_) = hook.attempts
    assert second - first == pytest.approx(500)


async def test_a_restart_continues_the_pause_after_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hook, again = Hook(lambda _: Answer(Outcome.FAILED, "busy", 500.0)), Hook()
    async with forwarding(tmp_path / "state", {target(): hook}) as (forwarder, _):
        forwarder.keep([event(1)], None)
        await asyncio.sleep(100)
    async with forwarding(tmp_path / "state", {target(): again}) as (_, store):
        await asyncio.sleep(100)
        # It ended again meanwhile: the pause is that of the failure, not of the restart.
        assert again.attempts == []
    async with forwarding(tmp_path / "state", {target(): again}) as (_, store):
        await asyncio.sleep(600)
        assert store.paused("crm", target().fingerprint) is None
    assert again.attempts[0][0] - hook.attempts[0][0] == pytest.approx(500)
    assert capsys.readouterr().err.splitlines() == [
        "sipqueue: destination 'crm': busy; retrying",
        "sipqueue: destination 'crm': retrying in 400 s after 1 failure before the restart",
        "sipqueue: destination 'crm': retrying in 300 s after 1 failure before the restart",
        "sipqueue: destination 'crm': delivers again",
    ]


async def test_a_pause_does_not_outlast_a_new_url_or_a_clock_that_was_set_back(tmp_path: Path) -> None:
    first = target("https://a.example/")
    with Store(tmp_path / "state") as store:
        store.keep(None, [("crm", "id", b'{"extension": "1"}')], 0.0)
        store.pause("crm", first.fingerprint, Pause(20, 1e9))
    hook = Hook(lambda _: DOWN)
    async with forwarding(tmp_path / "state", {target("https://b.example/"): hook}):
        await asyncio.sleep(0.1)
        assert len(hook.attempts) == 1
    with Store(tmp_path / "state") as store:
        store.pause("crm", first.fingerprint, Pause(20, 1e9))
    begun = asyncio.get_running_loop().time()
    async with forwarding(tmp_path / "state", {first: hook}):
        await asyncio.sleep(3700)
    assert hook.attempts[1][0] - begun == pytest.approx(3600)


def test_a_pause_is_not_worth_a_line_while_nothing_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(tmp_path / "state") as store:
        store.pause("crm", target().fingerprint, Pause(1, 1e12))
        Forwarder(store, {target(): Hook().send})
    assert capsys.readouterr().err == ""


async def test_gone_ends_a_destination_until_it_has_another_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = target("https://a.example/"), target("https://b.example/")
    hook, again, moved = Hook(lambda number: GONE if number == 2 else OK), Hook(), Hook()
    async with forwarding(tmp_path / "state", {here: hook}) as (forwarder, store):
        forwarder.keep([event(number) for number in (1, 2, 3)], None)
        await asyncio.sleep(1)
        forwarder.keep([event(4)], None)
        assert buried(store) == [(2, GONE.reason), (3, GONE.reason)]
        assert store.pending() == 0
    async with forwarding(tmp_path / "state", {here: again}) as (forwarder, store):
        forwarder.keep([event(5)], None)
        await asyncio.sleep(1)
    async with forwarding(tmp_path / "state", {there: moved}) as (forwarder, store):
        forwarder.keep([event(6)], None)
        await asyncio.sleep(1)
    assert (hook.numbers, again.numbers, moved.numbers) == ([1, 2], [], [6])
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition("410 ")[2] for line in errors[1:]] == [
        "and gets no more events",
        "and gets no events; give it another URL to start again",
    ]


async def test_a_kill_while_a_destination_ends_leaves_no_event_behind(tmp_path: Path) -> None:
    async with forwarding(tmp_path / "state", {target(): Hook(lambda _: DOWN)}) as (forwarder, store):
        forwarder.keep([event(1)], None)
        store.end("crm", target().fingerprint)
    async with forwarding(tmp_path / "state", {target(): Hook()}) as (_, store):
        assert buried(store) == [(1, "the destination has ended")]


async def test_events_of_a_destination_that_left_the_file_become_dead_letters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with forwarding(tmp_path / "state", {target(name="old"): Hook(lambda _: DOWN)}) as (forwarder, _):
        forwarder.keep([event(1), event(2)], None)
    async with forwarding(tmp_path / "state", {target(name="new"): Hook()}) as (_, store):
        assert [number for number, _ in buried(store)] == [1, 2]
    assert "2 events for the destination 'old' became dead letters: it is gone" in capsys.readouterr().err


async def test_a_state_file_that_cannot_be_written_ends_all_destinations(tmp_path: Path) -> None:
    """A message whose delivery could not be recorded is sent again with the same id."""
    first = Hook()
    hooks = {target(name="a"): first, target(name="b"): Hook(takes=1e9)}
    with Store(tmp_path / "state") as store:
        forwarder = Forwarder(store, {it: hook.send for it, hook in hooks.items()})
        forwarder.keep([event(1)], snapshot(agent(state=AgentState.IDLE)))
        store._database.execute("PRAGMA query_only = ON")
        with pytest.raises(Failure, match="cannot be written"):
            await forwarder.run()
    again = Hook()
    async with forwarding(tmp_path / "state", {target(name="a"): again, target(name="b"): Hook()}):
        await asyncio.sleep(1)
    assert [it[1] for it in again.attempts] == [it[1] for it in first.attempts]


async def test_an_outage_begins_and_ends_once_whatever_restarts_in_between(tmp_path: Path) -> None:
    down = FeedDown(error=MalformedResponse("no"), since=START)
    good = snapshot(agent(), at=90.0)
    up = FeedUp(observed_at=good.observed_at, outage=timedelta(seconds=5), failures=3)
    runs: list[tuple[list[Event], bool]] = [
        ([down], False), ([down], False), ([up], True), ([up, down], False), ([event(1)], True), ([event(2)], True),
    ]  # fmt: skip
    for events, is_up in runs:
        with Store(tmp_path / "state") as store:
            Forwarder(store, {target(): Hook().send}).keep(events, good, is_up=is_up)
    with Store(tmp_path / "state") as store:
        bodies = [json.loads(body) for (body,) in store._database.execute("SELECT body FROM pending ORDER BY number")]
    assert [it.get("extension", it["event"]) for it in bodies] == [
        "feed-down", "feed-up", "feed-down", "feed-up", "1", "2",
    ]  # fmt: skip
    assert [(it["outage"], it["failures"]) for it in bodies if it["event"] == "feed-up"] == [(90.0, 3), (90.0, 1)]


async def test_an_outage_is_reported_without_the_words_of_the_platform(tmp_path: Path) -> None:
    """They may contain names of queues that a destination must not see."""
    with Store(tmp_path / "state") as store:
        forwarder = Forwarder(store, {target(name="crm"): Hook().send})
        error = MalformedResponse("record of queue 'secret queue'", excerpt="secret name")
        forwarder.keep([FeedDown(error=error, since=START)], snapshot(agent()))
        message = store.first("crm")
    assert message is not None
    assert json.loads(message.body)["error"].startswith("malformed response")
    assert b"secret" not in message.body
