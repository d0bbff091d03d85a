"""Types of the simulator: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import assert_type

import pytest

from sipqueue_async import AgentState, SeatKey, SipQueueClient
from sipqueue_async.simulator import (
    BackEnd,
    CallCentre,
    Centre,
    CommandedCentre,
    CommandError,
    ExternalCall,
    Faults,
    GroundTruth,
    LiveCentre,
    Offer,
    Outcome,
    PastCall,
    PastCentre,
    PhoneCall,
    PhoneCentre,
    Plan,
    Platform,
    PlatformServer,
    Pusher,
    PushFaults,
    Reply,
    Seat,
    Signing,
    Simulator,
    StateInterval,
)


def test_a_plan() -> None:
    plan = Plan.lively()
    assert_type(Plan.lively(), Plan)
    assert_type(plan.extensions, tuple[str, ...])
    assert_type(plan.queue_names, tuple[str, ...])
    assert_type(plan.offered_load, float)
    assert_type(plan.shift_hours, float | None)
    assert plan != Plan()


def check_a_centre(centre: Centre) -> None:
    """Use all methods that a platform needs of any call centre."""
    assert_type(centre.extensions, Collection[str])
    assert_type(centre.local_time, datetime)
    assert_type(centre.seats(), Sequence[Seat])


def check_who_calls(centre: PhoneCentre) -> None:
    """Use what a platform needs of a call centre with records of calls."""
    assert_type(centre.calls(), Mapping[str, PhoneCall])


def check_commands(centre: CommandedCentre) -> None:
    """Use what a platform needs of a call centre that takes commands."""
    assert_type(centre.queues, Sequence[str])
    assert_type(centre.registered(), Collection[str])


def _past_of(centre: PastCentre) -> PastCentre:
    return centre


async def test_a_pusher() -> None:
    async with Simulator(speed=0) as simulator, Pusher(simulator, [], faults=PushFaults(loss=0.5)) as pusher:
        assert_type(pusher, Pusher)
        assert_type(pusher.sent, int)
        assert pusher.taken == 0


def test_a_call_centre() -> None:
    centre = CallCentre(Plan(), seed=1)
    assert_type(centre.run_until(1.0), None)
    assert_type(centre.advance(59.0), None)
    assert_type(centre.reset_counters(), None)
    assert_type(centre.hand_over("100001", "Li Na"), None)
    assert_type(centre.seats_before(5.0), tuple[Seat, ...])
    assert_type(_past_of(centre).seats_before(5.0), Sequence[Seat])
    assert_type(centre.now, float)
    assert_type(centre.plan, Plan)
    assert_type(centre.local_time, datetime)
    assert_type(centre.extensions, tuple[str, ...])
    assert_type(centre.queues, tuple[str, ...])
    assert_type(centre.seats(), tuple[Seat, ...])
    assert_type(centre.calls(), dict[str, PhoneCall])
    assert_type(centre.past_calls(), tuple[PastCall, ...])
    assert_type(centre.seats()[0].key, SeatKey)
    assert_type(centre.registered(), frozenset[str])
    assert_type(centre.pause("100001"), None)
    assert_type(centre.resume("100001"), None)
    assert_type(centre.sign_out("queue-1", "100001"), None)
    assert_type(centre.sign_in("queue-1", "100001"), None)
    with pytest.raises(CommandError):
        assert_type(centre.hang_up("999"), None)
    check_a_centre(centre)
    check_who_calls(centre)
    check_commands(centre)
    call = PhoneCall(number="1", outgoing=False)
    assert_type(call.answered_at, datetime | None)
    assert centre.now == 60


def test_a_centre_that_follows_a_clock() -> None:
    live = LiveCentre(CallCentre(), speed=10, clock=lambda: 0.0)
    assert_type(live.start(), None)
    assert_type(live.catch_up(), None)
    assert_type(live.advance(60), None)
    assert_type(live.stop(), None)
    assert_type(live.extensions, tuple[str, ...])
    assert_type(live.local_time, datetime)
    assert_type(live.seats(), tuple[Seat, ...])
    assert_type(live.calls(), dict[str, PhoneCall])
    check_a_centre(live)
    check_who_calls(live)
    assert live.seats()


def test_the_truth() -> None:
    centre = CallCentre()
    centre.advance(3600)
    truth = centre.truth
    assert_type(truth, GroundTruth)
    assert_type(truth.start, datetime)
    assert_type(truth.local_time(60), datetime)
    assert_type(truth.intervals, tuple[StateInterval, ...])
    assert_type(truth.intervals_of(("queue-1", "100001")), tuple[StateInterval, ...])
    assert_type(truth.state_at(SeatKey("queue-1", "100001"), 60), AgentState | None)
    assert_type(truth.offers, tuple[Offer, ...])
    assert_type(truth.offers[0].outcome, Outcome | None)
    assert_type(truth.counted_answer(truth.offers[0]), float | None)
    assert_type(truth.sign_ins, tuple[Signing, ...])
    assert_type(truth.sign_outs, tuple[Signing, ...])
    assert_type(truth.counter_resets, tuple[float, ...])
    assert_type(truth.external_calls, tuple[ExternalCall, ...])
    assert_type(truth.answered(0, 3600, queue="queue-1"), int)
    assert_type(truth.counted_answer(truth.offers[0]), float | None)
    assert_type(truth.missed(extension="100001"), int)
    assert truth.answered() > 0


def test_a_platform() -> None:
    platform = Platform(CallCentre(), tokens=["ABCDEFG"])
    assert_type(platform.appid, str)
    assert_type(platform.accesskey, str)
    assert_type(platform.refuse(500, msg="closed", times=None), None)
    assert_type(platform.fail("1003", service="App.Sip_Auth.Login"), None)
    assert_type(platform.relent(), None)
    assert_type(platform.revoke_tokens(), None)
    assert_type(platform.answer({"service": "App.Sip_Auth.Login"}), bytes)
    assert_type(platform.reply({}), Reply)
    assert_type(platform.reject("no form"), bytes)
    assert_type(platform.logins, int)
    assert_type(platform.requests, int)
    assert_type(platform.requests_by_service, Counter[str])
    assert platform.requests == 3


def test_faults() -> None:
    faults = Platform(CallCentre()).faults
    assert_type(faults, Faults)
    assert_type(faults.next(status=503, headers={"Retry-After": "30"}, times=None), None)
    assert_type(faults.next(body=b"<br>", delay=1.0, service="App.Sip_Auth.Login"), None)
    reply = faults.reply("App.Sip_Auth.Login", lambda: b"{}")
    assert_type(reply, Reply)
    assert_type(reply.headers, Mapping[str, str])
    back_end = BackEnd(5.0, share=2.0, fresh_time=False)
    assert_type(back_end.behind, float)
    assert_type(back_end.reset_counters(), None)
    assert_type(back_end.shown(()), Sequence[Seat])
    assert_type(faults.balance(BackEnd(), back_end, polls=(1, 6), seed=1), None)
    assert_type(faults.next_back_end(), BackEnd | None)
    assert_type(faults.back_end, BackEnd | None)
    assert_type(faults.clear(), None)
    assert_type(Reply.good(b"{}"), Reply)
    assert reply.status == 503


async def test_a_server() -> None:
    server = PlatformServer(CallCentre())
    async with server as same:
        assert_type(same, PlatformServer)
    assert_type(await server.start(), None)
    assert_type(server.port, int)
    assert_type(server.url, str)
    assert_type(await server.stop(), None)
    assert server.port


async def test_a_simulator(sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient) -> None:
    assert_type(sipqueue_simulator.centre, CallCentre)
    assert_type(sipqueue_simulator.truth, GroundTruth)
    assert_type(sipqueue_simulator.server, PlatformServer)
    assert_type(sipqueue_simulator.platform, Platform)
    assert_type(sipqueue_simulator.faults, Faults)
    assert_type(sipqueue_simulator.url, str)
    assert_type(sipqueue_simulator.appid, str)
    assert_type(sipqueue_simulator.accesskey, str)
    assert_type(sipqueue_simulator.catch_up(), None)
    assert_type(sipqueue_simulator.advance(60), None)
    assert_type(await sipqueue_simulator.stop_server(), None)
    assert_type(await sipqueue_simulator.start_server(), None)
    async with Simulator(Plan(), speed=0, appid="bot", token_lifetime=60.0) as other:
        assert_type(other, Simulator)
    assert await sipqueue_client.fetch_snapshot()
