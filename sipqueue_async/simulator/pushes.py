"""`Pusher`: POSTs what happens in a simulated call centre to URLs, as the platform does."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import attrs
from yarl import URL

from sipqueue_async._text import is_host_name
from sipqueue_async.simulator.bills import Bills
from sipqueue_async.simulator.calls import PhoneCall
from sipqueue_async.simulator.simulator import Simulator

_TIMEOUT: Final = 5.0
_MOST_UNDER_WAY: Final = 500
_TAKEN: Final = b"1"


def _share(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be a number from 0 to 1, not {value!r}")


def _seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be a finite number of seconds, 0 or more, not {value!r}")


@attrs.frozen(kw_only=True)
class PushFaults:
    """What goes wrong with pushes.

    Raises:
        ValueError: A value is out of its range; the message names it.
    """

    loss: float = attrs.field(default=0.0, validator=_share)
    """The share that is never sent."""
    doubling: float = attrs.field(default=0.0, validator=_share)
    """The share of the others that is sent twice."""
    delay: float = attrs.field(default=0.0, validator=_seconds)
    """The longest delay in seconds. Each push has a random one up to it, so pushes overtake each other."""
    seed: int = 0
    """Determines which pushes are lost, doubled and delayed."""


class Pusher:
    """Pushes the calls of a simulator, from its start as an async context manager to its end.

    It looks at the call centre every `every` seconds, and pushes for each call that rings, is answered or disconnected
    since, and for each record of a finished call. Like the platform it does not retry.

    Args:
        simulator: The simulator, which must be running.
        urls: Where to POST to.
        faults: What goes wrong.
        every: Seconds between two looks.

    Raises:
        ValueError: `every` is not above 0, or a URL is invalid.
    """

    def __init__(
        self, simulator: Simulator, urls: Iterable[str], *, faults: PushFaults | None = None, every: float = 0.05
    ) -> None:
        if not 0 < every < math.inf:
            raise ValueError(f"every must be above 0 seconds, not {every!r}")
        self._simulator = simulator
        self._urls = tuple(map(_checked, urls))
        self._faults = faults or PushFaults()
        self._every = every
        self._rng = random.Random(self._faults.seed)
        self._bills = Bills(masked=False, loose_types=False)
        self._calls: dict[str, PhoneCall] = {}
        self._records = 0
        self._deliveries: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        """How many requests were made."""
        self.taken = 0
        """How many of them were answered with ``1``."""

    def __repr__(self) -> str:
        return f"<Pusher to {len(self._urls)} URLs, {self.sent} sent, {self.taken} taken>"

    async def __aenter__(self) -> Self:
        self._calls = dict(self._simulator.centre.calls())
        self._records = len(self._simulator.centre.past_calls())
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = {*self._deliveries, *([self._task] if self._task else ())}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as session:
            while True:
                self._simulator.catch_up()
                for body in self._news():
                    self._send(session, json.dumps(body).encode())
                await asyncio.sleep(self._every)

    def _news(self) -> Iterator[dict[str, Any]]:
        """Yield the pushes for what has happened since the last look."""
        centre = self._simulator.centre
        calls = centre.calls()
        for extension in sorted(self._calls.keys() | calls.keys()):
            before, now = self._calls.get(extension), calls.get(extension)
            if before is not None and (now is None or now.number != before.number):
                yield _status(extension, before, "disconnected")
                before = None
            if now is not None and before is None:
                yield _status(extension, now, "ring" if now.answered_at is None else "answer")
            elif now is not None and before is not None and now.answered_at != before.answered_at:
                yield _status(extension, now, "answer")
        self._calls = calls
        past = centre.past_calls()
        yield from (self._bills.record(call) for call in past[self._records :])
        self._records = len(past)

    def _send(self, session: aiohttp.ClientSession, body: bytes) -> None:
        for url in self._urls:
            if self._rng.random() < self._faults.loss:
                continue
            for _ in range(2 if self._rng.random() < self._faults.doubling else 1):
                delay = self._rng.uniform(0, self._faults.delay)
                if len(self._deliveries) < _MOST_UNDER_WAY:
                    delivery = asyncio.create_task(self._deliver(session, url, body, delay))
                    self._deliveries.add(delivery)
                    delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, session: aiohttp.ClientSession, url: str, body: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        self.sent += 1
        try:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                self.taken += await response.read() == _TAKEN
        except (aiohttp.ClientError, OSError):
            # A push that does not arrive is lost.
            return


def _checked(text: str) -> str:
    try:
        url = URL(text)
        is_url = url.scheme in {"http", "https"} and is_host_name(url.raw_host or "")
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"a URL must begin with http:// or https:// and name a host, which {text!r} does not")
    return text


def _status(extension: str, call: PhoneCall, status: str) -> dict[str, Any]:
    parties = (extension, call.number) if call.outgoing else (call.number, extension)
    return {
        "type": "call",
        "status": status,
        "extnumber": extension,
        "caller": parties[0],
        "callee": parties[1],
        "disnumber": parties[0],
        "direction": "callout" if call.outgoing else "callin",
        "method": "2" if call.outgoing else "6",
        "isbleg": "false",
        "companycode": "simulated",
    }
