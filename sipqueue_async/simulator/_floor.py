"""The simulated callers and agents, as simpy processes."""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterator
from datetime import datetime, time, timedelta
from typing import Any, Final

import attrs
import simpy

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator._people import (
    IN_A_CALL,
    RINGING,
    STATE_CODES,
    Agent,
    Caller,
    Line,
    Queue,
    SeatCell,
)
from sipqueue_async.simulator.commands import (
    FAILED_CHECK,
    NO_SUCH_EXTENSION,
    NOT_IN_A_CALL,
    NOT_REGISTERED,
    CommandError,
)
from sipqueue_async.simulator.past_calls import CallInLog, CallLog
from sipqueue_async.simulator.plan import SHORT_CALL, Plan
from sipqueue_async.simulator.truth import Outcome, TruthRecorder

_Process = Generator[simpy.Event, Any, None]

SHORTEST_RING: Final = 0.3
"""Minimum seconds before an agent answers or refuses a call."""
DISPATCH_ROUND: Final = 0.1
"""Minimum seconds between an unanswered offer and the agent's next one."""


class _Environment(simpy.Environment):
    def skip_to(self, at: float) -> None:
        """Set the time to a moment after the last event and before the next one."""
        self._now = at


class Floor:
    """Plays a plan in a simpy environment, and records what happens.

    Only the floor schedules events in `env`, so that the outcome depends on the plan and the seed alone. Each queue and
    each agent has its own random stream, so the agents' actions do not change a queue's callers.
    """

    def __init__(self, plan: Plan, seed: int, truth: TruthRecorder) -> None:
        self.env = _Environment()
        self.seats: list[SeatCell] = []
        self.calls = CallLog(truth.local_time)
        self.touched = True
        self._plan = plan
        self._truth = truth
        self._queues = [
            Queue(name, random.Random(f"{seed} {name}"), random.Random(f"{seed} {name} numbers"))
            for name in plan.queue_names
        ]
        self._agents = list(self._hire(seed))
        self.seats.extend(seat for agent in self._agents for seat in agent.seats.values())
        self.seats.sort(key=lambda seat: (plan.queue_names.index(seat.key.queue), seat.key.extension))
        for queue in self._queues:
            self._open(queue)
        for number, agent in enumerate(self._agents):
            if plan.shift_hours is None:
                self.env.process(self._shift(agent, math.inf))
            else:
                # The agent's position in the cycle of shift and time off when the model starts.
                position = number / plan.agents if plan.staggered else 0.0
                self.env.process(self._career(agent, plan.shift_hours * 3600, plan.off_hours * 3600, position))
            if plan.breaks_per_hour:
                self.env.process(self._breaks(agent, random.Random(f"{seed} {agent.extension} breaks")))
            if plan.external_calls_per_hour:
                self.env.process(self._errands(agent, random.Random(f"{seed} {agent.extension} errands")))
        if plan.counter_reset:
            self.env.process(self._midnights())

    @property
    def lines(self) -> dict[str, Line]:
        """The phones in use, by extension."""
        return {agent.extension: agent.line for agent in self._agents if agent.line is not None}

    def reset_counters(self, at: float) -> None:
        """Set all counters of all seats to 0, and blank the times of their last calls if the plan says so."""
        for seat in self.seats:
            seat.no_answer_count = seat.calls_answered = seat.external_calls_count = 0
            if self._plan.time_reset:
                seat.last_answered_at = seat.last_offered_at = None
            seat.touched = True
        self.touched = True
        self._truth.reset_counters(at)

    def hand_over(self, extension: str, name: str, calls_answered: int, no_answer_count: int) -> None:
        """Let an extension's seats show another agent's name and counters."""
        for seat in self.seats:
            if seat.key.extension == extension:
                seat.name, seat.calls_answered, seat.no_answer_count = name, calls_answered, no_answer_count
                seat.touched = True
        self.touched = True

    # Commands. Each raises CommandError, and then changes nothing. The environment's time is that of the last event, so
    # it is first set to that of the command.

    def sign_in(self, queue: str, extension: str, at: float) -> None:
        """Sign an agent on shift in to one of the agent's queues; does nothing if the agent is signed in to it."""
        agent, place = self._seat(queue, extension)
        self.env.skip_to(at)
        if place in agent.absent:
            if not agent.queues:
                self._truth.sign_in(extension, at)
            agent.absent.discard(place)
            self._change_seat(agent, place)

    def sign_out(self, queue: str, extension: str, at: float) -> None:
        """Sign an agent on shift out of a queue; a call under way goes on."""
        agent, place = self._seat(queue, extension)
        self.env.skip_to(at)
        if place not in agent.absent:
            agent.absent.add(place)
            self._change_seat(agent, place)
            if not agent.queues:
                self._truth.sign_out(extension, at)

    def hold(self, extension: str, queue: str | None, at: float, *, is_held: bool) -> None:
        """Pause an agent on shift in all queues, or end the pause. A call under way goes on before a pause."""
        agent = self._agent_on_shift(extension) if queue is None else self._seat(queue, extension)[0]
        self.env.skip_to(at)
        if agent.is_held is not is_held:
            agent.is_held = is_held
            self._note_change(agent)
            self._go_on(agent)

    def hang_up(self, extension: str, at: float) -> None:
        """End the call of an extension."""
        agent = self._agent(extension)
        if agent.hung_up is None:
            raise CommandError(NOT_IN_A_CALL)
        self.env.skip_to(at)
        agent.hung_up.succeed()

    @property
    def registered(self) -> frozenset[str]:
        """The extensions of the agents on shift."""
        return frozenset(agent.extension for agent in self._agents if agent.on_shift)

    def _agent(self, extension: str) -> Agent:
        for agent in self._agents:
            if agent.extension == extension:
                return agent
        raise CommandError(NO_SUCH_EXTENSION)

    def _agent_on_shift(self, extension: str) -> Agent:
        agent = self._agent(extension)
        # The shift may have ended in the middle of a call, which an agent finishes.
        if not agent.on_shift or agent.sign_out.processed:
            raise CommandError(NOT_REGISTERED)
        return agent

    def _seat(self, queue: str, extension: str) -> tuple[Agent, Queue]:
        agent = self._agent_on_shift(extension)
        place = next((place for place in agent.seats if place.name == queue), None)
        if place is None:
            raise CommandError(FAILED_CHECK)
        return agent, place

    def _change_seat(self, agent: Agent, place: Queue) -> None:
        agent.seats[place].last_changed_at = self.env.now
        everywhere, status_code, seat, there = agent.shown
        self._show(agent, everywhere, status_code, seat, there)
        self._go_on(agent)

    def _go_on(self, agent: Agent) -> None:
        """Let an agent who waits or stands still look again at what to do."""
        self._interrupt(agent, None)
        if agent.release is not None:
            release, agent.release = agent.release, None
            release.succeed()

    def _stand_still(self, agent: Agent) -> _Process:
        self._show(agent, AgentState.PAUSED)
        agent.release = self.env.event()
        yield agent.release | agent.sign_out
        agent.release = None

    def _hire(self, seed: int) -> Iterator[Agent]:
        plan, rng = self._plan, random.Random(f"{seed} seating")
        several = round(plan.several_queues * plan.agents) if plan.queues > 1 else 0
        flexible = set(rng.sample(range(plan.agents), several))
        digits = max(2, len(str(plan.agents)))
        for number, extension in enumerate(plan.extensions):
            home = self._queues[number % plan.queues]
            others = [queue for queue in self._queues if queue is not home]
            more = rng.sample(others, rng.randint(1, len(others))) if number in flexible else []
            name = f"Agent {number + 1:0{digits}}"
            seats = {queue: SeatCell(SeatKey(queue.name, extension), name) for queue in (home, *more)}
            rng, numbers = random.Random(f"{seed} {extension}"), random.Random(f"{seed} {extension} numbers")
            agent = Agent(extension, rng, seats, numbers, self.env.event())
            self._show_signed_out(agent)
            yield agent

    # Callers

    def _open(self, queue: Queue) -> None:
        for _ in range(self._plan.opening_callers):
            queue.callers.append(self._caller(queue))
        if self._plan.calls_per_hour:
            self.env.process(self._arrivals(queue))

    def _caller(self, queue: Queue) -> Caller:
        now, patience = self.env.now, self._plan.patience
        hangs_up_at = now + (queue.rng.expovariate(1 / patience) if patience < math.inf else math.inf)
        talk = self._talk(queue.rng)
        call = self.calls.begin(_number(queue.numbers), now, queue=queue.name, ends_at=hangs_up_at)
        return Caller(queue, now, hangs_up_at, talk, call)

    def _talk(self, rng: random.Random) -> float:
        plan = self._plan
        if rng.random() < plan.short_calls:
            return rng.uniform(*SHORT_CALL)
        return max(SHORT_CALL[0], rng.lognormvariate(math.log(plan.talk_median), plan.talk_sigma))

    def _arrivals(self, queue: Queue) -> _Process:
        rate = self._plan.calls_per_hour / 3600
        while True:
            yield self.env.timeout(queue.rng.expovariate(rate))
            queue.callers.append(self._caller(queue))
            self._dispatch(queue)

    def _oldest(self, queue: Queue) -> Caller | None:
        """Return the caller who has waited longest, after removing those who have hung up."""
        while queue.callers and queue.callers[0].hangs_up_at <= self.env.now:
            queue.callers.popleft()
        return queue.callers[0] if queue.callers else None

    def _dispatch(self, queue: Queue) -> None:
        if self._oldest(queue) is not None and queue.ready:
            self._interrupt(next(iter(queue.ready)), queue.callers.popleft())

    def _next_caller(self, agent: Agent) -> Caller | None:
        waiting = [caller for queue in agent.queues if (caller := self._oldest(queue)) is not None]
        if not waiting:
            return None
        return min(waiting, key=lambda caller: caller.arrived_at).queue.callers.popleft()

    # Agents

    def _career(self, agent: Agent, shift: float, off: float, position: float) -> _Process:
        elapsed = (shift + off) * position
        if elapsed < shift:
            yield from self._shift(agent, shift - elapsed)
            elapsed = shift
        yield self.env.timeout(shift + off - elapsed)
        while True:
            yield from self._shift(agent, shift)
            yield self.env.timeout(off)

    def _shift(self, agent: Agent, seconds: float) -> _Process:
        env = self.env
        agent.shift_end = env.now + seconds
        agent.sign_out = env.event()
        if seconds < math.inf:
            agent.sign_out = env.timeout(seconds)
            env.process(self._closing_time(agent))
        agent.break_due = agent.is_held = False
        agent.absent.clear()
        agent.on_shift = True
        self._truth.sign_in(agent.extension, env.now)
        self._note_change(agent)
        while not agent.sign_out.processed:
            if agent.is_held or not agent.queues:
                yield from self._stand_still(agent)
            elif agent.break_due:
                yield from self._take_break(agent)
            elif agent.errand_due:
                yield from self._call_outside(agent)
            elif (caller := self._next_caller(agent) or (yield from self._wait(agent))) is not None:
                yield from self._take_offer(agent, caller)
        agent.on_shift = False
        if agent.queues:
            self._truth.sign_out(agent.extension, env.now)
        self._show_signed_out(agent)

    def _closing_time(self, agent: Agent) -> _Process:
        yield agent.sign_out
        self._interrupt(agent, None)

    def _wait(self, agent: Agent) -> Generator[simpy.Event, Any, Caller | None]:
        self._show(agent, AgentState.WAITING)
        agent.wake = self.env.event()
        for queue in agent.queues:
            queue.ready[agent] = None
        caller: Caller | None = yield agent.wake
        return caller

    def _interrupt(self, agent: Agent, caller: Caller | None) -> None:
        """End an agent's waiting, for a caller or another task. Does nothing if the agent is not waiting."""
        if agent.wake is None:
            return
        for queue in agent.seats:
            queue.ready.pop(agent, None)
        wake, agent.wake = agent.wake, None
        wake.succeed(caller)

    def _take_offer(self, agent: Agent, caller: Caller) -> _Process:
        env, seat = self.env, agent.seats[caller.queue]
        outcome, delay = self._reaction(agent, caller)
        seat.last_offered_at = env.now
        agent.line = Line(caller.call.number, outgoing=False)
        self._show(agent, AgentState.IDLE, RINGING, seat, AgentState.RECEIVING)
        offer = self._truth.offer(seat.key, env.now)
        yield env.timeout(delay)
        if outcome is Outcome.ANSWERED:
            seat.last_answered_at = env.now
            seat.calls_answered += not self._plan.counted_at_end
            agent.line = attrs.evolve(agent.line, answered_at=env.now)
            self._truth.answer(offer, env.now)
            self.calls.answer(caller.call, agent.extension, env.now)
            self._show(agent, AgentState.IDLE, IN_A_CALL, seat, AgentState.TALKING)
            yield from self._hold_call(agent, caller.call, caller.talk)
            seat.calls_answered += self._plan.counted_at_end
            self._truth.end(offer, outcome, env.now)
            yield from self._stay_idle(agent, self._plan.wrap_up)
            return
        self._truth.end(offer, outcome, env.now)
        if outcome is not Outcome.ABANDONED:
            seat.no_answer_count += 1
            caller.queue.callers.appendleft(caller)
            self._dispatch(caller.queue)
            yield from self._stay_idle(agent, self._plan.no_answer_pause)
        else:
            caller.call.extension = agent.extension
        self._show(agent, AgentState.WAITING)
        yield self._lapse(agent, DISPATCH_ROUND)

    def _hold_call(self, agent: Agent, call: CallInLog, seconds: float) -> _Process:
        """Talk for `seconds`, or until a command hangs up."""
        agent.hung_up = self.env.event()
        yield self.env.timeout(seconds) | agent.hung_up
        call.hung_up_by_server = agent.hung_up.triggered
        agent.hung_up = None
        call.ends_at = self.env.now

    def _reaction(self, agent: Agent, caller: Caller) -> tuple[Outcome, float]:
        """Draw the outcome of an offer made now, and the seconds until then."""
        plan, rng = self._plan, agent.rng
        # A gamma distribution of shape 2: few delays are very short, and a few are long.
        delay = min(max(rng.gammavariate(2, plan.answer_delay / 2), SHORTEST_RING), plan.ring_timeout * 0.99)
        chance = rng.random()
        if chance < plan.refused:
            outcome = Outcome.REFUSED
        elif chance < plan.refused + plan.missed:
            outcome, delay = Outcome.MISSED, plan.ring_timeout
        else:
            outcome = Outcome.ANSWERED
        left = caller.hangs_up_at - self.env.now
        return (outcome, delay) if delay < left else (Outcome.ABANDONED, left)

    def _stay_idle(self, agent: Agent, seconds: float) -> _Process:
        if seconds:
            self._show(agent, AgentState.IDLE)
            yield self._lapse(agent, seconds)

    def _lapse(self, agent: Agent, seconds: float) -> simpy.Event:
        """Return an event after `seconds`, or at the end of the shift if that is sooner."""
        return self.env.timeout(seconds) if self.env.now + seconds < agent.shift_end else agent.sign_out

    def _take_break(self, agent: Agent) -> _Process:
        self._note_change(agent)
        self._show(agent, AgentState.PAUSED)
        yield self._lapse(agent, agent.rng.uniform(0.5, 1.5) * self._plan.break_minutes * 60)
        agent.break_due = False
        if not agent.sign_out.processed:
            self._note_change(agent)

    def _call_outside(self, agent: Agent) -> _Process:
        agent.errand_due = False
        for seat in agent.seats.values():
            seat.external_calls_count += 1
        number = _number(agent.numbers)
        record = self.calls.begin(number, self.env.now, outgoing=True)
        self.calls.answer(record, agent.extension, self.env.now)
        agent.line = Line(number, outgoing=True, answered_at=self.env.now)
        self._show(agent, AgentState.IDLE, IN_A_CALL)
        call = self._truth.external_call(agent.extension, self.env.now)
        yield from self._hold_call(agent, record, self._talk(agent.rng))
        self._truth.end_external_call(call, self.env.now)

    # Timed tasks. A break that is due waits until the agent can take it; an errand only happens while the agent waits.

    def _breaks(self, agent: Agent, rng: random.Random) -> _Process:
        while True:
            yield self.env.timeout(rng.expovariate(self._plan.breaks_per_hour / 3600))
            agent.break_due = True
            self._interrupt(agent, None)

    def _errands(self, agent: Agent, rng: random.Random) -> _Process:
        while True:
            yield self.env.timeout(rng.expovariate(self._plan.external_calls_per_hour / 3600))
            agent.errand_due = agent.wake is not None
            self._interrupt(agent, None)

    def _midnights(self) -> _Process:
        start = self._plan.start
        midnight = datetime.combine(start, time.min) + timedelta(days=1)
        yield self.env.timeout((midnight - start).total_seconds())
        while True:
            self.reset_counters(self.env.now)
            yield self.env.timeout(86400.0)

    # Records

    def _show(
        self,
        agent: Agent,
        everywhere: AgentState | None,
        status_code: int | None = None,
        seat: SeatCell | None = None,
        there: AgentState | None = None,
    ) -> None:
        """Set the state of all the agent's seats; optionally one of them to another state."""
        agent.shown = everywhere, status_code, seat, there
        if status_code is None:
            agent.line = None
        for queue, cell in agent.seats.items():
            cell.state = there if cell is seat else everywhere
            if queue in agent.absent and cell is not seat:
                cell.state = AgentState.OFFLINE if self._plan.show_signed_out else None
            cell.status_code = STATE_CODES[cell.state or AgentState.OFFLINE] if status_code is None else status_code
            cell.touched = True
            self._truth.show(cell.key, cell.state, self.env.now)
        self.touched = True

    def _show_signed_out(self, agent: Agent) -> None:
        self._show(agent, AgentState.OFFLINE if self._plan.show_signed_out else None)

    def _note_change(self, agent: Agent) -> None:
        for seat in agent.seats.values():
            seat.last_changed_at = self.env.now


def _number(rng: random.Random) -> str:
    """Return a telephone number from the ranges reserved for fiction."""
    return f"02079460{rng.randrange(1000):03}"
