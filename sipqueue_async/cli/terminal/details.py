"""The pages that `sipqueue top` shows over the board: one agent's details, and the help. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import AgentState, Event, Update
from sipqueue_async._language import code_word, state_word
from sipqueue_async._text import harmless
from sipqueue_async.cli.terminal.board import Scene
from sipqueue_async.cli.terminal.lines import EventLines, clock, state_text, time_span
from sipqueue_async.cli.terminal.wrapping import wrapped
from sipqueue_async.cli.words import N_, _
from sipqueue_async.tally import SeatTally

_KEYS: Final = (
    (N_("q, Ctrl-C"), N_("quit")),
    (N_("arrows, mouse"), N_("select an agent, scroll")),
    (N_("Page Up, Page Down"), N_("scroll by a screen; space goes round")),
    (N_("Enter, click"), N_("details of the selected agent")),
    (N_("/"), N_("search in queues, extensions and names; Escape ends it")),
    (N_("s, click on a heading"), N_("sort; a second click reverses")),
    (N_("r"), N_("reverse the order")),
    (N_("f, click on a queue"), N_("only that queue's agents; f goes round")),
    (N_("a, click on an alert"), N_("all raised alerts")),
    (N_("t"), N_("next theme (TEXTUAL_THEME sets the first)")),
    (N_("Ctrl-Z"), N_("suspend; fg continues")),
)

_MARKS: Final = (
    (N_("0:41+"), N_("in this state for at least so long")),
    (N_("answered, missed"), N_("calls since the start of this program")),
    (N_("no agent waiting"), N_("no agent of the queue could take the next call")),
    (N_("grey board"), N_("the platform is not reachable, and the times stand still")),
)


_NARROW: Final = 60
"""Below this width of the screen a description stands below its key."""

_PAGE: Final = 85
"""The width of a page in percent of the screen's."""


def help_text(width: int) -> Text:
    """Return the page with all keys and marks, for a screen of this width."""
    keys, marks = (_explained(pairs, width) for pairs in (_KEYS, _MARKS))
    return _titled(_("Keys"), keys).append("\n\n").append_text(_titled(_("What the board shows"), marks))


def _explained(pairs: Collection[tuple[str, str]], width: int) -> Text:
    """Return names with their descriptions, which are wrapped and indented."""
    is_narrow = width < _NARROW
    pairs = [(_(name), _(description)) for name, description in pairs]
    indent = 2 if is_narrow else max(cell_len(name) for name, _description in pairs) + 2
    lines: list[Text] = []
    for name, description in pairs:
        texts = wrapped(Text(description), width * _PAGE // 100 - indent)
        if is_narrow:
            lines.append(Text(name, "dim"))
        else:
            lines.append(Text().append(name + " " * (indent - cell_len(name)), "dim").append_text(texts.pop(0)))
        lines += [Text(" " * indent).append_text(text) for text in texts]
    return Text("\n").join(lines)


def agent_text(seats: Collection[SeatTally], events: Iterable[Event], scene: Scene) -> Text:
    """Return an agent's page: the record and the figures in each queue, and the last events.

    Args:
        seats: The agent's seats, at least one: the same extension in several queues.
        events: Events of these seats, the newest last.
        scene: The status and its time.
    """
    first = next(iter(seats)).agent
    page = Text(f"{harmless(first.extension)}  {harmless(first.name or '')}\n", "bold")
    for seat in seats:
        page.append("\n").append_text(_titled(harmless(seat.key.queue), _pairs(_record(seat, scene)))).append("\n")
    lines = [line for event in events for line in _event_lines(event, scene.now)]
    story = Text("\n").join(reversed(lines)) if lines else Text(_("none since the start"), "dim")
    return page.append("\n").append_text(_titled(_("Last events"), story))


def _event_lines(event: Event, now: datetime) -> Iterable[Text]:
    return EventLines(verbose=True).lines(Update(sequence=0, snapshot=None, previous=None, events=(event,)), now)


def _record(seat: SeatTally, scene: Scene) -> list[tuple[str, str | Text]]:
    agent = seat.agent
    lasted = time_span((scene.at - seat.since).total_seconds()) + ("+" if seat.approximate else "")
    times = seat.seconds(scene.at if scene.health.up else None)
    spent = _(", ").join(f"{state_word(state)} {time_span(times[state])}" for state in AgentState if times[state] >= 1)
    calls = _("{answered} answered, {missed} missed")
    return [
        (
            _("state"),
            state_text(agent).append(_(" for {time}").format(time=lasted)) if seat.present else Text(_("has left")),
        ),
        (_("extension's status"), "" if agent.status_code is None else code_word(agent.status_code)),
        (_("since the start"), calls.format(answered=seat.calls_answered, missed=seat.calls_missed)),
        (_("by the platform"), calls.format(answered=agent.calls_answered, missed=agent.no_answer_count)),
        (_("calls outside queues"), _number(agent.external_calls_count)),
        (_("time"), spent),
        (_("last answer"), clock(agent.last_answered_at)),
        (_("last offer"), clock(agent.last_offered_at)),
        (_("last change"), clock(agent.last_changed_at)),
        (_("wrap-up time"), "" if agent.wrap_up_time is None else _("{number} s").format(number=agent.wrap_up_time)),
    ]


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _titled(title: str, text: Text) -> Text:
    return Text(title, "bold underline").append("\n").append_text(text)


def _pairs(pairs: Iterable[tuple[str, str | Text]]) -> Text:
    pairs = [(name, value) for name, value in pairs if value]
    width = max(cell_len(name) for name, _ in pairs)
    lines = (
        Text(f"{name}{' ' * (width - cell_len(name))}  ", "dim").append(value)
        if isinstance(value, str)
        else Text(f"{name}{' ' * (width - cell_len(name))}  ", "dim").append_text(value)
        for name, value in pairs
    )
    return Text("\n").join(lines)
