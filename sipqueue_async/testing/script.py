"""`ScriptedSource`: what a watcher polls in a test, one answer a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sipqueue_async import Snapshot


class ScriptedSource:
    """A source for a `StatusWatcher` that gives one answer a poll, and the last one over and over.

    Example::

        source = ScriptedSource([make_snapshot(), TransportError("no route to host"), make_snapshot(make_agent())])
        async with StatusWatcher(source, interval=0.01) as watcher:
            ...

    Args:
        answers: Snapshots to return and exceptions to raise, in turn.
        takes: How long a poll takes, in seconds.

    Raises:
        TypeError: One of the answers is neither, or they are no list but a lone one.
        ValueError: There is no answer.
    """

    def __init__(self, answers: Iterable[Snapshot | BaseException], *, takes: float = 0.0) -> None:
        if isinstance(answers, Snapshot | BaseException):
            raise TypeError(f"a script is a list of answers, also if there is only one: not {answers!r}")
        self._answers = list(answers)
        self._takes = takes
        if not self._answers:
            raise ValueError("the script is empty: give it at least one snapshot or exception")
        for answer in self._answers:
            if not isinstance(answer, Snapshot | BaseException):
                raise TypeError(f"an answer is a Snapshot to return or an exception to raise, not {answer!r}")
        self.polled_at: list[float] = []
        """The event loop's time at the start of each poll."""
        self.running = 0
        """Polls under way."""

    @property
    def polls(self) -> int:
        """How many polls there were, the one under way included."""
        return len(self.polled_at)

    async def __call__(self) -> Snapshot:
        """Give the next answer.

        Raises:
            BaseException: It is this one.
            RuntimeError: A poll is under way already, which a watcher never does.
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
            # It may be raised at many polls, of which each would add its own lines to the traceback.
            raise answer.with_traceback(None)
        return answer

    def __repr__(self) -> str:
        return f"<ScriptedSource after {self.polls} polls, {len(self._answers)} answers left>"
