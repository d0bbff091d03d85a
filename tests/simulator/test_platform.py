"""The platform without a socket: its answer to each request of the protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import AgentState
from sipqueue_async.simulator import CallCentre, Plan, Platform, Seat
from tests.kit.times import Clock

LOGIN, LOGOUT = "App.Sip_Auth.Login", "App.Sip_Auth.Logout"
STATUS = "App.Sip_Queue.GetQueueSipStatus"
NOW = datetime.fromisoformat("2020-02-12 06:25:46")
UNIX_NOW = 1581488746

PAGE_SEAT = Seat(
    queue="queue-1",
    extension="100001",
    name="9026004_9026004_autocall-9026",
    state=AgentState.WAITING,
    state_code=1213,
    status_code=1213,
    last_answered_at=datetime.fromisoformat("2020-02-05 21:03:36"),
    last_offered_at=datetime.fromisoformat("2020-02-05 21:03:34"),
    last_changed_at=datetime.fromisoformat("2020-02-05 21:03:29"),
    calls_answered=1,
)
"""The record in the reference page's example."""


def _seat(queue: str, extension: str, state: AgentState) -> Seat:
    return Seat(queue=queue, extension=extension, name="Åsa", state=state, state_code=1, status_code=1)


@attrs.define
class _Script:
    """A centre with records and a history that the test sets."""

    records: Sequence[Seat] = (
        PAGE_SEAT,
        _seat("queue-1", "100002", AgentState.TALKING),
        _seat("queue-2", "100002", AgentState.IDLE),
        _seat("queue-2", "0100003", AgentState.RECEIVING),
    )
    extensions: Sequence[str] = ("100001", "100002", "0100003", "100004")
    local_time: datetime = NOW

    def seats(self) -> Sequence[Seat]:
        return self.records


def _ask(platform: Platform, service: str | None = STATUS, **fields: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(platform.answer(fields if service is None else {"service": service, **fields}))
    return answer


def _log_in(platform: Platform) -> str:
    answer = _ask(platform, LOGIN, appid=platform.appid, accesskey=platform.accesskey)
    token: str = answer["data"]["result"]["token"]
    return token


def _refusal(answer: dict[str, Any]) -> int:
    """Check the form of a refusal, and return its `ret`."""
    ret: int = answer["ret"]
    assert answer == {"ret": ret, "data": [], "msg": answer["msg"]}
    assert answer["msg"]
    assert ret != 200
    return ret


def _failure(answer: dict[str, Any]) -> str:
    """Check the form of a failed operation's answer, and return its code."""
    code: str = answer["data"]["errors"]["code"]
    meaning = answer["data"]["desc"]
    assert meaning
    data = {"status": 1, "desc": meaning, "errors": {"code": code, "codemsg": meaning}}
    assert answer == {"ret": 200, "data": data, "msg": ""}
    return code


def _seats(answer: dict[str, Any]) -> list[tuple[str, str]]:
    assert answer["ret"] == 200
    return [(record["queuename"], record["extnumber"]) for record in answer["data"]["result"]]


def test_the_reference_pages_request_gets_the_reference_pages_answer() -> None:
    platform = Platform(_Script(), tokens=["ABCDEFG"])
    body = platform.answer(
        {"service": STATUS, "token": "ABCDEFG", "queuename": "queue-1", "extnumber": "100001", "state": "0"}
    )
    documented = """{"ret": 200, "data": {"status": 0, "desc": "get success", "result": [{"queuename": "queue-1",
        "seatsname": "9026004_9026004_autocall-9026", "extnumber": "100001", "status": 1213, "state": 1213,
        "lastanswertime": "2020-02-05 21:03:36", "lastassigntime": "2020-02-05 21:03:34",
        "seatschangetime": "2020-02-05 21:03:29", "noanswercount": 0, "callsanswered": 1, "externalcallscount": 0,
        "wrapuptime": 0, "maxnoanswer": 0}], "reqtime": 1581488746, "rsptime": 1581488746}, "msg": ""}"""
    assert json.dumps(json.loads(body)) == json.dumps(json.loads(documented))


def test_a_time_that_never_was_is_an_empty_string() -> None:
    [record] = _ask(Platform(_Script(), tokens=["T"]), token="T", extnumber="0100003")["data"]["result"]
    assert (record["lastanswertime"], record["lastassigntime"], record["seatschangetime"]) == ("", "", "")


@pytest.mark.parametrize(
    ("filters", "seats"),
    [
        ({}, [("queue-1", "100001"), ("queue-1", "100002"), ("queue-2", "100002"), ("queue-2", "0100003")]),
        ({"queuename": "queue-2"}, [("queue-2", "100002"), ("queue-2", "0100003")]),
        ({"extnumber": "100002"}, [("queue-1", "100002"), ("queue-2", "100002")]),
        ({"queuename": "queue-2", "extnumber": "100002", "state": "0"}, [("queue-2", "100002")]),
        ({"queuename": "", "extnumber": "", "state": "1"}, [("queue-2", "100002")]),
        ({"state": "2"}, [("queue-1", "100001")]),
        ({"state": "3"}, [("queue-2", "0100003")]),
        ({"state": "4"}, [("queue-1", "100002")]),
        ({"state": "4", "queuename": "queue-2"}, []),
        ({"queuename": "queue-9"}, []),
        ({"extnumber": "100004"}, []),
    ],
)
def test_filters_choose_the_seats(filters: dict[str, str], seats: list[tuple[str, str]]) -> None:
    assert _seats(_ask(Platform(_Script(), tokens=["T"]), token="T", **filters)) == seats


@pytest.mark.parametrize("state", ["5", "-1", "1213", "idle", "1.0", "٣"])
def test_a_state_filter_of_another_table_is_an_illegal_request(state: str) -> None:
    assert _refusal(_ask(Platform(_Script(), tokens=["T"]), token="T", state=state)) == 400


def test_an_extension_that_does_not_exist_is_an_error() -> None:
    assert _failure(_ask(Platform(_Script(), tokens=["T"]), token="T", extnumber="100003")) == "1012"


@pytest.mark.parametrize("service", [None, "", "App.Sip_Queue.Other", "app.sip_auth.login"])
def test_an_unknown_service_is_an_illegal_request(service: str | None) -> None:
    assert _refusal(_ask(Platform(_Script(), tokens=["T"]), service, token="T")) == 400


def test_a_login_gives_a_token_that_works() -> None:
    platform = Platform(_Script())
    answer = _ask(platform, LOGIN, appid="demo", accesskey=platform.accesskey)
    assert (answer["ret"], answer["msg"], answer["data"]["status"]) == (200, "", 0)
    assert set(answer["data"]["result"]) == {"token", "companycode", "companyname", "authtime", "authmodel"}
    assert answer["data"]["result"]["authtime"] == "2020-02-12 06:25:46"
    assert answer["data"]["reqtime"] == answer["data"]["rsptime"] == UNIX_NOW
    assert len(_seats(_ask(platform, token=answer["data"]["result"]["token"]))) == 4
    assert _log_in(platform) != answer["data"]["result"]["token"]
    assert platform.logins == 2


@pytest.mark.parametrize(
    "fields", [{}, {"appid": "demo"}, {"appid": "other", "accesskey": "key"}, {"appid": "demo", "accesskey": "kéy"}]
)
def test_a_login_with_the_wrong_credentials_fails(fields: dict[str, str]) -> None:
    platform = Platform(_Script(), accesskey="key")
    assert _failure(_ask(platform, LOGIN, **fields)) == "1003"
    assert platform.logins == 0


@pytest.mark.parametrize("fields", [{}, {"token": ""}, {"token": "unknown"}, {"token": "\udcff"}])
@pytest.mark.parametrize("service", [STATUS, LOGOUT])
def test_a_token_that_was_never_issued_is_invalid(service: str, fields: dict[str, str]) -> None:
    platform = Platform(_Script(), tokens=["T"])
    assert _refusal(_ask(platform, service, **fields)) == 600


def test_a_token_is_good_for_its_lifetime_and_no_longer() -> None:
    clock = Clock()
    platform = Platform(_Script(), token_lifetime=60.0, clock=clock, tokens=["T"])
    token = _log_in(platform)
    clock.now += 59.9
    assert _ask(platform, token=token)["ret"] == 200
    later = _log_in(platform)
    clock.now += 0.1
    assert _refusal(_ask(platform, token=token)) == 600
    newest = _log_in(platform)
    assert {_ask(platform, token=good)["ret"] for good in (later, newest, "T")} == {200}


def test_tokens_live_twelve_hours_unless_told_otherwise() -> None:
    clock = Clock()
    platform = Platform(_Script(), clock=clock)
    token = _log_in(platform)
    clock.now += 12 * 3600 - 1
    assert _ask(platform, token=token)["ret"] == 200
    clock.now += 1
    assert _refusal(_ask(platform, token=token)) == 600


def test_a_logout_drops_one_token() -> None:
    platform = Platform(_Script())
    first, second = _log_in(platform), _log_in(platform)
    answer = _ask(platform, LOGOUT, token=first)
    assert (answer["ret"], answer["data"]["status"], answer["data"]["result"]) == (200, 0, [])
    assert _refusal(_ask(platform, token=first)) == 600
    assert _ask(platform, token=second)["ret"] == 200


def test_revoking_kills_every_token() -> None:
    platform = Platform(_Script(), tokens=["T"])
    token = _log_in(platform)
    platform.revoke_tokens()
    assert {_refusal(_ask(platform, token=dead)) for dead in (token, "T")} == {600}
    assert _ask(platform, token=_log_in(platform))["ret"] == 200


@pytest.mark.parametrize("ret", [400, 500, 600, 601, 602, 603, 604, 777])
def test_refusals_come_as_often_as_asked_for(ret: int) -> None:
    platform = Platform(_Script(), tokens=["T"])
    platform.refuse(ret)
    assert _refusal(_ask(platform, token="T")) == ret
    assert _ask(platform, token="T")["ret"] == 200
    platform.refuse(ret, msg="closed", times=2)
    assert [_ask(platform, token="T")["msg"] for _ in range(3)] == ["closed", "closed", ""]


def test_failures_come_as_often_as_asked_for() -> None:
    platform = Platform(_Script(), tokens=["T"])
    platform.fail("1001", times=2)
    platform.fail("4711")
    assert [_failure(_ask(platform, token="T")) for _ in range(3)] == ["1001", "1001", "4711"]
    assert _ask(platform, token="T")["ret"] == 200


def test_a_refusal_without_a_number_lasts_until_the_platform_relents() -> None:
    platform = Platform(_Script(), tokens=["T"])
    platform.refuse(500, times=None)
    platform.fail("1003")
    assert [_refusal(_ask(platform, token="T")) for _ in range(20)] == [500] * 20
    platform.relent()
    assert _ask(platform, token="T")["ret"] == 200


def test_a_refusal_can_be_for_one_service() -> None:
    platform = Platform(_Script())
    platform.refuse(600, times=None, service=STATUS)
    platform.fail("1003", service=LOGOUT)
    token = _log_in(platform)
    assert _refusal(_ask(platform, token=token)) == 600
    assert _failure(_ask(platform, LOGOUT, token=token)) == "1003"


def test_senseless_refusals_are_refused() -> None:
    platform = Platform(_Script())
    with pytest.raises(ValueError, match="ret must not be 200"):
        platform.refuse(200)
    with pytest.raises(ValueError, match="times must be 1 or more"):
        platform.refuse(500, times=0)
    with pytest.raises(ValueError, match="times must be 1 or more"):
        platform.fail("1003", times=-1)


def test_requests_are_counted_by_service_whatever_they_are_answered() -> None:
    platform = Platform(_Script())
    token = _log_in(platform)
    platform.refuse(500, times=2)
    for _ in range(3):
        _ask(platform, token=token)
    _ask(platform, LOGIN)
    _ask(platform, None)
    platform.reject("no form")
    assert (platform.requests, platform.logins) == (7, 1)
    assert platform.requests_by_service == {LOGIN: 2, STATUS: 3, "": 2}
    platform.requests_by_service.clear()
    assert platform.requests == 7


def test_the_servers_clock_is_its_local_time_in_its_zone() -> None:
    platform = Platform(_Script(), tokens=["T"], timezone=ZoneInfo("Asia/Shanghai"))
    assert _ask(platform, token="T")["data"]["rsptime"] == UNIX_NOW - 8 * 3600


def test_a_request_that_takes_time_ends_later_than_it_began() -> None:
    class Slow(_Script):
        def seats(self) -> Sequence[Seat]:
            self.local_time += timedelta(seconds=2)
            return self.records

    data = _ask(Platform(Slow(), tokens=["T"]), token="T")["data"]
    assert (data["reqtime"], data["rsptime"]) == (UNIX_NOW, UNIX_NOW + 2)


def test_shuffling_changes_the_order_and_nothing_else() -> None:
    plain, shuffled = Platform(_Script(), tokens=["T"]), Platform(_Script(), tokens=["T"], shuffle=True)
    expected = _seats(_ask(plain, token="T"))
    orders = [_seats(_ask(shuffled, token="T")) for _ in range(20)]
    assert len({tuple(order) for order in orders}) > 5
    assert all(sorted(order) == sorted(expected) for order in orders)
    again = Platform(_Script(), tokens=["T"], shuffle=True)
    assert [_seats(_ask(again, token="T")) for _ in range(20)] == orders


def test_a_changed_seat_is_shown_changed() -> None:
    script = _Script(records=(PAGE_SEAT,))
    platform = Platform(script, tokens=["T"])
    assert platform.answer({"service": STATUS, "token": "T"}) == platform.answer({"service": STATUS, "token": "T"})
    script.records = (attrs.evolve(PAGE_SEAT, state=AgentState.TALKING, state_code=1215),)
    assert _ask(platform, token="T")["data"]["result"][0]["state"] == 1215


def test_bodies_are_ascii_as_php_writes_them() -> None:
    body = Platform(_Script(), tokens=["T"]).answer({"service": STATUS, "token": "T", "extnumber": "0100003"})
    assert body.isascii()
    assert json.loads(body)["data"]["result"][0]["seatsname"] == "Åsa"


def test_no_secret_shows_in_a_repr() -> None:
    platform = Platform(_Script(), accesskey="very-secret", tokens=["also-secret"])
    assert "secret" not in repr(platform)
    assert len(Platform(_Script()).accesskey) >= 32
    assert Platform(_Script()).accesskey != Platform(_Script()).accesskey


def test_a_real_call_centre_can_be_shown() -> None:
    """The model can be served by the platform."""
    centre = CallCentre(Plan(agents=5))
    platform = Platform(centre, tokens=["T"])
    records = _ask(platform, token="T")["data"]["result"]
    assert [(record["queuename"], record["extnumber"]) for record in records] == [seat.key for seat in centre.seats()]
