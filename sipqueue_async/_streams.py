"""The async iterators of consumers: `Subscription` of events, `Updates` of whole updates."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from sipqueue_async._mailbox import Mailbox
from sipqueue_async.events import Event, Update

E = TypeVar("E", bound=Event)


class _Stream:
    """The common base of `Subscription` and `Updates`: a mailbox that can be closed."""

    def __init__(self, mailbox: Mailbox, forget: Callable[[Mailbox], None]) -> None:
        self._mailbox = mailbox
        self._forget = forget

    @property
    def pending(self) -> int:
        """The number of pending updates."""
        return len(self._mailbox)

    def close(self) -> None:
        """Stop receiving: iteration ends and pending updates are dropped. Dropping the object does the same."""
        self._mailbox.close()
        self._forget(self._mailbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._mailbox!r}>"


class Subscription(_Stream, AsyncIterator[E], Generic[E]):
    """The events that one consumer asked for, as an async iterator.

    Leaving an ``async for`` by ``break``, exception or cancellation loses nothing and leaves nothing running: iterate
    again to go on. Iteration ends when the subscription or its feed is closed. If the feed fails, iteration raises the
    feed's error after all earlier events.
    """

    def __init__(self, mailbox: Mailbox, forget: Callable[[Mailbox], None]) -> None:
        super().__init__(mailbox, forget)
        self._events: deque[Event] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            update = self._mailbox.get_nowait()
            if update is None:
                await self._mailbox.news()
            else:
                self._events.extend(update.events)
                # Wake another task that waits on the same stream: it may take the other events.
                self._mailbox.wake()
        return cast("E", self._events.popleft())

    def close(self) -> None:
        """Stop receiving: iteration ends and pending updates are dropped. Dropping the object does the same."""
        self._events.clear()
        super().close()


class Updates(_Stream, AsyncIterator[Update]):
    """Every `Update` of a feed, as an async iterator; otherwise like a `Subscription`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        while (update := self._mailbox.get_nowait()) is None:
            await self._mailbox.news()
        return update

    def get_nowait(self) -> Update | None:
        """Return the next update, or None if none is pending.

        If none is pending, the stream of a group also asks for the next entry, as iterating does.
        """
        update = self._mailbox.pop()
        if update is None:
            self._mailbox.ask()
        return update

    def take(self) -> Update | None:
        """Deprecated alias of `get_nowait`."""
        warnings.warn("Updates.take is deprecated; use Updates.get_nowait", DeprecationWarning, stacklevel=2)
        return self.get_nowait()
