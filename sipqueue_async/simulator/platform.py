"""`Platform`: the platform's API without a socket. It turns the fields of a request into the body of an answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, TypedDict

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator.back_ends import BackEnd
from sipqueue_async.simulator.bills import BadFieldError, Bills
from sipqueue_async.simulator.calls import call_records
from sipqueue_async.simulator.commands import (
    COMMANDS,
    QUEUE_LIST,
    REGISTRATIONS,
    CommandError,
    carry_out,
    queue_records,
    registration_records,
)
from sipqueue_async.simulator.faults import MESSAGES, Faults, Reply, failed, refused
from sipqueue_async.simulator.past_calls import BilledCentre
from sipqueue_async.simulator.seats import Centre, PastCentre, Seat

LOGIN: Final = "App.Sip_Auth.Login"
LOGOUT: Final = "App.Sip_Auth.Logout"
STATUS: Final = "App.Sip_Queue.GetQueueSipStatus"
CALLS: Final = "App.Sip_Status.GetSipCallStatus"
BILLS: Final = "App.Sip_Cdr.GetBill"

STATE_FILTER: Final[Mapping[str, AgentState | None]] = {
    "": None,
    "0": None,
    "1": AgentState.IDLE,
    "2": AgentState.WAITING,
    "3": AgentState.RECEIVING,
    "4": AgentState.TALKING,
}
"""Maps the `state` codes of requests, which differ from those of records, to states. None stands for every state."""


class PlatformOptions(TypedDict, total=False):
    """The keyword arguments of `Platform`, for classes that pass them on."""

    appid: str
    accesskey: str | None
    tokens: Iterable[str]
    token_lifetime: float
    clock: Callable[[], float]
    timezone: tzinfo
    shuffle: bool
    masked_numbers: bool
    loose_types: bool


class _Refusal(Exception):  # noqa: N818  # carries an answer, and is not an error of the simulator
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


class Platform:
    """Answers the requests of clients with the records of a call centre.

    Args:
        centre: The call centre.
        appid: The only appid that may log in.
        accesskey: Its access key; by default a random one.
        tokens: Tokens that are valid without a login and never expire, such as the ``ABCDEFG`` of the reference page.
        token_lifetime: Seconds until a token expires; 12 hours on the real platform.
        clock: Returns the seconds of a monotonic clock, by which tokens expire.
        timezone: The zone of the centre's local time, needed for `reqtime` and `rsptime`.
        shuffle: Whether to list the records in another order at each request, as real back ends do.
        masked_numbers: Whether to mask the other party's number in call records.
        loose_types: Whether call records have integers as strings, strings as integers, and missing fields.
    """

    def __init__(
        self,
        centre: Centre,
        *,
        appid: str = "demo",
        accesskey: str | None = None,
        tokens: Iterable[str] = (),
        token_lifetime: float = 12 * 3600.0,
        clock: Callable[[], float] = time.monotonic,
        timezone: tzinfo = UTC,
        shuffle: bool = False,
        masked_numbers: bool = False,
        loose_types: bool = False,
    ) -> None:
        self._centre = centre
        self._appid = appid
        self._accesskey = secrets.token_urlsafe(24) if accesskey is None else accesskey
        # Keep digests: the time of a lookup by the token itself would reveal how much of a guess is right.
        self._expiries = {_digest(token): math.inf for token in tokens}
        self._token_lifetime = token_lifetime
        self._clock = clock
        self._timezone = timezone
        self._shuffler = random.Random(0) if shuffle else None
        self._bills = Bills(masked=masked_numbers, loose_types=loose_types)
        self._rendered: dict[tuple[SeatKey, float], tuple[Seat, bytes]] = {}
        self._faults = Faults()
        self._services: Counter[str] = Counter()
        self._logins = 0

    @property
    def appid(self) -> str:
        """The appid that may log in."""
        return self._appid

    @property
    def accesskey(self) -> str:
        """The appid's access key."""
        return self._accesskey

    @property
    def faults(self) -> Faults:
        """The platform's faults: plan wrong answers here."""
        return self._faults

    @property
    def logins(self) -> int:
        """The number of successful logins."""
        return self._logins

    @property
    def requests(self) -> int:
        """The number of answered requests, refused ones included."""
        return self._services.total()

    @property
    def requests_by_service(self) -> Counter[str]:
        """The number of requests by service; requests that named no service are under ``""``."""
        return self._services.copy()

    def revoke_tokens(self) -> None:
        """Invalidate every token, the fixed ones too: the next request with one is answered with ret 600."""
        self._expiries.clear()

    def refuse(self, ret: int, *, msg: str | None = None, times: int | None = 1, service: str | None = None) -> None:
        """Answer the next requests with a `ret` other than 200.

        Args:
            ret: The code, such as 400, 500 or 600 to 604.
            msg: The answer's `msg`; by default the meaning of the code.
            times: How many requests; None for all until `relent`.
            service: Only requests to this service, such as ``App.Sip_Auth.Login``; None for any.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `ret` is 200, or `times` is less than 1.
        """
        self._faults.next(ret=ret, msg=msg, times=times, service=service)

    def fail(self, code: str, *, times: int | None = 1, service: str | None = None) -> None:
        """Answer the next requests with ret 200 and `data.status` 1: the operation failed.

        Args:
            code: The code of ``data.errors``, such as ``"1003"``.
            times: How many requests; None for all until `relent`.
            service: Only requests to this service; None for any.

        Raises:
            TypeError: An argument has the wrong type, such as a code that is a number.
            ValueError: `times` is less than 1.
        """
        self._faults.next(code=code, times=times, service=service)

    def relent(self) -> None:
        """Cancel everything planned by `refuse`, `fail` and `faults`."""
        self._faults.clear()

    def answer(self, fields: Mapping[str, str]) -> bytes:
        """Return the body of the answer to a request with these form fields: ASCII JSON, unless a fault is planned."""
        return self.reply(fields).body

    def reply(self, fields: Mapping[str, str]) -> Reply:
        """Return the answer to a request with these form fields, and how it is sent."""
        service = fields.get("service", "")
        self._services[service] += 1
        return self._faults.reply(service, lambda: self._right_answer(service, fields))

    def _right_answer(self, service: str, fields: Mapping[str, str]) -> bytes:
        services = {
            LOGIN: self._login,
            LOGOUT: self._logout,
            STATUS: self._status,
            CALLS: self._calls,
            BILLS: self._bill,
            QUEUE_LIST: self._queues,
            REGISTRATIONS: self._registrations,
            **dict.fromkeys(COMMANDS, self._command),
        }
        service_of = services.get(service)
        if service_of is None:
            return refused(400, f"{MESSAGES[400]}: there is no service {service!r}")
        try:
            return service_of(fields)
        except _Refusal as refusal:
            return refusal.body

    def reject(self, msg: str) -> bytes:
        """Return the body of the answer to an unreadable request: ret 400. It counts as a request to ``""``."""
        self._services[""] += 1
        return refused(400, f"{MESSAGES[400]}: {msg}")

    def __repr__(self) -> str:
        return f"<Platform for appid {self._appid!r}, {self.requests} requests answered>"

    def _login(self, fields: Mapping[str, str]) -> bytes:
        right_appid = hmac.compare_digest(_digest(fields.get("appid", "")), _digest(self._appid))
        right_key = hmac.compare_digest(_digest(fields.get("accesskey", "")), _digest(self._accesskey))
        if not (right_appid and right_key):
            return failed("1003")
        now = self._clock()
        self._expiries = {token: expiry for token, expiry in self._expiries.items() if now < expiry}
        token = secrets.token_hex(16)
        self._expiries[_digest(token)] = now + self._token_lifetime
        self._logins += 1
        local_time = self._centre.local_time
        result = {
            "token": token,
            "companycode": "simulated",
            "companyname": "Simulated call centre",
            "authtime": _local(local_time),
            "authmodel": "simulator",
        }
        return self._succeeded("login success", json.dumps(result).encode(), self._unix(local_time))

    def _logout(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        del self._expiries[_digest(fields["token"])]
        return self._succeeded("logout success", b"[]", self._unix(self._centre.local_time))

    def _status(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        queue, extension, state = (fields.get(name, "") for name in ("queuename", "extnumber", "state"))
        if state not in STATE_FILTER:
            return refused(400, f"{MESSAGES[400]}: state must be one of 0, 1, 2, 3, 4")
        if extension and extension not in self._centre.extensions:
            return failed("1012")
        back_end = self._faults.next_back_end() or BackEnd()
        late = timedelta(seconds=0.0 if back_end.fresh_time else back_end.behind)
        requested_at = self._unix(self._centre.local_time - late)
        wanted = STATE_FILTER[state]
        records = [
            self._render(seat, back_end.behind)
            for seat in back_end.shown(self._seats(back_end.behind))
            if (not queue or seat.queue == queue)
            and (not extension or seat.extension == extension)
            and (wanted is None or seat.state is wanted)
        ]
        if self._shuffler is not None:
            self._shuffler.shuffle(records)
        return self._succeeded("get success", b"[" + b",".join(records) + b"]", requested_at, late)

    def _seats(self, behind: float) -> Sequence[Seat]:
        """Return the records of `behind` seconds ago."""
        if not behind:
            return self._centre.seats()
        if not isinstance(self._centre, PastCentre):
            raise TypeError(f"a back end that lags needs a centre with seats_before(), which {self._centre!r} lacks")
        return self._centre.seats_before(behind)

    def _calls(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        extensions = _extensions(fields)
        if not extensions:
            return refused(400, f"{MESSAGES[400]}: extnumber must name one or more extensions")
        return self._listed("get success", call_records(self._centre, extensions))

    def _bill(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        calls = self._centre.past_calls() if isinstance(self._centre, BilledCentre) else ()
        try:
            result = self._bills.result(calls, fields)
        except BadFieldError as error:
            return refused(400, f"{MESSAGES[400]}: {error}")
        return self._succeeded("get success", json.dumps(result).encode(), self._unix(self._centre.local_time))

    def _command(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        try:
            carry_out(self._centre, fields["service"], fields)
        except CommandError as error:
            return failed(error.code)
        return self._listed("operation success", [])

    def _queues(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        return self._listed("get success", queue_records(self._centre, fields.get("queuename", "")))

    def _registrations(self, fields: Mapping[str, str]) -> bytes:
        self._check_token(fields)
        extensions = _extensions(fields)
        if not extensions:
            return refused(400, f"{MESSAGES[400]}: extnumber must name one or more extensions")
        return self._listed("get success", registration_records(self._centre, extensions))

    def _listed(self, desc: str, records: Sequence[Mapping[str, Any]]) -> bytes:
        return self._succeeded(desc, json.dumps(records).encode(), self._unix(self._centre.local_time))

    def _check_token(self, fields: Mapping[str, str]) -> None:
        expiry = self._expiries.get(_digest(fields.get("token", "")))
        if expiry is None or self._clock() >= expiry:
            raise _Refusal(refused(600))

    def _render(self, seat: Seat, behind: float) -> bytes:
        """Return a record's JSON, cached as long as the centre returns the same object."""
        key = seat.key, behind
        known = self._rendered.get(key)
        if known is None or known[0] is not seat:
            known = self._rendered[key] = (seat, json.dumps(_record(seat), separators=(",", ":")).encode())
        return known[1]

    def _succeeded(self, desc: str, result: bytes, requested_at: int, late: timedelta = timedelta(0)) -> bytes:
        return b'{"ret":200,"data":{"status":0,"desc":"%b","result":%b,"reqtime":%d,"rsptime":%d},"msg":""}' % (
            desc.encode(),
            result,
            requested_at,
            self._unix(self._centre.local_time - late),
        )

    def _unix(self, local_time: datetime) -> int:
        return int(local_time.replace(tzinfo=self._timezone).timestamp())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _extensions(fields: Mapping[str, str]) -> list[str]:
    return [extension for extension in fields.get("extnumber", "").split(",") if extension]


def _local(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _record(seat: Seat) -> dict[str, Any]:
    """Return a record's fields, in the order and with the types of the reference page's example."""
    return {
        "queuename": seat.queue,
        "seatsname": seat.name,
        "extnumber": seat.extension,
        "status": seat.status_code,
        "state": seat.state_code,
        "lastanswertime": _local(seat.last_answered_at),
        "lastassigntime": _local(seat.last_offered_at),
        "seatschangetime": _local(seat.last_changed_at),
        "noanswercount": seat.no_answer_count,
        "callsanswered": seat.calls_answered,
        "externalcallscount": seat.external_calls_count,
        "wrapuptime": seat.wrap_up_time,
        "maxnoanswer": seat.max_no_answer,
    }
