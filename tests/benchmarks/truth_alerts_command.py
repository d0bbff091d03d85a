"""``sipqueue alert`` in a process, killed with SIGKILL and restarted on its state file, through outages.

The simulated call centre stands still while the command polls it, and moves on between: so what the command must print
is known exactly, however slow the machine is.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.cli import Sipqueue, environment, sipqueue
from tests.kit.waiting import until

RULES: Final = """
[rules.talks]
kind = "state-lasts"
states = "talking"
longer_than = "0 s"

[rules.away]
kind = "feed-silent"
lasting = "0 s"
"""
_SEAT: Final = re.compile(r"\((\d+)\) in (\S+?)(:| has been )")


@attrs.define
class Outcome:
    """What the command printed, against what was true."""

    rounds: int = 0
    kills: int = 0
    outages: int = 0
    due: int = 0
    """Calls and outages that a good poll showed, and their ends."""
    told: int = 0
    missing: int = 0
    false: int = 0
    twice: int = 0

    @property
    def exact(self) -> bool:
        """Whether each was told once, and nothing else."""
        return self.told == self.due and not (self.missing or self.false or self.twice)


class _Run:
    def __init__(self, simulator: Simulator, folder: Path, chance: random.Random) -> None:
        self.simulator = simulator
        self.chance = chance
        self.outcome = Outcome()
        self.stack = AsyncExitStack()
        self.state_file = folder / "state"
        self.arguments = ("alert", "--rules", str(folder / "rules.toml"), "--state-file", str(self.state_file))
        (folder / "rules.toml").write_text(RULES, encoding="utf-8")
        self.program: Sipqueue | None = None
        self.reading: asyncio.Task[None] | None = None
        self.printed: Counter[str] = Counter()
        """What was printed since the last comparison: the seat, or "the platform", with "raised" or "cleared"."""
        self.talking: dict[SeatKey, int] = {}
        """The seats that talk by the last good poll, each with the number of its answered calls."""
        self.is_away = False

    async def start(self) -> None:
        """Start the command."""
        self.program = await self.stack.enter_async_context(
            sipqueue(
                *self.arguments, "--interval", "0.02", env=environment(self.simulator, NO_COLOR="1", COLUMNS="400")
            )
        )
        self.reading = asyncio.create_task(self._read(self.program))

    async def _read(self, program: Sipqueue) -> None:
        while line := (await program.program.stdout.readline()).decode():
            if found := _SEAT.search(line):
                what = "raised" if found[3].strip() == "has been" else "cleared"
                self.printed[f"{found[2]}/{found[1]} {what}"] += 1
            else:
                self.printed[f"the platform {'cleared' if 'again' in line else 'raised'}"] += 1

    async def kill(self) -> None:
        """Kill the command; what it has written until then is read."""
        assert self.program is not None
        assert self.reading is not None
        self.program.send(signal.SIGKILL)
        await self.program.code()
        await self.reading
        self.outcome.kills += 1

    def move(self) -> None:
        """Let the call centre move on by seconds or minutes."""
        self.simulator.advance(self.chance.choice([3, 20, 60, 150]))

    def due(self) -> Counter[str]:
        """Return what a good poll now has to make the command print."""
        counts = {
            seat.key: seat.calls_answered for seat in self.simulator.centre.seats() if seat.state is AgentState.TALKING
        }
        found: Counter[str] = Counter()
        for key in self.talking.keys() | counts.keys():
            name = "/".join(key)
            if self.talking.get(key) != counts.get(key):
                found[f"{name} cleared"] += key in self.talking
                found[f"{name} raised"] += key in counts
        found["the platform cleared"] += self.is_away
        self.talking, self.is_away = counts, False
        return +found

    async def compare(self, due: Counter[str]) -> None:
        """Wait until everything that is due is printed and the command has polled again; count what is wrong."""
        done = asyncio.ensure_future(until(lambda: self.printed >= due))
        await asyncio.wait([done])
        if done.exception() is None and not self.is_away:
            requests = self.simulator.server.requests
            await until(lambda: self.simulator.server.requests >= requests + 3)
        outcome, printed = self.outcome, self.printed
        outcome.due += due.total()
        outcome.told += (printed & due).total()
        outcome.missing += (due - printed).total()
        extra = printed - due
        outcome.twice += sum(number for name, number in extra.items() if name in due)
        outcome.false += sum(number for name, number in extra.items() if name not in due)
        self.printed = Counter()

    def _has_saved_outage(self) -> bool:
        saved = json.loads(self.state_file.read_bytes())
        return bool(saved["alerts"]["rules"]["away"]["watches"])

    async def outage(self, *, kill: bool) -> None:
        """Let the platform be away; kill and restart the command meanwhile, or not."""
        await self.simulator.stop_server()
        self.is_away = True
        self.outcome.outages += 1
        await self.compare(Counter(["the platform raised"]))
        if kill:
            # A line is printed before the state is saved, so that a kill in between repeats it and loses none.
            await until(self._has_saved_outage)
            await self.kill()
            await self.start()
        self.move()
        await self.simulator.start_server()

    async def round(self, number: int) -> None:
        """Let the call centre move on once, with an outage or a kill now and then."""
        self.outcome.rounds += 1
        if number % 10 == 3:
            await self.outage(kill=number % 20 == 3)
        self.move()
        if number % 10 == 7:
            await self.kill()
            self.move()
            await self.start()
        await self.compare(self.due())


async def run_command(rounds: int, agents: int, queues: int, seed: int) -> Outcome:
    """Run the command against a simulated platform, and compare what it prints with the truth."""
    plan = Plan(
        agents=agents, queues=queues, calls_per_hour=12.0 * agents / queues, talk_median=60.0, opening_callers=5
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Simulator(plan, seed=seed, speed=0) as simulator:
            run = _Run(simulator, Path(folder), random.Random(seed))
            async with run.stack:
                await run.start()
                for number in range(rounds):
                    await run.round(number)
                await run.kill()
            return run.outcome


def command_table(outcome: Outcome) -> str:
    """Return the figures of the command as a table."""
    figures: list[int] = list(attrs.astuple(outcome))
    return (
        "| the command: rounds | kills | outages | raised and cleared, due | told once | missing | false | twice |\n"
        "|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| {' | '.join(f'{figure:,}' for figure in figures)} |\n"
    )
