"""`Refreshes`: the calls of `refresh` and `refresh_extensions` that wait for a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from sipqueue_async.models import Snapshot

_Futures = Sequence[asyncio.Future[Snapshot]]


class Refreshes:
    """Wakes the polling task for the calls that wait, and answers them."""

    def __init__(self) -> None:
        # Set when a poll is due, or a call asks for one.
        self._due = asyncio.Event()
        self._whole: list[asyncio.Future[Snapshot]] = []
        # Those of calls that want a poll after the one under way.
        self._later: list[asyncio.Future[Snapshot]] = []
        # Those of calls that want a poll of one extension only.
        self._parts: dict[str, list[asyncio.Future[Snapshot]]] = {}

    @property
    def wants_part(self) -> bool:
        """Whether calls wait for a poll of one extension, and none for a poll of the whole."""
        return bool(self._parts) and not self._whole

    async def wait(self, *, later: bool) -> Snapshot:
        """Wait for a poll of the whole and return its snapshot, or raise its error.

        Args:
            later: Whether it must be a poll after the one under way.
        """
        future: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        (self._later if later else self._whole).append(future)
        self._due.set()
        return await future

    async def wait_for_parts(self, extensions: Iterable[str]) -> None:
        """Wait for a poll of each extension, or of the whole instead."""
        loop = asyncio.get_running_loop()
        futures: dict[str, asyncio.Future[Snapshot]] = {
            extension: loop.create_future() for extension in sorted(extensions)
        }
        for extension, future in futures.items():
            self._parts.setdefault(extension, []).append(future)
        self._due.set()
        await asyncio.gather(*futures.values())

    async def pause(self, until: float) -> None:
        """Wait until a time of the loop's clock, or until a call asks for a poll."""
        self._whole += self._later
        self._later.clear()
        if not (self._whole or self._parts):
            self._due.clear()
        timer = asyncio.get_running_loop().call_at(until, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()

    def want_whole(self) -> None:
        """Let the next poll of the whole answer the calls for single extensions too."""
        for futures in self._parts.values():
            self._whole += futures
        self._parts.clear()

    def take_part(self) -> tuple[str, _Futures]:
        """Return an extension that calls wait for, and their futures. Unless answered, they now wait for the whole."""
        extension = next(iter(self._parts))
        futures = self._parts.pop(extension)
        self._whole += futures
        return extension, futures

    def answer_part(self, futures: _Futures, snapshot: Snapshot) -> None:
        """Return a snapshot from calls for one extension."""
        for future in futures:
            if not future.done():
                future.set_result(snapshot)
        self._whole = [future for future in self._whole if not future.done()]

    def answer(self, snapshot: Snapshot) -> None:
        """Return a snapshot from all calls that wait for the whole."""
        for future in self._taken():
            future.set_result(snapshot)

    def refuse(self, error: BaseException) -> None:
        """Raise an error from all calls that wait for the whole."""
        for future in self._taken():
            future.set_exception(error)

    def end(self, error: BaseException) -> None:
        """Raise an error from all calls: there will be no more polls."""
        self._whole += self._later
        self.want_whole()
        self.refuse(error)

    def _taken(self) -> list[asyncio.Future[Snapshot]]:
        """Return the futures of the calls that still wait for the whole, and forget them."""
        futures, self._whole = self._whole, []
        return [future for future in futures if not future.done()]
