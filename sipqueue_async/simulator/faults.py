"""Faults on demand: wrong answers to future requests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from sipqueue_async.simulator.back_ends import BackEnd, Balancer

MESSAGES: Final[Mapping[int, str]] = {
    400: "illegal request",
    500: "server error",
    600: "token invalid",
    601: "appid not authorized",
    602: "the appid's authorization has expired",
    603: "module not licensed",
    604: "this IP is not authorized",
}
"""The default `msg` of each `ret` other than 200."""

FAILURES: Final[Mapping[str, str]] = {
    "1001": "server connection failed",
    "1002": "abnormal operation",
    "1003": "operation failed",
    "1010": "extension exception",
    "1011": "extension not owned by this company",
    "1012": "extension does not exist",
    "1013": "extension disabled",
    "1014": "extension not registered",
}
"""The `codemsg` of each code of a failed operation."""


def refused(ret: int, msg: str | None = None) -> bytes:
    """Return the body that refuses a request."""
    text = MESSAGES.get(ret, f"error {ret}") if msg is None else msg
    # PHP sends an empty array for `data`, where a success has an object.
    return json.dumps({"ret": ret, "data": [], "msg": text}, separators=(",", ":")).encode()


def failed(code: str) -> bytes:
    """Return the body that reports a failed operation."""
    meaning = FAILURES.get(code, f"error {code}")
    data = {"status": 1, "desc": meaning, "errors": {"code": code, "codemsg": meaning}}
    return json.dumps({"ret": 200, "data": data, "msg": ""}, separators=(",", ":")).encode()


@attrs.frozen(kw_only=True)
class Reply:
    """The answer to a request, and how it is sent."""

    body: bytes
    """The bytes that arrive, which may be less than the whole body."""
    length: int
    """The announced length of the body in bytes; if `body` is shorter, the connection ends after it."""
    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Additional HTTP headers."""
    delay: float = 0.0
    """Delay before it is sent, in seconds."""
    reset: bool = False
    """Whether the connection is reset instead."""

    @classmethod
    def good(cls, body: bytes) -> Reply:
        """Return the answer of a platform without faults."""
        return cls(body=body, length=len(body))


@attrs.define(kw_only=True)
class _Fault:
    name: str
    times: float
    service: str | None
    body: bytes | None
    """None for the correct body."""
    status: int
    headers: Mapping[str, str]
    delay: float
    truncated: bool
    reset: bool

    def __str__(self) -> str:
        left = "" if self.times == 1 else " forever" if self.times == math.inf else f" {self.times} times"
        return f"{self.name}{'' if self.service is None else f' for {self.service}'}{left}"

    def reply(self, good: Callable[[], bytes]) -> Reply:
        body = good() if self.body is None else self.body
        return Reply(
            body=body[: len(body) // 2] if self.truncated else body,
            length=len(body),
            status=self.status,
            headers=self.headers,
            delay=self.delay,
            reset=self.reset,
        )


class Faults:
    """The faults of a platform, each planned for a number of future requests.

    A request gets the oldest planned fault that applies to its service.

    Example::

        simulator.faults.next(status=503, times=3)
        simulator.faults.next(delay=2.0, truncated=True)
    """

    def __init__(self) -> None:
        self._planned: list[_Fault] = []
        self._balancer: Balancer | None = None

    def next(
        self,
        *,
        ret: int | None = None,
        msg: str | None = None,
        code: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        truncated: bool = False,
        reset: bool = False,
        delay: float = 0.0,
        times: int | None = 1,
        service: str | None = None,
    ) -> None:
        """Answer the next request, or the next `times` requests, with one fault, a delay, or both.

        Only a server applies the status, the headers, the delay and what happens to the connection: `Platform.answer`
        returns just the body.

        Args:
            ret: Refuse the request with this `ret`, such as 500 or 600.
            msg: The `msg` that goes with `ret`; by default the meaning of the code.
            code: Report a failed operation with this code of ``data.errors``, such as ``"1003"``.
            status: Answer with this HTTP status, 400 to 599, and an HTML page, as a proxy does.
            headers: HTTP headers of the answer, such as ``{"Retry-After": "30"}``.
            body: Answer with exactly these bytes.
            truncated: Send half of the correct answer, then close the connection.
            reset: Reset the connection without an answer.
            delay: Seconds to wait before the answer, which is correct unless there is another fault.
            times: How many requests; None for all until `clear`.
            service: Only requests to this service, such as ``App.Sip_Auth.Login``; None for any.

        Raises:
            TypeError: An argument has the wrong type, such as a body that is text.
            ValueError: No fault is given, or two at once, or an argument is out of its range.
        """
        _check_types(ret=ret, status=status, msg=msg, code=code, service=service, body=body, times=times)
        for header in (headers or {}).items():
            if not all(isinstance(part, str) for part in header):
                raise TypeError(f"a header's name and value must be str, not {header!r}")
        ways = [ret is not None, code is not None, status is not None, body is not None, truncated, reset]
        if sum(ways) > 1 or (not any(ways) and not delay):
            raise ValueError("give exactly one of ret, code, status, body, truncated and reset, or only a delay")
        if ret == 200:
            raise ValueError("ret must not be 200, which is a success")
        if msg is not None and ret is None:
            raise ValueError(f"msg {msg!r} needs a ret")
        if status is not None and not 400 <= status <= 599:
            raise ValueError(f"status must be an HTTP error, 400 to 599, not {status!r}")
        if not 0 <= delay < math.inf:
            raise ValueError(f"delay must be a number of seconds, 0 or more, not {delay!r}")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, or None for every request, not {times!r}")
        page = {"Content-Type": "text/html"} if status is not None else {}
        wrong = {"ret": ret, "code": code, "status": status, "truncated": truncated, "reset": reset, "delay": delay}
        self._planned.append(
            _Fault(
                name=_name(wrong, body),
                times=math.inf if times is None else times,
                service=service,
                body=_body(ret, msg, code, status, body, reset=reset),
                status=200 if status is None else status,
                headers={**page, **(headers or {})},
                delay=delay,
                truncated=truncated,
                reset=reset,
            )
        )

    def balance(self, *back_ends: BackEnd, polls: tuple[int, int] = (1, 1), seed: int = 0) -> None:
        """Distribute status requests to several back ends from now on, some of which may lag.

        The centre must be a `PastCentre`, as `CallCentre` and `LiveCentre` are. Example::

            simulator.faults.balance(BackEnd(), BackEnd(behind=5.0), polls=(1, 6))

        Args:
            back_ends: The back ends.
            polls: The least and the most requests in a row that go to one back end.
            seed: Determines which requests go to which back end.

        Raises:
            ValueError: There is no back end, or `polls` is out of range.
        """
        self._balancer = Balancer(back_ends, polls=polls, seed=seed)

    @property
    def back_end(self) -> BackEnd | None:
        """The back end that answered the last status request; None without `balance`."""
        return None if self._balancer is None else self._balancer.last

    def next_back_end(self) -> BackEnd | None:
        """Choose the back end for the next status request; None without `balance`."""
        return None if self._balancer is None else self._balancer.next()

    def clear(self) -> None:
        """Remove all planned faults and back ends: from now on every answer is correct."""
        self._planned.clear()
        self._balancer = None

    def reply(self, service: str, good: Callable[[], bytes]) -> Reply:
        """Return the answer to a request: the next planned fault, which is then used up, or the body from `good`."""
        fault = next((fault for fault in self._planned if fault.service in {None, service}), None)
        if fault is None:
            return Reply.good(good())
        fault.times -= 1
        if fault.times <= 0:
            self._planned.remove(fault)
        return fault.reply(good)

    def __repr__(self) -> str:
        balanced = [] if self._balancer is None else [str(self._balancer)]
        return f"<Faults: {', '.join([*map(str, self._planned), *balanced]) or 'none'} planned>"


_TYPES: Final[Mapping[str, type]] = {
    "ret": int,
    "status": int,
    "msg": str,
    "code": str,
    "service": str,
    "body": bytes,
    "times": int,
}


def _check_types(**given: object) -> None:
    for name, value in given.items():
        # Reject them here; otherwise they fail at request time with a different fault.
        if value is not None and not isinstance(value, _TYPES[name]):
            raise TypeError(f"{name} must be {_TYPES[name].__name__}, not {value!r}")


def _name(wrong: Mapping[str, object], body: bytes | None) -> str:
    """Return a fault's name for the repr."""
    told = [name if value is True else f"{name} {value}" for name, value in wrong.items() if value]
    return " and ".join(told if body is None else [f"body of {len(body)} bytes", *told])


def _body(
    ret: int | None, msg: str | None, code: str | None, status: int | None, body: bytes | None, *, reset: bool
) -> bytes | None:
    """Return the body of a wrong answer; None if the fault affects only how the correct one is sent."""
    if ret is not None:
        return refused(ret, msg)
    if code is not None:
        return failed(code)
    if status is not None:
        return f"<html><body><h1>Error {status}</h1></body></html>".encode()
    return b"" if reset else body
