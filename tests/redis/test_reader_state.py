"""What a reader knows and tells, publication by publication and trouble by trouble."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sipqueue_async import (
    AgentJoined,
    AgentState,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedEvent,
    FeedUp,
    SeatKey,
    Snapshot,
    StateChanged,
    TransportError,
    Update,
    apply,
    diff,
)
from sipqueue_async.redis.publication import Change
from sipqueue_async.redis.reader_state import ReaderState
from sipqueue_async.redis.store import Entry, Reading, State
from sipqueue_async.tally import Tally
from tests.kit.builders import START, agent, snapshot
from tests.kit.publications import change_of
from tests.kit.strategies import chains_without_reset

AWAY = TransportError("Redis is away")
PLATFORM_DOWN = FeedDown(error=TransportError("the platform is away"), since=START)
PLATFORM_UP = FeedUp(observed_at=START + timedelta(seconds=60), outage=timedelta(seconds=60), failures=3)
BEFORE, AFTER = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=60)
NOW = 1_000_000
"""Redis's clock, in ms."""
LEASE = 10.0
SILENT = NOW - 20_001
"""When a relay was last heard of that is there no more."""


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def follower(baseline: Snapshot | None = None, *, initial: bool = False, clock: Clock | None = None) -> ReaderState:
    """Return a reader's bookkeeping with the defaults of a feed."""
    return ReaderState(baseline, initial=initial, clock=clock or Clock())


def state(known: Snapshot | None, feed: FeedEvent | None = None, *, entry: str = "7-0", sequence: int = 7) -> State:
    """Return everything that is published."""
    return State(entry=entry, sequence=sequence, lock="1 me" if entry else "", snapshot=known, feed=feed)


def reading(whole: State | None = None, *, alive: int = NOW, now: int = NOW, seen: datetime | None = None) -> Reading:
    """Return what a reader finds; entries are taken before."""
    if seen is None and whole is not None and whole.snapshot is not None:
        seen = whole.snapshot.observed_at
    return Reading(now=now, alive=alive, lease=LEASE, seen=seen, entries=(), state=whole)


def reader_at(known: Snapshot) -> ReaderState:
    """Return a reader that knows this, and that all is well."""
    it = follower()
    assert it.looked(reading(state(known))) is None
    return it


def only(update: Update | None) -> FeedEvent:
    """Return an update's one event, which is about the feed."""
    assert update is not None
    (event,) = update.events
    assert isinstance(event, FeedDown | FeedUp)
    return event


def kinds(update: Update | None) -> list[type]:
    """Return the classes of what is told."""
    return [] if update is None else [type(event) for event in update.events]


class TestBeginning:
    def test_what_is_known_is_no_news(self) -> None:
        """A reader's start is told as everybody joining."""
        it = follower()
        assert it.looked(reading(state(BEFORE))) is None
        assert (it.snapshot, it.entry, it.sequence, it.is_up) == (BEFORE, "7-0", 7, True)
        assert (it.seen, it.trouble, it.resyncs) == (START, None, 0)

    def test_with_initial_everybody_joins(self) -> None:
        """A consumer that wants to start from events alone has no start."""
        update = follower(initial=True).looked(reading(state(BEFORE)))
        assert kinds(update) == [AgentJoined, AgentJoined]
        assert update is not None
        assert (update.previous, update.snapshot, update.sequence, update.coalesced) == (None, BEFORE, 7, False)

    @pytest.mark.parametrize("initial", [False, True])
    def test_with_a_baseline_it_is_the_difference(self, initial: bool) -> None:
        """What happened while a reader was down is lost."""
        it = follower(BEFORE, initial=initial)
        assert (it.snapshot, it.is_up) == (BEFORE, False)
        update = it.looked(reading(state(AFTER)))
        assert kinds(update) == [StateChanged]
        assert update is not None
        assert (update.previous, update.snapshot) == (BEFORE, AFTER)
        assert it.resyncs == 0

    @pytest.mark.parametrize("whole", [True, False])
    def test_what_is_known_first_after_an_outage_is_no_change_of_anything(self, whole: bool) -> None:
        """A tally, or a consumer that fell behind, takes those who were there from the start for nobody, or for new."""
        it = follower()
        it.failed(AWAY)
        update = it.looked(reading(state(BEFORE))) if whole else it.took(change_of(None, BEFORE, follows=""), "7-0")
        assert update is not None
        assert (kinds(update), update.previous, update.snapshot) == ([FeedUp], BEFORE, BEFORE)
        tally = Tally()
        tally.update(update)
        assert tally.total.signed_in == 2

    def test_it_may_be_before_the_first_publication(self) -> None:
        """A reader that was started before its relay is told of nothing, or of everybody."""
        it = follower()
        nothing = state(None, entry="", sequence=0)
        down = only(it.looked(reading(nothing, alive=0)))
        assert isinstance(down, FeedDown)
        assert "is one running, and with this prefix?" in str(down.error)
        assert not it.is_up
        assert it.looked(reading(nothing, alive=0)) is None
        update = it.looked(reading(state(BEFORE)))
        assert kinds(update) == [FeedUp]
        assert it.is_up

    @pytest.mark.parametrize("initial", [False, True])
    def test_the_first_publication_may_come_as_an_entry(self, initial: bool) -> None:
        """A platform that was reached for the first time is told as nothing, or as everybody joining unasked."""
        it = follower(initial=initial)
        it.looked(reading(state(None, PLATFORM_DOWN)))
        assert (it.is_up, it.trouble) == (False, PLATFORM_DOWN.error)
        update = it.took(change_of(None, BEFORE, PLATFORM_UP), "8-0")
        assert kinds(update) == [FeedUp, *[AgentJoined] * (2 * initial)]
        assert it.snapshot == BEFORE

    def test_a_baseline_stays_until_the_platform_is_seen(self) -> None:
        """A platform that is away reads as everybody having left."""
        it = follower(BEFORE)
        update = it.looked(reading(state(None, PLATFORM_DOWN)))
        assert only(update) is PLATFORM_DOWN
        assert it.snapshot == BEFORE


class TestChanges:
    def test_a_publication_is_told_as_it_is(self) -> None:
        """A change is lost on the way, or told as another one."""
        it = reader_at(BEFORE)
        update = it.took(change_of(BEFORE, AFTER), "8-0")
        assert update == Update(
            sequence=8, snapshot=AFTER, previous=BEFORE, events=diff(BEFORE, AFTER), coalesced=False
        )
        assert (it.entry, it.sequence, it.seen) == ("8-0", 8, AFTER.observed_at)

    def test_one_that_stands_for_several_says_so(self) -> None:
        """A consumer takes what happened during an outage for one moment's doing."""
        update = reader_at(BEFORE).took(change_of(BEFORE, AFTER, coalesced=True), "8-0")
        assert update is not None
        assert update.coalesced

    def test_who_did_not_change_is_the_same_object(self) -> None:
        """Each snapshot of a fleet is a fleet in memory, and comparing two of them takes as long."""
        it = reader_at(BEFORE)
        it.took(change_of(BEFORE, AFTER), "8-0")
        assert it.snapshot is not None
        assert it.snapshot["queue-1", "2"] is BEFORE["queue-1", "2"]
        copied = Snapshot([attrs.evolve(each) for each in AFTER.values()], observed_at=AFTER.observed_at)
        it = reader_at(BEFORE)
        it.looked(reading(state(copied, entry="9-0")))
        assert it.snapshot is not None
        assert it.snapshot == AFTER
        assert it.snapshot["queue-1", "2"] is BEFORE["queue-1", "2"]

    def test_a_publication_that_nobody_is_told_of_moves_the_place_all_the_same(self) -> None:
        """The next publication does not follow, and everything is read anew."""
        it = reader_at(BEFORE)
        assert it.took(change_of(BEFORE, snapshot(*BEFORE.values(), at=5)), "8-0") is None
        assert (it.entry, it.sequence, it.seen) == ("8-0", 8, START + timedelta(seconds=5))


class TestResync:
    def test_it_is_the_difference_to_what_was_seen_last(self) -> None:
        """A reader that was away for too long loses what happened, or is told twice."""
        it = reader_at(BEFORE)
        newest = snapshot(agent("1", calls_answered=3), at=99)
        update = it.looked(reading(state(newest, entry="900-0", sequence=900)))
        assert update is not None
        assert update.events == diff(BEFORE, newest)
        assert (update.previous, update.snapshot, update.sequence, update.coalesced) == (BEFORE, newest, 900, True)
        assert (it.resyncs, it.entry, it.seen) == (1, "900-0", newest.observed_at)

    def test_without_a_difference_there_is_nothing_to_tell(self) -> None:
        """A reader is woken for nothing."""
        it = reader_at(BEFORE)
        assert it.looked(reading(state(BEFORE, entry="900-0"))) is None
        assert it.resyncs == 1

    def test_where_nothing_is_published_any_more_nobody_leaves(self) -> None:
        """Redis was emptied, and everybody is told to have left."""
        it = reader_at(BEFORE)
        emptied = reading(state(None, entry="", sequence=0), alive=0)
        assert it.is_old(emptied)
        assert it.snapshot == BEFORE


class TestFeed:
    def test_the_platform_goes_down_and_up(self) -> None:
        """An outage of the platform goes unsaid, or is told in other words than the relay's."""
        it = reader_at(BEFORE)
        assert only(it.took(change_of(BEFORE, BEFORE, PLATFORM_DOWN), "8-0")).kind == "feed-down"
        assert not it.is_up
        assert str(it.trouble) == "the platform is away"
        assert it.took(change_of(BEFORE, BEFORE), "9-0") is None
        update = it.took(change_of(BEFORE, AFTER, PLATFORM_UP), "10-0")
        assert kinds(update) == [FeedUp, StateChanged]
        assert update is not None
        assert update.events[0] == PLATFORM_UP
        assert (it.is_up, it.trouble) == (True, None)

    def test_what_is_seen_before_an_outage_is_told_before(self) -> None:
        """A change is told while the feed is down."""
        update = reader_at(BEFORE).took(change_of(BEFORE, AFTER, PLATFORM_DOWN), "8-0")
        assert kinds(update) == [StateChanged, FeedDown]

    def test_no_relay_is_there(self) -> None:
        """A reader goes on to show what was so when the last relay died."""
        it = reader_at(BEFORE)
        assert it.looked(reading(alive=NOW - 20_000)) is None, "two leases of silence are allowed"
        down = only(it.looked(reading(alive=SILENT)))
        assert isinstance(down, FeedDown)
        said = "no relay is there: the last one was heard of at 1970-01-01 00:16:19 UTC"
        assert (str(down.error), down.since) == (said, START)
        assert it.looked(reading(alive=SILENT, now=NOW + 1000)) is None
        later = START + timedelta(seconds=45)
        up = only(it.looked(reading(alive=NOW + 2000, now=NOW + 2000, seen=later)))
        assert up == FeedUp(observed_at=later, outage=timedelta(seconds=45), failures=2)

    def test_a_clock_that_was_set_back_is_no_silence(self) -> None:
        """A Redis whose clock is behind the one before reads as a relay that has died."""
        it = reader_at(BEFORE)
        assert it.looked(reading(alive=NOW, now=NOW - 3_600_000)) is None

    def test_redis_is_away(self) -> None:
        """A reader that cannot know anything pretends to."""
        it = reader_at(BEFORE)
        update = it.failed(AWAY)
        assert only(update) == FeedDown(error=AWAY, since=START)
        assert update is not None
        assert update.snapshot is update.previous is it.snapshot
        assert it.failed(TransportError("still")) is None
        assert (it.failures, it.is_up, str(it.trouble)) == (2, False, "still")
        update = it.took(change_of(BEFORE, AFTER), "8-0")
        assert kinds(update) == [FeedUp, StateChanged]
        assert update is not None
        assert update.events[0] == FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=60), failures=2)
        assert it.failures == 0

    def test_an_outage_from_the_start_is_counted_from_then(self) -> None:
        """Nobody learns how long it took until anything was known."""
        clock = Clock()
        it = follower(clock=clock)
        clock.now = 100.0
        down = only(it.failed(AWAY))
        assert isinstance(down, FeedDown)
        assert down.since is None
        clock.now = 107.5
        up = only(it.looked(reading(state(BEFORE))))
        assert up == FeedUp(observed_at=START, outage=timedelta(seconds=7.5), failures=1)

    def test_an_outage_is_never_less_than_nothing(self) -> None:
        """Two relays whose clocks differ make an outage end before it began."""
        it = reader_at(AFTER)
        it.failed(AWAY)
        up = only(it.looked(reading(seen=START)))
        assert up == FeedUp(observed_at=START, outage=timedelta(0), failures=1)

    def test_the_platform_came_back_while_redis_was_away(self) -> None:
        """An outage is told as shorter than it was, because the last of its reasons was."""
        it = reader_at(BEFORE)
        it.failed(AWAY)
        down = FeedDown(error=TransportError("the platform is away"), since=START + timedelta(seconds=40))
        assert it.took(change_of(BEFORE, snapshot(*BEFORE.values(), at=40), down), "8-0") is None
        up = FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=20), failures=7)
        update = it.took(change_of(BEFORE, AFTER, up), "9-0")
        assert update is not None
        assert update.events[0] == FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=60), failures=1)

    def test_an_outage_that_was_missed_is_told_by_what_is_known_now(self) -> None:
        """A reader that was away when the platform came back waits for that for ever."""
        it = reader_at(BEFORE)
        it.took(change_of(BEFORE, BEFORE, PLATFORM_DOWN), "8-0")
        update = it.looked(reading(state(AFTER, PLATFORM_UP, entry="99-0")))
        assert update is not None
        assert update.events == (PLATFORM_UP, *diff(BEFORE, AFTER))

    def test_when_the_platform_was_seen_is_known_from_what_is_published(self) -> None:
        """A relay that has never seen the platform itself makes readers forget when an earlier one did."""
        it = follower()
        it.looked(attrs.evolve(reading(state(BEFORE, PLATFORM_DOWN)), seen=None))
        assert it.seen == START

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    @pytest.mark.parametrize("back", list(itertools.permutations(range(3))))
    def test_three_reasons_are_one_condition(self, order: Sequence[int], back: Sequence[int]) -> None:
        """With two things wrong at once the feed goes down twice, or comes up while one of them still is."""
        told: list[type] = []
        it = reader_at(BEFORE)
        alive, redis, platform = True, True, True

        def step() -> None:
            if not redis:
                told.extend(kinds(it.failed(AWAY)))
                return
            published = PLATFORM_UP if platform else PLATFORM_DOWN
            told.extend(kinds(it.looked(reading(state(BEFORE, published), alive=NOW if alive else SILENT))))

        for number, reason in enumerate(order):
            alive, redis, platform = alive and reason != 0, redis and reason != 1, platform and reason != 2
            step()
            assert told == [FeedDown], f"after {number + 1}"
            assert not it.is_up
        for number, reason in enumerate(back):
            alive, redis, platform = alive or reason == 0, redis or reason == 1, platform or reason == 2
            step()
            assert told == [FeedDown, *[FeedUp] * (number == 2)], f"after {number + 1} of {back}"
        assert it.is_up
        assert (it.failures, it.trouble) == (0, None)


class TestLoss:
    def test_what_is_older_than_what_is_known_is_no_news(self) -> None:
        """A Redis that has lost its last writes makes readers undo what they were told, and then redo it."""
        it = reader_at(BEFORE)
        it.looked(reading(state(AFTER, entry="9-0"), alive=NOW))
        old = reading(state(BEFORE, entry="7-0"), alive=NOW - 5000)
        assert it.is_old(old)
        assert it.is_old(old)
        assert it.snapshot == AFTER

    def test_it_is_news_once_a_relay_confirms_it(self) -> None:
        """A reader refuses for ever to believe a relay, because Redis's clock went back."""
        it = reader_at(AFTER)
        assert it.is_old(reading(state(BEFORE), alive=NOW - 5000))
        confirmed = reading(state(BEFORE, entry="6-9"), alive=NOW - 4000)
        assert not it.is_old(confirmed)
        update = it.looked(confirmed)
        assert update is not None
        assert (update.previous, update.snapshot, update.coalesced) == (AFTER, BEFORE, True)
        assert it.is_old(reading(state(AFTER), alive=NOW - 6000)), "the next loss is one as well"

    def test_what_goes_on_from_what_is_known_is_not_old(self) -> None:
        """A Redis whose clock is behind stops all of its readers."""
        it = reader_at(BEFORE)
        assert not it.is_old(reading(alive=NOW - 5000))
        assert not it.is_old(reading(state(BEFORE), alive=NOW))


# ---- whatever happens ------------------------------------------------------------------------------------------------


class Consumer:
    """Folds what is told."""

    def __init__(self, known: Snapshot) -> None:
        self.known = known
        self.down = False
        self.calls: Counter[tuple[type, SeatKey]] = Counter()

    def take(self, update: Update | None) -> None:
        """Take what is told, if anything."""
        if update is None:
            return
        assert update.events, "an update without events"
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                assert self.down == isinstance(event, FeedUp), "told twice of the same condition"
                self.down = not self.down
            elif isinstance(event, CallAnswered | CallMissed):
                self.calls[type(event), event.key] += event.count
        assert update.previous == self.known
        self.known = apply(self.known, update.events)
        assert self.known == update.snapshot


class Published(RuleBasedStateMachine):
    """A stream that a relay writes, that is trimmed and may lose its end, and a reader who now reads it, now cannot."""

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        """Begin with somebody there, and a reader."""
        self.random = random.Random(seed)
        self.at = 0
        self.platform = {SeatKey("queue-1", str(number)): agent(str(number)) for number in range(3)}
        self.entries: list[Entry] = []
        self.feed: FeedEvent | None = None
        self.now = self.alive = NOW
        self.known = self.shown()
        self.follower = follower()
        self.consumer = Consumer(self.known)
        self.publish()
        assert self.follower.looked(self.found()) is None
        self.first = self.known

    def shown(self) -> Snapshot:
        """Return the platform as it is."""
        return snapshot(*self.platform.values(), at=self.at)

    def publish(self, feed: FeedEvent | None = None) -> None:
        """Publish how things are."""
        after = self.shown()
        number = len(self.entries) + 1
        follows = self.entries[-1].id if self.entries else ""
        change = change_of(self.known, after, feed, sequence=number, follows=follows)
        self.entries.append(Entry(id=f"{self.now}-{number}", change=change))
        self.known, self.feed, self.alive = after, feed or self.feed, self.now

    def found(self) -> Reading:
        """Return what the reader finds: what comes after its entry, if that is there still, or everything."""
        ids = [entry.id for entry in self.entries]
        position = ids.index(self.follower.entry) + 1 if self.follower.entry in ids else None
        whole = state(self.known, self.feed, entry=ids[-1], sequence=len(ids))
        return Reading(
            now=self.now,
            alive=self.alive,
            lease=LEASE,
            seen=self.known.observed_at,
            entries=[] if position is None else self.entries[position:],
            state=whole if position is None else None,
        )

    @rule(calls=st.integers(0, 3), missed=st.integers(0, 2), joins=st.booleans())
    def change(self, calls: int, missed: int, joins: bool) -> None:
        """Something happens, and is published."""
        self.at += 2
        self.now += 2000
        key = self.random.choice(list(self.platform))
        before = self.platform[key]
        self.platform[key] = attrs.evolve(
            before,
            state=self.random.choice(list(AgentState)),
            calls_answered=before.calls_answered + calls,
            no_answer_count=before.no_answer_count + missed,
        )
        if joins:
            new = SeatKey("queue-2", str(len(self.platform)))
            self.platform[new] = agent(new.extension, queue=new.queue)
        self.publish()

    @rule()
    def platform_turns(self) -> None:
        """The platform goes down, or comes back."""
        self.at += 2
        self.now += 2000
        if isinstance(self.feed, FeedDown):
            self.publish(FeedUp(observed_at=self.shown().observed_at, outage=timedelta(seconds=2), failures=1))
        else:
            self.publish(FeedDown(error=TransportError("the platform is away"), since=self.known.observed_at))

    @rule()
    def confirm(self) -> None:
        """The relay says that all is as it was."""
        self.now += 1000
        self.alive = self.now

    @rule()
    def nobody_is_there(self) -> None:
        """The relay is dead for longer than anybody waits."""
        self.now += 30_000

    @rule()
    def trim(self) -> None:
        """All entries but the last are gone."""
        for place, entry in enumerate(self.entries[:-1]):
            self.entries[place] = attrs.evolve(entry, id=f"gone-{place}")

    @rule()
    def redis_is_away(self) -> None:
        """Reading fails."""
        self.consumer.take(self.follower.failed(AWAY))

    @rule()
    def look(self) -> None:
        """The reader looks at how things are, as a feed does."""
        found = self.found()
        assert not self.follower.is_old(found)
        for entry in found.entries:
            self.consumer.take(self.follower.took(entry.change, entry.id))
        self.consumer.take(self.follower.looked(found))
        assert self.follower.snapshot == self.known
        is_well = not isinstance(self.feed, FeedDown) and self.now - self.alive <= 20_000
        assert self.follower.is_up == is_well
        assert self.consumer.down != is_well

    @rule(number=st.integers(1, 3))
    def follow(self, number: int) -> None:
        """The reader is handed what comes next."""
        for entry in self.found().entries[:number]:
            self.consumer.take(self.follower.took(entry.change, entry.id))

    @invariant()
    def what_is_told_is_what_is_known(self) -> None:
        """Folding what is told gives what is known, and the calls add up."""
        assert self.follower.snapshot == self.consumer.known
        assert self.consumer.down != self.follower.is_up
        total: Counter[tuple[type, SeatKey]] = Counter()
        for event in diff(self.first, self.consumer.known):
            if isinstance(event, CallAnswered | CallMissed):
                total[type(event), event.key] += event.count
        known = {key: count for key, count in self.consumer.calls.items() if key[1] in self.first}
        assert known == total


TestPublished = Published.TestCase
TestPublished.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_baseline_that_redis_has_lost_is_kept_until_a_relay_confirms_another() -> None:
    """A reader that goes on after Redis was restored from an older copy undoes what happened, and makes calls up."""
    later = snapshot(agent(calls_answered=5), at=60)
    it, older = follower(later), snapshot(agent(calls_answered=4))
    assert it.is_old(reading(state(older)))
    assert it.is_old(reading(state(older)))
    assert not it.is_old(reading(state(older), alive=NOW + 1)), "a relay says that this is how things are"
    assert not it.is_old(reading(state(later)))
    assert not it.is_old(reading(state(older), seen=later.observed_at)), "nothing has changed since"
    assert not it.is_old(reading(state(None)))


def test_what_is_published_before_anything_is_known_is_told() -> None:
    """A reader that came before the platform was ever reached does not hear why."""
    it = follower()
    assert it.looked(reading(state(None))) is None
    down = FeedDown(error=TransportError("no route"), since=None)
    told = it.took(change_of(None, None, down), "8-0")
    assert isinstance(only(told), FeedDown)
    assert (it.snapshot, it.entry, it.is_up) == (None, "8-0", False)


@given(chain=chains_without_reset(), cuts=st.sets(st.integers(0, 6)))
def test_no_call_is_lost_between_publications_and_resyncs(chain: list[Snapshot], cuts: set[int]) -> None:
    """A call is lost, or told twice, where the stream does not go on and everything is read anew."""
    it, consumer = reader_at(chain[0]), Consumer(chain[0])
    for place, (before, after) in enumerate(itertools.pairwise(chain)):
        entry = f"{place + 8}-0"
        if place in cuts:
            consumer.take(it.looked(reading(state(after, entry=entry, sequence=place + 8))))
        else:
            change: Change = change_of(before, after, sequence=place + 8)
            consumer.take(it.took(change, entry))
    assert consumer.known == chain[-1]
    sums: Counter[tuple[type, SeatKey]] = Counter()
    for event in diff(chain[0], chain[-1]):
        if isinstance(event, CallAnswered | CallMissed):
            sums[type(event), event.key] += event.count
    assert consumer.calls == sums
