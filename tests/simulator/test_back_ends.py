"""Several back ends behind one address, some of which lag."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentState
from sipqueue_async.simulator import BackEnd, CallCentre, LiveCentre, Plan, Platform, Seat
from sipqueue_async.simulator.platform import STATUS

BUSY = Plan(agents=6, calls_per_hour=400, talk_median=20)


class Presence:
    """A centre without agents that does not keep its past."""

    extensions = ()
    local_time = Plan().start

    def seats(self) -> tuple[Seat, ...]:
        """Return no records."""
        return ()


def answer(platform: Platform) -> dict[str, Any]:
    """Return the `data` of a status answer."""
    data: dict[str, Any] = json.loads(platform.answer({"service": STATUS, "token": "t"}))["data"]
    return data


def counts(data: dict[str, Any]) -> list[int]:
    """Return the number of calls in each record."""
    return [record["callsanswered"] for record in data["result"]]


@pytest.mark.parametrize("steps", [1, 7])
def test_the_past_is_as_it_was(steps: int) -> None:
    """`seats_before` returns that moment's records, including manual changes, however the model is stepped."""
    then, now = (CallCentre(BUSY, seed=4) for _ in range(2))
    for centre, seconds in ((then, 600.0), (now, 630.0)):
        centre.run_until(200)
        centre.hand_over("100001", "Li Na", calls_answered=70, no_answer_count=7)
        centre.run_until(300)
        centre.reset_counters()
        for step in range(1, steps + 1):
            centre.run_until(300 + (seconds - 300) * step / steps)
            assert len(centre.seats_before(1.5)) == len(centre.seats())
    now.reset_counters()
    assert now.seats_before(30) == then.seats() != now.seats()
    assert now.seats_before(700) == CallCentre(BUSY, seed=4).seats()
    live = LiveCentre(now, clock=float)
    assert live.seats_before(30) == then.seats()
    for seconds in (-1, float("inf")):
        with pytest.raises(ValueError, match="seconds must be a finite number"):
            now.seats_before(seconds)


@pytest.mark.parametrize("fresh_time", [True, False])
def test_a_back_end_that_lags_shows_the_past(*, fresh_time: bool) -> None:
    """Records are as old as the back end's lag, while `rsptime` has the requested age."""
    centre = CallCentre(BUSY, seed=4)
    platform = Platform(centre, tokens=["t"])
    centre.run_until(600)
    old = answer(platform)
    centre.run_until(660)
    new = answer(platform)
    platform.faults.balance(BackEnd(60.0, fresh_time=fresh_time))
    found = answer(platform)
    assert found["result"] == old["result"] != new["result"]
    assert found["rsptime"] == (new if fresh_time else old)["rsptime"]
    platform.faults.clear()
    assert platform.faults.back_end is None
    assert answer(platform) == new


def test_requests_are_dealt_out_by_share_and_in_rows() -> None:
    """Each back end gets its share of the requests in runs of the given length; a seed determines the order."""
    platform = Platform(CallCentre(BUSY), tokens=["t"])

    def asked(*shares: float, polls: tuple[int, int], seed: int = 0) -> str:
        ends = [BackEnd(float(number), share) for number, share in enumerate(shares)]
        platform.faults.balance(*ends, polls=polls, seed=seed)
        found = ""
        for _ in range(400):
            answer(platform)
            assert platform.faults.back_end is not None
            found += f"{platform.faults.back_end.behind:g}"
        return found

    assert 60 < asked(3, 1, polls=(1, 1)).count("1") < 140
    rows = {len(row) for row in re.findall("0+|1+", asked(1, 1, polls=(3, 3)))[:-1]}
    assert rows <= {3 * number for number in range(1, 30)}
    assert asked(1, 1, polls=(1, 6)) == asked(1, 1, polls=(1, 6)) != asked(1, 1, polls=(1, 6), seed=1)
    assert set(asked(1, 0, polls=(1, 1))) == {"0"}


def test_a_back_end_may_go_away_midway() -> None:
    """A back end whose share becomes 0 gets no further request, not even in the middle of its run."""
    platform = Platform(CallCentre(BUSY), tokens=["t"])
    first, second = BackEnd(share=1), BackEnd(share=0)
    platform.faults.balance(first, second, polls=(100, 100))
    answer(platform)
    assert platform.faults.back_end is first
    first.share, second.share = 0.0, 1.0
    answer(platform)
    assert platform.faults.back_end is second


def test_a_reset_of_one_back_end_alone() -> None:
    """Its counters restart at 0 and count the calls since, while the other back end's continue."""
    centre = CallCentre(BUSY, seed=4)
    platform = Platform(centre, tokens=["t"])
    centre.run_until(600)
    before = counts(answer(platform))
    one = BackEnd()
    platform.faults.balance(one)
    one.reset_counters()
    assert counts(answer(platform)) == [0] * len(before) != before
    centre.run_until(1200)
    since = counts(answer(platform))
    platform.faults.clear()
    assert [now - then for now, then in zip(counts(answer(platform)), before, strict=True)] == since


@pytest.mark.parametrize("ends", [{"behind": -1}, {"behind": float("inf")}, {"share": -1}])
def test_a_back_end_has_sensible_numbers(ends: dict[str, float]) -> None:
    """Invalid numbers raise ValueError naming the attribute."""
    with pytest.raises(ValueError, match=f"{next(iter(ends))} must be a finite number"):
        BackEnd(**ends)  # type: ignore[arg-type]


def test_invalid_balancing_is_refused() -> None:
    """No back ends, empty runs, and a centre without a past are refused."""
    platform = Platform(Presence(), tokens=["t"])
    with pytest.raises(ValueError, match="at least one back end"):
        platform.faults.balance()
    for polls in ((0, 1), (3, 2)):
        with pytest.raises(ValueError, match="polls must be"):
            platform.faults.balance(BackEnd(), polls=polls)
    platform.faults.balance(BackEnd(2.5))
    assert repr(platform.faults) == "<Faults: back ends that lag by 2.5 s planned>"
    with pytest.raises(TypeError, match="needs a centre with seats_before"):
        answer(platform)
    platform.faults.balance(BackEnd())
    assert answer(platform)["result"] == []


def test_another_agent_sits_at_an_extension() -> None:
    """Name and counters of all the extension's seats change together; no other seat changes."""
    centre = CallCentre(attrs.evolve(BUSY, several_queues=1.0), seed=4)
    centre.run_until(600)
    before = {seat.key: seat for seat in centre.seats()}
    centre.hand_over("100002", "Li Na", calls_answered=3)
    for seat in centre.seats():
        expected = before[seat.key]
        if seat.extension == "100002":
            expected = attrs.evolve(expected, name="Li Na", calls_answered=3, no_answer_count=0)
        assert seat == expected
    with pytest.raises(ValueError, match="no extension '7'"):
        centre.hand_over("7", "Li Na")


def test_a_platform_may_count_calls_when_they_end() -> None:
    """The counter increases at the end of a call, and the ground truth counts the call at the same time."""
    centre = CallCentre(attrs.evolve(BUSY, counted_at_end=True), seed=4)
    talked = 0
    for second in range(0, 900, 5):
        centre.run_until(second)
        assert sum(seat.calls_answered for seat in centre.seats()) == centre.truth.answered()
        talking = sum(seat.state is AgentState.TALKING for seat in centre.seats())
        taken = sum(offer.answered_at is not None for offer in centre.truth.offers)
        assert taken == centre.truth.answered() + talking
        talked += talking
    assert talked > 10


@pytest.mark.parametrize("blanked", [False, True])
def test_a_reset_may_blank_the_times(*, blanked: bool) -> None:
    """The plan decides whether call times are reset together with the counters."""
    centre = CallCentre(attrs.evolve(BUSY, time_reset=blanked), seed=4)
    centre.run_until(600)
    centre.reset_counters()
    assert all((seat.last_offered_at is None) is blanked for seat in centre.seats())
