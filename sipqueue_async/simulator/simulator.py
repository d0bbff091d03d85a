"""A call centre and a platform server joined: the model follows a clock, the server shows it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self, Unpack

from sipqueue_async.simulator.calls import PhoneCall
from sipqueue_async.simulator.faults import Faults
from sipqueue_async.simulator.model import CallCentre
from sipqueue_async.simulator.plan import Plan
from sipqueue_async.simulator.platform import Platform, PlatformOptions
from sipqueue_async.simulator.seats import Seat
from sipqueue_async.simulator.server import PlatformServer
from sipqueue_async.simulator.truth import GroundTruth


class LiveCentre:
    """A call centre whose time follows a clock. It has no task: each read of its seats brings it up to date first.

    It can serve as the centre of a `Platform`, with or without a server.

    Args:
        centre: The model.
        speed: Model seconds for each second of the clock; 0 leaves everything to `advance`.
        clock: Seconds on a clock that never steps back.

    Raises:
        ValueError: The speed is negative or not finite.
    """

    def __init__(self, centre: CallCentre, *, speed: float = 1.0, clock: Callable[[], float]) -> None:
        if not 0 <= speed < math.inf:
            raise ValueError(f"speed must be a number, 0 or more and finite, not {speed!r}")
        self._centre = centre
        self._speed = speed
        self._clock = clock
        self._epoch: float | None = None
        """The clock's reading at which the model, at this speed, would have been at second 0; None while it stands."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """All extensions, signed in or not."""
        return self._centre.extensions

    @property
    def local_time(self) -> datetime:
        """The server's local time now (naive)."""
        self.catch_up()
        return self._centre.local_time

    def seats(self) -> tuple[Seat, ...]:
        """Return the records now."""
        self.catch_up()
        return self._centre.seats()

    def seats_before(self, seconds: float) -> tuple[Seat, ...]:
        """Return the records as they were so many model seconds ago."""
        self.catch_up()
        return self._centre.seats_before(seconds)

    def calls(self) -> dict[str, PhoneCall]:
        """Return the calls now, by extension."""
        self.catch_up()
        return self._centre.calls()

    def start(self) -> None:
        """Let model time follow the clock from now on, from where it stands."""
        if self._speed:
            self._epoch = self._clock() - self._centre.now / self._speed

    def stop(self) -> None:
        """Bring the model up to date, and let it stand."""
        self.catch_up()
        self._epoch = None

    def catch_up(self) -> None:
        """Run the model up to the clock's present."""
        if self._epoch is not None:
            due = (self._clock() - self._epoch) * self._speed
            self._centre.run_until(max(due, self._centre.now))

    def advance(self, seconds: float) -> None:
        """Run the model for so many seconds at once; from there it follows the clock again.

        Raises:
            ValueError: The number is negative or not finite.
        """
        self.catch_up()
        self._centre.advance(seconds)
        if self._epoch is not None:
            self.start()

    def __repr__(self) -> str:
        return (
            f"<LiveCentre at speed {self._speed:g}{'' if self._epoch is not None else ', standing'}: {self._centre!r}>"
        )


class Simulator:
    """A call centre behind a platform's URL, to point a client at.

    An async context manager: inside it the server listens, and model time follows the event loop's clock. The model
    moves when a request comes, or by `catch_up` and `advance`; there is no task. Entered again, it goes on from where
    it stood, on the same port.

    Example::

        async with Simulator(Plan.lively(), speed=10) as simulator:
            credentials = AppCredentials(simulator.appid, simulator.accesskey)
            async with SipQueueClient(simulator.url, credentials) as client:
                snapshot = await client.fetch_snapshot()

    Args:
        plan: What the call centre is like; `Plan()` if not given.
        seed: Plan and seed determine what happens.
        speed: Model seconds for each second of the loop's clock; 0 leaves everything to `advance`.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        options: The keyword arguments of `Platform`. Here, tokens expire by the loop's clock if no other is given, so
            they live as long in real time at any speed.

    Raises:
        TypeError: The plan is not a `Plan`, or an option is unknown.
        ValueError: The speed is negative or not finite.
    """

    def __init__(
        self,
        plan: Plan | None = None,
        *,
        seed: int = 0,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        **options: Unpack[PlatformOptions],
    ) -> None:
        options.setdefault("clock", _loop_time)
        self._centre = CallCentre(plan, seed=seed)
        self._live = LiveCentre(self._centre, speed=speed, clock=_loop_time)
        self._server = PlatformServer(self._live, host=host, port=port, **options)

    @property
    def centre(self) -> CallCentre:
        """The model, as of its last update."""
        return self._centre

    @property
    def truth(self) -> GroundTruth:
        """The ground truth, up to the model's last update."""
        return self._centre.truth

    @property
    def server(self) -> PlatformServer:
        """The server; it has the controls, such as `refuse` and `revoke_tokens`."""
        return self._server

    @property
    def platform(self) -> Platform:
        """The server's part without sockets (the same object): `answer` takes a request's fields."""
        return self._server

    @property
    def faults(self) -> Faults:
        """The server's faults: plant further ones here."""
        return self._server.faults

    @property
    def url(self) -> str:
        """The URL to give a client.

        Raises:
            RuntimeError: The port is not known before the first start.
        """
        return self._server.url

    @property
    def appid(self) -> str:
        """The appid to log in with."""
        return self._server.appid

    @property
    def accesskey(self) -> str:
        """The access key to log in with."""
        return self._server.accesskey

    def catch_up(self) -> None:
        """Bring the model up to date without a request: before reading `truth`, for instance."""
        self._live.catch_up()

    def advance(self, seconds: float) -> None:
        """Let so many model seconds pass at once.

        Raises:
            ValueError: The number is negative or not finite.
        """
        self._live.advance(seconds)

    async def start_server(self) -> None:
        """Begin to listen again after `stop_server`, on the same port.

        Raises:
            RuntimeError: The server listens already.
            OSError: Something else took the port meanwhile.
        """
        await self._server.start()

    async def stop_server(self) -> None:
        """Stop listening and drop all connections, as when the platform's machine goes down. Model time goes on."""
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self._server.start()
        self._live.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        await self._server.stop()

    def __repr__(self) -> str:
        return f"<Simulator at model second {self._centre.now:.1f}, {self._server!r}>"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
