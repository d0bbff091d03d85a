"""The time of agents as bars: a line for each seat, whose cells show the state that took most of their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs
from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import AgentState
from sipqueue_async.cli.terminal.lines import STATE_STYLES
from sipqueue_async.cli.words import _, heading

Kind: TypeAlias = AgentState | Literal["unseen"]
"""A state, or time in which the status was unknown."""

Piece: TypeAlias = tuple[datetime, datetime, Kind]
"""The beginning, the end and the kind of a piece of time."""

BLOCKS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        AgentState.TALKING: "█",
        AgentState.RECEIVING: "▲",
        AgentState.WAITING: "▒",
        AgentState.IDLE: "░",
        AgentState.PAUSED: "=",
        AgentState.OFFLINE: "_",
        AgentState.UNKNOWN: "?",
        "unseen": "╳",
    }
)
"""The signs of the kinds: different without colours too."""

LETTERS: Final[Mapping[Kind, str]] = MappingProxyType(dict(zip(BLOCKS, "TRWI=_?x", strict=True)))
"""The signs of an output that has no blocks."""

_NARROW: Final = 60
"""Below this width the name has a line of its own."""
_DAY: Final = timedelta(days=1)
_STEPS: Final = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30, 60, 120, 180, 360, 720)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 365)),
)
_ROOM: Final = len("00:00") + 2
"""Cells of a time above the bars."""


@attrs.define
class Bar:
    """The time of one seat."""

    name: str
    """The seat's names, safe to print."""
    pieces: list[Piece] = attrs.Factory(list[Piece])
    """Its time, in any order. Time without a piece stays blank: the seat was not there."""


def bar_lines(
    bars: Sequence[Bar],
    span: tuple[datetime, datetime],
    zone: tzinfo,
    width: int,
    *,
    signs: Mapping[Kind, str] = BLOCKS,
    ends_now: bool = False,
) -> list[Text]:
    """Return a scale of times, a bar for each seat, and a legend.

    Args:
        bars: The seats.
        span: The times at the left and the right end, of which the right one is later.
        zone: The zone of the scale.
        width: The terminal's width in cells.
        signs: The signs of the kinds.
        ends_now: Whether the right end is the present, which the scale then says.
    """
    since, until = span
    named = max((cell_len(bar.name) for bar in bars), default=0) + 1
    if width < _NARROW or named > width // 3:
        named = 0
    cells = max(1, width - named)
    scale = _scale(since, until, zone, cells)
    if ends_now:
        scale = _with_end(scale, _("now {time}").format(time=f"{until.astimezone(zone):%H:%M}"), cells)
    lines = [Text(" " * named).append(scale, "bold")]
    shown: set[Kind] = set()
    for bar in bars:
        kinds = _cells(bar.pieces, since, until, cells)
        shown.update(kind for kind in kinds if kind is not None)
        line = Text(bar.name)
        if named:
            line.append(" " * (named - cell_len(bar.name)))
        else:
            lines.append(line)
            line = Text()
        for kind in kinds:
            line.append(*(" ",) if kind is None else (signs[kind], _style(kind)))
        line.rstrip()
        lines.append(line)
    return [*lines, *_legend(shown, signs, width)]


def _style(kind: Kind) -> str:
    return "dim red" if kind == "unseen" else STATE_STYLES[kind]


def _cells(pieces: Iterable[Piece], since: datetime, until: datetime, cells: int) -> list[Kind | None]:
    """Return what took most of the time of each cell."""
    each = (until - since) / cells
    spent: list[Counter[Kind]] = [Counter() for _ in range(cells)]
    for began, ended, kind in pieces:
        at = max(0, (began - since) // each)
        while at < cells and (begin := since + at * each) < ended:
            spent[at][kind] += (min(ended, begin + each) - max(began, begin)) // timedelta(microseconds=1)
            at += 1
    return [it.most_common(1)[0][0] if it else None for it in spent]


def _scale(since: datetime, until: datetime, zone: tzinfo, cells: int) -> str:
    """Return times above the cells in which they are, as many as have room."""
    step = next((it for it in _STEPS if it * cells >= _ROOM * (until - since)), _STEPS[-1])
    line = ""
    for moment in _moments(since, until, zone, step):
        at = (moment - since) * cells // (until - since)
        label = f"{moment.astimezone(zone):{'%m-%d' if step >= _DAY else '%H:%M'}}"
        if len(line) < at + bool(not line) and at + len(label) <= cells:
            line = line.ljust(at) + label
    return line


def _with_end(scale: str, label: str, cells: int) -> str:
    """Return a scale with a label at its right end instead of the times in its way; unchanged if it is too narrow."""
    room = cells - cell_len(label)
    if room < 0:
        return scale
    kept = scale[: max(0, room - 1)]
    if len(kept) < len(scale) and not scale[len(kept)].isspace():
        # A part of a time would be another time.
        kept = kept[: kept.rfind(" ") + 1]
    return kept.ljust(room) + label


def _moments(since: datetime, until: datetime, zone: tzinfo, step: timedelta) -> Iterator[datetime]:
    """Yield the moments at which the clocks of a zone show a multiple of a step, or midnights."""
    local = since.astimezone(zone).replace(tzinfo=None)
    midnight = datetime.combine(local.date(), datetime.min.time())
    first = min(step, _DAY)
    clock = midnight + -(-(local - midnight) // first) * first
    while True:
        # A time that the clocks skip in spring is an hour later.
        moment = clock.replace(tzinfo=zone).astimezone(UTC)
        if moment >= until:
            return
        yield moment
        clock += step


def _legend(shown: set[Kind], signs: Mapping[Kind, str], width: int) -> list[Text]:
    lines = [Text()]
    for kind in filter(shown.__contains__, signs):
        entry = Text().append(signs[kind], _style(kind)).append(f" {heading(kind)}")
        if lines[-1] and lines[-1].cell_len + 2 + entry.cell_len > width:
            lines.append(Text())
        lines[-1].append("  " if lines[-1] else "").append_text(entry)
    return [line for line in lines if line]
