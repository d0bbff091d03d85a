"""`HighWater`: the rules for accepting an answer, one by one. test_lagging.py compares reported with true calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentChanged, AgentState, AgentStatus, CallAnswered, FieldProblem, HighWater, Snapshot, diff
from tests.kit.builders import START, agent, snapshot

T1, T2, T3, T4 = (datetime(2026, 1, 5, 9, minute) for minute in (1, 2, 3, 4))  # noqa: DTZ001
KNOWN = agent(
    calls_answered=7,
    no_answer_count=2,
    external_calls_count=3,
    last_answered_at=T2,
    last_offered_at=T2,
    last_changed_at=T2,
)
OTHER = agent("2", calls_answered=1, last_answered_at=T1)
FORWARD = attrs.evolve(OTHER, calls_answered=2, last_answered_at=T2)


def high_water(*known: AgentStatus, at: float = 0, **arguments: Any) -> HighWater:
    return HighWater(baseline=snapshot(*known, at=at), **arguments)


def calls_told(it: HighWater, *answers: Snapshot) -> int:
    """Return the number of the first seat's calls that these answers report."""
    old, told = it.snapshot, 0
    for answer in answers:
        for new in it.accept(answer):
            told += sum(event.to_dict().get("count", 0) for event in diff(old, new) if event.key == KNOWN.key)
            old = new
    return told


def changed(**fields: Any) -> AgentStatus:
    return attrs.evolve(KNOWN, **fields)


BACK = {
    "a counter fell": changed(calls_answered=6),
    "the other counter fell": changed(no_answer_count=0),
    "a time is earlier": changed(last_answered_at=T1),
    "a time is gone": changed(last_offered_at=None),
    "another time is later": changed(last_answered_at=T1, last_offered_at=T3),
    "an earlier time with more calls": changed(calls_answered=8, last_answered_at=T1),
    "an earlier sign-in": changed(last_changed_at=T1),
    "an earlier sign-in with a later call": changed(last_changed_at=T1, last_answered_at=T3),
    "fewer calls outside the queue": changed(external_calls_count=2),
}
NEWER = {
    "a time is later": changed(last_answered_at=T3),
    "a counter fell and a time is later": changed(calls_answered=1, last_answered_at=T3),
    "only the state": changed(state=AgentState.PAUSED),
    "a counter grew": changed(no_answer_count=3),
    "a later sign-in": changed(last_changed_at=T3, calls_answered=0),
    "another person who signed in later": changed(name="Bob", last_changed_at=T3, last_answered_at=T1),
    "no time of a sign-in": changed(last_changed_at=None),
    "no number of calls outside the queue": changed(external_calls_count=None),
    "local times with their zone": changed(
        last_answered_at=T2.astimezone(START.tzinfo).replace(hour=9), last_offered_at=T2.replace(tzinfo=START.tzinfo)
    ),
}


@pytest.mark.parametrize("record", BACK.values(), ids=BACK)
class TestGoingBack:
    def test_an_answer_with_nothing_newer_is_old_as_a_whole(self, record: AgentStatus) -> None:
        it = high_water(KNOWN, OTHER)
        assert it.accept(snapshot(record, attrs.evolve(OTHER, state=AgentState.PAUSED), agent("3"), at=2)) == ()
        assert it.snapshot == snapshot(KNOWN, OTHER)
        assert (it.answers_held_back, it.records_held_back) == (1, 0)

    def test_the_known_record_stays_in_an_answer_that_is_newer_otherwise(self, record: AgentStatus) -> None:
        it = high_water(KNOWN, OTHER)
        polled = Snapshot([record, FORWARD], observed_at=START, server_time=START, steady_at=9.0)
        (accepted,) = it.accept(polled)
        assert accepted == it.snapshot == snapshot(KNOWN, FORWARD)
        assert (accepted.observed_at, accepted.server_time, accepted.steady_at) == (START, START, 9.0)
        assert (it.answers_held_back, it.records_held_back) == (0, 1)

    def test_is_accepted_when_the_known_record_was_not_seen_for_max_lag(self, record: AgentStatus) -> None:
        it = high_water(KNOWN, max_lag=10)
        accepted = [it.accept(snapshot(record, at=at)) for at in (2, 4, 6, 8, 10)]
        assert [bool(each) for each in accepted] == [False] * 4 + [True]
        assert it.snapshot == snapshot(record)

    def test_the_known_record_seen_again_starts_the_time_anew(self, record: AgentStatus) -> None:
        it = high_water(KNOWN, max_lag=10)
        shown = [record, record, KNOWN, record, record, record]
        accepted = [it.accept(snapshot(each, at=4 * number)) for number, each in enumerate(shown)]
        assert [bool(each) for each in accepted] == [False, False, True, False, False, True]

    def test_two_answers_are_needed_however_long_ago_the_known_record_is(self, record: AgentStatus) -> None:
        it = high_water(KNOWN, max_lag=10)
        assert it.accept(snapshot(record, at=86400)) == ()
        assert it.accept(snapshot(record, at=86402)) != ()


@pytest.mark.parametrize("record", NEWER.values(), ids=NEWER)
def test_a_record_that_does_not_go_back_is_accepted_at_once(record: AgentStatus) -> None:
    it = high_water(KNOWN)
    polled = snapshot(record, at=2)
    assert it.accept(polled)[0] is polled is it.snapshot
    assert (it.answers_held_back, it.records_held_back) == (0, 0)


def test_a_seat_that_goes_back_for_good_stalls_the_others_for_max_lag_at_most() -> None:
    """The seats go back in turn, so that no single record waits for `max_lag`."""
    seats = [attrs.evolve(KNOWN, extension=str(number)) for number in range(3)]
    it = high_water(*seats, max_lag=10)
    accepted = [
        bool(it.accept(snapshot(*seats[:odd], attrs.evolve(seats[odd], calls_answered=0), *seats[odd + 1 :], at=at)))
        for at, odd in ((4, 0), (8, 1), (12, 2), (16, 0))
    ]
    assert accepted == [False, False, True, False]


class TestPart:
    """An answer about some of the seats."""

    def test_changes_its_own_seats_and_carries_the_rest_over(self) -> None:
        problems = [FieldProblem(*key, "wrapuptime", "is odd") for key in (KNOWN.key, OTHER.key)]
        it = HighWater(baseline=Snapshot([KNOWN, OTHER], observed_at=START, server_time=START, problems=problems))
        later = START + timedelta(seconds=2)
        part = Snapshot([FORWARD], observed_at=later, server_time=later, steady_at=9.0)
        (accepted,) = it.accept_part(part)
        assert accepted is it.snapshot
        assert accepted[KNOWN.key] is KNOWN
        assert accepted[OTHER.key] is FORWARD
        assert (accepted.observed_at, accepted.server_time, accepted.steady_at) == (later, START, 9.0)
        assert accepted.problems == (problems[0],)
        again = Snapshot([attrs.evolve(FORWARD)], observed_at=later, problems=problems[1:])
        (accepted,) = it.accept_part(again)
        assert accepted[OTHER.key] is FORWARD
        assert accepted.problems == tuple(problems)

    @pytest.mark.parametrize("record", BACK.values(), ids=BACK)
    def test_with_nothing_newer_is_old(self, record: AgentStatus) -> None:
        second = attrs.evolve(OTHER, extension=KNOWN.extension, queue="sales")
        it = high_water(KNOWN, second)
        assert it.accept_part(snapshot(record, attrs.evolve(second, state=AgentState.PAUSED), at=2)) == ()
        assert it.snapshot == snapshot(KNOWN, second)
        assert (it.answers_held_back, it.records_held_back) == (1, 0)
        (accepted,) = it.accept_part(snapshot(record, attrs.evolve(second, last_answered_at=T2), at=3))
        assert accepted[KNOWN.key] is KNOWN
        assert accepted[second.key].last_answered_at == T2
        assert (it.answers_held_back, it.records_held_back) == (1, 1)

    def test_is_accepted_when_no_answer_about_the_seat_showed_the_known_record_for_max_lag(self) -> None:
        """Answers about other seats do not count."""
        fallen = changed(calls_answered=0)
        it = high_water(KNOWN, OTHER, max_lag=10)
        assert it.accept_part(snapshot(KNOWN, at=4)) != ()
        assert it.accept_part(snapshot(OTHER, at=9)) != ()
        assert it.accept_part(snapshot(fallen, at=13)) == ()
        assert it.accept_part(snapshot(fallen, at=14)) != ()
        assert it.snapshot == snapshot(fallen, OTHER)

    def test_says_nothing_about_the_age_of_the_whole(self) -> None:
        it = high_water(KNOWN, OTHER, max_lag=10)
        old = snapshot(changed(calls_answered=6), OTHER, at=9)
        assert it.accept(old) == ()
        assert it.accept_part(snapshot(FORWARD, at=9.5)) != ()
        assert it.accept(snapshot(changed(calls_answered=6), FORWARD, at=10)) != ()

    def test_no_seat_leaves_by_it_and_its_own_are_there(self) -> None:
        it = high_water(KNOWN, OTHER, agent("3"), leave_after=2)
        (kept,) = it.accept(snapshot(FORWARD, at=2))
        assert len(kept) == 3
        it.accept_part(snapshot(KNOWN, at=3))
        (kept,) = it.accept(snapshot(FORWARD, at=4))
        assert kept.keys() == {KNOWN.key, OTHER.key}
        (kept,) = it.accept(snapshot(FORWARD, at=6))
        assert kept.keys() == {OTHER.key}

    def test_a_counter_that_it_leaves_out_keeps_its_value(self) -> None:
        it = high_water(KNOWN, OTHER)
        problem = FieldProblem(*KNOWN.key, "callsanswered", "is missing")
        part = Snapshot([changed(calls_answered=0)], observed_at=START, problems=[problem])
        (accepted,) = it.accept_part(part)
        assert accepted[KNOWN.key] is KNOWN
        assert accepted.problems == (attrs.evolve(problem, carried=True),)

    def test_calls_since_a_reset_are_counted_from_it(self) -> None:
        it = high_water(KNOWN, OTHER)
        zero = changed(calls_answered=0, no_answer_count=0, state=AgentState.IDLE)
        assert it.accept_part(snapshot(zero, at=2)) == ()
        first, accepted = it.accept_part(snapshot(attrs.evolve(zero, calls_answered=9, last_answered_at=T3), at=4))
        assert (first[KNOWN.key].calls_answered, accepted[KNOWN.key].calls_answered) == (0, 9)
        assert first[OTHER.key] is accepted[OTHER.key] is OTHER

    def test_must_follow_the_whole_and_have_no_other_seats(self) -> None:
        for it in (HighWater(), high_water(KNOWN)):
            with pytest.raises(ValueError, match="a part of the status must follow the whole"):
                it.accept_part(snapshot(OTHER))


def test_a_missing_seat_says_nothing_about_its_record() -> None:
    it = high_water(KNOWN, OTHER, max_lag=10, leave_after=3)
    fallen = changed(calls_answered=0)
    assert it.accept(snapshot(fallen, FORWARD, at=4))[0][KNOWN.key] == KNOWN
    assert it.accept(snapshot(FORWARD, at=8))[0][KNOWN.key] == KNOWN
    assert it.accept(snapshot(fallen, FORWARD, at=12))[0][KNOWN.key] == fallen


def test_time_is_the_steady_one() -> None:
    it = HighWater(10, Snapshot([KNOWN], observed_at=START, steady_at=0.0))
    steps = [(3600, 5.0), (7200, 9.0), (-3600, 10.0)]
    fallen = changed(calls_answered=0)
    answers = [Snapshot([fallen], observed_at=START + timedelta(seconds=at), steady_at=it_) for at, it_ in steps]
    assert [bool(it.accept(answer)) for answer in answers] == [False, False, True]


class TestSeats:
    def test_a_seat_shown_again_after_it_left_has_not_joined(self) -> None:
        it = high_water(KNOWN, OTHER, max_lag=10)
        assert it.accept(snapshot(OTHER, at=2))[0] == snapshot(OTHER)
        assert it.accept(snapshot(OTHER, KNOWN, at=4))[0] == snapshot(OTHER)
        assert it.records_held_back == 1
        assert it.accept(snapshot(OTHER, KNOWN, at=12))[0] == snapshot(OTHER, KNOWN)

    @pytest.mark.parametrize(
        "newer",
        [{"last_offered_at": T3, "last_changed_at": None}, {"last_changed_at": T3, "last_answered_at": None}],
        ids=str,
    )
    def test_it_joined_if_its_record_is_newer(self, newer: dict[str, Any]) -> None:
        it = high_water(KNOWN, OTHER)
        it.accept(snapshot(OTHER, at=2))
        assert it.accept(snapshot(OTHER, changed(**newer), at=4))[0] == snapshot(OTHER, changed(**newer))

    def test_a_call_before_it_left_is_no_sign_in(self) -> None:
        it = high_water(KNOWN, OTHER)
        it.accept(snapshot(OTHER, at=2))
        assert it.accept(snapshot(OTHER, changed(calls_answered=8, last_answered_at=T3), at=4))[0] == snapshot(OTHER)

    def test_a_record_from_before_it_left_tells_no_calls(self) -> None:
        """The counters started from zero when the seat joined again."""
        left = changed(last_changed_at=None)
        joined = changed(
            calls_answered=0, no_answer_count=0, last_answered_at=None, last_offered_at=None, last_changed_at=T3
        )
        it = high_water(left, OTHER)
        shown = [(), (joined,), (left,), (joined,)]
        assert calls_told(it, *(snapshot(OTHER, *records, at=at) for at, records in enumerate(shown, 1))) == 0
        assert it.snapshot == snapshot(OTHER, joined)

    def test_a_record_held_back_before_a_seat_left_does_not_count_after_its_return(self) -> None:
        it = high_water(KNOWN, OTHER, max_lag=10)
        again, answered = changed(last_changed_at=T3), attrs.evolve(FORWARD, last_answered_at=T3)
        for at, records in enumerate(([changed(calls_answered=6), FORWARD], [FORWARD], [again, FORWARD])):
            it.accept(snapshot(*records, at=at))
        it.accept(snapshot(again, FORWARD, at=19))
        it.accept(snapshot(KNOWN, answered, at=20))
        assert it.snapshot == snapshot(again, answered)

    def test_a_seat_that_just_joined_and_is_missing_has_not_left(self) -> None:
        it = high_water(KNOWN, max_lag=10)
        it.accept(snapshot(KNOWN, OTHER, at=2))
        assert it.accept(snapshot(KNOWN, at=4))[0] == snapshot(KNOWN, OTHER)
        assert it.accept(snapshot(KNOWN, at=12))[0] == snapshot(KNOWN)

    def test_after_an_empty_answer_all_may_come_back(self) -> None:
        it = high_water(KNOWN, OTHER)
        assert it.accept(snapshot(at=2))[0] == snapshot()
        assert it.accept(snapshot(KNOWN, OTHER, at=4))[0] == snapshot(KNOWN, OTHER)

    def test_a_seat_that_left_alone_and_is_shown_again_has_not_joined(self) -> None:
        it = high_water(KNOWN)
        assert it.accept(snapshot(at=2))[0] == snapshot()
        assert it.accept(snapshot(KNOWN, at=4))[0] == snapshot()
        assert it.records_held_back == 1

    def test_a_seat_leaves_after_so_many_accepted_answers_without_it(self) -> None:
        it = high_water(KNOWN, OTHER, leave_after=2)
        assert it.accept(snapshot(OTHER, at=2))[0] == snapshot(KNOWN, OTHER)
        assert it.accept(snapshot(KNOWN, OTHER, at=4))[0] == snapshot(KNOWN, OTHER)
        assert it.accept(snapshot(OTHER, at=6))[0] == snapshot(KNOWN, OTHER)
        assert it.accept(snapshot(attrs.evolve(OTHER, calls_answered=0), at=8)) == ()
        assert it.accept(snapshot(OTHER, at=10))[0] == snapshot(OTHER)

    def test_an_old_answer_that_shows_a_seat_interrupts_the_row_without_it(self) -> None:
        it = high_water(KNOWN, OTHER, leave_after=2)
        for at in (2, 6, 10):
            assert it.accept(snapshot(OTHER, at=at))[0] == snapshot(KNOWN, OTHER)
            assert it.accept(snapshot(KNOWN, attrs.evolve(OTHER, calls_answered=0), at=at + 2)) == ()


class TestCountersLeftOut:
    def answer(self, record: AgentStatus, *fields: str, at: float = 2, carried: bool = False) -> Snapshot:
        problems = [FieldProblem(*record.key, field, "is missing", carried) for field in fields]
        return snapshot(record, at=at, problems=problems)

    def test_keep_their_known_value(self) -> None:
        it = high_water(KNOWN)
        blank = changed(calls_answered=0, no_answer_count=0)
        (accepted,) = it.accept(self.answer(blank, "callsanswered", "noanswercount"))
        assert accepted[KNOWN.key] is it.snapshot[KNOWN.key] == KNOWN if it.snapshot else False
        assert {(it.field, it.carried) for it in accepted.problems} == {
            ("callsanswered", True),
            ("noanswercount", True),
        }
        (later,) = it.accept(snapshot(changed(calls_answered=8), at=4))
        assert [event.to_dict()["count"] for event in diff(accepted, later)] == [1]

    def test_the_other_counter_is_believed(self) -> None:
        (accepted,) = high_water(KNOWN).accept(
            self.answer(changed(calls_answered=0, no_answer_count=3), "callsanswered")
        )
        assert accepted[KNOWN.key] == changed(no_answer_count=3)

    def test_a_counter_that_was_never_known_tells_no_calls_when_it_comes(self) -> None:
        it = HighWater()
        (first,) = it.accept(self.answer(changed(calls_answered=0), "callsanswered", at=0))
        (second,) = it.accept(self.answer(changed(calls_answered=0, no_answer_count=3), "callsanswered"))
        (third,) = it.accept(snapshot(changed(calls_answered=9, no_answer_count=3), at=4))
        (fourth,) = it.accept(snapshot(changed(calls_answered=10, no_answer_count=3), at=6))
        told = [[str(event) for event in diff(*pair)] for pair in ((first, second), (second, third), (third, fourth))]
        assert told == [
            ["queue-1 100001 missed 1 call"],
            ["queue-1 100001 calls_answered: 0 → 9"],
            ["queue-1 100001 answered 1 call, hidden"],
        ]

    def test_a_held_back_record_keeps_its_own_problems(self) -> None:
        it = high_water(OTHER)
        it.accept(snapshot(changed(calls_answered=0), OTHER, at=2, problems=self.unknown))
        fallen = changed(calls_answered=3, no_answer_count=0)
        elsewhere = FieldProblem(*OTHER.key, "wrapuptime", "is odd")
        gone = FieldProblem(*KNOWN.key, "maxnoanswer", "is odd")
        (accepted,) = it.accept(snapshot(fallen, FORWARD, at=4, problems=[elsewhere, gone]))
        assert accepted.problems == (elsewhere, *self.unknown)

    unknown = (FieldProblem(*KNOWN.key, "callsanswered", "is missing"),)

    def test_a_counter_that_the_decoder_carried_is_known(self) -> None:
        it = HighWater()
        (first,) = it.accept(self.answer(KNOWN, "callsanswered", carried=True))
        (second,) = it.accept(snapshot(changed(calls_answered=8), at=4))
        assert [event.to_dict()["count"] for event in diff(first, second)] == [1]

    def test_are_no_reset_when_an_agent_signs_in_again(self) -> None:
        """Calls are counted from the first answer that has the counter."""
        it = high_water(KNOWN, OTHER)
        it.accept(snapshot(OTHER, at=2))
        signed_in = changed(last_changed_at=T3)
        it.accept(snapshot(attrs.evolve(signed_in, calls_answered=0), OTHER, at=4, problems=self.unknown))
        answered = attrs.evolve(signed_in, calls_answered=8, last_answered_at=T3)
        assert calls_told(it, snapshot(signed_in, OTHER, at=6), snapshot(answered, OTHER, at=8)) == 1

    @pytest.mark.parametrize("time", [T2, T3], ids=["no call", "a later call"])
    def test_are_unknown_of_another_person(self, time: datetime) -> None:
        it = high_water(changed(name="Ann"))
        bob = changed(name="Bob", last_answered_at=time, last_offered_at=time)
        blank = attrs.evolve(bob, calls_answered=0, no_answer_count=0)
        (first,) = it.accept(self.answer(blank, "callsanswered", "noanswercount"))
        assert first[KNOWN.key] == blank
        assert not any(it.carried for it in first.problems)
        counts = attrs.evolve(bob, calls_answered=25, no_answer_count=9)
        (second,) = it.accept(snapshot(counts, at=4))
        assert [type(event) for event in diff(first, second)] == [AgentChanged]
        (third,) = it.accept(snapshot(attrs.evolve(counts, calls_answered=26), at=6))
        assert [event.to_dict()["count"] for event in diff(second, third)] == [1]

    def test_they_confirm_no_reset(self) -> None:
        it = high_water(KNOWN)
        assert it.accept(snapshot(changed(calls_answered=0, no_answer_count=0), at=2)) == ()
        blank = changed(calls_answered=0, no_answer_count=0, last_offered_at=T3)
        assert it.accept(self.answer(blank, "callsanswered", "noanswercount", at=4)) == (
            snapshot(changed(last_offered_at=T3)),
        )

    @pytest.mark.parametrize(
        ("fields", "calls"),
        [
            ({"calls_answered": 1, "no_answer_count": 0, "last_answered_at": T3}, 1),
            ({"calls_answered": 0, "no_answer_count": 1}, 1),
            ({"calls_answered": 1, "no_answer_count": 1, "last_answered_at": T3}, 2),
            ({"calls_answered": 6, "no_answer_count": 2}, 0),
            ({"calls_answered": 0, "no_answer_count": 1, "last_offered_at": T2}, 0),
            ({"calls_answered": 0, "no_answer_count": 1, "name": "Bob"}, 0),
        ],
        ids=["answered", "missed", "both", "no later answer", "an older record", "another person"],
    )
    def test_calls_since_a_reset_in_that_time_are_told(self, fields: dict[str, Any], calls: int) -> None:
        shown = changed(**{"last_offered_at": T3} | fields)
        blank = attrs.evolve(shown, calls_answered=0, no_answer_count=0, name=None, last_offered_at=T3)
        it = high_water(KNOWN)
        answers = self.answer(blank, "callsanswered", "noanswercount"), snapshot(shown, at=4)
        assert calls_told(it, *answers, snapshot(shown, at=6)) == calls

    def test_a_problem_of_no_seat_changes_nothing(self) -> None:
        problem = FieldProblem(None, None, "rsptime", "is odd")
        polled = snapshot(KNOWN, at=2, problems=[problem])
        assert high_water(KNOWN).accept(polled)[0] is polled


class TestResets:
    """After a reset, calls are counted from the first records after it."""

    RESET = changed(calls_answered=0, no_answer_count=0)

    @pytest.mark.parametrize(
        ("known", "first", "record", "count"),
        [
            (KNOWN, RESET, changed(calls_answered=0, no_answer_count=1, last_offered_at=T3), 1),
            (
                changed(calls_answered=1),
                changed(calls_answered=0, no_answer_count=0),
                changed(calls_answered=1, no_answer_count=0, last_answered_at=T3),
                1,
            ),
            (
                changed(calls_answered=1, no_answer_count=0),
                RESET,
                changed(calls_answered=1, no_answer_count=0, last_answered_at=T3),
                1,
            ),
            (
                KNOWN,
                changed(calls_answered=0, no_answer_count=0, last_answered_at=None, last_offered_at=None),
                changed(calls_answered=2, no_answer_count=0, last_answered_at=T3, last_offered_at=T3),
                2,
            ),
            (KNOWN, changed(calls_answered=6, last_answered_at=T1), changed(calls_answered=8, last_answered_at=T3), 1),
            (
                KNOWN,
                changed(calls_answered=6, no_answer_count=0),
                changed(calls_answered=8, no_answer_count=0, last_answered_at=T3),
                1,
            ),
            (
                changed(calls_answered=1, no_answer_count=0),
                attrs.evolve(RESET, state=AgentState.TALKING),
                changed(calls_answered=2, no_answer_count=0, last_answered_at=T3),
                1,
            ),
        ],
        ids=[
            "another counter",
            "the same value again",
            "no counter fell",
            "times blanked",
            "old, no reset",
            "old where a counter has no reset",
            "in a call, no reset",
        ],
    )
    def test_one_that_a_newer_record_confirms(
        self, known: AgentStatus, first: AgentStatus, record: AgentStatus, count: int
    ) -> None:
        it = high_water(known)
        assert it.accept(snapshot(first, at=2)) == ()
        assert calls_told(it, snapshot(record, at=4)) == count
        assert it.snapshot == snapshot(record)

    def test_a_record_from_before_a_reset_is_held_back_for_max_lag(self) -> None:
        """The record's times are known: a call was answered just before the reset, and a lagging back end counts it."""
        it = high_water(KNOWN, max_lag=10)
        reset = changed(calls_answered=0, last_answered_at=T3)
        before = changed(calls_answered=8, no_answer_count=3, last_answered_at=T3)
        assert it.accept(snapshot(reset, at=2)) == (snapshot(reset),)
        assert it.accept(snapshot(before, at=4)) == ()
        missed = attrs.evolve(reset, no_answer_count=3)
        assert it.accept(snapshot(missed, at=6)) == (snapshot(missed),)
        assert it.accept(snapshot(before, at=14)) == (snapshot(before),)

    UNTIMED = changed(last_answered_at=None, last_offered_at=None)
    BLANKED = attrs.evolve(UNTIMED, calls_answered=0, no_answer_count=0)
    LATE = changed(last_answered_at=T3, last_offered_at=T3)
    NEXT_HOUR = changed(calls_answered=8, last_answered_at=T1, last_offered_at=T1)

    @pytest.mark.parametrize(
        ("known", "accepted", "older"),
        [
            (KNOWN, BLANKED, KNOWN),
            (KNOWN, BLANKED, attrs.evolve(LATE, calls_answered=8)),
            (UNTIMED, BLANKED, UNTIMED),
            (UNTIMED, BLANKED, attrs.evolve(UNTIMED, calls_answered=6)),
            (LATE, NEXT_HOUR, LATE),
        ],
        ids=["times blanked", "one call more", "no times", "no times, a call less", "end of summer time"],
    )
    def test_after_one_that_time_confirmed_an_older_record_tells_no_calls(
        self, known: AgentStatus, accepted: AgentStatus, older: AgentStatus
    ) -> None:
        it = high_water(known, max_lag=10)
        shown = [accepted, accepted, older, accepted, older, older, accepted]
        told = calls_told(it, *(snapshot(record, at=10 + number) for number, record in enumerate(shown)))
        assert told == max(0, accepted.calls_answered - known.calls_answered)
        assert it.answers_held_back == 4
        assert it.accept(snapshot(older, at=21)) == (snapshot(older),)

    @pytest.mark.parametrize(
        ("known", "accepted", "newer"),
        [
            (KNOWN, BLANKED, attrs.evolve(LATE, calls_answered=1, no_answer_count=0)),
            (KNOWN, BLANKED, attrs.evolve(BLANKED, no_answer_count=1, last_offered_at=T3)),
            (KNOWN, RESET, attrs.evolve(RESET, calls_answered=1)),
            (KNOWN, RESET, attrs.evolve(RESET, calls_answered=8, last_answered_at=T3)),
            (LATE, NEXT_HOUR, attrs.evolve(NEXT_HOUR, calls_answered=9, last_answered_at=T2)),
            (LATE, NEXT_HOUR, attrs.evolve(NEXT_HOUR, calls_answered=9, last_answered_at=T2, last_offered_at=T4)),
        ],
        ids=[
            "times blanked",
            "a missed call",
            "a call that ends",
            "a call, times kept",
            "end of summer time",
            "end of summer time, and the next offer is later",
        ],
    )
    def test_after_a_record_accepted_by_time_a_new_call_is_reported_at_once(
        self, known: AgentStatus, accepted: AgentStatus, newer: AgentStatus
    ) -> None:
        it = high_water(known, max_lag=10)
        it.accept(snapshot(accepted, at=10))
        it.accept(snapshot(accepted, at=11))
        assert it.accept(snapshot(newer, at=12)) == (snapshot(newer),)

    def test_without_times_calls_after_a_reset_are_told_within_max_lag(self) -> None:
        it = high_water(self.UNTIMED, max_lag=10)
        calls = [attrs.evolve(self.BLANKED, calls_answered=count) for count in (0, 0, 1, 2)]
        assert calls_told(it, *(snapshot(record, at=10 + number) for number, record in enumerate(calls))) == 0
        assert calls_told(it, snapshot(calls[-1], at=21)) == 2

    def test_a_counter_left_out_does_not_make_an_older_record_new(self) -> None:
        it = high_water(KNOWN)
        reset = attrs.evolve(self.RESET, last_offered_at=T3)
        problem = FieldProblem(*KNOWN.key, "callsanswered", "is missing")
        older = snapshot(attrs.evolve(reset, no_answer_count=2), at=4, problems=[problem])
        assert calls_told(it, snapshot(reset, at=2), older) == 0

    def test_an_older_record_is_no_reset_where_the_time_of_a_missed_call_is_not_sent(self) -> None:
        missed = attrs.evolve(self.BLANKED, no_answer_count=1)
        answered = attrs.evolve(missed, calls_answered=1, last_answered_at=T1)
        shown = [missed, self.BLANKED, missed, answered]
        it = high_water(self.BLANKED)
        assert calls_told(it, *(snapshot(record, at=number) for number, record in enumerate(shown))) == 2

    def test_a_counter_that_was_left_out_across_a_reset_tells_the_others_calls_once(self) -> None:
        it = high_water(self.UNTIMED, max_lag=10)
        shown = [attrs.evolve(self.UNTIMED, calls_answered=count, no_answer_count=0) for count in (6, 7, 7)]
        assert calls_told(it, *(snapshot(record, at=10 + number) for number, record in enumerate(shown))) == 0
        assert it.snapshot == snapshot(shown[-1])

    @pytest.mark.parametrize(
        "earlier",
        [
            {"last_answered_at": None, "last_offered_at": None},
            {"state": AgentState.TALKING},
        ],
        ids=["from before the first call", "in a call outside the queue"],
    )
    def test_one_shows_although_another_record_had_no_calls_either(self, earlier: dict[str, Any]) -> None:
        known = changed(calls_answered=1, no_answer_count=0)
        it = high_water(known)
        shown = [
            attrs.evolve(self.RESET, **earlier),
            self.RESET,
            changed(calls_answered=1, no_answer_count=0, last_answered_at=T3),
        ]
        assert calls_told(it, *(snapshot(record, at=at) for at, record in enumerate(shown, 1))) == 1

    def test_one_that_time_confirms(self) -> None:
        it = high_water(KNOWN, max_lag=10)
        missed = changed(calls_answered=0, no_answer_count=1)
        for at, record in ((4, changed(calls_answered=6)), (6, self.RESET), (8, missed)):
            assert it.accept(snapshot(record, at=at)) == ()
        assert it.accept(snapshot(missed, at=10)) == (snapshot(self.RESET), snapshot(missed))


@pytest.mark.parametrize(
    "arguments", [{"max_lag": -1}, {"max_lag": float("inf")}, {"max_lag": float("nan")}, {"leave_after": 0}]
)
def test_invalid_arguments_raise_value_error_naming_the_argument(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))} must be"):
        HighWater(**arguments)


def test_a_back_end_that_alone_counts_from_0_makes_no_call_up() -> None:
    """Counters of 0 are another back end's, not a reset, if a newer answer shows the known record again."""
    it = high_water(KNOWN, OTHER)
    zeros = changed(calls_answered=0, no_answer_count=0)
    newer = attrs.evolve(FORWARD, calls_answered=3, last_answered_at=T3)
    shown = [(zeros, OTHER), (KNOWN, FORWARD), (changed(calls_answered=8, last_answered_at=T3), newer)]
    assert calls_told(it, *(snapshot(*records, at=at) for at, records in enumerate(shown, 1))) == 1


def test_a_reset_counts_from_0_also_where_a_back_end_lagged_before() -> None:
    """An old record that was held back an hour ago does not prevent the recognition of a reset."""
    seat = attrs.evolve(OTHER, no_answer_count=0)
    it = high_water(seat, KNOWN)
    before = it.snapshot
    old, reset = attrs.evolve(seat, calls_answered=0, last_answered_at=None), attrs.evolve(seat, calls_answered=0)
    later = changed(last_offered_at=T3)
    shown = [(2, old, KNOWN), (4, seat, later), (3600, reset, later), (3900, attrs.evolve(FORWARD), later)]
    told = 0
    for at, *records in shown:
        for accepted in it.accept(snapshot(*records, at=at)):
            events = diff(before, accepted)
            told += sum(event.count for event in events if isinstance(event, CallAnswered))
            before = accepted
    assert told == 2
