"""The layout of `sipqueue top`: the lines for a screen of any size. Pure; `app` shows them on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

import attrs
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from sipqueue_async import AgentState, FeedHealth, SeatKey, SipQueueError
from sipqueue_async._language import state_word, translated
from sipqueue_async._text import harmless
from sipqueue_async.alerts import AlertRaised
from sipqueue_async.cli.terminal.alerts import Moments, banner
from sipqueue_async.cli.terminal.layout import Column, Field, Line, cut, highlighted, placed, row
from sipqueue_async.cli.terminal.lines import STATE_STYLES, clock, state_of, time_span
from sipqueue_async.cli.terminal.view import Sort, View
from sipqueue_async.cli.terminal.wrapping import wrapped
from sipqueue_async.cli.words import _, counted, heading, pgettext
from sipqueue_async.tally import GroupTally, QueueTally, SeatTally, Tally

_NARROWEST_BLOCK: Final = 56
"""Minimum width of a block of agents, of which several stand side by side on a wide screen."""

_GAP: Final = 3
"""Cells between two blocks of agents."""

_ROOMY: Final = 18
"""Minimum number of lines for a row of totals."""

_TALL: Final = 8
"""Minimum number of lines for the queues; below it there is room for the agents only."""

_MESSAGE: Final = 3
"""Maximum number of lines for why the feed is down, and for a notice, where no agent needs them."""

_ALERTS: Final = 3
"""Maximum number of lines for raised alerts, and one more line says how many others there are."""

_WORDY: Final = 60
"""Minimum number of columns for queues' warnings in words."""

_URGENT: Final = (AgentState.WAITING, AgentState.TALKING, AgentState.RECEIVING)

_ALWAYS: Final = frozenset(AgentState) - {AgentState.OFFLINE, AgentState.UNKNOWN}
"""The states that have a column even without any agent in them."""

_QUEUE_RANKS: Final[Mapping[AgentState, int]] = MappingProxyType(
    {
        AgentState.WAITING: 1,
        AgentState.TALKING: 2,
        AgentState.RECEIVING: 7,
        AgentState.IDLE: 8,
        AgentState.PAUSED: 9,
        AgentState.UNKNOWN: 10,
        AgentState.OFFLINE: 11,
    }
)
"""The ranks of the queues' columns for states; the highest is left out first."""


@attrs.frozen(kw_only=True)
class Scene:
    """The status to show, and its time."""

    tally: Tally
    health: FeedHealth
    at: datetime
    """The moment up to which times in state count (aware)."""
    now: datetime
    """This machine's time (aware)."""
    title: str
    """The name of the platform, relay or demonstration."""
    ellipsis: str = "…"
    """The sign for text that was cut off."""
    raised: Sequence[AlertRaised] = ()
    """The raised alerts, the most important first."""
    language: str = "en"
    """The language of the alerts."""
    notice: str = ""
    """A line for the user, such as about a queue that does not exist."""


class QueueTarget(NamedTuple):
    """A queue on the screen, or all of them (None)."""

    name: str | None


@attrs.frozen(kw_only=True)
class Board:
    """A picture, and what keys and clicks need to know about it."""

    lines: list[Line]
    """At most as many as the screen has, none wider than the screen."""
    order: tuple[SeatKey, ...] = ()
    """The agents in order, including those that are scrolled out."""
    first: int = 0
    """The index of the first agent on the screen."""
    rows: int = 0
    """The number of agents in a block."""
    size: int = 0
    """The number of agents for which there is room."""


@attrs.define
class Steady:
    """Keeps columns where they are: they grow, but never shrink, until the user chooses other agents or resizes."""

    _choice: object = None
    _widest: dict[str, int] = attrs.field(factory=dict)

    def begin(self, choice: object) -> None:
        """Forget everything if the choice is another one."""
        if choice != self._choice:
            self._choice = choice
            self._widest = {}

    def __call__(self, name: str, value: int) -> int:
        """Return the highest value so far under this name."""
        self._widest[name] = max(value, self._widest.get(name, value))
        return self._widest[name]


def compose(scene: Scene, view: View, width: int, height: int, steady: Steady | None = None) -> Board:
    """Return the picture for a screen of this size.

    Args:
        scene: The status.
        view: The agents that the user has chosen.
        width: The screen's width in cells.
        height: The number of its lines.
        steady: Kept from picture to picture, it keeps the columns where they are.
    """
    steady = Steady() if steady is None else steady
    steady.begin((view.queue, view.search, width, height))
    return _Picture(scene, view, width, height, steady).board()


class _Picture:
    """One picture of a scene."""

    def __init__(self, scene: Scene, view: View, width: int, height: int, steady: Steady) -> None:
        self._steady = steady
        self._scene = scene
        self._tally = scene.tally
        self._view = view
        self._width = width
        self._height = height
        self._down = scene.health.up is False

    def board(self) -> Board:
        """Return the picture."""
        head = self._head(1)
        body, footer, board = self._body(self._height - len(head) - 1)
        spare = max(0, self._height - len(head) - len(body) - 1)
        taller = self._head(min(_MESSAGE, 1 + spare // 2))
        if len(taller) > len(head):
            head = taller
            body, footer, board = self._body(self._height - len(head) - 1)
        if self._down:
            # During an outage the status may be outdated.
            body = [_restyled(line, "dim") for line in body]
        body += [()] * (self._height - len(head) - len(body) - 1)
        return attrs.evolve(board, lines=[*[*head, *body][: self._height - 1], footer][-self._height :])

    def _body(self, room: int) -> tuple[list[Line], Line, Board]:
        """Return the lines between head and footer, the footer, and the board without lines."""
        if self._tally.started_at is None:
            return [], self._footer(0), Board(lines=[])
        seats = self._view.chosen(self._tally.seats.values())
        queues = self._queue_lines()
        room -= len(queues) + 1
        between: list[Line] = [()] if room >= self._steady("seats", len(seats)) + 2 else []
        agents, board = self._agent_lines(seats, max(0, room - 2 * len(between)))
        footer = self._footer(len(seats) - min(board.size, len(seats)))
        return [*between, *queues, *between, *agents], footer, board

    # ---- head --------------------------------------------------------------------------------------------------------

    def _head(self, limit: int) -> list[Line]:
        """Return the lines above the queues; `limit` is how many a message may take."""
        time = clock(self._scene.now)
        room = self._width - len("sipqueue  ") - len(time) - 1
        if room > 0:
            title = cut(self._scene.title, room, self._scene.ellipsis)
            parts = [(0, "sipqueue", "bold"), (10, title, "dim"), (self._width - len(time), time, "dim")]
        else:
            parts = [(0, cut("sipqueue", self._width, ""), "bold")]
        lines = [tuple(Field(*part) for part in parts)]
        if self._down:
            outage = self._message(self._outage(), limit)
            lines += [(Field(0, set_cell_size(text, self._width), "bold white on red"),) for text in outage]
        lines += self._banner()
        if self._tally.started_at is not None:
            totals = self._totals(self._tally.started_at)
            lines.append(_restyled(totals, "dim") if self._down else totals)
            if self._scene.notice:
                lines += [
                    (Field(0, text, "bold yellow"),) for text in self._message(harmless(self._scene.notice), limit)
                ]
        elif not self._down:
            lines.append((Field(0, cut(_("waiting for the first answer"), self._width, ""), "dim"),))
        return lines

    def _banner(self) -> list[Line]:
        scene = self._scene
        most = _ALERTS if self._height >= _ROOMY else 1
        moments = Moments(scene.at, scene.now)
        return banner(
            scene.raised,
            moments,
            language=scene.language,
            width=self._width,
            most=most,
            ellipsis=scene.ellipsis,
            down=self._down,
        )

    def _outage(self) -> str:
        """Say since when the feed is down, and why."""
        health = self._scene.health
        since = health.last_good_at
        if since is None:
            what = _("NO STATUS YET")
        else:
            lasted = time_span((self._scene.now - since).total_seconds())
            what = _("FEED DOWN since {time} ({lasted})").format(time=clock(since), lasted=lasted)
        return _("{what}: {why}").format(what=what, why=_why(health.last_error))

    def _message(self, text: str, limit: int) -> list[str]:
        """Return a message wrapped between words, with an ellipsis if it needs more lines than the limit."""
        lines = [text] if limit == 1 else [line.plain for line in wrapped(Text(text), self._width)]
        if len(lines) > limit:
            lines[limit - 1 :] = [" ".join(lines[limit - 1 :])]
        return [cut(line, self._width, self._scene.ellipsis) for line in lines]

    def _totals(self, started_at: datetime) -> Line:
        total = self._tally.total
        seats = counted(sum(total.agents.values()), "seat")
        calls = [
            (_("{number} answered").format(number=total.calls_answered), "green"),
            (_("{number} missed").format(number=total.calls_missed), "red" if total.calls_missed else "dim"),
        ]
        since = (_("since {time}").format(time=clock(started_at)), "dim")
        if self._has_total_row:
            where = _("{seats} in {queues}").format(seats=seats, queues=counted(len(self._tally.queues), "queue"))
            parts = [(where, "bold"), *calls, since]
        else:
            states = [
                (
                    _("{number} {state}").format(number=total.agents[state], state=state_word(state)),
                    _style(state, total.agents[state]),
                )
                for state in _URGENT
            ]
            parts = [(seats, "bold"), *states, *calls, since]
        return _flowing(parts, self._width)

    # ---- queues ------------------------------------------------------------------------------------------------------

    @property
    def _has_total_row(self) -> bool:
        return self._height >= _ROOMY and len(self._tally.queues) > 1

    def _queue_lines(self) -> list[Line]:
        if self._height < _TALL:
            return []
        queues = sorted(self._tally.queues.values(), key=lambda queue: queue.name)
        room = max(2, (self._height - 6) // 3)
        label = heading("queue")
        if len(queues) > room:
            label = _("queue ({shown} of {queues})").format(shown=room, queues=len(queues))
            queues.sort(key=lambda queue: _warning(queue) is None)
            queues = queues[:room]
        columns = self._queue_columns(queues, label)
        rows = [{column.name: (column.heading, "bold") for _at, column in columns}]
        rows += [self._queue_cells(queue, columns) for queue in queues]
        if self._has_total_row:
            rows.append(self._group_cells(_("all"), self._tally.total) | {"note": ("", "")})
        targets = [None, *(QueueTarget(queue.name) for queue in queues), QueueTarget(None)]
        return [
            row(columns, [cells[column.name] for _at, column in columns], self._scene.ellipsis, target)
            for cells, target in zip(rows, targets, strict=False)
        ]

    def _queue_columns(self, queues: Sequence[QueueTally], label: str) -> list[tuple[int, Column]]:
        name = max([cell_len(label), *(cell_len(harmless(queue.name)) for queue in queues)])
        note = self._steady(
            "note", max((cell_len(warning) for queue in queues if (warning := _warning(queue))), default=0)
        )
        columns = [
            Column("name", label, width=min(40, name), least=max(cell_len(label), min(12, name)), rank=0),
            *(
                _figure(state.value, rank)
                for state, rank in _QUEUE_RANKS.items()
                if self._steady(state, self._tally.total.agents[state]) or state in _ALWAYS
            ),
            _figure("answered", 5),
            _figure("missed", 4),
            attrs.evolve(_figure("longest talk", 12), name="longest"),
            Column("note", "", width=note, least=note if self._width >= _WORDY else 1, rank=0),
        ]
        return placed(columns, self._width)

    def _queue_cells(self, queue: QueueTally, columns: Iterable[tuple[int, Column]]) -> dict[str, tuple[str, str]]:
        cells = self._group_cells(harmless(queue.name), queue)
        warning = _warning(queue) or ""
        if warning:
            cells[AgentState.WAITING.value] = ("0", "bold red")
        room = max((column.width for _at, column in columns if column.name == "note"), default=0)
        return cells | {"note": (warning if cell_len(warning) <= room else "!", "bold red")}

    def _group_cells(self, name: str, group: GroupTally) -> dict[str, tuple[str, str]]:
        longest = group.longest_talk()
        return {
            "name": (name, "bold"),
            **{state.value: (str(number), _style(state, number)) for state, number in group.agents.items()},
            "answered": (str(group.calls_answered), ""),
            "missed": (str(group.calls_missed), "red" if group.calls_missed else "dim"),
            "longest": ("" if longest is None else self._time_of(longest), ""),
        }

    # ---- agents ------------------------------------------------------------------------------------------------------

    def _agent_lines(self, seats: Sequence[SeatTally], room: int) -> tuple[list[Line], Board]:
        """Return the heading and at most `room` lines of agents, and the board without lines."""
        most = max(1, (self._width + _GAP) // (_NARROWEST_BLOCK + _GAP))
        blocks = max(1, min(most, math.ceil(self._steady("seats", len(seats)) / max(1, room))))
        size = room * blocks
        first = max(0, min(self._view.first, len(seats) - size))
        shown = seats[first : first + size]
        width = (self._width - (blocks - 1) * _GAP) // blocks
        # A search that finds nothing leaves the columns as they are without it.
        columns = self._agent_columns(seats or list(self._tally.seats.values()), width)
        heading = tuple(
            field._replace(
                target=Sort(column.name), style="bold underline" if column.name == self._view.sort else "bold"
            )
            for at, column in columns
            for field in row([(at, column)], [(column.heading, "")], self._scene.ellipsis)
        )
        lines: list[Line] = [()] * (min(room, len(shown)) + 1)
        for block in range(blocks):
            mine = shown[block * room : (block + 1) * room]
            for index, fields in enumerate([heading, *(self._agent_line(seat, columns, width) for seat in mine)]):
                lines[index] += _moved(fields, block * (width + _GAP))
        if self._view.search and not seats and room:
            lines.append((Field(0, cut(_("nothing found"), self._width, self._scene.ellipsis), "dim"),))
        order = tuple(seat.key for seat in seats)
        return lines, Board(lines=[], order=order, first=first, rows=room, size=size)

    def _agent_line(self, seat: SeatTally, columns: Sequence[tuple[int, Column]], width: int) -> Line:
        cells = self._agent_cells(seat, [column.name for _at, column in columns])
        line = row(columns, cells, self._scene.ellipsis, seat.key)
        return highlighted(line, width, "reverse") if seat.key == self._view.selected else line

    def _agent_columns(self, seats: Sequence[SeatTally], width: int) -> list[tuple[int, Column]]:
        # Measured over all pages, so that the columns do not move from page to page.
        steady = self._steady
        queue = steady("queue", max((cell_len(harmless(seat.key.queue)) for seat in seats), default=0))
        extension = steady("extension", max((cell_len(harmless(seat.key.extension)) for seat in seats), default=0))
        name = steady("name", max((cell_len(harmless(seat.agent.name or "")) for seat in seats), default=0))
        time = steady("time", max((len(self._time_of(seat)) for seat in seats), default=0))
        # Wide enough for most states, so that the next columns do not move when a state ends.
        usual = (cell_len(state_word(state)) for state in _ALWAYS)
        state = steady("state", max(*usual, *(cell_len(state_of(seat.agent)) for seat in seats)))
        ext, lasted = pgettext("short", "ext"), pgettext("column", "for ")
        least = max(min(8, extension), cell_len(ext) if not ext.isascii() else 0)
        columns = [
            Column("queue", heading("queue"), width=min(24, max(len("queue"), queue)), least=6, rank=1),
            Column("extension", ext, width=min(16, max(cell_len(ext), extension)), least=least, rank=0),
            Column("name", heading("name"), width=min(32, max(len("name"), name)), least=8, rank=2),
            Column("state", heading("state"), width=state, least=state, rank=0),
            Column("time", lasted, width=len("0:00:00+"), least=max(cell_len(lasted), time), rank=0, right=True),
            _figure("answered", 4),
            _figure("missed", 3),
        ]
        if self._view.queue is not None:
            del columns[0]
        return placed(columns, width)

    def _agent_cells(self, seat: SeatTally, names: Iterable[str]) -> list[tuple[str, str]]:
        style = STATE_STYLES[seat.state]
        cells = {
            "queue": (harmless(seat.key.queue), ""),
            "extension": (harmless(seat.key.extension), "bold"),
            "name": (harmless(seat.agent.name or ""), ""),
            "state": (state_of(seat.agent), style),
            "time": (self._time_of(seat), style),
            "answered": (str(seat.calls_answered), "" if seat.calls_answered else "dim"),
            "missed": (str(seat.calls_missed), "red" if seat.calls_missed else "dim"),
        }
        return [cells[name] for name in names]

    def _time_of(self, seat: SeatTally) -> str:
        seconds = (self._scene.at - seat.since).total_seconds()
        return time_span(seconds) + ("+" if seat.approximate else " ")

    # ---- foot --------------------------------------------------------------------------------------------------------

    def _footer(self, hidden: int) -> Line:
        view = self._view
        queue = _("all") if view.queue is None else harmless(view.queue)
        sort = _("s sort: {column} reversed") if view.reverse else _("s sort: {column}")
        parts = [
            *([(_("{number} not shown").format(number=hidden), "bold yellow")] if hidden else []),
            (_("q quit"), ""),
            (_("? help"), ""),
            *([(_("/ search: {text}").format(text=harmless(view.search)), "bold yellow")] if view.search else []),
            (sort.format(column=heading(view.sort)), ""),
            (_("f queue: {queue}").format(queue=queue), ""),
            *([] if view.search else [(_("/ search"), "")]),
        ]
        return _flowing(parts, self._width)


def _why(error: BaseException | None) -> str:
    """Return what happened, without the place, which would not fit into a line."""
    text = error.describe() if isinstance(error, SipQueueError) else str(error)
    return harmless(" ".join(translated(text).split()))


def _warning(queue: QueueTally) -> str | None:
    """Return a warning if no agent of the queue could take the next call."""
    if not queue.signed_in:
        return _("no agent signed in")
    return None if queue.agents[AgentState.WAITING] else _("no agent waiting")


def _figure(name: str, rank: int) -> Column:
    """Return a column with figures, as wide as its heading."""
    word = heading(name)
    return Column(name, word, width=cell_len(word), rank=rank, right=True)


def _flowing(parts: Iterable[tuple[str, str]], width: int) -> Line:
    """Return as many texts as fit, one after the other."""
    fields: list[Field] = []
    column = 0
    for text, style in parts:
        if column + cell_len(text) > width:
            break
        fields.append(Field(column, text, style))
        column += cell_len(text) + 2
    return tuple(fields)


def _moved(line: Line, columns: int) -> Line:
    return tuple(field._replace(column=field.column + columns) for field in line)


def _style(state: AgentState, number: int) -> str:
    return STATE_STYLES[state] if number else "dim"


def _restyled(line: Line, style: str) -> Line:
    return tuple(field._replace(style=style) for field in line)
