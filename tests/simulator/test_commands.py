"""Commands to the simulated call centre: what they change, and what the platform answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentState
from sipqueue_async.simulator import (
    CallCentre,
    CommandedCentre,
    CommandError,
    LiveCentre,
    Plan,
    Platform,
    Seat,
)
from sipqueue_async.simulator.commands import (
    HANG_UP,
    QUEUE_LIST,
    REGISTRATIONS,
    SET_STATUS,
    SIGN_IN,
    SIGN_OUT,
)

QUIET = Plan(agents=4, queues=2, several_queues=1.0, calls_per_hour=0.0, breaks_per_hour=0.0)
BUSY = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
FIRST = "100001"


def _states(centre: CallCentre, extension: str = FIRST) -> dict[str, AgentState]:
    return {seat.queue: seat.state for seat in centre.seats() if seat.extension == extension}


def _everywhere(state: AgentState) -> dict[str, AgentState]:
    return {"queue-1": state, "queue-2": state}


# ---- the model -------------------------------------------------------------------------------------------------------


def test_a_paused_agent_is_given_no_calls_until_resumed() -> None:
    centre = CallCentre(QUIET)
    assert _states(centre) == _everywhere(AgentState.WAITING)
    centre.advance(5)
    centre.pause(FIRST)
    assert _states(centre) == _everywhere(AgentState.PAUSED)
    assert {seat.last_changed_at for seat in centre.seats() if seat.extension == FIRST} == {centre.local_time}
    centre.pause(FIRST, "queue-1")
    centre.advance(5)
    centre.resume(FIRST)
    assert _states(centre) == _everywhere(AgentState.WAITING)
    centre.resume(FIRST)
    assert _states(centre) == _everywhere(AgentState.WAITING)


@pytest.mark.parametrize("show", [False, True])
def test_signing_out_of_queues_one_by_one(show: bool) -> None:
    centre = CallCentre(attrs.evolve(QUIET, show_signed_out=show))
    gone = {"queue-1": AgentState.OFFLINE} if show else {}
    centre.advance(5)
    centre.sign_out("queue-1", FIRST)
    assert _states(centre) == {**gone, "queue-2": AgentState.WAITING}
    assert not centre.truth.sign_outs
    centre.sign_out("queue-2", FIRST)
    centre.sign_out("queue-2", FIRST)
    assert _states(centre) == ({**gone, "queue-2": AgentState.OFFLINE} if show else {})
    assert [it.extension for it in centre.truth.sign_outs] == [FIRST]
    assert FIRST in centre.registered()
    centre.advance(5)
    centre.sign_in("queue-2", FIRST)
    assert _states(centre) == {**gone, "queue-2": AgentState.WAITING}
    centre.sign_in("queue-2", FIRST)
    centre.sign_in("queue-1", FIRST)
    assert _states(centre) == _everywhere(AgentState.WAITING)
    assert [it.at for it in centre.truth.sign_ins if it.extension == FIRST] == [0.0, 10.0]


def test_an_agent_signed_out_of_a_queue_gets_only_the_others_calls() -> None:
    plan = attrs.evolve(BUSY, agents=4, queues=2, several_queues=1.0, external_calls_per_hour=0.0)
    centre = CallCentre(plan, seed=3)
    centre.sign_out("queue-1", FIRST)
    centre.advance(1800)
    its = {offer.key.queue for offer in centre.truth.offers if offer.key.extension == FIRST and offer.offered_at > 0}
    assert its == {"queue-2"}


def test_a_command_in_a_call_waits_for_its_end() -> None:
    centre = CallCentre(BUSY, seed=3)
    centre.advance(60)
    seat = next(seat for seat in centre.seats() if seat.state is AgentState.TALKING)
    centre.pause(seat.extension)
    centre.sign_out(seat.queue, seat.extension)
    assert _states(centre, seat.extension)[seat.queue] is AgentState.TALKING
    centre.hang_up(seat.extension)
    assert seat.queue not in _states(centre, seat.extension)
    centre.advance(BUSY.wrap_up + 1)
    assert set(_states(centre, seat.extension).values()) <= {AgentState.PAUSED}


def test_hanging_up_ends_calls_of_queues_and_others() -> None:
    centre = CallCentre(BUSY, seed=3)
    ended = dict[str, bool]()
    while len(set(ended.values())) < 2:
        centre.advance(10)
        for extension, call in centre.calls().items():
            if call.answered_at is not None:
                centre.hang_up(extension)
                assert extension not in centre.calls()
                ended[extension] = call.outgoing
                its = [it for it in centre.past_calls() if it.extension == extension]
                assert its[-1].hung_up_by_server
                assert its[-1].ended_at == centre.local_time.replace(microsecond=0)


def test_past_records_follow_commands() -> None:
    centre = CallCentre(BUSY, seed=3)
    shown: dict[float, tuple[Seat, ...]] = {}
    for second in range(1, 120):
        centre.advance(1.0)
        if second % 10 == 0:
            seat = centre.seats()[second // 10]
            (centre.pause if second % 20 else centre.resume)(seat.extension)
            for extension, call in centre.calls().items():
                if call.answered_at is not None and second % 30 == 0:
                    centre.hang_up(extension)
        shown[centre.now] = centre.seats()
        if centre.now > 7:
            assert centre.seats_before(7.0) == shown[centre.now - 7.0]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda it: it.hang_up(FIRST), "1015"),
        (lambda it: it.hang_up("9"), "1012"),
        (lambda it: it.pause("9"), "1012"),
        (lambda it: it.resume(FIRST, "queue-9"), "1002"),
        (lambda it: it.sign_in("queue-9", FIRST), "1002"),
        (lambda it: it.sign_out("queue-1", "9"), "1012"),
    ],
)
def test_an_impossible_command_is_refused_and_changes_nothing(command: Any, code: str) -> None:
    centre = CallCentre(QUIET)
    before = centre.seats()
    with pytest.raises(CommandError) as refused:
        command(centre)
    assert refused.value.code == code
    assert centre.seats() is before


def test_an_agent_whose_shift_is_over_cannot_be_signed_in() -> None:
    plan = attrs.evolve(QUIET, agents=2, several_queues=0.0, shift_hours=1.0, off_hours=1.0, staggered=False)
    centre = CallCentre(plan)
    centre.sign_out("queue-1", FIRST)
    centre.pause("100002")
    centre.advance(5400)
    assert centre.registered() == frozenset()
    for command in (centre.pause, lambda it: centre.sign_in("queue-1", it)):
        with pytest.raises(CommandError, match="1014"):
            command(FIRST)
    centre.advance(3600)
    assert centre.registered() == {"100001", "100002"}
    assert {seat.state for seat in centre.seats()} == {AgentState.WAITING}
    assert [it.extension for it in centre.truth.sign_outs] == [FIRST, "100002"]


def test_a_ringing_phone_cannot_be_hung_up() -> None:
    centre = CallCentre(attrs.evolve(BUSY, opening_callers=0), seed=3)
    while not (ringing := [it for it, call in centre.calls().items() if call.answered_at is None]):
        centre.advance(0.5)
    with pytest.raises(CommandError, match="1015"):
        centre.hang_up(ringing[0])


def test_a_live_centre_runs_up_to_the_command() -> None:
    now = [0.0]
    live = LiveCentre(CallCentre(QUIET), clock=lambda: now[0])
    live.start()
    assert isinstance(live, CommandedCentre)
    steps: list[tuple[Callable[[], None], AgentState | None]] = [
        (lambda: live.pause(FIRST), AgentState.PAUSED),
        (lambda: live.resume(FIRST), AgentState.WAITING),
        (lambda: live.sign_out("queue-1", FIRST), None),
        (lambda: live.sign_in("queue-1", FIRST), AgentState.WAITING),
    ]
    for seconds, (command, state) in enumerate(steps, 1):
        now[0] = float(seconds)
        command()
        found = {seat.state: seat.last_changed_at for seat in live.seats() if seat.key == ("queue-1", FIRST)}
        assert found == ({} if state is None else {state: live.local_time})
    assert live.queues == ("queue-1", "queue-2")
    assert len(live.registered()) == 4
    with pytest.raises(CommandError):
        live.hang_up(FIRST)


# ---- the services ----------------------------------------------------------------------------------------------------


def _ask(platform: Platform, service: str, **fields: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(platform.answer({"service": service, "token": "good", **fields}))
    return answer


def _code(answer: dict[str, Any]) -> str | None:
    code: str | None = answer["data"].get("errors", {}).get("code")
    return code


def test_the_services_give_the_commands() -> None:
    centre = CallCentre(QUIET)
    platform = Platform(centre, tokens=["good"])
    seat = {"queuename": "queue-1", "extnumber": FIRST}
    for service, fields, states in (
        (SET_STATUS, {"extnumber": FIRST, "settype": "1"}, _everywhere(AgentState.PAUSED)),
        (SET_STATUS, {**seat, "settype": "2"}, _everywhere(AgentState.WAITING)),
        (SIGN_OUT, seat, {"queue-2": AgentState.WAITING}),
        (SIGN_IN, seat, _everywhere(AgentState.WAITING)),
    ):
        assert _ask(platform, service, **fields)["data"]["status"] == 0
        assert _states(centre) == states


@pytest.mark.parametrize(
    ("service", "fields", "code"),
    [
        (SIGN_IN, {"extnumber": FIRST}, "1002"),
        (SIGN_OUT, {"queuename": "queue-1"}, "1002"),
        (SET_STATUS, {"extnumber": FIRST, "settype": "3"}, "1002"),
        (HANG_UP, {"extnumber": FIRST}, "1015"),
    ],
)
def test_a_wrong_command_fails(service: str, fields: dict[str, str], code: str) -> None:
    assert _code(_ask(Platform(CallCentre(QUIET), tokens=["good"]), service, **fields)) == code


@pytest.mark.parametrize("service", [SIGN_IN, SIGN_OUT, SET_STATUS, HANG_UP, QUEUE_LIST, REGISTRATIONS])
def test_a_token_is_needed(service: str) -> None:
    platform = Platform(CallCentre(QUIET))
    assert _ask(platform, service, queuename="queue-1", extnumber=FIRST, settype="1")["ret"] == 600
    assert {seat.state for seat in platform._centre.seats()} == {AgentState.WAITING}


class _Scripted:
    """A centre that takes no commands."""

    extensions = (FIRST, "100002")
    local_time = Plan().start

    def seats(self) -> tuple[Seat, ...]:
        state = AgentState.IDLE
        return (Seat(queue="q", extension=FIRST, name="", state=state, state_code=1201, status_code=1201),)


@pytest.mark.parametrize(("centre", "queues"), [(CallCentre(QUIET), ["queue-1", "queue-2"]), (_Scripted(), ["q"])])
def test_queues_and_registrations(centre: Any, queues: list[str]) -> None:
    platform = Platform(centre, tokens=["good"])
    result = _ask(platform, QUEUE_LIST)["data"]["result"]
    assert [record["queuename"] for record in result] == queues
    assert _ask(platform, QUEUE_LIST, queuename=queues[0])["data"]["result"] == result[:1]
    found = _ask(platform, REGISTRATIONS, extnumber=f"{FIRST},9")["data"]["result"]
    assert [(record["extnumber"], record["code"]) for record in found] == [(FIRST, 1017), ("9", 1012)]
    assert _ask(platform, REGISTRATIONS)["ret"] == 400


def test_a_centre_without_commands_fails_them() -> None:
    platform = Platform(_Scripted(), tokens=["good"])
    assert _code(_ask(platform, HANG_UP, extnumber=FIRST)) == "1003"
    assert _ask(platform, REGISTRATIONS, extnumber="100002")["data"]["result"][0]["code"] == 1014
