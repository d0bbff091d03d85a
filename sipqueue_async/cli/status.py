"""``sipqueue status``: one snapshot, as a table or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from rich import box
from rich.table import Table
from rich.text import Text

from sipqueue_async import AgentState, AgentStatus, Snapshot
from sipqueue_async.cli.exits import DONE, complain
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.render import STATE_STYLES, clock, counted, snapshot_json, state_text
from sipqueue_async.cli.source import Source, snapshot_of
from sipqueue_async.cli.text import harmless


async def status(
    source: Source,
    output: Output,
    *,
    queues: Collection[str] = (),
    extensions: Collection[str] = (),
    states: Collection[AgentState] = (),
    as_json: bool = False,
) -> int:
    """Print who is doing what; an empty filter lets everybody through."""
    snapshot = await snapshot_of(source, queues=queues, extensions=extensions)
    # The platform can be asked for one queue, one extension and some of the states only; the rest is chosen here.
    agents = [
        snapshot[key]
        for key in sorted(snapshot)
        if (not queues or key.queue in queues)
        and (not extensions or key.extension in extensions)
        and (not states or snapshot[key].state in states)
    ]
    if as_json:
        output.line(snapshot_json(snapshot, agents))
        return DONE
    if agents:
        output.table(_table(agents, framed=output.terminal))
        output.line()
    output.line(_summary(snapshot, agents))
    for problem in snapshot.problems:
        place = "" if problem.queue is None else f" of queue {problem.queue}, extension {problem.extension}"
        complain(f"warning: {problem.field}{place} was left out: {problem.reason}")
    return DONE


def _table(agents: list[AgentStatus], *, framed: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD if framed else None, show_edge=False, pad_edge=False, header_style="bold")
    for heading in ("queue", "extension", "name", "state"):
        table.add_column(heading, overflow="fold")
    for heading in ("answered", "missed", "last answer", "last offer"):
        table.add_column(heading, justify="right", no_wrap=True)
    for agent in agents:
        table.add_row(
            Text(harmless(agent.queue)),
            Text(harmless(agent.extension)),
            Text(harmless(agent.name or "")),
            state_text(agent),
            str(agent.calls_answered),
            str(agent.no_answer_count),
            clock(agent.last_answered_at),
            clock(agent.last_offered_at),
        )
    return table


def _summary(snapshot: Snapshot, agents: list[AgentStatus]) -> Text:
    line = Text().append(clock(snapshot.observed_at), "dim").append(" ")
    if not agents:
        return line.append("nobody")
    line.append(f"{counted(len(agents), 'seat')} in {counted(len({agent.queue for agent in agents}), 'queue')}")
    numbers = Counter(agent.state for agent in agents)
    shares = [Text(f"{numbers[state]} {state.value}", STATE_STYLES[state]) for state in AgentState if numbers[state]]
    return line.append(": ").append_text(Text(", ").join(shares))
