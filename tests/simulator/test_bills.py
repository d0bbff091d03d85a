"""The simulator's call records: they agree with the model, and the server behaves as the platform does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import attrs
import pytest

from sipqueue_async import SeatKey
from sipqueue_async.simulator import BilledCentre, CallCentre, LiveCentre, Outcome, PastCall, Plan, Platform
from sipqueue_async.simulator.bills import Bills

BILLS = "App.Sip_Cdr.GetBill"
PLAN = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
DAY = {"starttime": "2026-01-05 00:00:00", "endtime": "2026-01-06 00:00:00"}


def _centre(seconds: float = 900.0) -> CallCentre:
    centre = CallCentre(PLAN, seed=5)
    centre.advance(seconds)
    return centre


def _answer(platform: Platform, **fields: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(platform.answer({"service": BILLS, "token": "good", **DAY, **fields}))
    return answer


def _page(platform: Platform, **fields: str) -> tuple[list[dict[str, Any]], int]:
    result = _answer(platform, **{"itemsperpage": "1000", **fields})["data"]["result"]
    return result["list"], result["totalitems"]


def _ids(platform: Platform, **fields: str) -> list[int]:
    return [record["id"] for record in _page(platform, **fields)[0]]


# ---- the model's calls -----------------------------------------------------------------------------------------------


def test_the_past_calls_are_those_of_the_ground_truth() -> None:
    centre = _centre()
    truth, calls = centre.truth, centre.past_calls()
    answered = Counter(
        (offer.key.queue, offer.key.extension, truth.local_time(offer.answered_at or 0).replace(microsecond=0))
        for offer in truth.offers
        if offer.outcome is Outcome.ANSWERED and offer.ended_at is not None
    )
    assert answered == Counter((it.queue, it.extension, it.answered_at) for it in calls if it.queue and it.answered_at)
    outside = [it for it in truth.external_calls if it.ended_at is not None]
    assert len(outside) == len([it for it in calls if it.queue is None]) > 0
    hung_up = [it for it in truth.offers if it.outcome is Outcome.ABANDONED]
    assert len([it for it in calls if it.answered_at is None and it.extension]) == len(hung_up) > 0
    assert [it for it in calls if it.answered_at is None and not it.extension]


def test_the_time_of_the_answer_is_that_of_the_seat_which_tells_the_queue() -> None:
    centre = CallCentre(PLAN, seed=5)
    seen: dict[SeatKey, set[object]] = {}
    for _ in range(600):
        centre.advance(1.0)
        for seat in centre.seats():
            seen.setdefault(seat.key, set()).add(seat.last_answered_at)
    calls = [it for it in centre.past_calls() if it.queue is not None and it.answered_at]
    assert len(calls) > 50
    for call in calls:
        assert call.answered_at in seen[SeatKey(call.queue or "", call.extension or "")]


def test_the_log_does_not_depend_on_when_it_is_read() -> None:
    often, once = CallCentre(PLAN, seed=5), CallCentre(PLAN, seed=5)
    grown: list[PastCall] = []
    for _ in range(300):
        often.advance(2.0)
        calls = often.past_calls()
        assert calls[: len(grown)] == tuple(grown)
        grown = list(calls)
    once.advance(600.0)
    assert once.past_calls() == tuple(grown)
    assert [it.id for it in grown] == list(range(1, len(grown) + 1))
    assert [it.ended_at for it in grown] == sorted(it.ended_at for it in grown)


def test_a_live_centre_has_them_up_to_the_present() -> None:
    now = [0.0]
    live = LiveCentre(CallCentre(PLAN, seed=5), clock=lambda: now[0])
    live.start()
    assert isinstance(live, BilledCentre)
    now[0] = 900.0
    assert live.past_calls() == _centre().past_calls()


# ---- the service -----------------------------------------------------------------------------------------------------


def test_pages_hold_the_newest_first() -> None:
    centre = _centre()
    platform, count = Platform(centre, tokens=["good"]), len(centre.past_calls())
    assert _ids(platform, syncflag="3") == list(range(count, 0, -1))
    by_default, total = _page(platform, syncflag="3", itemsperpage="")
    assert (len(by_default), total) == (10, count)
    second, _ = _page(platform, syncflag="3", itemsperpage="7", currentpage="2")
    assert [record["id"] for record in second] == list(range(count - 7, count - 14, -1))
    assert _page(platform, syncflag="3", currentpage="99") == ([], count)


def test_a_record_in_full() -> None:
    platform = Platform(_centre(), tokens=["good"])
    record = next(it for it in _page(platform, syncflag="3")[0] if it["type"] == "callout")
    fixed = {"callmethod": 2, "duration": 0, "hangupcause": 10001, "companycode": "simulated", "recordurl": ""}
    assert record == record | fixed
    call = attrs.evolve(_centre().past_calls()[-1], hung_up_by_server=True)
    assert Bills(masked=False, loose_types=False).record(call)["hangupdirection"] == 10007
    assert record["disnumber"] == record["extnumber"]
    assert record["destnumber"].startswith("02079460")


def test_the_default_moves_a_cursor_of_the_servers_own() -> None:
    platform = Platform(_centre(), tokens=["good"])
    everything = _ids(platform, syncflag="3")
    assert _ids(platform, itemsperpage="10") == everything[:10]
    assert _ids(platform, syncflag="1", itemsperpage="10") == everything[10:20]
    assert _ids(platform, syncflag="2") == everything[:20]
    assert _ids(platform) == everything[20:]
    assert _ids(platform) == []
    assert _ids(platform, syncflag="3") == everything


def test_filters() -> None:
    centre = _centre()
    platform, calls = Platform(centre, tokens=["good"]), centre.past_calls()[::-1]
    outgoing = [it.id for it in calls if it.outgoing]
    assert _ids(platform, syncflag="3", direction="2") == outgoing
    assert _ids(platform, syncflag="3", callmethod="2") == outgoing
    assert _ids(platform, syncflag="3", callmethod="6") == _ids(platform, syncflag="3", direction="1")
    assert _ids(platform, syncflag="3", callmethod="4") == []
    late = calls[5].started_at
    assert _ids(platform, syncflag="3", starttime=str(late)) == [it.id for it in calls if it.started_at >= late]
    some = list(dict.fromkeys(it.extension for it in calls if it.extension))[:2]
    assert _ids(platform, syncflag="3", extnumber=f"{','.join(some)},") == [
        it.id for it in calls if it.extension in some
    ]
    number = next(it.number for it in calls if it.outgoing)
    assert _ids(platform, syncflag="3", destnumber=number) == [
        it.id for it in calls if it.outgoing and it.number == number
    ]


def test_numbers_can_be_masked() -> None:
    record = _page(Platform(_centre(), tokens=["good"], masked_numbers=True), callmethod="2")[0][0]
    assert record["destnumber"].startswith("020****")
    assert len(record["destnumber"]) == 11


def test_types_can_be_as_loose_as_phps() -> None:
    strict = _page(Platform(_centre(), tokens=["good"]))[0]
    loose = _page(Platform(_centre(), tokens=["good"], loose_types=True))[0]
    kinds = {(name, type(value)) for record in loose for name, value in record.items()}
    for name, kind in (("id", str), ("id", int), ("duration", str), ("extnumber", int), ("answertime", type(None))):
        assert (name, kind) in kinds
    assert {"direction", "type", "memberid"} <= {name for name, _ in kinds}
    assert any("memberid" not in record for record in loose)
    assert [int(record["id"]) for record in loose] == [record["id"] for record in strict]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"starttime": ""}, "starttime must be a time"),
        ({"endtime": "2026-01-05"}, "endtime must be a time"),
        ({"syncflag": "4"}, "syncflag must be one of 1, 2, 3"),
        ({"direction": "0"}, "direction must be one of"),
        ({"callmethod": "7"}, "callmethod must be one of"),
        ({"itemsperpage": "1001"}, "itemsperpage must be a whole number from 1 to 1000"),
        ({"currentpage": "0"}, "currentpage must be a whole number from 1"),
        ({"currentpage": "x"}, "currentpage must be a whole number from 1"),
    ],
)
def test_an_invalid_field_is_refused(fields: dict[str, str], named: str) -> None:
    answer = _answer(Platform(_centre(1.0), tokens=["good"]), **fields)
    assert answer["ret"] == 400
    assert named in answer["msg"]


def test_a_token_is_needed() -> None:
    assert _answer(Platform(_centre(1.0)))["ret"] == 600


class _Scripted:
    """A centre without records of calls."""

    extensions = ("100001",)
    local_time = Plan().start

    def seats(self) -> tuple[()]:
        return ()


def test_a_centre_that_does_not_know_of_calls_has_no_records() -> None:
    centre = _Scripted()
    assert centre.seats() == ()
    assert not isinstance(centre, BilledCentre)
    assert _page(Platform(centre, tokens=["good"])) == ([], 0)
