"""The publications before a place, read backwards from the stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given

from sipqueue_async import (
    CallAnswered,
    FeedDown,
    FeedEvent,
    FeedUp,
    FieldProblem,
    SeatFilter,
    Snapshot,
    TransportError,
    diff,
)
from sipqueue_async._replay import Past
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.redis.past import Rewind
from sipqueue_async.redis.store import ENTRIES, Entry
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.publications import change_of
from tests.kit.redis_server import RedisServer
from tests.kit.strategies import chains_without_reset
from tests.kit.waiting import until

DOWN = FeedDown(error=TransportError("away"), since=START)
UP = FeedUp(observed_at=START, outage=timedelta(seconds=9), failures=2)


def stream(chain: Sequence[Snapshot], feeds: dict[int, FeedEvent] | None = None) -> list[Entry]:
    """Return the entries of these publications, the newest first; entry 0 is the first publication."""
    entries = [Entry(id="0-0", change=change_of(None, chain[0], follows=""))]
    for number in range(1, len(chain)):
        change = change_of(chain[number - 1], chain[number], (feeds or {}).get(number), follows=f"{number - 1}-0")
        entries.append(Entry(id=f"{number}-0", change=change))
    return entries[::-1]


def rewound(
    entries: list[Entry], last: Snapshot, *, is_down: bool = False, most: int = 1000, **limits: int
) -> Past | None:
    rewind = Rewind(entries[0].id, last, SeatFilter(), most=most, most_events=limits.get("most_events", 1000))
    rewind.take(entries)
    assert rewind.is_done or len(entries) < most
    return rewind.past("t", is_down=is_down)


@given(chain=chains_without_reset())
def test_the_past_has_the_events_that_readers_received_then(chain: list[Snapshot]) -> None:
    past = rewound(stream(chain), chain[-1])
    publications = () if past is None else past.publications
    assert [it.events for it in publications] == [diff(*it) for it in pairwise(chain)]
    assert [dict(it.snapshot) for it in publications] == [dict(it) for it in chain[1:]]


def test_each_publication_has_the_time_and_the_problems_of_its_own_moment() -> None:
    """A reader that falls behind gets the difference from one of them: a counter that was unknown there is no call."""
    missing = FieldProblem("queue-1", "1", "callsanswered", "it is missing")
    chain = [
        snapshot(agent("1"), problems=[missing]),
        snapshot(agent("1", "talking"), at=1, server=1, problems=[missing]),
        snapshot(agent("1", "talking", calls_answered=9), at=2, server=2),
        snapshot(agent("1", calls_answered=9), at=3, server=3),
    ]
    past = rewound(stream(chain), chain[-1])
    assert past is not None
    assert [it.snapshot.to_json() for it in past.publications] == [it.to_json() for it in chain[1:]]


CHAIN = [snapshot(agent("1", calls_answered=calls), at=calls) for calls in range(6)]


@pytest.mark.parametrize(
    ("feeds", "is_down", "downs"),
    [
        ({}, False, [False] * 6),
        ({}, True, [True] * 6),
        ({2: DOWN, 4: UP}, False, [False, False, True, True, False, False]),
        # The same outage, told again by another relay.
        ({2: DOWN, 3: DOWN, 4: UP, 5: UP}, False, [False, False, True, True, False, False]),
        ({3: UP}, False, [True, True, True, False, False, False]),
        ({4: DOWN}, True, [False, False, False, False, True, True]),
        # The reader has a trouble of its own.
        ({2: UP}, True, [True, True, False, False, False, False]),
        # The reader knows of an end that the stream does not have.
        ({4: DOWN}, False, None),
    ],
)
def test_outages_alternate(feeds: dict[int, FeedEvent], is_down: bool, downs: list[bool] | None) -> None:
    past = rewound(stream(CHAIN, feeds), CHAIN[-1], is_down=is_down)
    assert (None if past is None else [past.was_down, *(it.is_down for it in past.publications)]) == downs


def test_it_ends_at_a_gap_at_a_bound_and_at_a_publication_without_a_status() -> None:
    entries = stream(CHAIN)

    def names(past: Past | None) -> list[str]:
        return [] if past is None else [past.start, *(it.name for it in past.publications)]

    assert names(rewound(entries, CHAIN[-1])) == [f"t-{number}-0" for number in range(6)]
    assert names(rewound(entries, CHAIN[-1], most=2)) == ["t-3-0", "t-4-0", "t-5-0"]
    assert names(rewound(entries, CHAIN[-1], most_events=3)) == ["t-2-0", "t-3-0", "t-4-0", "t-5-0"]
    assert names(rewound(entries[:2] + entries[3:], CHAIN[-1])) == ["t-3-0", "t-4-0", "t-5-0"]
    assert names(rewound(entries, CHAIN[-1], most=0)) == []
    unknown = Entry(id="4-0", change=change_of(None, None, DOWN, follows="3-0"))
    assert names(rewound([entries[0], unknown], CHAIN[-1])) == ["t-4-0", "t-5-0"]
    rewind = Rewind("5-0", CHAIN[-1], SeatFilter(), most=9, most_events=9)
    rewind.take(entries[:1])
    assert not rewind.is_done
    rewind.take([])
    assert rewind.is_done


@pytest.mark.one_python
async def test_a_feed_reads_its_past_from_redis_page_by_page(redis_server: RedisServer) -> None:
    chain = [snapshot(agent("1", calls_answered=calls), agent("2"), at=calls) for calls in range(ENTRIES + 20)]
    other = RedisFeed(redis_server.url, extensions="2")
    group = RedisFeed(redis_server.url, group="g", consumer="c")
    feed = RedisFeed(redis_server.url)
    assert (feed.place, group.place) == (None, None)
    async with Relay(ScriptedSource(chain), redis_server.url, interval=0.001), feed, other:
        await until(lambda: feed.snapshot == chain[-1], "all is read")
        await until(lambda: other.place is not None, "the other one has begun")
        assert feed.place is not None
        assert other.place is not None
        assert feed.place.name.partition("-")[0] != other.place.name.partition("-")[0]
        past = await feed.replay(feed.place.name, chain[-1], is_down=False, most=1000, most_events=1000)
        assert past is not None
        assert past.publications[-1].name == feed.place.name
        calls = [event.count for it in past.publications for event in it.events if isinstance(event, CallAnswered)]
        assert sum(calls) > ENTRIES
        # Redis has trimmed it.
        gone = f"{feed.place.name.partition('-')[0]}-1-0"
        assert await feed.replay(gone, chain[-1], is_down=False, most=1000, most_events=1000) is None
