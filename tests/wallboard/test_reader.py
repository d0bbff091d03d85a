"""What a reader of the events receives: continuation, the difference of two snapshots, or a fresh start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AuthError, Event, FeedDown, Snapshot, StatusWatcher, TransportError
from sipqueue_async._json_lines import KINDS, event_json
from sipqueue_async.wallboard import journal as journal_module
from sipqueue_async.wallboard.journal import Journal
from sipqueue_async.wallboard.reader import Reader, Wanted
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.sse import Message, Parser
from tests.kit.strategies import snapshots
from tests.kit.wallboard_stage import NEVER

EVERYTHING = Wanted()


def one(calls: int, **fields: Any) -> Snapshot:
    """Return a snapshot of one agent who has answered so many calls."""
    return snapshot(agent("1", calls_answered=calls, **fields), at=calls)


def team(agents: int, calls: int) -> Snapshot:
    """Return a snapshot of some agents who have each answered so many calls."""
    return snapshot(*(agent(str(it), calls_answered=calls) for it in range(agents)), at=calls)


class Scene:
    """A watcher of a script, polled by the test, and its journal."""

    def __init__(self, answers: Iterable[Snapshot | BaseException], *, keep: int = 1000) -> None:
        self.watcher = StatusWatcher(ScriptedSource(answers), interval=NEVER, leave_after=1)
        self.journal = Journal(self.watcher, keep=keep)
        self._updates = self.watcher.updates(max_pending=10_000)

    async def poll(self, number: int = 1) -> None:
        """Poll so many times."""
        for _ in range(number):
            await asyncio.gather(self.watcher.refresh(), return_exceptions=True)

    def events(self) -> list[Event]:
        """Return the events since the last call."""
        found: list[Event] = []
        while update := self._updates.get_nowait():
            found += update.events
        return found


def reader(scene: Scene, last_event_id: str | None = None, wanted: Wanted = EVERYTHING) -> Reader:
    return Reader(scene.journal, wanted, last_event_id)


def received(it: Reader, parser: Parser | None = None) -> list[Message]:
    """Return all that a reader receives now."""
    parser = parser or Parser()
    found: list[Message] = []
    while (part := it.next()) is not None:
        found += parser.feed(b"".join(part))
    return found


def kinds(messages: Iterable[Message]) -> list[str]:
    return [message.event for message in messages]


def calls(messages: Iterable[Message]) -> int:
    return sum(message.data["count"] for message in messages if message.event == "call-answered")


async def test_a_stream_begins_with_the_status_and_continues_with_the_events_that_watch_prints() -> None:
    scene = Scene([one(0), TransportError("away"), one(2), one(3)])
    it = reader(scene)
    assert it.next() is None
    assert it.event_id is None
    async with scene.watcher:
        await scene.watcher.ready()
        (first,) = received(it)
        assert (first.event, first.data["reason"], first.data["v"]) == ("snapshot", "connected", 1)
        assert [it["extension"] for it in first.data["agents"]] == ["1"]
        assert (first.data["feed_down"], first.data["absent_queues"]) == (None, [])
        await scene.poll(3)
        printed = [json.loads(event_json(event)) for event in scene.events()]
        messages = received(it)
        assert [message.data for message in messages] == printed
        assert kinds(messages) == ["feed-down", "feed-up", "call-answered", "call-answered"]
        assert len({message.last_event_id for message in messages}) == 4
        assert it.next() is None
    scene.journal.close()


async def test_every_id_continues_with_the_next_event() -> None:
    scene = Scene([team(3, calls) for calls in range(4)])
    async with scene.watcher:
        await scene.watcher.ready()
        first = reader(scene)
        start = received(first)
        await scene.poll(3)
        all_of_them = start + received(first)
        assert len(all_of_them) == 10
        for place, message in enumerate(all_of_them, start=1):
            again = received(reader(scene, message.last_event_id))
            assert again == all_of_them[place:]


@pytest.mark.parametrize("given", ["", "x", "0123456789abcdef-1.0", "0123456789abcdef-1.0\n", "a" * 5000, "é-1.0"])
async def test_an_id_of_another_run_starts_anew(given: str) -> None:
    scene = Scene([one(0), one(1)])
    async with scene.watcher:
        await scene.watcher.ready()
        await scene.poll()
        (message,) = received(reader(scene, given))
        assert (message.event, message.data["reason"]) == ("snapshot", "restarted")


async def test_an_id_that_is_no_longer_kept_or_was_never_given_starts_anew() -> None:
    scene = Scene([one(calls) for calls in range(10)], keep=3)
    async with scene.watcher:
        await scene.watcher.ready()
        parser = Parser()
        (start,) = received(first := reader(scene), parser)
        await scene.poll(3)
        (begun, *_) = received(first, parser)
        await scene.poll(3)
        epoch, _, _ = begun.last_event_id.partition("-")
        for gone in (start.last_event_id, begun.last_event_id, f"{epoch}-6.2", f"{epoch}-7.0", f"{epoch}-99.0"):
            (message,) = received(reader(scene, gone))
            assert (message.event, message.data["reason"]) == ("snapshot", "too-late"), gone
        for kept, number in {f"{epoch}-3.1": 3, f"{epoch}-4.0": 3, f"{epoch}-4.1": 2, f"{epoch}-6.1": 0}.items():
            assert kinds(received(reader(scene, kept))) == ["call-answered"] * number


async def test_a_reader_that_fell_behind_gets_one_difference_with_every_call() -> None:
    scene = Scene(
        [one(0), *(one(calls, last_changed_at=None) for calls in range(1, 8)), TransportError("away"), one(9)], keep=2
    )
    async with scene.watcher:
        await scene.watcher.ready()
        slow, slower = reader(scene), reader(scene)
        for it in (slow, slower):
            received(it)
        await scene.poll(7)
        parser = Parser()
        (coalesced,) = received(slow, parser)
        assert (coalesced.event, coalesced.data["count"], coalesced.data["coalesced"]) == ("call-answered", 7, True)
        # The id of the difference itself is of the end: within it there is no position to continue from.
        assert coalesced.last_event_id == ""
        assert parser.last_event_id == slow.event_id
        assert received(reader(scene, slow.event_id)) == []
        await scene.poll()
        messages = received(slower)
        assert kinds(messages) == ["call-answered", "feed-down"]
        assert calls(messages) == 7
        await scene.poll(1)
        assert kinds(received(slow)) == ["feed-down", "feed-up", "call-answered"]
        assert kinds(received(slower)) == ["feed-up", "call-answered"]


async def test_a_reader_that_fell_behind_over_an_outage_gets_the_end_of_it_first() -> None:
    scene = Scene([one(0), TransportError("away"), one(2), one(3), one(4)], keep=1)
    async with scene.watcher:
        await scene.watcher.ready()
        it, short = reader(scene), reader(scene)
        received(it)
        received(short)
        await scene.poll()
        assert kinds(received(it)) == ["feed-down"]
        await scene.poll(3)
        assert kinds(received(it)) == ["feed-up", "call-answered"]
        # An outage that began and ended unseen is not reported.
        assert kinds(received(short)) == ["call-answered"]


async def test_readers_at_one_position_share_one_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene([one(calls) for calls in range(40)], keep=1)
    made: list[object] = []
    original = Journal._difference

    def counted(journal: Journal, seen: Snapshot, *, was_down: bool) -> journal_module.Entry:
        made.append(seen)
        return original(journal, seen, was_down=was_down)

    monkeypatch.setattr(Journal, "_difference", counted)
    async with scene.watcher:
        await scene.watcher.ready()
        groups = []
        for _ in range(10):
            groups.append([reader(scene) for _ in range(3)])
            for it in groups[-1]:
                received(it)
            await scene.poll()
        await scene.poll(3)
        for group in groups:
            for it in group:
                assert kinds(received(it)) == ["call-answered"]
        assert len(made) == len(groups)
        assert len(scene.journal._coalesced) == 8


async def test_the_journal_is_bounded_by_events_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MOST_EVENTS", 5)
    scene = Scene([team(4, calls) for calls in range(4)])
    async with scene.watcher:
        await scene.watcher.ready()
        await scene.poll(3)
        assert len(scene.journal._entries) == 1


async def test_the_first_status_after_an_outage_at_the_start_starts_anew() -> None:
    scene = Scene([TransportError("never"), one(5), one(6)])
    it = reader(scene)
    async with scene.watcher:
        await scene.poll()
        (down,) = received(it)
        assert (down.data["agents"], down.data["observed_at"]) == ([], None)
        assert down.data["feed_down"] == {"since": None, "error": "never"}
        await scene.poll()
        (up,) = received(it)
        assert (up.event, up.data["reason"], up.data["feed_down"]) == ("snapshot", "first-status", None)
        assert len(up.data["agents"]) == 1
        await scene.poll()
        assert kinds(received(it)) == ["call-answered"]
        assert kinds(received(reader(scene, up.last_event_id))) == ["call-answered"]


async def test_a_journal_of_a_feed_that_is_running_begins_with_its_status() -> None:
    scene = Scene([one(0), TransportError("away")])
    async with scene.watcher:
        await scene.watcher.ready()
        late = Journal(scene.watcher)
        assert kinds(received(Reader(late, EVERYTHING, None))) == ["snapshot"]
        await scene.poll()
        later = Journal(scene.watcher)
        (message,) = received(Reader(later, EVERYTHING, None))
        assert message.data["feed_down"]["error"] == "away"
        assert message.data["feed_down"]["since"] == one(0).observed_at.isoformat()


async def test_an_outage_is_told_without_the_platforms_words() -> None:
    scene = Scene([one(0)])
    async with scene.watcher:
        await scene.watcher.ready()
        down = FeedDown(error=AuthError(601, "appid=secret"), since=None)
        entry = journal_module.Entry(1, (down,), None, is_down=True)
        assert b"601" in entry.lines[0]
        assert b"secret" not in entry.lines[0]


async def test_a_filter_passes_exactly_the_matching_events_and_those_of_the_feed() -> None:
    def state(calls: int) -> Snapshot:
        pairs = [("a", "1"), ("a", "2"), ("b", "1")]
        return snapshot(*(agent(it, queue=queue, calls_answered=calls) for queue, it in pairs), at=calls)

    scene = Scene([state(0), state(1), TransportError("away"), state(2)])
    wanted = {
        "queue=a&queue=x": ["a 1", "a 2", "None None", "None None", "a 1", "a 2"],
        "extension=1": ["a 1", "b 1", "None None", "None None", "a 1", "b 1"],
        "queue=a&extension=2&event=call-answered": ["a 2", "a 2"],
        "event=feed-down&event=feed-up": ["None None"] * 2,
        "event=agent-left": [],
    }
    async with scene.watcher:
        await scene.watcher.ready()
        readers = {query: reader(scene, wanted=Wanted.of(parse_qsl(query))) for query in wanted}
        starts = {query: received(it) for query, it in readers.items()}
        await scene.poll(3)
        for query, it in readers.items():
            messages = received(it)
            assert [f"{one.data.get('queue')} {one.data.get('extension')}" for one in messages] == wanted[query]
        (start,) = starts["queue=a&queue=x"]
        assert [it["extension"] for it in start.data["agents"]] == ["1", "2"]
        assert (start.data["absent_queues"], start.data["absent_extensions"]) == (["x"], [])


async def test_the_status_of_a_few_filters_is_shared() -> None:
    scene = Scene([one(0)])
    async with scene.watcher:
        await scene.watcher.ready()
        for number in range(20):
            received(reader(scene, wanted=Wanted.of([("queue", f"q{number}")])))
        assert len(scene.journal._statuses) == 8


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([("queues", "a")], "unknown parameter; there are: queue, extension, event"),
        ([("queue", "")], "the parameter queue is empty: give a name, or leave it out for all"),
        ([("event", "agent-joined"), ("event", "nothing")], f"unknown event; there are: {', '.join(KINDS)}"),
    ],
)
def test_an_invalid_filter_is_refused_with_what_there_is(query: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Wanted.of(query)
    assert str(error.value) == message


STEPS = st.lists(st.tuples(snapshots() | st.just(TransportError("away")), st.booleans(), st.booleans()), min_size=1)


@given(steps=STEPS, keep=st.integers(1, 4))
async def test_a_readers_events_replay_to_the_present_status(
    steps: list[tuple[Snapshot | TransportError, bool, bool]], keep: int
) -> None:
    """It may read now and then, reconnect at any event, and fall behind."""
    scene = Scene([one(0), *(answer for answer, _, _ in steps)], keep=keep)
    async with scene.watcher:
        await scene.watcher.ready()
        it, parser = reader(scene), Parser()
        known: dict[tuple[str, str], str] = {}
        for _, reconnects, reads in steps:
            await scene.poll()
            if reconnects:
                it = reader(scene, parser.last_event_id or None)
            if reads:
                _fold(known, received(it, parser))
        _fold(known, received(it, parser))
        present = scene.watcher.snapshot
        assert present is not None
        assert known == {(key.queue, key.extension): record.state.value for key, record in present.items()}


def _fold(known: dict[tuple[str, str], str], messages: Iterable[Message]) -> None:
    """Keep the state of each seat, as a program does that reads the stream."""
    for message in messages:
        data, seat = message.data, (message.data.get("queue"), message.data.get("extension"))
        match message.event:
            case "snapshot":
                known.clear()
                known.update({(it["queue"], it["extension"]): it["state"] for it in data["agents"]})
            case "agent-joined":
                known[seat] = data["agent"]["state"]
            case "agent-left":
                del known[seat]
            case "state-changed":
                assert known[seat] == data["before"]
                known[seat] = data["after"]
            case _:
                pass
