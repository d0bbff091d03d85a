"""`AlertState`, the state of all rules, and `evaluate`, which applies an update, a snapshot or a moment to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedUp,
    SeatEvent,
    SeatFilter,
    Snapshot,
    StateChanged,
    Update,
    diff,
)
from sipqueue_async.alerts import saved
from sipqueue_async.alerts.conditions import (
    AvailableCondition,
    Condition,
    FeedSilentCondition,
    MissedCallsCondition,
    NoAnswersCondition,
    SignedOutCondition,
    StateLastsCondition,
)
from sipqueue_async.alerts.engine import Engine
from sipqueue_async.alerts.events import Alert, AlertRaised
from sipqueue_async.alerts.occupancy import OccupancyCondition
from sipqueue_async.alerts.rules import (
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    check_rules,
)

_CONDITIONS: Final[dict[type[Rule], Callable[[Engine, int, Any], Condition[Any]]]] = {
    StateLasts: StateLastsCondition,
    Available: AvailableCondition,
    MissedCalls: MissedCallsCondition,
    NoAnswers: NoAnswersCondition,
    Occupancy: OccupancyCondition,
    SignedOut: SignedOutCondition,
    FeedSilent: FeedSilentCondition,
}

_ALL_SEATS: Final = SeatFilter()


class AlertState:
    """The state of every rule's condition. `evaluate` changes it: use the state that it returns.

    Args:
        rules: The rules.

    Raises:
        TypeError: One of them is not a rule.
        ValueError: Two rules have the same name, or an `unless` names no rule or forms a cycle.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = check_rules(rules)
        self._engine = Engine(self._rules)
        self._conditions = [
            _CONDITIONS[type(rule)](self._engine, number, rule) for number, rule in enumerate(self._rules)
        ]
        self._engine.conditions = list(self._conditions)
        self._feed_rules = [it.number for it in self._conditions if isinstance(it, FeedSilentCondition)]
        self._callers = [it for it in self._conditions if it.calls]
        self._interested: dict[tuple[AgentState | None, AgentState | None], list[Condition[Any]]] = {}
        self._snapshot: Snapshot | None = None
        # Whether the state was restored, and has received no snapshot or update since.
        self._is_resuming = False
        # An outage that began before any time was known.
        self._down: FeedDown | None = None
        # When the last change was applied, on the axis: no outage begins before.
        self._changed_at = 0.0
        self.untold: deque[Alert] = deque()
        """The alerts that no caller has received yet. They are saved with the state; `evaluate` returns them first."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules; each follows those that its `unless` names."""
        return self._rules

    @property
    def snapshot(self) -> Snapshot | None:
        """The last known snapshot: the `baseline` for a watcher that resumes from a saved state."""
        return self._snapshot

    @property
    def raised(self) -> tuple[AlertRaised, ...]:
        """The alerts that are raised now, with their present figures: the feed's own first, then the latest first.

        While the feed is down they are those of the last known status, besides the feed's own.
        """
        return self._engine.raised_alerts()

    @property
    def standing(self) -> int:
        """The number of raised alerts that have not cleared."""
        return len(self._engine.raised)

    @property
    def standing_by_rule(self) -> dict[str, int]:
        """The number of raised alerts that have not cleared, by rule; every rule has an entry.

        It may be read from any thread.
        """
        return dict(self._engine.standing)

    def to_json(self) -> bytes:
        """Return the state as JSON (UTF-8) in a versioned format, for storage; `from_json` reads it."""
        return saved.dump(self._engine, self._conditions, self._snapshot, self.untold)

    @classmethod
    def from_json(cls, data: bytes | str, rules: Iterable[Rule], seats: SeatFilter = _ALL_SEATS) -> AlertState:
        """Return the state that `to_json` wrote, for the same rules or others.

        Give the watcher the state's `snapshot` as baseline. The time in between counts as an outage: a raised alert is
        neither raised again nor lost. Alerts of rules that no longer exist clear at once. Alerts about queues and
        agents that a rule no longer has clear at the first snapshot; see `AlertCleared.reason`.

        Args:
            data: The saved state.
            rules: The rules.
            seats: The seats that the feed shows; all by default.

        Raises:
            ValueError: The data is damaged, of another kind, or of a version that this release does not know; or the
                rules are invalid.
        """
        state = cls(rules)
        loaded = saved.load(data)
        for condition in state._conditions:
            condition.shown = seats
        if loaded.snapshot is not None:
            state._begin(seats.apply(loaded.snapshot))
            state._is_resuming = True
        elif loaded.at is not None:
            state._engine.anchor(0.0, loaded.at)
        if state._engine.started:
            state._engine.frozen = True
            with saved.FORMAT.decoding():
                state.untold.extend(loaded.put_into(state._engine, state._conditions))
            # Discard alerts of the conditions' initial evaluation.
            state._engine.collect()
        return state

    def __repr__(self) -> str:
        return f"<AlertState of {len(self._rules)} rules, {self.standing} raised>"

    def note(self, what: Update | Snapshot | datetime) -> tuple[tuple[Alert, ...], datetime | None]:
        """Apply an update, a snapshot or a moment; return the alerts and the next deadline."""
        match what:
            case Update():
                self._update(what)
            case Snapshot():
                self._see(what)
            case _:
                if what.utcoffset() is None:
                    raise ValueError(f"the moment must be an aware datetime, not {what!r}")
                self._advance(what)
        deadline = self._engine.deadline()
        return self._engine.collect(), None if deadline is None else self._engine.wall(deadline)

    # ---- evaluation ----------------------------------------------------------------------------------------------

    def _advance(self, now: datetime) -> None:
        engine = self._engine
        if not engine.started:
            engine.anchor(0.0, now)
            if self._down is not None:
                self._went_down(self._down)
        engine.run(engine.axis(now), including=True)

    def _see(self, snapshot: Snapshot) -> None:
        """Apply a snapshot up to which no event has happened beyond those already applied."""
        if self._snapshot is None:
            self._begin(snapshot)
            self._end_outage()
            self._engine.run(self._engine.now, including=True)
        else:
            self._fold(diff(self._snapshot, snapshot) if self._is_resuming else (), snapshot, coalesced=False)

    def _update(self, update: Update) -> None:
        events = [event for event in update.events if not isinstance(event, FeedDown | FeedUp)]
        if update.snapshot is not None and (events or self._is_polled(update, update.snapshot)):
            unsure = update.coalesced
            if self._snapshot is None:
                unsure = unsure or update.previous is None
                self._begin(update.previous or Snapshot(observed_at=update.snapshot.observed_at))
            elif self._is_resuming and update.previous != self._snapshot:
                events = list(diff(self._snapshot, update.snapshot))
            self._fold(events, update.snapshot, coalesced=unsure)
        for event in update.events:
            if isinstance(event, FeedDown):
                self._went_down(event)

    def _is_polled(self, update: Update, snapshot: Snapshot) -> bool:
        """Return whether an update without changes tells of a poll: the end of an outage, or the last before one."""
        if any(isinstance(it, FeedUp) for it in update.events):
            return True
        known = self._snapshot
        return not self._engine.frozen and (known is None or snapshot.seconds_since(known) > 0)

    def _begin(self, snapshot: Snapshot) -> None:
        self._snapshot, self._changed_at = snapshot, self._engine.now
        self._engine.anchor(self._engine.now, snapshot.observed_at)
        for condition in self._conditions:
            if isinstance(condition, OccupancyCondition):
                condition.began = condition.seen()
        for key, agent in snapshot.items():
            for condition in self._who_wants(None, agent.state):
                if condition.takes_all or condition.admits(key):
                    condition.seat(key, None, agent, unsure=True)
        self._settle(unsure=True)

    def _fold(self, events: Iterable[SeatEvent], snapshot: Snapshot, *, coalesced: bool) -> None:
        engine, known = self._engine, self._snapshot
        assert known is not None  # noqa: S101  # `_begin` set it
        seen_at = self._at + snapshot.seconds_since(known)
        # A snapshot that was delayed may be older than the present, up to which timers have fired.
        at = max(engine.now, seen_at)
        unsure = coalesced or engine.frozen
        if not unsure:
            # Earlier deadlines fire first: their conditions held until this snapshot.
            engine.run(at, including=False)
        engine.anchor(seen_at, snapshot.observed_at)
        self._snapshot = snapshot
        if engine.frozen:
            self._resume(at)
        for event in events:
            self._note(event, unsure=unsure)
            self._changed_at = at
        self._settle(unsure=unsure)
        engine.run(at, including=True)

    @property
    def _at(self) -> float:
        """The time of the last snapshot, on the axis."""
        assert self._snapshot is not None  # noqa: S101  # called after the first snapshot only
        return self._engine.axis(self._snapshot.observed_at)

    def _resume(self, at: float) -> None:
        engine = self._engine
        self._is_resuming = False
        engine.resumed_at = at
        for condition in self._conditions:
            if isinstance(condition, OccupancyCondition):
                condition.pause(at - engine.blind_since)
        self._end_outage()

    def _end_outage(self) -> None:
        self._engine.frozen = False
        for number in self._feed_rules:
            self._engine.end(number, (None, None))

    def _went_down(self, event: FeedDown) -> None:
        engine = self._engine
        if not engine.started:
            self._down = event
            return
        since = engine.now if event.since is None else engine.axis(event.since)
        if not engine.frozen:
            engine.frozen, engine.blind_since = True, max(since, self._changed_at)
            for condition in self._conditions:
                if isinstance(condition, OccupancyCondition):
                    condition.go_back(engine.blind_since)
        for number in self._feed_rules:
            engine.begin(number, (None, None), since, approximate=False)
        engine.run(engine.now, including=True)

    def _who_wants(self, before: AgentState | None, after: AgentState | None) -> list[Condition[Any]]:
        found = self._interested.get((before, after))
        if found is None:
            found = self._interested[before, after] = [it for it in self._conditions if it.wants(before, after)]
        return found

    def _note(self, event: SeatEvent, *, unsure: bool) -> None:
        key, before, after = event.key, event.previous, event.agent
        match event:
            case StateChanged() | AgentJoined() | AgentLeft():
                was, is_ = None if before is None else before.state, None if after is None else after.state
                for condition in self._who_wants(was, is_):
                    if condition.takes_all or condition.admits(key):
                        condition.seat(key, before, after, unsure=unsure)
            case CallAnswered() | CallMissed():
                anew = _began_anew(event)
                for condition in self._callers:
                    if condition.takes_all or condition.admits(key):
                        condition.call(event, anew=anew, unsure=unsure)
            case _:
                pass

    def _settle(self, *, unsure: bool) -> None:
        for condition in self._conditions:
            condition.settle(unsure=unsure)


def evaluate(
    state: AlertState, what: Update | Snapshot | datetime
) -> tuple[AlertState, tuple[Alert, ...], datetime | None]:
    """Apply an update, a snapshot or a moment; return the state, the alerts, and the next deadline.

    Pass every update of one consumer in order. Pass a snapshot as the first known status, or to report that nothing has
    changed up to it; pass a moment to report that time has passed. Moments and the deadline are in the time of the
    snapshots' `observed_at`. Call again at the deadline at the latest; None means that only updates can raise or clear
    alerts.

    Raises:
        ValueError: The moment is naive.
    """
    alerts, deadline = state.note(what)
    alerts = (*state.untold, *alerts)
    state.untold.clear()
    return state, alerts, deadline


def _began_anew(event: CallAnswered | CallMissed) -> bool:
    """Return whether a call between two polls restarted the agent's state, which has the same name before and after."""
    before, after = event.previous, event.agent
    if before.state is not after.state:
        return False
    if isinstance(event, CallAnswered):
        return after.last_answered_at is None or after.last_answered_at != before.last_answered_at
    return after.last_offered_at is None or after.last_offered_at != before.last_offered_at
