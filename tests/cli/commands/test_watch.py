"""``sipqueue watch``, run in the tests' own process against a simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AuthError, SeatFilter, Snapshot, diff
from sipqueue_async.cli.commands.watch import watch
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Paper
from tests.kit.tasks import running
from tests.kit.waiting import until


@asynccontextmanager
async def watching(
    simulator: Simulator, paper: Paper, *, polled: bool = True, **options: Any
) -> AsyncGenerator[asyncio.Future[None]]:
    """Run the command until the block ends; the block begins after the first poll."""
    polls = simulator.server.requests
    options = {"interval": 0.02, **options}
    async with running(watch(client_of(simulator), paper.output(NO_COLOR="1"), **options)) as task:
        if polled:
            # A login, a poll, and a second poll: its request shows that the first answer has been processed.
            await until(lambda: simulator.server.requests >= polls + 3 or task.done())
        yield task


async def snapshot_of(simulator: Simulator) -> Snapshot:
    """Return the simulator's current snapshot."""
    async with client_of(simulator) as client:
        return await client.fetch_snapshot()


def stories(paper: Paper) -> list[tuple[str, str, str]]:
    """Return the event, queue and extension of each printed JSON line."""
    found = [json.loads(line) for line in paper.lines]
    return [(event["event"], event["queue"], event["extension"]) for event in found]


async def test_it_prints_what_the_platform_did() -> None:
    """It prints every event in order, and nothing else."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        before = await snapshot_of(simulator)
        async with watching(simulator, paper, as_json=True):
            simulator.advance(5)
            await until(lambda: paper.text)
        expected = diff(before, await snapshot_of(simulator))
    assert [key[1:] for key in stories(paper)] == [event.key for event in expected]


async def test_only_what_was_chosen_is_printed() -> None:
    paper = Paper()
    seats, kinds = SeatFilter(["queue-1", "queue-2"], ["100001", "100002"]), {"call-answered"}
    async with (
        Simulator(BUSY, speed=0) as simulator,
        watching(simulator, paper, seats=seats, kinds=kinds, as_json=True),
    ):
        for _ in range(40):
            simulator.advance(2)
            await asyncio.sleep(0.02)
        await until(lambda: len({extension for _, _, extension in stories(paper)}) == 2)
    assert set(stories(paper)) == {("call-answered", "queue-1", "100001"), ("call-answered", "queue-2", "100002")}


async def test_a_terminal_shows_that_the_command_watches() -> None:
    """The line distinguishes a calm centre from a hung program."""
    paper = Paper(terminal=True)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        await until(lambda: paper.text)
    assert paper.lines == ["watching 4 seats in 2 queues; Ctrl-C ends"]


async def test_the_feeds_ups_and_downs_are_told() -> None:
    """An outage is reported and waited out."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        await simulator.stop_server()
        await until(lambda: "feed down since " in paper.text)
        simulator.advance(5)
        await simulator.start_server()
        await until(lambda: "feed up after " in paper.text and "talking" in paper.text)
    assert "cannot connect to " in paper.lines[0]
    assert " → talking" in paper.text.partition("feed up")[2]


async def test_a_token_that_dies_is_nothing_to_tell() -> None:
    """An expired token is renewed without any output."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        simulator.server.revoke_tokens()
        polls = simulator.server.requests
        await until(lambda: simulator.server.requests > polls + 4)
        assert simulator.server.logins == 2
    assert paper.text == ""


async def test_refused_credentials_end_it(tmp_path: Path) -> None:
    """The last known status is saved; the error appears only in the command's last line."""
    paper = Paper()
    state = StateFile(tmp_path / "state", Snapshot.from_json)
    async with Simulator(BUSY, speed=0) as simulator:
        async with watching(simulator, paper, state_file=state) as task:
            simulator.server.refuse(602, times=None)
            await until(task.done)
            with pytest.raises(AuthError):
                task.result()
        simulator.server.relent()
        assert state.load() == await snapshot_of(simulator)
    assert "feed down" not in paper.text


async def test_refused_from_the_start_it_leaves_no_state(tmp_path: Path) -> None:
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.server.refuse(601, times=None)
        async with watching(
            simulator, paper, polled=False, state_file=StateFile(tmp_path / "state", Snapshot.from_json)
        ) as task:
            await until(task.done)
            with pytest.raises(AuthError):
                task.result()
    assert paper.text == ""
    assert not (tmp_path / "state").exists()


async def test_a_restart_goes_on_where_it_ended(tmp_path: Path) -> None:
    """It prints the events during the restart, once."""
    state = StateFile(tmp_path / "state", Snapshot.from_json)
    async with Simulator(BUSY, speed=0) as simulator:
        async with watching(simulator, Paper(), state_file=state):
            await until(lambda: state.load() is not None)
        before = await snapshot_of(simulator)
        simulator.advance(60)
        paper = Paper()
        async with watching(simulator, paper, state_file=state, as_json=True):
            await until(lambda: paper.text)
        expected = diff(before, await snapshot_of(simulator))
        assert [key[1:] for key in stories(paper)] == [event.key for event in expected]
        again = Paper()
        async with watching(simulator, again, state_file=state):
            pass
        assert again.text == ""


async def test_a_restart_with_another_choice_tells_no_leaving(tmp_path: Path) -> None:
    """Seats that are no longer watched are not reported as leaving."""
    state = StateFile(tmp_path / "state", Snapshot.from_json)
    async with Simulator(BUSY, speed=0) as simulator:
        state.save(await snapshot_of(simulator))
        paper = Paper()
        async with watching(simulator, paper, seats=SeatFilter("queue-1"), state_file=state):
            polls = simulator.server.requests
            await until(lambda: simulator.server.requests > polls + 4)
    assert paper.text == ""


class Jammed(Output):
    """An output that fails for every line."""

    def line(self, text: object = "") -> None:
        """Raise the error of a closed pipe."""
        raise BrokenPipeError


async def test_an_update_that_could_not_be_printed_is_not_saved(tmp_path: Path) -> None:
    """The state file is never ahead of the output."""
    state = StateFile(tmp_path / "state", Snapshot.from_json)
    async with Simulator(BUSY, speed=0) as simulator:
        before = await snapshot_of(simulator)
        state.save(before)
        simulator.advance(20)
        with pytest.raises(BrokenPipeError):
            await watch(client_of(simulator), Jammed(Paper(), {}), interval=0.02, state_file=state)
    assert state.load() == before


async def test_it_is_saved_after_it_was_printed(tmp_path: Path) -> None:
    """A crash between printing and saving repeats an update, and loses none."""
    order: list[str] = []

    class Noted(StateFile[Snapshot]):
        def save(self, state: Snapshot) -> None:
            order.append(f"saved with {len(paper.lines)} lines")
            super().save(state)

    paper = Paper()
    noted = Noted(tmp_path / "state", Snapshot.from_json)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, state_file=noted):
        await until(lambda: order)
        simulator.advance(5)
        await until(lambda: len(order) > 1)
        lines = len(paper.lines)
    assert order == ["saved with 0 lines", f"saved with {lines} lines", f"saved with {lines} lines"]
    assert lines > 1


async def test_a_damaged_state_file_stops_it_before_the_first_poll(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{")
    async with Simulator(BUSY, speed=0) as simulator:
        client = client_of(simulator)
        with pytest.raises(Failure):
            await watch(client, Paper().output(), state_file=StateFile(tmp_path / "state", Snapshot.from_json))
        assert simulator.server.requests == 0


async def test_a_state_file_that_cannot_be_written_ends_it(tmp_path: Path) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        with pytest.raises(Failure, match="cannot be written"):
            await watch(
                client_of(simulator), Paper().output(), state_file=StateFile(tmp_path / "no" / "s", Snapshot.from_json)
            )
