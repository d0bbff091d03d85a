"""``sipqueue status``: one snapshot, as a table or as JSON."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import Final, Unpack

import click
from rich.text import Text

from sipqueue_async import AgentState, AgentStatus, SeatFilter, Snapshot
from sipqueue_async._json_lines import snapshot_json
from sipqueue_async._language import state_word
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import ABSENT, Failure, complain
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, absent_names, closing, origin_of, snapshot_of
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.terminal.lines import STATE_STYLES, clock, state_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import _, counted


@click.command(
    "status",
    epilog=options.examples(
        "sipqueue status --queue queue-1 --state waiting",
        "sipqueue status --json | jq '.agents[].name'",
    ),
)
@options.queues
@options.extensions
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in AgentState]),
    multiple=True,
    help="Only agents in this state; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@options.origin
def command(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    states: tuple[str, ...],
    as_json: bool,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Show who is doing what now."""
    return partial(
        status,
        origin_of(origin, os.environ),
        standard_output(),
        seats=SeatFilter(queues or None, extensions or None),
        states=frozenset(map(AgentState, states)),
        as_json=as_json,
    )


async def status(
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    states: Collection[AgentState] = (),
    as_json: bool = False,
) -> None:
    """Print who is doing what; an empty filter admits everyone.

    Raises:
        Failure: A queue or an extension that was named is not there; what was found is printed.
    """
    async with closing(origin):
        snapshot = await snapshot_of(origin, seats)
        absent = await absent_names(origin, seats, snapshot)
    agents = [snapshot[key] for key in sorted(snapshot) if not states or snapshot[key].state in states]
    if as_json:
        output.line(snapshot_json(snapshot, agents))
    elif snapshot or not absent:
        _print_table(output, snapshot, agents)
    if absent:
        raise Failure(absent, ABSENT)


def _print_table(output: Output, snapshot: Snapshot, agents: list[AgentStatus]) -> None:
    if agents:
        output.lines(table_lines(_COLUMNS, map(_cells, agents), output.width, other_forms="--json"))
        output.line()
    output.wrapped(_summary(snapshot, agents))
    if agents:
        output.wrapped(Text(_clocks(agents), "dim"))
    for problem in snapshot.problems:
        place = "" if problem.queue is None else f" of queue {problem.queue}, extension {problem.extension}"
        complain(f"warning: {problem.field}{place} was left out: {problem.reason}")


_COLUMNS: Final = (
    TableColumn("queue"),
    TableColumn("extension"),
    TableColumn("name"),
    TableColumn("state"),
    TableColumn("answered", rank=1, right=True),
    TableColumn("missed", rank=2, right=True),
    TableColumn("last answer", rank=3, right=True),
    TableColumn("last offer", rank=4, right=True),
)


def _cells(agent: AgentStatus) -> list[Cell]:
    return [
        (harmless(agent.queue), ""),
        (harmless(agent.extension), ""),
        (harmless(agent.name or ""), ""),
        (state_of(agent), STATE_STYLES[agent.state]),
        (str(agent.calls_answered), ""),
        (str(agent.no_answer_count), ""),
        (clock(agent.last_answered_at), ""),
        (clock(agent.last_offered_at), ""),
    ]


def _summary(snapshot: Snapshot, agents: list[AgentStatus]) -> Text:
    line = Text().append(clock(snapshot.observed_at), "dim").append(" ")
    if not agents:
        return line.append(_("no agents"))
    seats, queues = counted(len(agents), "seat"), counted(len({agent.queue for agent in agents}), "queue")
    line.append(_("{seats} in {queues}").format(seats=seats, queues=queues))
    numbers = Counter(agent.state for agent in agents)
    shares = [
        Text(_("{number} {state}").format(number=numbers[state], state=state_word(state)), STATE_STYLES[state])
        for state in AgentState
        if numbers[state]
    ]
    return line.append(_(": ")).append_text(Text(_(", ")).join(shares))


def _clocks(agents: list[AgentStatus]) -> str:
    """Say which clocks the times in the table are of."""
    zone = f"{datetime.now().astimezone():%Z}"
    times = (moment for agent in agents for moment in (agent.last_answered_at, agent.last_offered_at))
    sample = next((moment for moment in times if moment is not None), None)
    if sample is not None and sample.tzinfo is None:
        text = _("the time is this machine's ({zone}); last answer and last offer are the server's (see --timezone)")
    else:
        text = _("times are in this machine's time zone ({zone})")
    return text.format(zone=zone)
