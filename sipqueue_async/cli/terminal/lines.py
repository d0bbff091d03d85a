"""Events and records in words for people."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatEvent,
    StateChanged,
)
from sipqueue_async._text import harmless
from sipqueue_async.cli.terminal.output import ARROW

STATE_STYLES: Final[Mapping[AgentState, str]] = MappingProxyType(
    {
        AgentState.IDLE: "blue",
        AgentState.WAITING: "cyan",
        AgentState.RECEIVING: "yellow",
        AgentState.TALKING: "bold green",
        AgentState.PAUSED: "magenta",
        AgentState.OFFLINE: "bright_black",
        AgentState.UNKNOWN: "bold red",
    }
)

_STORY_WIDTH: Final = 24
"""The column of the agent's name: most stories fit, such as "status ringing → in a call"."""


class EventLines:
    """Formats events as lines whose columns grow with the longest name so far.

    Args:
        arrow: The sign between an old and a new value.
    """

    def __init__(self, arrow: str = ARROW) -> None:
        self._arrow = arrow
        self._queue_width = 0
        self._extension_width = 0

    def line(self, event: Event, now: datetime) -> Text:
        """Return an event's line; `now` is the time of a `FeedDown`, which carries none."""
        if isinstance(event, FeedDown | FeedUp):
            return _feed_line(event, now)
        self._queue_width = max(self._queue_width, cell_len(harmless(event.queue)))
        self._extension_width = max(self._extension_width, cell_len(harmless(event.extension)))
        line = _stamp(event.observed_at)
        line.append(_padded(event.queue, self._queue_width), "bold").append(" ")
        line.append(_padded(event.extension, self._extension_width), "bold").append(" ")
        story = self._story(event)
        line.append_text(story)
        name = _latest(event).name
        if name:
            line.append(" " * (max(0, _STORY_WIDTH - story.cell_len) + 2)).append(harmless(name), "dim")
        return line

    def _story(self, event: SeatEvent) -> Text:
        match event:
            case AgentJoined(agent=agent):
                return Text("joined, ").append_text(state_text(agent))
            case AgentLeft(previous=previous):
                return Text("left, was ").append_text(state_text(previous))
            case StateChanged(previous=previous, agent=agent):
                return Text.assemble(state_text(previous), (f" {self._arrow} ", "dim"), state_text(agent))
            case CallAnswered():
                return _answered(event)
            case CallMissed(count=count):
                return Text("missed a call" if count == 1 else f"missed {count} calls", "red")
            case _:
                changes = (self._change(name, event.previous, event.agent) for name in sorted(event.fields))
                return Text(", ".join(changes))

    def _change(self, field: str, previous: AgentStatus, agent: AgentStatus) -> str:
        if field == "status_code":
            before, after = previous.status_label, agent.status_label
            field = "status"
        else:
            before, after = getattr(previous, field), getattr(agent, field)
        return f"{field} {_value(before)} {self._arrow} {_value(after)}"


def _answered(event: CallAnswered) -> Text:
    count, hidden = event.count, event.hidden_count
    story = Text("answered a call" if count == 1 else f"answered {count} calls", "green")
    if not hidden:
        return story
    return story.append(" between two polls" if hidden == count else f", {hidden} between two polls", "dim")


def state_text(agent: AgentStatus) -> Text:
    """Return an agent's state in its colour, an unknown one with its code."""
    word = f"unknown {agent.state_code}" if agent.state is AgentState.UNKNOWN else agent.state.value
    return Text(word, STATE_STYLES[agent.state])


def clock(moment: datetime | None) -> str:
    """Return the time of day: in this machine's zone if the moment is aware, as it is if naive."""
    if moment is None:
        return ""
    if moment.tzinfo:
        # In the first and the last year of the calendar, another zone's time can be outside it.
        with contextlib.suppress(OverflowError):
            moment = moment.astimezone()
    return f"{moment:%H:%M:%S}"


def duration(span: timedelta) -> str:
    """Return a duration as ``4.2 s``, or from a minute on as ``1:02:03``."""
    seconds = span.total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 agent``, ``2 agents``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _stamp(moment: datetime) -> Text:
    return Text().append(clock(moment), "dim").append(" ")


def _feed_line(event: FeedDown | FeedUp, now: datetime) -> Text:
    if isinstance(event, FeedUp):
        story = f"feed up after {duration(event.outage)}, {counted(event.failures, 'failed poll')}"
        return _stamp(event.observed_at).append(story, "bold green")
    since = "feed down from the start" if event.since is None else f"feed down since {clock(event.since)}"
    return _stamp(now).append(f"{since}: {one_line(event.error)}", "bold red")


def one_line(error: BaseException) -> str:
    """Return an error's text on one line, without control characters."""
    return harmless(" ".join(str(error).split()))


def _latest(event: SeatEvent) -> AgentStatus:
    return event.previous if isinstance(event, AgentLeft) else event.agent


def _padded(name: str, width: int) -> str:
    shown = harmless(name)
    return shown + " " * (width - cell_len(shown))


def _value(value: object) -> str:
    if value is None:
        return "none"
    return clock(value) if isinstance(value, datetime) else harmless(str(value))
