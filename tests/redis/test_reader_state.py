"""What a reader knows and reports, publication by publication and failure by failure."""

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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sipqueue_async import (
    AgentJoined,
    AgentState,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedEvent,
    FeedUp,
    FieldProblem,
    SeatFilter,
    SeatKey,
    Snapshot,
    StateChanged,
    TransportError,
    Update,
    apply,
    diff,
)
from sipqueue_async.redis.reader_state import ReaderState
from sipqueue_async.redis.store import Entry, Head, Reading, State
from sipqueue_async.tally import Tally
from tests.kit.builders import START, agent, snapshot
from tests.kit.publications import change_of
from tests.kit.strategies import chains_without_reset

AWAY = TransportError("Redis is away")
PLATFORM_DOWN = FeedDown(error=TransportError("the platform is away"), since=START)
PLATFORM_UP = FeedUp(observed_at=START + timedelta(seconds=60), outage=timedelta(seconds=60), failures=3)
BEFORE, AFTER = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=60)
LEASE = 10.0


class Reader(ReaderState):
    """A reader's state that sends the same requests as a feed; the test sets its clock."""

    def __init__(
        self, baseline: Snapshot | None = None, *, initial: bool = False, seats: SeatFilter | None = None
    ) -> None:
        self.now = 100.0
        super().__init__(baseline, initial=initial, clock=lambda: self.now, seats=seats)

    def ask(
        self,
        number: int,
        whole: State | None = None,
        *,
        feed: FeedEvent | None = None,
        entries: Sequence[Entry] = (),
        seen: datetime | None = None,
        takes: float = 0.0,
        renewals: int | None = None,
    ) -> list[Update]:
        """Ask Redis once, a second after the last time.

        Args:
            number: Number of confirmations by relays so far.
            whole: The published state, if the stream no longer continues from the reader's entry.
            feed: The last event about the feed.
            entries: The entries after the reader's.
            seen: Time of the last good poll; by default that of the snapshot.
            takes: Duration of the request in seconds.
            renewals: Number of lock renewals, if it differs from `number`.
        """
        self.now += 1
        asked_at, is_sure = self.now, self.is_sure
        self.now += takes
        if seen is None and whole is not None and whole.snapshot is not None:
            seen = whole.snapshot.observed_at
        head = Head(
            confirmed=number,
            renewals=number if renewals is None else renewals,
            lease=LEASE,
            seen=seen,
            feed=feed if whole is None else whole.feed,
        )
        self.observe(head, asked_at, is_whole=not is_sure or whole is not None)
        if not is_sure:
            return updates(self.on_peek(head, whole if self.needs_stale_state(head) else None))
        if whole is None:
            self.on_entries(asked_at, found=bool(entries), is_complete=True)
        told = [self.on_entry(entry) for entry in entries]
        return updates(*told, self.on_reading(Reading(head=head, entries=entries, state=whole)))

    def begin(self, whole: State) -> list[Update]:
        """Start reading while a relay is working; return the updates."""
        return [update for number in (1, 2, 2) for update in self.ask(number, whole)]

    def take(
        self, before: Snapshot | None, after: Snapshot, feed: FeedEvent | None = None, at: int = 8
    ) -> Update | None:
        """Apply the next entry."""
        return self.on_entry(Entry(id=f"{at}-0", change=change_of(before, after, feed, sequence=at, confirmed=at)))


def updates(*told: Update | None) -> list[Update]:
    """Return the updates without None."""
    return [update for update in told if update is not None]


def state(known: Snapshot | None, feed: FeedEvent | None = None, *, entry: str = "7-0", sequence: int = 7) -> State:
    """Return a complete published state."""
    return State(entry=entry, sequence=sequence, lock="1 me" if entry else "", snapshot=known, feed=feed)


def reader_at(known: Snapshot) -> Reader:
    """Return a reader that has this snapshot and whose feed is up."""
    reader = Reader()
    assert reader.begin(state(known)) == []
    assert reader.is_up
    return reader


def only(told: Sequence[Update] | Update | None) -> FeedEvent:
    """Return the single event, which must be about the feed."""
    found = updates(told) if isinstance(told, Update | None) else told
    (event,) = [event for update in found for event in update.events]
    assert isinstance(event, FeedDown | FeedUp)
    return event


def kinds(*told: Update | None) -> list[type]:
    """Return the classes of the events."""
    return [type(event) for update in updates(*told) for event in update.events]


class TestBeginning:
    def test_the_first_snapshot_yields_no_events(self) -> None:
        reader = Reader()
        assert reader.begin(state(BEFORE)) == []
        assert (reader.snapshot, reader.entry, reader.sequence, reader.is_up) == (BEFORE, "7-0", 7, True)
        assert (reader.seen, reader.trouble, reader.resyncs) == (START, None, 0)

    def test_with_initial_everybody_joins(self) -> None:
        (update,) = Reader(initial=True).begin(state(BEFORE))
        assert kinds(update) == [AgentJoined, AgentJoined]
        assert (update.previous, update.snapshot, update.sequence, update.coalesced) == (None, BEFORE, 7, False)

    @pytest.mark.parametrize("initial", [False, True])
    def test_with_a_baseline_it_is_the_difference(self, initial: bool) -> None:
        reader = Reader(BEFORE, initial=initial)
        assert (reader.snapshot, reader.is_up) == (BEFORE, False)
        (update,) = reader.begin(state(AFTER))
        assert (kinds(update), update.previous, update.snapshot) == ([StateChanged], BEFORE, AFTER)
        assert reader.resyncs == 0

    def test_old_data_is_not_up_to_date(self) -> None:
        """A reader accepts the data in Redis only after it has seen a relay confirm it."""
        reader = Reader()
        for _ in range(19):
            assert reader.ask(5, state(BEFORE)) == []
            assert (reader.is_up, reader.is_undecided, reader.snapshot) == (False, True, None)
            assert "no relay has confirmed yet that the data in Redis is up to date" in str(reader.trouble)
        reader.now += 2
        down = only(reader.ask(5, state(BEFORE)))
        assert isinstance(down, FeedDown)
        assert (str(down.error), down.since) == ("no relay is there: no sign of one for 2 leases", START)
        assert (reader.snapshot, reader.is_up) == (BEFORE, False)
        assert reader.ask(6) == []
        up = only(reader.ask(6))
        assert isinstance(up, FeedUp)
        assert (reader.is_up, reader.snapshot) == (True, BEFORE)

    def test_the_first_status_after_an_outage_is_the_baseline(self) -> None:
        reader = Reader()
        reader.on_failure(AWAY)
        (update,) = reader.begin(state(BEFORE))
        assert (kinds(update), update.previous, update.snapshot) == ([FeedUp], BEFORE, BEFORE)
        tally = Tally()
        tally.update(update)
        assert tally.total.signed_in == 2

    def test_it_may_begin_before_the_first_publication(self) -> None:
        reader, nothing = Reader(), state(None, entry="", sequence=0)
        down = only(reader.ask(0, nothing))
        assert isinstance(down, FeedDown)
        assert "is one running, and with this prefix?" in str(down.error)
        assert not reader.is_up
        assert reader.ask(0, nothing) == []
        assert reader.ask(1, state(BEFORE)) == []
        (update,) = reader.ask(1, state(BEFORE))
        assert kinds(update) == [FeedUp]
        assert reader.is_up

    @pytest.mark.parametrize("initial", [False, True])
    def test_the_platform_may_be_away_at_first(self, initial: bool) -> None:
        """A relay that has not reached the platform confirms nothing, and its readers get the reason."""
        reader = Reader(initial=initial)
        assert only(reader.ask(0, state(None, PLATFORM_DOWN))) is PLATFORM_DOWN
        assert (reader.is_up, reader.trouble) == (False, PLATFORM_DOWN.error)
        assert reader.ask(1, state(None, PLATFORM_DOWN)) == []
        assert reader.ask(1, state(None, PLATFORM_DOWN)) == []
        update = reader.take(None, BEFORE, PLATFORM_UP)
        assert kinds(update) == [FeedUp, *[AgentJoined] * (2 * initial)]
        assert (reader.snapshot, reader.is_up) == (BEFORE, True)

    def test_the_platform_s_outage_replaces_an_earlier_reason(self) -> None:
        """A relay that published while its reader waited for one is there, so only the platform is away."""
        reader = Reader()
        assert kinds(*reader.ask(0)) == [FeedDown]
        assert "no relay has published anything yet" in str(reader.trouble)
        for number in range(1, 4):
            assert reader.ask(1, state(BEFORE, PLATFORM_DOWN), renewals=number) == []
            assert (reader.snapshot, reader.is_up, reader.trouble) == (BEFORE, False, PLATFORM_DOWN.error)
        assert isinstance(only(reader.ask(2, state(BEFORE, PLATFORM_UP))), FeedUp)

    def test_a_baseline_stays_until_the_platform_is_seen(self) -> None:
        reader = Reader(BEFORE)
        assert only(reader.begin(state(None, PLATFORM_DOWN))) is PLATFORM_DOWN
        assert reader.snapshot == BEFORE


class TestChanges:
    def test_a_publication_becomes_an_update(self) -> None:
        reader = reader_at(BEFORE)
        assert reader.take(BEFORE, AFTER) == Update(
            sequence=8, snapshot=AFTER, previous=BEFORE, events=diff(BEFORE, AFTER), coalesced=False
        )
        assert (reader.entry, reader.sequence, reader.seen) == ("8-0", 8, AFTER.observed_at)

    def test_an_entry_of_format_1_is_reported_too(self) -> None:
        """Entries of format 1, which lack `confirmed`, are applied too."""
        reader = reader_at(BEFORE)
        change = attrs.evolve(change_of(BEFORE, AFTER), confirmed=None)
        update = reader.on_entry(Entry(id="8-0", change=change))
        assert update is not None
        assert update.events == diff(BEFORE, AFTER)

    def test_one_that_stands_for_several_says_so(self) -> None:
        entry = Entry(id="8-0", change=change_of(BEFORE, AFTER, coalesced=True))
        update = reader_at(BEFORE).on_entry(entry)
        assert update is not None
        assert update.coalesced

    def test_an_unchanged_record_is_the_same_object(self) -> None:
        reader = reader_at(BEFORE)
        reader.take(BEFORE, AFTER)
        assert reader.snapshot is not None
        assert reader.snapshot["queue-1", "2"] is BEFORE["queue-1", "2"]
        copied = Snapshot([attrs.evolve(each) for each in AFTER.values()], observed_at=AFTER.observed_at)
        reader = reader_at(BEFORE)
        reader.ask(3, state(copied, entry="9-0"))
        assert reader.snapshot == AFTER
        assert reader.snapshot["queue-1", "2"] is BEFORE["queue-1", "2"]

    def test_a_publication_without_events_moves_the_position(self) -> None:
        reader = reader_at(BEFORE)
        assert reader.take(BEFORE, snapshot(*BEFORE.values(), at=5)) is None
        assert (reader.entry, reader.sequence, reader.seen) == ("8-0", 8, START + timedelta(seconds=5))


class TestResync:
    def test_it_is_the_difference_to_what_was_seen_last(self) -> None:
        reader = reader_at(BEFORE)
        newest = snapshot(agent("1", calls_answered=3), at=99)
        (update,) = reader.ask(3, state(newest, entry="900-0", sequence=900))
        assert update.events == diff(BEFORE, newest)
        assert (update.previous, update.snapshot, update.sequence, update.coalesced) == (BEFORE, newest, 900, True)
        assert (reader.resyncs, reader.entry, reader.seen) == (1, "900-0", newest.observed_at)

    def test_without_a_difference_there_is_nothing_to_tell(self) -> None:
        reader = reader_at(BEFORE)
        assert reader.ask(3, state(BEFORE, entry="900-0")) == []
        assert reader.resyncs == 1

    @pytest.mark.parametrize("after", [BEFORE, AFTER])
    def test_a_number_that_falls_is_coalesced(self, after: Snapshot) -> None:
        """When Redis returns to older data, sequence numbers decrease, and the next update is marked as coalesced."""
        reader = reader_at(BEFORE)
        told = [update for number in (1, 2, 2) for update in reader.ask(number, state(after, entry="5-0", sequence=5))]
        latest = snapshot(agent("1", "talking"), agent("2", calls_answered=1), at=90)
        told += updates(reader.take(after, latest))
        assert [(update.sequence, update.coalesced) for update in told] == [(7, False), (5, True), (8, False)]


_SEATS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("123")), st.sampled_from(["idle", "talking"])
)


class TestSeats:
    @given(
        before=_SEATS,
        after=_SEATS,
        queues=st.none() | st.sets(st.sampled_from("abc"), min_size=1),
        extensions=st.none() | st.sets(st.sampled_from("123"), min_size=1),
    )
    def test_a_reader_of_some_seats_is_told_of_these(
        self,
        before: dict[tuple[str, str], str],
        after: dict[tuple[str, str], str],
        queues: set[str] | None,
        extensions: set[str] | None,
    ) -> None:
        seats = SeatFilter(queues, extensions)
        problems = [FieldProblem(*seat, "name", "is odd") for seat in (*itertools.product("abc", "123"), (None, None))]
        old, new = (
            snapshot(*(agent(seat[1], known[seat], queue=seat[0]) for seat in sorted(known)), problems=problems)
            for known in (before, after)
        )
        reader = Reader(seats=seats)
        reader.begin(state(old))
        there, back = seats.apply(old), seats.apply(new)
        told = updates(reader.take(old, new))
        assert [event for update in told for event in update.events] == list(diff(there, back))
        assert reader.snapshot == back
        assert reader.snapshot.problems == back.problems
        told = reader.ask(20, state(old, entry="20-0"))
        assert [event for update in told for event in update.events] == list(diff(back, there))
        assert reader.snapshot == there

    def test_a_publication_before_the_first_snapshot_has_no_seats(self) -> None:
        reader = Reader(seats=SeatFilter("a"))
        reader.begin(state(None, PLATFORM_DOWN))
        assert reader.on_entry(Entry(id="8-0", change=change_of(None, None, PLATFORM_DOWN))) is None
        assert reader.snapshot is None


class TestFeed:
    def test_the_platform_goes_down_and_up(self) -> None:
        reader = reader_at(BEFORE)
        assert only(reader.take(BEFORE, BEFORE, PLATFORM_DOWN, 8)).kind == "feed-down"
        assert not reader.is_up
        assert str(reader.trouble) == "the platform is away"
        assert reader.take(BEFORE, BEFORE, at=9) is None
        update = reader.take(BEFORE, AFTER, PLATFORM_UP, 10)
        assert kinds(update) == [FeedUp, StateChanged]
        assert update is not None
        assert update.events[0] == PLATFORM_UP
        assert (reader.is_up, reader.trouble) == (True, None)

    def test_changes_before_an_outage_are_reported_before_it(self) -> None:
        assert kinds(reader_at(BEFORE).take(BEFORE, AFTER, PLATFORM_DOWN)) == [StateChanged, FeedDown]

    def test_a_silent_relay_is_gone_after_two_leases(self) -> None:
        reader = reader_at(BEFORE)
        reader.now = reader.now + 17  # a relay confirmed it two seconds earlier
        assert reader.ask(2) == [], "two leases of silence are allowed"
        assert reader.is_up
        down = only(reader.ask(2))
        assert isinstance(down, FeedDown)
        assert (str(down.error), down.since) == ("no relay is there: no sign of one for 2 leases", START)
        assert reader.ask(2) == []
        assert reader.ask(3) == []
        later = START + timedelta(seconds=45)
        up = only(reader.ask(3, seen=later))
        assert up == FeedUp(observed_at=later, outage=timedelta(seconds=24), failures=2)

    def test_entries_show_a_relay_at_work(self) -> None:
        """An entry proves that a relay was working after the last request that found none."""
        reader = reader_at(BEFORE)
        for number in range(8, 20):
            asked_at, reader.now = reader.now, reader.now + 5
            reader.on_entries(asked_at, found=True, is_complete=True)
            assert reader.take(BEFORE, BEFORE, at=number) is None
            assert reader.is_up

    def test_entries_that_waited_show_no_relay_at_work(self) -> None:
        """Entries that arrive after a delay may be old, so they do not prove that a relay is working."""
        reader = reader_at(BEFORE)
        reader.on_entries(reader.now, found=False, is_complete=True)
        reader.now += 3600
        reader.on_entries(reader.now, found=True, is_complete=False)
        reader.on_entries(reader.now + 1, found=True, is_complete=True)
        assert not reader.is_sure

    def test_a_slow_answer_is_not_taken_for_silence(self) -> None:
        """A large first answer over a slow line neither fails the feed nor counts as up to date."""
        reader = Reader()
        assert reader.ask(1, state(BEFORE)) + reader.ask(2, state(BEFORE)) == []
        assert reader.ask(2, state(BEFORE), takes=60) == []
        assert (reader.is_up, reader.is_sure, reader.snapshot) == (False, False, BEFORE)
        assert reader.ask(60) + reader.ask(61) + reader.ask(61) == []
        assert reader.is_up

    def test_redis_is_away(self) -> None:
        reader = reader_at(BEFORE)
        update = reader.on_failure(AWAY)
        assert only(update) == FeedDown(error=AWAY, since=START)
        assert update is not None
        assert update.snapshot is update.previous is reader.snapshot
        assert reader.on_failure(TransportError("still")) is None
        assert (reader.failures, reader.is_up, str(reader.trouble)) == (2, False, "still")
        update = reader.take(BEFORE, AFTER)
        assert kinds(update) == [FeedUp, StateChanged]
        assert update is not None
        assert update.events[0] == FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=2), failures=2)
        assert reader.failures == 0

    def test_an_outage_in_which_entries_were_lost_ends_before_the_seats_events(self) -> None:
        """They are of the time of the last change, and a tally counts no time twice."""
        reader, tally = reader_at(BEFORE), Tally(BEFORE)
        down = reader.on_failure(AWAY)
        later = AFTER.observed_at + timedelta(seconds=40)
        (up,) = reader.ask(9, state(AFTER, entry="99-0"), seen=later)
        assert kinds(up) == [FeedUp, StateChanged]
        assert {event.observed_at for event in up.events} == {AFTER.observed_at}
        assert down is not None
        for update in (down, up):
            tally.update(update)
        tally.advance(later)
        total = timedelta(seconds=sum(tally.total.seconds().values()) + tally.total.unseen())
        assert total == 2 * (later - START)

    def test_an_outage_from_the_start_is_counted_from_then(self) -> None:
        reader = Reader()
        down = only(reader.on_failure(AWAY))
        assert isinstance(down, FeedDown)
        assert down.since is None
        reader.now += 4.5
        up = only(reader.begin(state(BEFORE)))
        assert up == FeedUp(observed_at=START, outage=timedelta(seconds=7.5), failures=1)

    def test_the_platform_came_back_while_redis_was_away(self) -> None:
        """An outage with several causes lasts until the last cause is gone."""
        reader = reader_at(BEFORE)
        reader.on_failure(AWAY)
        reader.now += 5
        down = FeedDown(error=TransportError("the platform is away"), since=START + timedelta(seconds=40))
        assert reader.take(BEFORE, snapshot(*BEFORE.values(), at=40), down, 8) is None
        up = FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=20), failures=7)
        update = reader.take(BEFORE, AFTER, up, 9)
        assert update is not None
        assert update.events[0] == FeedUp(observed_at=AFTER.observed_at, outage=timedelta(seconds=7), failures=1)

    def test_an_outage_whose_end_was_missed_ends_with_a_resync(self) -> None:
        reader = reader_at(BEFORE)
        reader.take(BEFORE, BEFORE, PLATFORM_DOWN)
        (update,) = reader.ask(9, state(AFTER, PLATFORM_UP, entry="99-0"))
        assert update.events == (PLATFORM_UP, *diff(BEFORE, AFTER))

    def test_when_the_platform_was_seen_is_known_from_the_snapshot(self) -> None:
        """A relay that has not polled yet keeps its predecessor's time of the last good poll."""
        reader = Reader()
        for number in (1, 2, 2):
            reader.ask(number, attrs.evolve(state(BEFORE), feed=PLATFORM_DOWN), seen=START)
        assert reader.seen == START

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    @pytest.mark.parametrize("back", list(itertools.permutations(range(3))))
    def test_three_reasons_are_one_condition(self, order: Sequence[int], back: Sequence[int]) -> None:
        """The feed goes down with the first cause and comes up when the last one is gone."""
        told: list[type] = []
        reader, number = reader_at(BEFORE), 2
        is_there = [True, True, True]

        def step() -> None:
            nonlocal number
            alive, redis, platform = is_there
            for _ in range(3):
                if not redis:
                    told.extend(kinds(reader.on_failure(AWAY)))
                    continue
                reader.now += 0 if alive else 21
                number += alive
                told.extend(kinds(*reader.ask(number, state(BEFORE, PLATFORM_UP if platform else PLATFORM_DOWN))))

        for place, reason in enumerate(order):
            is_there[reason] = False
            step()
            assert told == [FeedDown], f"after {place + 1}"
            assert not reader.is_up
        for place, reason in enumerate(back):
            is_there[reason] = True
            step()
            assert told == [FeedDown, *[FeedUp] * (place == 2)], f"after {place + 1} of {back}"
        assert reader.is_up
        assert (reader.failures, reader.trouble) == (0, None)


class TestLoss:
    def test_older_data_waits_for_a_confirmation(self) -> None:
        """After Redis lost its last writes, readers accept its data again once a relay confirms it."""
        reader = reader_at(BEFORE)
        reader.take(BEFORE, AFTER, at=9)
        old = state(BEFORE, entry="7-0")
        assert isinstance(only(reader.ask(7, old)), FeedDown)
        for _ in range(5):
            assert reader.ask(7, old) == []
        assert "Redis has lost data" in str(reader.trouble)
        assert reader.snapshot == AFTER
        assert reader.ask(8, old) == []
        (update,) = reader.ask(8, state(AFTER, entry="8-1", sequence=8))
        assert kinds(update) == [FeedUp]

    def test_a_relay_that_has_not_polled_confirms_nothing(self) -> None:
        """When Redis returns to older data, readers report a new leader's `FeedDown`, but keep their snapshot."""
        reader = reader_at(BEFORE)
        reader.take(BEFORE, AFTER, at=9)
        old = state(BEFORE, PLATFORM_DOWN, entry="9-5", sequence=8)
        (update,) = reader.ask(7, old)
        assert (kinds(update), update.snapshot) == ([FeedDown], AFTER)
        for renewals in range(8, 38):
            assert reader.ask(7, old, renewals=renewals) == []
        assert reader.trouble is PLATFORM_DOWN.error or "Redis has lost" in str(reader.trouble)
        latest = snapshot(agent("1", "talking", calls_answered=2), agent("2"), at=99)
        assert reader.ask(8, state(latest, PLATFORM_UP, entry="9-6", sequence=9)) == []
        (update,) = reader.ask(8, state(latest, PLATFORM_UP, entry="9-6", sequence=9))
        assert update.events[1:] == diff(AFTER, latest)

    def test_an_outage_that_redis_has_lost_does_not_last(self) -> None:
        reader = reader_at(BEFORE)
        reader.now += 30
        assert kinds(*reader.ask(9, feed=PLATFORM_DOWN)) == [FeedDown]
        assert kinds(*(event for number in (5, 6, 7) for event in reader.ask(number))) == [FeedUp]

    def test_no_agent_leaves_because_redis_was_emptied(self) -> None:
        reader = reader_at(BEFORE)
        emptied = state(None, entry="", sequence=0)
        assert isinstance(only(reader.ask(0, emptied)), FeedDown)
        assert reader.snapshot == BEFORE

    @pytest.mark.parametrize("seconds", [5, 3600])
    def test_a_reader_that_was_away_waits_for_a_relay_at_work(self, seconds: int) -> None:
        """After a long absence, a higher number of confirmations may be old; after a short one it is recent."""
        reader = reader_at(BEFORE)
        reader.on_failure(AWAY)
        reader.now += seconds
        told = reader.ask(50, state(AFTER))
        assert reader.is_up == (seconds == 5)
        assert kinds(*told) == ([FeedUp, StateChanged] if seconds == 5 else [])


# ---- any sequence of events ------------------------------------------------------------------------------------------


class Consumer:
    """Applies the updates in turn, and checks that each one continues from the last."""

    def __init__(self, known: Snapshot) -> None:
        self.known = known
        self.down = False
        self.sequence = 0
        self.calls: Counter[tuple[type, SeatKey]] = Counter()

    def take(self, update: Update | None) -> None:
        """Check and apply an update, if there is one."""
        if update is None:
            return
        assert update.events, "an update without events"
        assert update.sequence >= self.sequence or update.coalesced, "a number that falls without a word"
        self.sequence = update.sequence
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                assert self.down == isinstance(event, FeedUp), "told twice of the same condition"
                self.down = not self.down
            elif isinstance(event, CallAnswered | CallMissed):
                self.calls[type(event), event.key] += event.count
        assert update.previous == self.known
        self.known = apply(self.known, update.events)
        assert self.known == update.snapshot


@attrs.frozen
class Copy:
    """The data in Redis."""

    entries: tuple[Entry, ...]
    known: Snapshot
    feed: FeedEvent | None
    number: int
    sequence: int


class Published(RuleBasedStateMachine):
    """A Redis that trims its stream and returns to older data, and a reader that sometimes cannot reach it."""

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        """Start with three agents and a reader that is up."""
        self.random = random.Random(seed)
        self.at = self.writes = 0
        self.platform = {SeatKey("queue-1", str(number)): agent(str(number)) for number in range(3)}
        self.redis = Copy((), self.shown(), None, 0, 0)
        self.has_polled = True
        self.reader = Reader()
        self.consumer = Consumer(self.redis.known)
        self.publish()
        self.copies = [self.redis]
        for _ in range(3):
            self.confirm()
            self.ask()
        assert self.reader.is_up
        self.first = self.redis.known

    def shown(self) -> Snapshot:
        """Return the platform's current snapshot."""
        return snapshot(*self.platform.values(), at=self.at)

    def publish(self, feed: FeedEvent | None = None, *, confirms: bool = True) -> None:
        """Publish the current snapshot, or only a feed event if the relay has not polled yet."""
        redis = self.redis
        after = self.shown() if confirms else redis.known
        self.writes += 1
        entry = Entry(
            id=f"{self.writes}-0",
            change=change_of(
                redis.known,
                after,
                feed,
                sequence=redis.sequence + 1,
                follows=redis.entries[-1].id if redis.entries else "",
                confirmed=redis.number + confirms,
            ),
        )
        feed = feed or redis.feed
        self.redis = Copy((*redis.entries, entry), after, feed, redis.number + confirms, redis.sequence + 1)

    @property
    def is_away(self) -> bool:
        """Whether the published feed is down."""
        return isinstance(self.redis.feed, FeedDown)

    @rule(calls=st.integers(0, 3), missed=st.integers(0, 2), joins=st.booleans())
    def change(self, calls: int, missed: int, joins: bool) -> None:
        """A seat changes; the relay publishes the change unless the platform is away or it has not polled yet."""
        self.at += 2
        self.reader.now += 2
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
        if self.has_polled and not self.is_away:
            self.publish()

    @rule()
    def platform_turns(self) -> None:
        """The platform goes down or comes back; when it comes back, the relay polls it."""
        self.at += 2
        self.reader.now += 2
        if self.is_away:
            self.has_polled = True
            self.publish(FeedUp(observed_at=self.shown().observed_at, outage=timedelta(seconds=2), failures=1))
        else:
            down = FeedDown(error=TransportError("the platform is away"), since=self.redis.known.observed_at)
            self.publish(down, confirms=self.has_polled)

    @rule()
    def confirm(self) -> None:
        """The relay confirms that nothing has changed, unless it has not polled yet."""
        self.reader.now += 1
        if self.has_polled:
            self.redis = attrs.evolve(self.redis, number=self.redis.number + 1)

    @rule()
    def no_relay_is_there(self) -> None:
        """No relay works for longer than a reader waits."""
        self.reader.now += 30

    @rule()
    def copy(self) -> None:
        """Redis saves its data."""
        self.copies.append(self.redis)

    @rule(place=st.integers(0, 100), wins=st.booleans())
    def go_back(self, place: int, wins: bool) -> None:
        """Redis restarts with older data; the next leader has either polled already or not."""
        self.redis = self.copies[place % len(self.copies)]
        self.has_polled = False
        if wins:
            self.poll()

    @precondition(lambda self: not self.has_polled)
    @rule()
    def poll(self) -> None:
        """The new leader polls for the first time."""
        self.has_polled = True
        up = FeedUp(observed_at=self.shown().observed_at, outage=timedelta(seconds=2), failures=1)
        self.publish(up if self.is_away else None)

    @rule()
    def trim(self) -> None:
        """Redis drops all entries but the last."""
        self.redis = attrs.evolve(self.redis, entries=self.redis.entries[-1:])

    @rule()
    def redis_is_away(self) -> None:
        """The reader cannot reach Redis."""
        self.consumer.take(self.reader.on_failure(AWAY))

    def ask(self) -> None:
        """Ask Redis once, and apply the updates."""
        ids = [entry.id for entry in self.redis.entries]
        position = ids.index(self.reader.entry) + 1 if self.reader.entry in ids else None
        whole = state(self.redis.known, self.redis.feed, entry=ids[-1], sequence=self.redis.sequence)
        rest = () if position is None else self.redis.entries[position:]
        told = self.reader.ask(
            self.redis.number,
            whole if position is None else None,
            feed=self.redis.feed,
            entries=rest,
            seen=self.redis.known.observed_at,
        )
        for update in told:
            self.consumer.take(update)

    look = rule()(ask)

    @rule()
    def look_at_a_relay_at_work(self) -> None:
        """The reader asks often enough to see a relay confirm."""
        for _ in range(4):
            self.confirm()
            self.ask()
        if self.has_polled:
            assert self.reader.snapshot == self.redis.known
            assert self.reader.is_up != self.is_away

    @invariant()
    def what_is_told_is_true(self) -> None:
        """The events lead to the reader's snapshot, and the reported calls add up to the growth of the counters."""
        assert self.reader.snapshot == self.consumer.known
        total: Counter[tuple[type, SeatKey]] = Counter()
        for event in diff(self.first, self.consumer.known):
            if isinstance(event, CallAnswered | CallMissed):
                total[type(event), event.key] += event.count
        assert {key: count for key, count in self.consumer.calls.items() if key[1] in self.first} == total


TestPublished = Published.TestCase
TestPublished.settings = settings(max_examples=30, stateful_step_count=30)


@given(chain=chains_without_reset(), cuts=st.sets(st.integers(0, 6)))
def test_no_call_is_lost_between_publications_and_resyncs(chain: list[Snapshot], cuts: set[int]) -> None:
    reader, consumer = reader_at(chain[0]), Consumer(chain[0])
    for place, (before, after) in enumerate(itertools.pairwise(chain)):
        if place in cuts:
            entry = f"{place + 8}-0"
            for update in reader.ask(place + 8, state(after, entry=entry, sequence=place + 8)):
                consumer.take(update)
        else:
            consumer.take(reader.take(before, after, at=place + 8))
    for number in range(100, 115):
        # A reader waits for up to a minute before it accepts data that went back.
        reader.now += 4
        for update in reader.ask(number):
            consumer.take(update)
    assert consumer.known == chain[-1]
    sums: Counter[tuple[type, SeatKey]] = Counter()
    for event in diff(chain[0], chain[-1]):
        if isinstance(event, CallAnswered | CallMissed):
            sums[type(event), event.key] += event.count
    assert consumer.calls == sums
