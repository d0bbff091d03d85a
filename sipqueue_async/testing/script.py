"""`ScriptedSource`: a source for a watcher in a test, with one scripted answer for each poll."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sipqueue_async import Snapshot


class ScriptedSource:
    """A source for a `StatusWatcher` that gives one answer for each poll, and repeats the last one.

    Example::

        source = ScriptedSource([make_snapshot(), TransportError("no route to host"), make_snapshot(make_agent())])
        async with StatusWatcher(source, interval=0.01) as watcher:
            ...

    Args:
        answers: Snapshots to return and exceptions to raise, in order.
        takes: How long a poll takes, in seconds.

    Raises:
        TypeError: An answer is neither a snapshot nor an exception, or `answers` is one of them and not a list.
        ValueError: There is no answer.
    """

    def __init__(self, answers: Iterable[Snapshot | BaseException], *, takes: float = 0.0) -> None:
        if isinstance(answers, Snapshot | BaseException):
            raise TypeError(f"answers must be a list, even of one answer, not {answers!r}")
        self._answers = list(answers)
        self._takes = takes
        if not self._answers:
            raise ValueError("the script is empty: give it at least one snapshot or exception")
        for answer in self._answers:
            if not isinstance(answer, Snapshot | BaseException):
                raise TypeError(f"an answer must be a Snapshot or an exception, not {answer!r}")
        self.polled_at: list[float] = []
        """The event loop's time at the start of each poll."""
        self.running = 0
        """Polls under way."""

    @property
    def polls(self) -> int:
        """The number of polls, including the one under way."""
        return len(self.polled_at)

    async def __call__(self) -> Snapshot:
        """Return or raise the next answer.

        Raises:
            BaseException: The answer is an exception.
            RuntimeError: A poll is already under way; a watcher never polls twice at once.
        """
        if self.running:
            raise RuntimeError("two polls at once")
        self.polled_at.append(asyncio.get_running_loop().time())
        self.running += 1
        try:
            await asyncio.sleep(self._takes)
        finally:
            self.running -= 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, BaseException):
            # The same object may be raised at many polls, and each would add to its traceback.
            raise answer.with_traceback(None)
        return answer

    def __repr__(self) -> str:
        return f"<ScriptedSource after {self.polls} polls, {len(self._answers)} answers left>"
