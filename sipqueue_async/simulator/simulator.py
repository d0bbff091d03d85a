"""`Simulator`: a call centre that follows a clock, and the platform server in front of it."""

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
from sipqueue_async.simulator.past_calls import PastCall
from sipqueue_async.simulator.plan import Plan
from sipqueue_async.simulator.platform import Platform, PlatformOptions
from sipqueue_async.simulator.seats import Seat
from sipqueue_async.simulator.server import PlatformServer
from sipqueue_async.simulator.truth import GroundTruth


class LiveCentre:
    """A call centre whose time follows a clock. It has no task: each read first runs the model up to the present.

    It can be the centre of a `Platform`, with or without a server.

    Args:
        centre: The model.
        speed: Model seconds per second of the clock; at 0 only `advance` moves the time.
        clock: Returns the seconds of a monotonic clock.

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
        """The clock's reading that corresponds to model second 0 at this speed; None while the model stands still."""

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
        """Return the records as they were `seconds` of model time ago."""
        self.catch_up()
        return self._centre.seats_before(seconds)

    def calls(self) -> dict[str, PhoneCall]:
        """Return the calls now, by extension."""
        self.catch_up()
        return self._centre.calls()

    def past_calls(self) -> tuple[PastCall, ...]:
        """Return the calls that have ended by now, in the order of their ends."""
        self.catch_up()
        return self._centre.past_calls()

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues' names."""
        return self._centre.queues

    def registered(self) -> frozenset[str]:
        """Return the extensions of the agents who are on shift now."""
        self.catch_up()
        return self._centre.registered()

    def sign_in(self, queue: str, extension: str) -> None:
        """Sign an agent in to a queue now, as `CallCentre.sign_in` does."""
        self.catch_up()
        self._centre.sign_in(queue, extension)

    def sign_out(self, queue: str, extension: str) -> None:
        """Sign an agent out of a queue now, as `CallCentre.sign_out` does."""
        self.catch_up()
        self._centre.sign_out(queue, extension)

    def pause(self, extension: str, queue: str | None = None) -> None:
        """Pause an agent now, as `CallCentre.pause` does."""
        self.catch_up()
        self._centre.pause(extension, queue)

    def resume(self, extension: str, queue: str | None = None) -> None:
        """End an agent's pause now, as `CallCentre.resume` does."""
        self.catch_up()
        self._centre.resume(extension, queue)

    def hang_up(self, extension: str) -> None:
        """End an extension's call now, as `CallCentre.hang_up` does."""
        self.catch_up()
        self._centre.hang_up(extension)

    def start(self) -> None:
        """Let model time follow the clock from now on, starting at the present model time."""
        if self._speed:
            self._epoch = self._clock() - self._centre.now / self._speed

    def stop(self) -> None:
        """Run the model up to the present, and stop following the clock."""
        self.catch_up()
        self._epoch = None

    def catch_up(self) -> None:
        """Run the model up to the clock's present."""
        if self._epoch is not None:
            due = (self._clock() - self._epoch) * self._speed
            self._centre.run_until(max(due, self._centre.now))

    def advance(self, seconds: float) -> None:
        """Run the model for `seconds` at once, then follow the clock from there.

        Raises:
            ValueError: The number is negative or not finite.
        """
        self.catch_up()
        self._centre.advance(seconds)
        if self._epoch is not None:
            self.start()

    def __repr__(self) -> str:
        return (
            f"<LiveCentre at speed {self._speed:g}{'' if self._epoch is not None else ', stopped'}: {self._centre!r}>"
        )


class Simulator:
    """A simulated platform at a URL, for clients to connect to.

    An async context manager: inside the block the server listens, and model time follows the event loop's clock. There
    is no task: requests, `catch_up` and `advance` run the model up to the present. Entered again, it continues from
    its last model time, on the same port.

    Example::

        async with Simulator(Plan.lively(), speed=10) as simulator:
            credentials = AppCredentials(simulator.appid, simulator.accesskey)
            async with SipQueueClient(simulator.url, credentials) as client:
                snapshot = await client.fetch_snapshot()

    Args:
        plan: The description of the call centre; by default `Plan()`.
        seed: Plan and seed determine what happens.
        speed: Model seconds per second of the loop's clock; at 0 only `advance` moves the time.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        options: The keyword arguments of `Platform`. The default `clock` is the loop's, so that the lifetime of tokens
            is in real time at any speed.

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
        """The server, with the methods that control it, such as `refuse` and `revoke_tokens`."""
        return self._server

    @property
    def platform(self) -> Platform:
        """The same object as `server`, typed without its sockets: `answer` takes a request's fields."""
        return self._server

    @property
    def faults(self) -> Faults:
        """The server's faults: plan wrong answers here."""
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
        """Run the model up to the present without a request, for example before reading `truth`."""
        self._live.catch_up()

    def advance(self, seconds: float) -> None:
        """Run the model for `seconds` of model time at once.

        Raises:
            ValueError: The number is negative or not finite.
        """
        self._live.advance(seconds)

    async def start_server(self) -> None:
        """Start listening again after `stop_server`, on the same port.

        Raises:
            RuntimeError: The server is already listening.
            OSError: Another program has taken the port meanwhile.
        """
        await self._server.start()

    async def stop_server(self) -> None:
        """Stop listening and drop all connections, as if the platform's machine went down. Model time continues."""
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
