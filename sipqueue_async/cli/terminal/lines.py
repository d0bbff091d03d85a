"""Formats events and records as text for people."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from types import MappingProxyType
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import (
    AgentChanged,
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
    Snapshot,
    StateChanged,
    Update,
)
from sipqueue_async._language import ENGLISH, code_word, language, state_word, translated
from sipqueue_async._text import harmless
from sipqueue_async.cli.terminal.layout import cut
from sipqueue_async.cli.terminal.output import ARROW, Output
from sipqueue_async.cli.terminal.wrapping import wrapped
from sipqueue_async.cli.words import N_, _, counted, heading, ngettext

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

_LONGEST: Final = 24
"""Cells up to which a column grows with its names; a longer name moves the rest of its line."""

INDENT: Final = len("00:00:00 ")
"""Cells before the queue, for the lines that a narrow terminal wraps."""

_BUSY: Final = frozenset({AgentState.RECEIVING, AgentState.TALKING})
_RENAMED: Final = frozenset({"name"})


class EventLines:
    """Formats events as lines, one for each agent, queue and update. The columns fit the longest names.

    Args:
        output: Where they will be printed. On a terminal that is too narrow a line is broken between its columns, and
            further lines belong to the same text. Without an output lines have any length.
        verbose: Whether to show every change of a record, not only states, calls and names.
    """

    def __init__(self, output: Output | None = None, *, verbose: bool = False) -> None:
        self._output = output
        self._arrow = ARROW if output is None else output.arrow
        self._verbose = verbose
        self._widths = [0, 0, 0]

    def fit(self, agents: Iterable[AgentStatus]) -> None:
        """Make the columns wide enough for these agents."""
        for agent in agents:
            for at, name in enumerate((agent.queue, agent.extension, agent.name or "")):
                self._widths[at] = max(self._widths[at], min(_LONGEST, cell_len(harmless(name))))

    def lines(self, update: Update, now: datetime, kinds: Collection[str] = ()) -> Iterator[Text]:
        """Yield the lines for an update.

        Without `verbose`, a queue's change to idle or waiting is left out while another queue shows the same agent
        with a call: the agent is not free.

        Args:
            update: The update.
            now: The time of a `FeedDown`, which carries none.
            kinds: The kinds of events to show, each in full; by default the most important ones.
        """
        self.fit(_latest(event) for event in update.events if not isinstance(event, FeedDown | FeedUp))
        chosen = [event for event in update.events if not kinds or event.kind in kinds]
        if not kinds and not self._verbose:
            chosen = _essential(chosen, update.snapshot)
        for _key, group in groupby(chosen, key=lambda event: getattr(event, "key", None)):
            yield from self._group(list(group), now, in_full=bool(kinds) or self._verbose)

    def _group(self, events: list[Event], now: datetime, *, in_full: bool) -> Iterator[Text]:
        """Yield one line for the events of a seat, or one for each event of the feed."""
        of_seat: list[SeatEvent] = []
        for event in events:
            if isinstance(event, FeedDown | FeedUp):
                yield self._feed_line(feed_line(event, now))
            else:
                of_seat.append(event)
        if of_seat:
            story = Text(_(", ")).join(self._stories(of_seat, in_full=in_full))
            yield self._line(of_seat[-1], story)

    def _feed_line(self, line: Text) -> Text:
        if self._output is None or self._output.width is None:
            return line
        return Text("\n").join(wrapped(line, self._output.width, INDENT))

    def _line(self, event: SeatEvent, story: Text) -> Text:
        place, name = _stamp(event.observed_at), _latest(event).name or ""
        for text, column in zip((event.queue, event.extension), self._widths, strict=False):
            place.append(f"{_padded(text, column)} ", "bold")
        # Without any name the column has a width of 0.
        shown = f"{_padded(name, self._widths[-1])} " if self._widths[-1] else ""
        line = Text.assemble(place, shown, " ", story)
        if self._output is None or self._output.width is None or line.cell_len <= self._output.width:
            return line
        return _folded(place, harmless(name), story, self._output.width, self._output.ellipsis)

    def _stories(self, events: Iterable[SeatEvent], *, in_full: bool) -> Iterator[Text]:
        """Yield a text for each event of a seat; calls come before the change of state."""
        for event in sorted(events, key=lambda event: isinstance(event, StateChanged)):
            match event:
                case AgentJoined(agent=agent):
                    yield Text(_("joined, ")).append_text(state_text(agent))
                case AgentLeft(previous=previous):
                    yield Text(_("left, was ")).append_text(state_text(previous))
                case StateChanged(previous=previous, agent=agent):
                    yield Text.assemble(state_text(previous), (f" {self._arrow} ", "dim"), state_text(agent))
                case CallAnswered():
                    yield _answered(event)
                case CallMissed(count=count):
                    yield Text(ngettext("missed a call", "missed {count} calls", count).format(count=count), "red")
                case _:
                    fields = sorted(event.fields if in_full else _RENAMED)
                    yield Text(_(", ").join(self._change(name, event.previous, event.agent) for name in fields))

    def _change(self, field: str, previous: AgentStatus, agent: AgentStatus) -> str:
        if field == "status_code":
            before, after = (_status(it) for it in (previous, agent))
            field = "status"
        else:
            before, after = getattr(previous, field), getattr(agent, field)
        return f"{_field(field)} {_value(before)} {self._arrow} {_value(after)}"


def _folded(place: Text, name: str, story: Text, width: int, ellipsis: str) -> Text:
    """Return a line that is too long as one without padding or, if that is too long, as several."""
    line = Text.assemble(place, name, "  " if name else " ", story)
    if line.cell_len <= width:
        return line
    room = max(1, width - INDENT)
    heads = [Text.assemble(place, name)]
    if heads[0].cell_len > width:
        place.rstrip()
        heads = [*wrapped(place, width, INDENT), Text(" " * INDENT + cut(name, room, ellipsis))]
    return Text("\n").join([*heads, *(Text(" " * INDENT).append_text(it) for it in wrapped(story, room))])


def _essential(events: Iterable[Event], snapshot: Snapshot | None) -> list[Event]:
    """Return the events without changes of minor fields, and without states that only seem to free an agent."""
    busy = frozenset(agent.key for agent in (snapshot or {}).values() if agent.state in _BUSY)
    extensions = frozenset(key.extension for key in busy)

    def is_essential(event: Event) -> bool:
        match event:
            case AgentChanged(fields=fields):
                return bool(fields & _RENAMED)
            case StateChanged(after=AgentState.IDLE | AgentState.WAITING, extension=extension):
                return extension not in extensions
            case _:
                return True

    return [event for event in events if is_essential(event)]


def _answered(event: CallAnswered) -> Text:
    count, hidden = event.count, event.hidden_count
    story = Text(ngettext("answered a call", "answered {count} calls", count).format(count=count), "green")
    if not hidden:
        return story
    how = _(" between two polls") if hidden == count else _(", {hidden} between two polls").format(hidden=hidden)
    return story.append(how, "dim")


def state_text(agent: AgentStatus) -> Text:
    """Return an agent's state in its colour, an unknown one with its code."""
    return Text(state_of(agent), STATE_STYLES[agent.state])


def state_of(agent: AgentStatus) -> str:
    """Return an agent's state as a word, an unknown one with its code."""
    word = state_word(agent.state)
    return f"{word} {agent.state_code}" if agent.state is AgentState.UNKNOWN else word


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
    return _("{seconds:.1f} s").format(seconds=seconds) if seconds < 60 else str(timedelta(seconds=round(seconds)))


def time_span(seconds: float) -> str:
    """Return a duration in whole seconds as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, second = divmod(max(0, math.floor(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def reported_span(since: datetime, until: datetime, zone: tzinfo) -> Text:
    """Return the last line of a report: its span of time, in its zone."""
    first, last = (f"{it.astimezone(zone):%Y-%m-%d %H:%M:%S}" for it in (since, until))
    return Text(_("{since} to {until}, {zone}").format(since=first, until=last, zone=zone))


def _stamp(moment: datetime) -> Text:
    return Text().append(clock(moment), "dim").append(" ")


def feed_line(event: FeedDown | FeedUp, now: datetime) -> Text:
    """Return the line for an event of the feed; `now` is the time of a `FeedDown`, which carries none."""
    if isinstance(event, FeedUp):
        story = _("feed up after {outage}, {failures}").format(
            outage=duration(event.outage), failures=counted(event.failures, "failed poll")
        )
        return _stamp(event.observed_at).append(story, "bold green")
    since = event.since
    what = _("no status yet") if since is None else _("feed down since {time}").format(time=clock(since))
    return _stamp(now).append(_("{what}: {why}").format(what=what, why=one_line(event.error)), "bold red")


def one_line(error: BaseException) -> str:
    """Return an error's text on one line, without control characters."""
    return harmless(" ".join(translated(str(error)).split()))


def _latest(event: SeatEvent) -> AgentStatus:
    return event.previous if isinstance(event, AgentLeft) else event.agent


def _padded(name: str, width: int) -> str:
    shown = harmless(name)
    return shown + " " * (width - cell_len(shown))


def _value(value: object) -> str:
    if value is None:
        return _("none")
    return clock(value) if isinstance(value, datetime) else harmless(str(value))


def _status(agent: AgentStatus) -> str | None:
    """Return the word for the extension's own status."""
    label, code = agent.status_label, agent.status_code
    return label if language() == ENGLISH or code is None else code_word(code)


_FIELDS: Final = {
    "name": N_("name"),
    "status": N_("status"),
    "calls_answered": N_("answered calls"),
    "no_answer_count": N_("missed calls"),
    "last_answered_at": N_("last answer"),
    "last_offered_at": N_("last offer"),
    "last_changed_at": N_("last change"),
    "wrap_up_time": N_("wrap-up time"),
    "external_calls_count": N_("calls outside queues"),
}
"""The words for a record's fields; English shows the fields' own names."""


def _field(name: str) -> str:
    return name if language() == ENGLISH else heading(_FIELDS.get(name, name))
