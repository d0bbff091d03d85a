"""Saving and restoring a tally: the result is complete, or an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipqueue_async import AgentChanged, AgentState, FieldProblem, Snapshot, Update, diff
from sipqueue_async.tally import Tally
from tests.kit.builders import agent, snapshot
from tests.kit.tally import SEAT, began, calls, down, elapsed, one, seat, up, update
from tests.kit.times import moment

TALKING = AgentState.TALKING


def a_tally() -> Tally:
    """Return a tally with a call, and with an agent who has left."""
    tally = Tally(snapshot(agent(), agent("7", queue="售后", name="小王"), at=0, server=1))
    rest = snapshot(agent(state=TALKING, calls_answered=1), at=10, server=11)
    tally.update(update(snapshot(agent(), agent("7", queue="售后", name="小王"), at=8), rest))
    return tally


def restored(tally: Tally) -> Tally:
    """Return the tally after a save and a restore, as in a restart."""
    return Tally.from_json(tally.to_json())


def test_everything_comes_back() -> None:
    """A restored tally has all the figures of the saved one."""
    tally = a_tally()
    again = restored(tally)
    assert again.to_json() == tally.to_json()
    assert (again.started_at, again.observed_at, again.snapshot) == (
        tally.started_at,
        tally.observed_at,
        tally.snapshot,
    )
    assert again.snapshot is not None
    assert again.snapshot.server_time == moment(11)
    assert (began(again), calls(again), elapsed(again)) == ((10, False), (1, 0), {"waiting": 10})
    assert again.seats.keys() == tally.seats.keys()
    assert not again.seats["售后", "7"].present  # type: ignore[index]  # an equal plain tuple finds it
    for ours, theirs in [(again.total, tally.total), (again.queues["售后"], tally.queues["售后"])]:
        assert (ours.agents, ours.seconds(), ours.calls_answered) == (
            theirs.agents,
            theirs.seconds(),
            theirs.calls_answered,
        )
    longest = again.total.longest_talk()
    assert longest is not None
    assert longest.key == SEAT


def test_a_counter_that_the_platform_left_out_stays_unknown() -> None:
    """The tally's snapshot is as good a baseline as the feed's own: both list the same blank counters."""
    other = agent("7")
    blank, nonsense = (FieldProblem(*other.key, it, "is null") for it in ("callsanswered", "wrapuptime"))
    before = snapshot(agent(), other, at=0, problems=[blank, nonsense])
    after = snapshot(agent(state=TALKING), other, at=2, problems=[blank])
    tally = Tally(before)
    tally.update(update(before, after))
    for its in (Tally(before), tally, restored(tally)):
        assert its.snapshot is not None
        assert its.snapshot.problems == (blank,)
        (event,) = diff(its.snapshot, snapshot(its.snapshot[agent().key], agent("7", calls_answered=50), at=4))
        assert isinstance(event, AgentChanged)
    tally.advance(snapshot(*after.values(), at=4))
    assert tally.snapshot is not None
    assert tally.snapshot.problems == ()


def test_nothing_known_is_saved_as_such() -> None:
    """An empty tally can be saved and restored."""
    again = restored(Tally())
    assert (again.started_at, again.snapshot, dict(again.seats)) == (None, None, {})
    again.update(update(one(8), one(10, TALKING)))
    assert elapsed(again) == {"waiting": 2}


def test_how_long_a_state_has_lasted_comes_back() -> None:
    """The saved duration is used; a file without one falls back to the wall clock."""
    tally = Tally(Snapshot(one(0, TALKING).values(), observed_at=moment(0), steady_at=3))
    tally.advance(Snapshot(one(0, TALKING).values(), observed_at=moment(9000), steady_at=13))
    again = restored(tally)
    assert (seat(again).lasted(), seat(again).lasted(moment(9005))) == (10, 15)
    document = json.loads(tally.to_json())
    del document["seats"][0]["lasted"]
    assert seat(Tally.from_json(json.dumps(document))).lasted() == 9000


def test_saving_an_outage_keeps_what_was_seen() -> None:
    """An outage and a restart during it count as unseen; the time before them stays counted."""
    tally = Tally(one(0))
    tally.update(down(one(10)))
    again = restored(tally)
    assert (again.feed_down, again.observed_at) == (None, moment(10))
    again.update(update(one(10), one(50, TALKING)))
    assert elapsed(again) == {"waiting": 10, "unseen": 40}
    assert (again.total.unseen(), restored(again).total.unseen()) == (40, 40)


def test_the_time_away_is_unseen() -> None:
    """The time during which the program was down is unseen."""
    again = restored(Tally(one(0, TALKING)))
    assert elapsed(again, 30) == {"unseen": 30}
    again.update(update(one(0, TALKING), one(60)))
    assert (began(again), elapsed(again, 65)) == ((60, True), {"unseen": 60, "waiting": 5})


def test_the_first_look_ends_the_time_away() -> None:
    """The first poll after a restart ends the unseen time, even without a change."""
    again = restored(Tally(one(0)))
    again.advance(moment(60))
    again.update(update(one(78), one(80, TALKING)))
    assert (began(again), elapsed(again)) == ((80, False), {"unseen": 60, "waiting": 20})


def test_polls_without_a_change_before_the_first_update_are_known_of() -> None:
    """Without a call of `advance`, the first update's previous snapshot ends the unseen time."""
    again = restored(Tally(one(0)))
    again.update(update(one(78), one(80, TALKING)))
    assert (began(again), elapsed(again)) == ((80, False), {"unseen": 78, "waiting": 2})


def test_a_platform_that_is_away_after_a_restart_is_an_outage_like_any() -> None:
    """A restart followed by an outage is one unseen span, counted once."""
    again = restored(Tally(one(0)))
    again.update(down(one(0)))
    again.update(update(one(0), one(50, TALKING), up(one(50))))
    assert (began(again), elapsed(again, 55)) == ((50, True), {"unseen": 50, "talking": 5})


def test_a_lone_surrogate_in_a_name_is_kept() -> None:
    """A name with half a surrogate pair can be saved and restored."""
    tally = Tally(snapshot(agent(name="\ud800"), agent(queue="\udfff"), at=0))
    again = restored(tally)
    assert again.seats.keys() == tally.seats.keys()
    assert seat(again).agent.name == "\ud800"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the saved tally is not JSON"),
        (b"[" * 100_000, "the saved tally is not JSON"),
        (b"[]", "this is not a saved tally"),
        (b'{"format":"sipqueue-snapshot","version":1}', "this is not a saved tally"),
        (b'{"format":"sipqueue-tally","version":2}', "version 2; this release reads version 1"),
        (b'{"format":"sipqueue-tally","version":true}', "version True"),
        (b'{"format":"sipqueue-tally","version":1}', "damaged: the field .seats. is missing"),
    ],
)
def test_data_that_is_not_a_tally_is_refused(data: bytes, reason: str) -> None:
    """A file of another kind or of a later release is a ValueError that says so."""
    with pytest.raises(ValueError, match=reason):
        Tally.from_json(data)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("seats",), {}),
        (("seats",), []),
        (("seats", 0), []),
        (("seats", 0, "queue"), "another"),
        (("seats", 0, "extension"), None),
        (("seats", 0, "since"), "2026-01-05T08:00:00"),
        (("seats", 0, "since"), "yesterday"),
        (("seats", 0, "since"), None),
        (("seats", 0, "present"), 1),
        (("seats", 0, "approximate"), None),
        (("seats", 0, "calls_answered"), -1),
        (("seats", 0, "calls_missed"), 1.5),
        (("seats", 0, "unseen"), True),
        (("seats", 0, "spent"), []),
        (("seats", 0, "spent", "waiting"), "10"),
        (("seats", 0, "spent", "asleep"), 10),
        (("seats", 1), {}),
        (("started_at",), None),
        (("started_at",), 7),
        (("records",), None),
        (("records",), {}),
        (("records", "version"), 9),
        (("records", "agents", 0, "calls_answered"), None),
        (("records", "agents"), []),
    ],
)
def test_damage_is_refused(place: tuple[Any, ...], value: object) -> None:
    """A damaged file is a ValueError."""
    document = json.loads(a_tally().to_json())
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(ValueError, match="the saved tally is damaged: "):
        Tally.from_json(json.dumps(document))


def test_a_seat_given_twice_is_refused() -> None:
    """A file that lists a seat twice is a ValueError."""
    document = json.loads(a_tally().to_json())
    document["seats"].append(document["seats"][0])
    with pytest.raises(ValueError, match="its seats differ from those of its records"):
        Tally.from_json(json.dumps(document))


def test_saving_changes_nothing() -> None:
    """Saving does not change the figures."""
    saved, plain = Tally(one(0)), Tally(one(0))
    chain = [one(10, TALKING), one(20), one(30, TALKING)]
    for old, new in zip([one(0), *chain], chain, strict=False):
        news: Update = update(old, new)
        saved.update(news)
        saved.to_json()
        plain.update(news)
    assert saved.to_json() == plain.to_json()
    assert elapsed(saved) == {"waiting": 20, "talking": 10}
