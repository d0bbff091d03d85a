"""The day's figures of a tally, as a table for people and as CSV or JSON for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import attrs
from rich.text import Text

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._text import harmless, no_formula
from sipqueue_async.cli.origin import ALL_SEATS
from sipqueue_async.cli.terminal.lines import clock
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import _, counted
from sipqueue_async.tally import SeatTally, Tally

CSV_COLUMNS: Final = (
    "queue",
    "extension",
    "name",
    "present",
    "state",
    "calls_answered",
    "calls_missed",
    *(f"{state.value}_seconds" for state in AgentState),
    "unseen_seconds",
    "signed_in_seconds",
    "occupancy",
    "started_at",
    "observed_at",
)
"""The columns of the CSV, in order."""

_OTHER_FORMS: Final = "--csv, --json"
_AFTER_STATES: Final = ("signed in", "occupancy", "answered", "missed")
"""The headings of the columns to the right of those for states and unseen time."""

_RANKS: Final = (
    *("answered", "talking", "signed in", "missed", "occupancy", "waiting", "paused", "receiving", "idle"),
    *("offline", "unknown", "unseen"),
)
"""The headings of the columns with figures; on a narrow terminal the last ones are left out first."""

_ALWAYS_SHOWN: Final = frozenset(AgentState) - {AgentState.OFFLINE, AgentState.UNKNOWN}


@attrs.frozen(kw_only=True)
class Figures:
    """The figures of one seat, or the sums of several."""

    seconds: Mapping[AgentState, float]
    unseen: float
    answered: int
    missed: int

    @property
    def signed_in(self) -> float:
        """Seconds in any state but offline."""
        return sum(self.seconds.values()) - self.seconds[AgentState.OFFLINE]

    @property
    def occupancy(self) -> float | None:
        """The share of the signed-in time spent talking; None without any."""
        return self.seconds[AgentState.TALKING] / self.signed_in if self.signed_in else None

    @classmethod
    def of(cls, seats: Iterable[SeatTally]) -> Figures:
        """Return the sums over these seats."""
        seconds, unseen, answered, missed = dict.fromkeys(AgentState, 0.0), 0.0, 0, 0
        for seat in seats:
            for state, elapsed in seat.seconds().items():
                seconds[state] += elapsed
            unseen += seat.unseen()
            answered += seat.calls_answered
            missed += seat.calls_missed
        return cls(seconds=seconds, unseen=unseen, answered=answered, missed=missed)


class Day:
    """A tally's figures, of all seats or of some.

    Args:
        tally: The tally; its figures are copied now.
        seats: Which seats to include.
    """

    def __init__(self, tally: Tally, seats: SeatFilter = ALL_SEATS) -> None:
        chosen = [tally.seats[key] for key in sorted(tally.seats) if seats.admits(key)]
        self.started_at = tally.started_at
        self.observed_at = tally.observed_at
        self.down_since = None if tally.feed_down is None else tally.feed_down.since
        self.seats = [(seat, Figures.of([seat])) for seat in chosen]
        by_queue: dict[str, list[SeatTally]] = {}
        for seat in chosen:
            by_queue.setdefault(seat.key.queue, []).append(seat)
        self.queues = {name: (len(seats), Figures.of(seats)) for name, seats in by_queue.items()}
        self.total = Figures.of(chosen)

    # ---- for people --------------------------------------------------------------------------------------------------

    def print(self, output: Output) -> None:
        """Print the tables: each agent in each queue, then the queues and their total."""
        if self.started_at is None or self.observed_at is None:
            output.line(_("nothing was seen"))
            return
        if self.seats:
            names = [TableColumn("queue"), TableColumn("extension"), TableColumn("name")]
            seats = [_row(*_names(seat), *self._cells(figures)) for seat, figures in self.seats]
            output.lines(table_lines([*names, *self._columns()], seats, output.width, other_forms=_OTHER_FORMS))
            output.line()
            names = [TableColumn("queue"), TableColumn("agents", right=True, labelled=True)]
            queues = [_row(harmless(name), str(size), *self._cells(it)) for name, (size, it) in self.queues.items()]
            total = _row(_("total"), str(len(self.seats)), *self._cells(self.total), style="bold")
            output.lines(
                table_lines([*names, *self._columns()], [*queues, total], output.width, other_forms=_OTHER_FORMS)
            )
            output.line()
        output.wrapped(self._summary(self.started_at, self.observed_at))

    def _columns(self) -> list[TableColumn]:
        headings = [*(state.value for state in self._states()), *self._unseen(), *_AFTER_STATES]
        return [TableColumn(heading, _RANKS.index(heading) + 1, right=True) for heading in headings]

    def _states(self) -> list[AgentState]:
        return [state for state in AgentState if state in _ALWAYS_SHOWN or self.total.seconds[state]]

    def _unseen(self) -> tuple[str, ...]:
        return ("unseen",) if self.total.unseen else ()

    def _cells(self, figures: Figures) -> list[str]:
        times = [figures.seconds[state] for state in self._states()]
        times += [figures.unseen for _name in self._unseen()]
        share = "" if figures.occupancy is None else f"{figures.occupancy:.1%}"
        return [*map(hours, (*times, figures.signed_in)), share, str(figures.answered), str(figures.missed)]

    def _summary(self, since: datetime, until: datetime) -> Text:
        seats, queues = counted(len(self.seats), "seat"), counted(len(self.queues), "queue")
        people = _("{seats} in {queues}").format(seats=seats, queues=queues) if self.seats else _("no agents")
        span = _("{since} to {until}: {people}")
        line = Text(span.format(since=_local(since), until=_local(until), people=people))
        if self.down_since is not None:
            line.append(_("; the feed has been down since {time}").format(time=clock(self.down_since)), "bold red")
        return line

    # ---- for programs ------------------------------------------------------------------------------------------------

    def csv(self) -> str:
        """Return a line of column names, then one line for each seat and none for sums."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        ends = [_iso(self.started_at), _iso(self.observed_at)]
        for seat, figures in self.seats:
            names = (seat.key.queue, seat.key.extension, seat.agent.name or "")
            durations = (*figures.seconds.values(), figures.unseen, figures.signed_in)
            writer.writerow(
                [
                    *map(no_formula, names),
                    "yes" if seat.present else "no",
                    seat.state.value,
                    figures.answered,
                    figures.missed,
                    *(f"{seconds:.3f}" for seconds in durations),
                    "" if figures.occupancy is None else f"{figures.occupancy:.4f}",
                    *ends,
                ]
            )
        return text.getvalue()

    def json(self) -> str:
        """Return one object on one line, in ASCII."""
        return json_line(
            {
                "v": FORMAT_VERSION,
                "started_at": self.started_at,
                "observed_at": self.observed_at,
                "agents": [
                    {
                        "queue": seat.key.queue,
                        "extension": seat.key.extension,
                        "name": seat.agent.name,
                        "present": seat.present,
                        "state": seat.state,
                        "since": seat.since,
                        "approximate": seat.approximate,
                        **_figures_json(figures),
                    }
                    for seat, figures in self.seats
                ],
                "queues": [
                    {"queue": name, "agents": size, **_figures_json(figures)}
                    for name, (size, figures) in self.queues.items()
                ],
                "total": {"agents": len(self.seats), **_figures_json(self.total)},
            }
        )


def hours(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: ``8:05:00``."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        "calls_answered": figures.answered,
        "calls_missed": figures.missed,
        "seconds": {state.value: round(seconds, 6) for state, seconds in figures.seconds.items()},
        "unseen_seconds": round(figures.unseen, 6),
        "signed_in_seconds": round(figures.signed_in, 6),
        "occupancy": None if figures.occupancy is None else round(figures.occupancy, 6),
    }


def _row(*texts: str, style: str = "") -> list[Cell]:
    return [(text, style) for text in texts]


def _names(seat: SeatTally) -> tuple[str, str, str]:
    return harmless(seat.key.queue), harmless(seat.key.extension), harmless(seat.agent.name or "")


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
