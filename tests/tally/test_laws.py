"""Laws of the fold, which hold for any sequence of updates."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState, AgentStatus, SeatKey, Snapshot
from sipqueue_async.tally import GroupTally, Tally
from tests.kit.days import MIDNIGHT, Day, at, days, folded, steps
from tests.kit.strategies import chains_without_reset, snapshots
from tests.kit.tally import update

pytestmark = pytest.mark.one_python


def without_calls(snapshot: Snapshot) -> Snapshot:
    """Return the same snapshots with constant counters."""
    agents = [attrs.evolve(agent, calls_answered=0, no_answer_count=0) for agent in snapshot.values()]
    return Snapshot(agents, observed_at=snapshot.observed_at)


def state_of(agent: AgentStatus) -> str:
    """Return the state; for an unknown state the code, which distinguishes it from others."""
    return agent.state if agent.state is not AgentState.UNKNOWN else str(agent.state_code)


def microseconds(seconds: float) -> int:
    """Return whole microseconds, in which the tally counts; a float of this size holds them exactly."""
    return round(seconds * 1_000_000)


def figures(group: GroupTally) -> tuple[object, ...]:
    """Return a group's figures."""
    longest = group.longest_talk()
    return (
        {state: microseconds(seconds) for state, seconds in group.seconds().items()},
        microseconds(group.unseen()),
        dict(group.agents),
        group.calls_answered,
        group.calls_missed,
        None if longest is None else longest.key,
    )


def summed(group: GroupTally) -> tuple[object, ...]:
    """Return the same figures, computed from the seats."""
    seats = group.seats.values()
    there = [seat for seat in seats if seat.present]
    talking = [(-seat.lasted(), seat.key) for seat in there if seat.state is AgentState.TALKING]
    return (
        {state: sum(microseconds(seat.seconds()[state]) for seat in seats) for state in AgentState},
        sum(microseconds(seat.unseen()) for seat in seats),
        {state: sum(seat.state is state for seat in there) for state in AgentState},
        sum(seat.calls_answered for seat in seats),
        sum(seat.calls_missed for seat in seats),
        min(talking)[1] if talking else None,
    )


@given(days())
def test_all_the_time_present_is_accounted_for(day: Day) -> None:
    """Seconds in states plus unseen seconds equal the time that a seat was present."""
    tally = day.tally()
    expected: dict[SeatKey, int] = {}
    unseen: dict[SeatKey, int] = {}
    for (old, new), outage in zip(pairwise(day.polls), day.outages, strict=True):
        passed = (new.observed_at - old.observed_at) // timedelta(microseconds=1)
        for key in old:
            expected[key] = expected.get(key, 0) + passed
            unseen[key] = unseen.get(key, 0) + passed * outage
    for key, seat in tally.seats.items():
        assert microseconds(seat.unseen()) == unseen.get(key, 0)
        assert microseconds(sum(seat.seconds().values())) + microseconds(seat.unseen()) == expected.get(key, 0)
    assert expected.keys() <= tally.seats.keys()


@given(days())
def test_queues_and_total_are_the_sums_of_their_seats(day: Day) -> None:
    tally = day.tally()
    for group in (tally.total, *tally.queues.values()):
        assert figures(group) == summed(group)
    last = day.polls[-1]
    assert tally.total.agents == last.counts()
    assert {name: dict(queue.agents) for name, queue in tally.queues.items()} == {
        name: last.counts(name) for name in tally.queues
    }
    assert tally.snapshot == last


@given(days())
def test_a_state_began_when_it_was_first_seen(day: Day) -> None:
    """`since` is the time of the first poll that showed the state."""
    quiet = Day([without_calls(poll) for poll in day.polls], day.outages)
    first, *others = quiet.polls
    began = dict.fromkeys(first, first.observed_at)
    for old, new in pairwise(quiet.polls):
        seen_before, seen_now = ({key: state_of(agent) for key, agent in poll.items()} for poll in (old, new))
        changed = {key for key in old.keys() | new.keys() if seen_before.get(key) != seen_now.get(key)}
        began |= dict.fromkeys(changed, new.observed_at)
    tally = quiet.tally()
    assert {key: seat.since for key, seat in tally.seats.items()} == began
    assert {key for key, seat in tally.seats.items() if seat.present} == set(others[-1])


@given(days(), st.data())
def test_saving_and_going_on_keeps_all_but_the_time_away(day: Day, data: st.DataObject) -> None:
    """A restart keeps calls, states and the total time; some time may become unseen."""
    updates = day.updates()
    cut = data.draw(st.integers(0, len(updates)))
    until = day.polls[-1].observed_at
    whole = folded(Tally(day.polls[0]), updates, until)
    first = Tally(day.polls[0])
    for news in updates[:cut]:
        first.update(news)
    again = Tally.from_json(first.to_json())
    assert again.to_json() == first.to_json()
    assert again.snapshot == first.snapshot
    folded(again, updates[cut:], until)
    assert again.snapshot == whole.snapshot
    for key, seat in whole.seats.items():
        other = again.seats[key]
        assert (other.calls_answered, other.calls_missed) == (seat.calls_answered, seat.calls_missed)
        assert (other.since, other.present) == (seat.since, seat.present)
        # Time between the two programs may move from a state to unseen; the sum stays the same.
        assert all(other.seconds()[state] <= seconds for state, seconds in seat.seconds().items())
        time, left = sum(seat.seconds().values()) + seat.unseen(), sum(other.seconds().values()) + other.unseen()
        assert microseconds(time) == microseconds(left)


@given(days(), st.data())
def test_taking_note_of_calm_changes_nothing(day: Day, data: st.DataObject) -> None:
    """Advancing and saving in between do not change the figures."""
    noted = Tally(day.polls[0])
    for news in day.updates():
        if news.previous is not None and data.draw(st.booleans()):
            noted.advance(news.previous.observed_at)
            noted.to_json()
        noted.update(news)
    noted.advance(day.polls[-1].observed_at)
    assert noted.to_json() == day.tally().to_json()


@given(st.lists(st.tuples(st.integers(-(10**10), 10**10), steps), min_size=1, max_size=5), snapshots())
def test_all_calm_time_counts_however_the_clock_is_set(spells: list[tuple[int, int]], known: Snapshot) -> None:
    """Calm time is neither lost nor negative when the machine's clock is set back."""
    tally, now, passed = Tally(at(known, MIDNIGHT)), MIDNIGHT, 0
    for set_by, spell in spells:
        # A step back of less than a second does not count as a step; a step ahead counts as time.
        step = set_by if set_by >= 0 else min(set_by, -1_000_000)
        now += timedelta(microseconds=step)
        tally.advance(now)
        now += timedelta(microseconds=spell)
        tally.advance(now)
        passed += max(0, step) + spell
    assert tally.observed_at == now
    for seat in tally.seats.values():
        assert (microseconds(seat.seconds()[seat.state]), seat.unseen()) == (passed, 0)


@given(chains_without_reset(), st.data())
def test_a_slow_consumer_counts_the_same_calls(chain: list[Snapshot], data: st.DataObject) -> None:
    """Coalesced updates lead to the same calls and the same total time."""
    fast, slow = Tally(chain[0]), Tally(chain[0])
    seen = 0
    for number in range(1, len(chain)):
        fast.update(update(chain[number - 1], chain[number]))
        if data.draw(st.booleans()) or number == len(chain) - 1:
            slow.update(update(chain[seen], chain[number], coalesced=number - seen > 1))
            seen = number
    for tally in (fast, slow):
        tally.advance(chain[-1].observed_at)
    assert slow.snapshot == fast.snapshot
    for key, seat in fast.seats.items():
        other = slow.seats[key]
        assert (other.calls_answered, other.calls_missed) == (seat.calls_answered, seat.calls_missed)
        assert microseconds(sum(other.seconds().values())) == microseconds(sum(seat.seconds().values()))


@given(days(), st.randoms(use_true_random=False))
def test_seats_do_not_depend_on_each_other(day: Day, chance: random.Random) -> None:
    """The order of the seats' events in an update does not matter."""
    shuffled = Tally(day.polls[0])
    for news in day.updates():
        order = {event.key: chance.random() for event in news.events}
        feed = [event for event in news.events if event.key is None]
        seats = sorted((event for event in news.events if event.key is not None), key=lambda event: order[event.key])
        shuffled.update(attrs.evolve(news, events=(*feed, *seats)))
    shuffled.advance(day.polls[-1].observed_at)
    plain = day.tally()
    for key, seat in plain.seats.items():
        other = shuffled.seats[key]
        assert (other.seconds(), other.unseen(), other.since) == (seat.seconds(), seat.unseen(), seat.since)
    assert figures(shuffled.total) == figures(plain.total)
