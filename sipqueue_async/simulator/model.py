"""`CallCentre`: a call centre in model time. A plan and a seed determine what happens."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import attrs

from sipqueue_async import AgentState
from sipqueue_async.simulator._floor import Floor
from sipqueue_async.simulator._people import STATE_CODES, SeatCell
from sipqueue_async.simulator.calls import PhoneCall
from sipqueue_async.simulator.past_calls import PastCall
from sipqueue_async.simulator.plan import Plan
from sipqueue_async.simulator.seats import Seat
from sipqueue_async.simulator.truth import GroundTruth, TruthRecorder

_Intervention: TypeAlias = Callable[[Floor, float], None]
"""An external change to the call centre at a moment of model time, such as a counter reset."""


class CallCentre:
    """A seeded discrete-event model of a call centre.

    Time passes only in `run_until` and `advance`. The same plan and seed give the same `truth`, whatever the size of
    the steps and whatever is read in between.

    An agent with seats in several queues shows a call in the seat of that call's queue only. The agent's other seats
    are idle meanwhile.

    Args:
        plan: The description of the centre; `Plan()` if not given.
        seed: Any integer.

    Raises:
        TypeError: The plan is not a `Plan`.
    """

    def __init__(self, plan: Plan | None = None, *, seed: int = 0) -> None:
        if not isinstance(plan, Plan | None):
            raise TypeError(f"plan must be a Plan, not {plan!r}")
        self._plan = Plan() if plan is None else plan
        self._seed = seed
        self._truth = TruthRecorder(self._plan.start, counted_at_end=self._plan.counted_at_end)
        self._floor = Floor(self._plan, seed, self._truth)
        # Past records come from replays: models with the same plan, seed and interventions that run seconds behind.
        self._interventions: list[tuple[float, _Intervention]] = []
        self._replays: dict[float, _Replay] = {}
        self._now = 0.0
        self._records: list[Seat | None] = [None] * len(self._floor.seats)
        self._shown: tuple[Seat, ...] = ()
        self.run_until(0.0)

    @property
    def plan(self) -> Plan:
        """The description of the centre."""
        return self._plan

    @property
    def truth(self) -> GroundTruth:
        """The ground truth, up to `now`."""
        return self._truth

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues' names."""
        return self._plan.queue_names

    @property
    def extensions(self) -> tuple[str, ...]:
        """All extensions, signed in or not."""
        return self._plan.extensions

    @property
    def now(self) -> float:
        """Model seconds since the start."""
        return self._now

    @property
    def local_time(self) -> datetime:
        """The server's local time (naive): the plan's start plus `now`."""
        return self._truth.local_time(self._now)

    def run_until(self, seconds: float) -> None:
        """Run the model up to and including a moment, in model seconds since the start.

        Raises:
            ValueError: The moment is in the past, or is not a finite number.
        """
        if not self._now <= seconds < math.inf:
            raise ValueError(f"the model is at {self._now} s and cannot run until {seconds} s")
        env = self._floor.env
        # Not `Environment.run(until)`: it adds an event of its own, whose rounded time would depend on the step size.
        while env.peek() <= seconds:
            env.step()
        self._now = seconds

    def advance(self, seconds: float) -> None:
        """Run the model for `seconds`.

        Raises:
            ValueError: The number is negative or not finite.
        """
        self.run_until(self._now + seconds)

    def reset_counters(self) -> None:
        """Set all counters of all seats to 0, as happens when the platform is restarted; states stay.

        The times of the last calls stay too, unless the plan has `time_reset`.
        """
        self._intervene(lambda floor, now: floor.reset_counters(now))

    def hand_over(self, extension: str, name: str, *, calls_answered: int = 0, no_answer_count: int = 0) -> None:
        """Give an extension to another agent: its seats show that agent's name and counters from now on.

        Args:
            extension: The extension.
            name: The new agent's name.
            calls_answered: The new agent's counter in each seat.
            no_answer_count: The same for this counter.

        Raises:
            ValueError: There is no such extension.
        """
        if extension not in self.extensions:
            raise ValueError(f"there is no extension {extension!r}")
        self._intervene(lambda floor, _: floor.hand_over(extension, name, calls_answered, no_answer_count))

    def sign_in(self, queue: str, extension: str) -> None:
        """Sign an agent on shift in to a queue again.

        Raises:
            CommandError: The agent has no seat there (1002, 1012), or is not on shift (1014).
        """
        self._intervene(lambda floor, now: floor.sign_in(queue, extension, now))

    def sign_out(self, queue: str, extension: str) -> None:
        """Sign an agent on shift out of a queue, until `sign_in` or the next shift. A call under way goes on.

        Raises:
            CommandError: As for `sign_in`.
        """
        self._intervene(lambda floor, now: floor.sign_out(queue, extension, now))

    def pause(self, extension: str, queue: str | None = None) -> None:
        """Pause an agent on shift in all queues, until `resume` or the next shift. A call under way goes on before.

        Args:
            extension: The extension.
            queue: One of the agent's queues, if it is to be checked.

        Raises:
            CommandError: As for `sign_in`.
        """
        self._intervene(lambda floor, now: floor.hold(extension, queue, now, is_held=True))

    def resume(self, extension: str, queue: str | None = None) -> None:
        """End the pause of an agent.

        Args:
            extension: The extension.
            queue: One of the agent's queues, if it is to be checked.

        Raises:
            CommandError: As for `sign_in`.
        """
        self._intervene(lambda floor, now: floor.hold(extension, queue, now, is_held=False))

    def hang_up(self, extension: str) -> None:
        """End the call that an agent has answered or made.

        Raises:
            CommandError: There is no such extension (1012), or it is not in a call (1015).
        """
        self._intervene(lambda floor, now: floor.hang_up(extension, now))

    def registered(self) -> frozenset[str]:
        """Return the extensions of the agents on shift."""
        return self._floor.registered

    def _intervene(self, intervention: _Intervention) -> None:
        intervention(self._floor, self._now)
        self._interventions.append((self._now, intervention))
        # What it makes agents do at once.
        self.run_until(self._now)

    def seats(self) -> tuple[Seat, ...]:
        """Return the records now, by queue and extension; signed-out agents are absent unless the plan shows them.

        An unchanged record is the same object as before; so is the tuple if no record has changed.
        """
        if self._floor.touched:
            records = self._records
            for index, cell in enumerate(self._floor.seats):
                if cell.touched:
                    cell.touched = False
                    record = None if cell.state is None else self._record(cell, cell.state)
                    if record != records[index]:
                        records[index] = record
            self._floor.touched = False
            self._shown = tuple(record for record in records if record is not None)
        return self._shown

    def seats_before(self, seconds: float) -> tuple[Seat, ...]:
        """Return the records as they were `seconds` ago; for a time before the start, those of the start.

        Raises:
            ValueError: The number is negative or not finite.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be a finite number, 0 or more, not {seconds!r}")
        replay = self._replays.get(seconds)
        if replay is None:
            replay = self._replays[seconds] = _Replay(CallCentre(self._plan, seed=self._seed))
        return replay.seats_at(max(0.0, self._now - seconds), self._interventions)

    def calls(self) -> dict[str, PhoneCall]:
        """Return the present calls by extension, ringing or answered, including those outside the queues."""
        return {
            extension: PhoneCall(
                number=line.number, outgoing=line.outgoing, answered_at=self._to_the_second(line.answered_at)
            )
            for extension, line in self._floor.lines.items()
        }

    def past_calls(self) -> tuple[PastCall, ...]:
        """Return the finished calls, in the order of their ends: what the call records are made of.

        They are the callers of the queues, answered or not, and the calls outside the queues.
        """
        return self._floor.calls.past(self._now)

    def __repr__(self) -> str:
        return f"<CallCentre of {len(self.extensions)} agents in {len(self.queues)} queues, second {self._now:.1f}>"

    def _record(self, cell: SeatCell, state: AgentState) -> Seat:
        return Seat(
            queue=cell.key.queue,
            extension=cell.key.extension,
            name=cell.name,
            state=state,
            state_code=STATE_CODES[state],
            status_code=cell.status_code,
            last_answered_at=self._to_the_second(cell.last_answered_at),
            last_offered_at=self._to_the_second(cell.last_offered_at),
            last_changed_at=self._to_the_second(cell.last_changed_at),
            no_answer_count=cell.no_answer_count,
            calls_answered=cell.calls_answered,
            external_calls_count=cell.external_calls_count,
            wrap_up_time=self._plan.wrap_up,
        )

    def _to_the_second(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self._truth.local_time(seconds).replace(microsecond=0)


@attrs.define
class _Replay:
    """A call centre of the same plan and seed that runs behind, with the same interventions."""

    centre: CallCentre
    done: int = 0
    """The number of interventions applied."""

    def seats_at(self, moment: float, interventions: Sequence[tuple[float, _Intervention]]) -> tuple[Seat, ...]:
        while self.done < len(interventions) and interventions[self.done][0] <= moment:
            at, intervention = interventions[self.done]
            self.centre.run_until(at)
            intervention(self.centre._floor, at)
            self.centre.run_until(at)
            self.done += 1
        self.centre.run_until(moment)
        return self.centre.seats()
