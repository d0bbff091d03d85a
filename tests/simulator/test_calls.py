"""The call records of the platform agree with the model's calls."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentState, AppCredentials, OperationFailed, SipQueueClient
from sipqueue_async.simulator import CallCentre, Centre, Outcome, PhoneCentre, Plan, Platform, Seat, Simulator

CALLS = "App.Sip_Status.GetSipCallStatus"
NOTHING = dict.fromkeys(("caller", "callee", "disnumber", "direction", "channel", "idleduration", "callduration"))


def _ask(centre: Centre, extensions: str | None, token: str = "good") -> dict[str, Any]:
    fields = {"service": CALLS, "token": token} | ({} if extensions is None else {"extnumber": extensions})
    answer: dict[str, Any] = json.loads(Platform(centre, tokens=["good"]).answer(fields))
    return answer


def _records(centre: Centre, *extensions: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = _ask(centre, ",".join(extensions))["data"]["result"]
    return records


def test_every_call_of_the_model_is_shown_and_no_other() -> None:
    plan = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
    centre, seen = CallCentre(plan, seed=5), set[str]()
    for _ in range(300):
        centre.advance(1.0)
        truth = centre.truth
        ringing = {it.key.extension for it in truth.offers if it.ended_at is None and it.answered_at is None}
        talking = {
            it.key.extension: it for it in truth.offers if it.outcome is Outcome.ANSWERED and it.ended_at is None
        }
        outside = {it.extension for it in truth.external_calls if it.ended_at is None}
        for record in _records(centre, *centre.extensions):
            extension = record["extnumber"]
            told = record["status"], record["direction"]
            if extension in ringing:
                assert (*told, record["callduration"]) == (1202, "callin", 0)
            elif extension in talking:
                assert told == (1204, "callin")
                assert 0 <= record["callduration"] - (centre.now - (talking[extension].answered_at or 0)) + 1 < 2
            elif extension in outside:
                assert (*told, record["caller"]) == (1204, "callout", extension)
            else:
                assert record == {"extnumber": extension, "status": 1201, **NOTHING}
            other = record["callee"] if record["direction"] == "callout" else record["caller"]
            seen.add(f"{record['status']} {record['direction']} {str(other)[:8]}")
    assert seen == {"1202 callin 02079460", "1204 callin 02079460", "1204 callout 02079460", "1201 None None"}


def test_a_call_keeps_its_number() -> None:
    centre = CallCentre(Plan.lively(), seed=1)
    centre.advance(1.0)
    extension = next(iter(centre.calls()))
    before = centre.calls()[extension]
    while (call := centre.calls()[extension]).answered_at is None:
        centre.advance(0.2)
    assert (call.number, call.outgoing) == (before.number, before.outgoing)


@pytest.mark.parametrize("show", [False, True])
def test_the_phone_of_a_signed_out_agent_is_not_registered(*, show: bool) -> None:
    plan = Plan(agents=2, shift_hours=1.0, off_hours=23.0, staggered=False, show_signed_out=show)
    centre = CallCentre(plan)
    assert [it["status"] for it in _records(centre, "100001", "999")] == [1201, 1012]
    centre.advance(2 * 3600)
    assert _records(centre, "100001") == [{"extnumber": "100001", "status": 1014, **NOTHING}]


@pytest.mark.parametrize(
    ("token", "extensions", "ret"), [("bad", "100001", 600), ("good", None, 400), ("good", ",", 400)]
)
def test_a_wrong_request_is_refused(token: str, extensions: str | None, ret: int) -> None:
    assert _ask(CallCentre(), extensions, token)["ret"] == ret


class _Scripted:
    """A centre without calls."""

    extensions = ("100001",)
    local_time = Plan().start

    def seats(self) -> tuple[Seat, ...]:
        state = AgentState.TALKING
        return (Seat(queue="q", extension="100001", name="", state=state, state_code=1215, status_code=1204),)


def test_a_centre_that_does_not_know_of_calls_shows_the_codes() -> None:
    centre = _Scripted()
    assert not isinstance(centre, PhoneCentre)
    assert _records(centre, "100001") == [{"extnumber": "100001", "status": 1204, **NOTHING}]


async def test_a_client_asks_for_it_by_name() -> None:
    async with Simulator(Plan.lively(), speed=0) as simulator:
        auth = AppCredentials(simulator.appid, simulator.accesskey)
        async with SipQueueClient(simulator.url, auth) as client:
            simulator.advance(5)
            data = await client.call(CALLS, extnumber="100001,100002")
            assert data["result"] == _records(simulator.centre, "100001", "100002")
            simulator.platform.fail("1003", service=CALLS)
            with pytest.raises(OperationFailed, match="1003"):
                await client.call(CALLS, extnumber="100001")
