"""Ids that other wallboards of one relay, and later runs of a wallboard, understand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest

from sipqueue_async import FeedDown, FeedUp, Snapshot, StatusWatcher, TransportError, diff
from sipqueue_async._replay import Past, Place, Replayed
from sipqueue_async.redis import RelayError
from sipqueue_async.wallboard import Wallboard
from sipqueue_async.wallboard.journal import Journal
from sipqueue_async.wallboard.places import Mark, Places, Position, Publication
from sipqueue_async.wallboard.reader import Reader, Wanted
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.sse import Message, Parser
from tests.kit.sse import Reader as HttpReader
from tests.kit.wallboard_stage import NEVER

TAG: Final = "0a1b2c3d"


def name(number: int) -> str:
    return f"{TAG}-{number}-0"


class Relayed(StatusWatcher):
    """A feed whose polls are the publications of a relay, from one of them on. It can read the earlier ones.

    Args:
        history: The publications: snapshots and outages.
        start: The number of the first one that it receives.
    """

    def __init__(self, history: Sequence[Snapshot | BaseException], start: int = 0) -> None:
        super().__init__(ScriptedSource(history[start:]), interval=NEVER, leave_after=1)
        self.history = history
        self.number = start
        self.error: Exception | None = None
        """The error that `replay` raises."""
        self.replays = 0
        self.is_exact = True
        self.on_replay: Callable[[], Awaitable[object]] | None = None
        self.add_listener(self._count)
        self._is_first = True

    def _count(self, _health: object) -> None:
        self.number += not self._is_first
        self._is_first = False

    @property
    def place(self) -> Place | None:
        return None if self.snapshot is None else Place(name(self.number), self.is_exact)

    async def replay(self, given: str, known: Snapshot, *, is_down: bool, most: int, most_events: int) -> Past | None:
        self.replays += 1
        if self.on_replay is not None:
            await self.on_replay()
        assert (most > 0, most_events > 0) == (True, True)
        if self.error is not None:
            raise self.error
        end = int(given.split("-")[1])
        if end == 0:
            return None
        found, last = [], self.history[0]
        assert isinstance(last, Snapshot)
        for number, (before, now) in enumerate(pairwise(self.history[: end + 1]), start=1):
            events: list[object] = []
            if isinstance(now, Snapshot):
                if not isinstance(before, Snapshot):
                    gap = now.observed_at - last.observed_at
                    events.append(FeedUp(observed_at=now.observed_at, outage=gap, failures=1))
                events += diff(last, now)
                last = now
            else:
                events.append(FeedDown(error=now, since=last.observed_at))
            found.append(
                Replayed(
                    name=name(number), events=tuple(events), snapshot=last,  # type: ignore[arg-type]
                    is_down=not isinstance(now, Snapshot), coalesced=False,
                )
            )  # fmt: skip
        assert known == last
        return Past(start=name(0), was_down=False, publications=tuple(found))


class Wall:
    """A wallboard's journal, and the feed that it follows."""

    def __init__(self, feed: Relayed, keep: int = 1000) -> None:
        self.feed = feed
        self.journal = Journal(feed, keep=keep)

    async def poll(self, number: int = 1) -> None:
        for _ in range(number):
            await asyncio.gather(self.feed.refresh(), return_exceptions=True)

    async def read(self, last: str | None = None) -> list[Message]:
        """Return all that a program receives that continues from an id."""
        reader = Reader(self.journal, Wanted(), last)
        if reader.needs_past:
            await self.journal.recall()
        parser, found = Parser(last or ""), list[Message]()
        while (part := reader.next()) is not None:
            found += parser.feed(b"".join(part))
        return found


def team(calls: int) -> Snapshot:
    return snapshot(*(agent(str(it), calls_answered=calls) for it in range(3)), at=calls)


AWAY = TransportError("away")
HISTORY: Final = (team(0), team(1), team(2), AWAY, team(4), snapshot(at=5), team(6), AWAY, team(8), team(8), team(9))


def told(messages: Sequence[Message]) -> list[object]:
    return [(it.event, it.data.get("extension"), it.data.get("observed_at")) for it in messages]


@pytest.mark.parametrize("start", [1, 4, 6, 10])
async def test_every_id_of_one_wallboard_continues_on_another_with_the_next_event(start: int) -> None:
    first, later = Wall(Relayed(HISTORY)), Wall(Relayed(HISTORY, start))
    async with first.feed, later.feed:
        await first.feed.ready()
        await later.feed.ready()
        (begun,) = await first.read()
        await first.poll(10)
        await later.poll(10 - start)
        everything = [begun, *await first.read(begun.last_event_id)]
        assert len(everything) > 20
        places = list(enumerate(everything, start=1))
        random.Random(start).shuffle(places)
        for place, message in places:
            assert told(await later.read(message.last_event_id)) == told(everything[place:]), message
            # Its own ids continue too.
        again = await later.read(begun.last_event_id)
        for place, message in enumerate(again, start=1):
            assert told(await later.read(message.last_event_id)) == told(again[place:])
            assert told(await first.read(message.last_event_id)) == told(again[place:])
        assert later.feed.replays == 1


async def test_a_program_that_was_at_the_end_continues_on_a_wallboard_that_starts_there() -> None:
    first, later = Wall(Relayed(HISTORY)), Wall(Relayed(HISTORY, 2))
    async with first.feed, later.feed:
        await first.feed.ready()
        await first.poll(2)
        (message,) = await first.read()
        await later.feed.ready()
        assert await later.read(message.last_event_id) == []
        assert later.feed.replays == 0
        await later.poll()
        assert [it.event for it in await later.read(message.last_event_id)] == ["feed-down"]


async def test_an_outage_that_a_wallboard_starts_with_is_told_once_to_those_who_do_not_know_it() -> None:
    """Redis or the relay is away: that is not in the stream."""
    first = Wall(Relayed(HISTORY))
    late = Relayed((*HISTORY[:3], AWAY), 2)
    async with first.feed, late:
        await first.feed.ready()
        (begun,) = await first.read()
        await first.poll(2)
        last = (await first.read(begun.last_event_id))[-1]
        await late.ready()
        await asyncio.gather(late.refresh(), return_exceptions=True)
        late.number = 2
        later = Wall(late)
        late.number = 2
        await later.poll()
        late.number = 2
        (anew,) = await later.read()
        assert anew.data["feed_down"] is not None
        events = [it.event for it in await later.read(begun.last_event_id)]
        assert (events.count("call-answered"), events[-1], events.count("feed-down")) == (6, "feed-down", 1)
        assert [it.event for it in await later.read(last.last_event_id)] == ["feed-down"]
        assert await later.read(anew.last_event_id) == []


async def test_without_the_relays_stream_a_program_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    first = Wall(Relayed(HISTORY))
    async with first.feed:
        await first.feed.ready()
        (begun,) = await first.read()
        for error, replays in ((TransportError("Redis is away"), 2), (RelayError("no permission"), 1)):
            later = Wall(Relayed(HISTORY, 2))
            later.feed.error = error
            async with later.feed:
                await later.feed.ready()
                for _ in range(2):
                    (anew,) = await later.read(begun.last_event_id)
                    assert (anew.event, anew.data["reason"]) == ("snapshot", "restarted")
                assert later.feed.replays == replays
                assert f"cannot be read: {error}" in caplog.text
        # The stream has nothing before its first publication.
        early = Wall(Relayed(HISTORY))
        async with early.feed:
            await early.feed.ready()
            for text in (f"{'0' * 16}-0.0~{TAG}-7-0u", f"{'0' * 16}-0.0~{TAG}-0-0d", f"{'0' * 16}-0.0~x"):
                (anew,) = await early.read(text)
                assert anew.data["reason"] == "restarted"


async def test_programs_that_come_at_the_same_time_share_one_read() -> None:
    first, later = Wall(Relayed(HISTORY)), Wall(Relayed(HISTORY, 4))
    async with first.feed, later.feed:
        await first.feed.ready()
        (begun,) = await first.read()
        await first.poll(4)
        await later.feed.ready()
        later.feed.error = TransportError("away")
        later.feed.on_replay = lambda: asyncio.sleep(0)
        await asyncio.gather(*(later.journal.recall() for _ in range(5)))
        assert later.feed.replays == 1
        later.feed.error = None
        found = await asyncio.gather(*(later.read(begun.last_event_id) for _ in range(5)))
        assert later.feed.replays == 2
        assert len({str(it) for it in found}) == 1


async def test_updates_that_fill_the_journal_during_the_read_win() -> None:
    first, later = Wall(Relayed(HISTORY)), Wall(Relayed(HISTORY, 1), keep=4)

    async def fill() -> None:
        await later.poll(8)

    later.feed.on_replay = fill
    async with first.feed, later.feed:
        await first.feed.ready()
        await later.feed.ready()
        (begun,) = await first.read()
        (anew,) = await later.read(begun.last_event_id)
        assert anew.event == "snapshot"
        assert len(later.journal._places._ends) <= 8
        assert len(later.journal._places._publications) == 4


async def test_a_status_that_becomes_known_late_is_where_the_past_ends() -> None:
    first, late = Wall(Relayed(HISTORY)), Relayed((AWAY, *HISTORY[1:3]))
    later = Wall(late)
    async with first.feed, late:
        await first.feed.ready()
        (begun,) = await first.read()
        await first.poll(2)
        await asyncio.gather(late.refresh(), return_exceptions=True)
        await later.poll(2)
        late.history = HISTORY
        assert [it.event for it in await later.read(begun.last_event_id)].count("call-answered") == 6


async def test_events_that_differ_from_the_publication_have_no_places_within() -> None:
    wall = Wall(Relayed(HISTORY))
    async with wall.feed:
        await wall.feed.ready()
        (begun,) = await wall.read()
        wall.feed.is_exact = False
        await wall.poll()
        messages = await wall.read(begun.last_event_id)
        assert ["~" in it.last_event_id for it in messages] == [False, False, True]


def test_a_reader_that_another_wallboard_served_faster_is_recognised() -> None:
    journal = Journal(Relayed(HISTORY))
    ahead = f"{'0' * 16}-0.0~{TAG}-10-0u"
    assert not journal.is_ahead(ahead)
    journal._place = Place(name(9), is_exact=True)
    assert journal.is_ahead(ahead)
    assert not journal.is_ahead(ahead.replace("-10-", "-9-"))
    assert not journal.is_ahead(ahead.replace(TAG, "00000000"))


async def test_a_wallboard_that_is_behind_another_one_catches_up_before_it_answers() -> None:
    feed = Relayed(HISTORY)
    async with Wallboard(feed) as wallboard, feed:
        await feed.ready()
        async with HttpReader(wallboard.port, last_event_id=f"{'0' * 16}-0.0~{TAG}-1-0u") as program:
            while not program.status:
                assert await program.read() == []
            await feed.refresh()
            await feed.refresh()
            message = await program.next()
            assert (message.event, message.data["observed_at"]) == ("call-answered", team(2).observed_at.isoformat())


def test_a_place_is_found_only_where_a_reader_knows_the_same_of_the_feed() -> None:
    places = Places(2)
    places.note("a", Position(1, 0), is_down=False)
    places.note("a", Position(2, 0), is_down=True)
    assert places.find(Mark("a", None, True)) == Position(2, 0)
    places.note("b", Position(3, 0), is_down=False)
    assert places.find(Mark("a", None, False)) is None
    events = diff(team(0), team(1))
    entry = Publication(4, events, None, False, place="c", is_exact=True)
    places.add(entry)
    places.add(Publication(4, events, None, False))
    assert [places.find(Mark("c", number, down)) for number, down in ((3, False), (4, False), (1, True))] == [
        Position(4, 3), None, None,
    ]  # fmt: skip
    places.drop(Publication(4, events, None, False))
    assert places.find(Mark("c", 1, False)) == Position(4, 1)
    assert Publication(4, events, None, False).mark(Position(4, 1)) is None


def test_a_place_is_not_found_once_the_events_after_it_are_dropped() -> None:
    """Outages without a publication lead back to the same place."""
    places = Places(10)
    down, up = FeedDown(error=AWAY, since=None), FeedUp(observed_at=team(0).observed_at, outage=timedelta(), failures=1)
    places.note("a", Position(0, 0), is_down=False)
    places.note("a", Position(1, 1), is_down=True)
    places.note("a", Position(2, 1), is_down=False)
    places.drop(Publication(1, (down,), None, True, place="a"))
    places.drop(Publication(2, (up,), None, False, place="a"))
    assert places.find(Mark("a", None, True)) is None
    assert places.find(Mark("a", None, False)) == Position(2, 1)


def test_only_a_mark_is_read_as_one() -> None:
    assert Mark.parse(f"{TAG}-1-0.3d") == Mark(name(1), 3, True)
    assert [Mark.parse(it) for it in ("", "x" * 5000, f"{TAG}-1-0", f"{TAG}-1-0u\n", f"{TAG}-1-0.u")] == [None] * 5
