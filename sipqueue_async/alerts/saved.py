"""Saves an alert state as versioned JSON. Times are seconds before the moment of saving."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from sipqueue_async import Snapshot
from sipqueue_async._saved_format import SavedFormat
from sipqueue_async.alerts.conditions import Condition
from sipqueue_async.alerts.engine import Engine
from sipqueue_async.alerts.events import REASONS, Alert, AlertCleared, AlertRaised, Reason
from sipqueue_async.alerts.rules import FeedSilent, Rule
from sipqueue_async.alerts.watches import Watch

FORMAT: Final = SavedFormat(kind="alert state", name="sipqueue_async.alerts", version=1)


@attrs.frozen
class Loaded:
    """The content of a saved state."""

    snapshot: Snapshot | None
    rules: dict[str, Any]
    at: datetime | None
    """The moment of saving, if there is no snapshot: the platform has not answered yet."""
    untold: list[dict[str, Any]]
    """The alerts that no caller has received yet."""

    def put_into(self, engine: Engine, conditions: Sequence[Condition[Any]]) -> list[Alert]:
        """Restore the data of each rule that still exists with the same kind.

        Returns:
            The alerts that no caller has received yet, and the clearings of the alerts whose rules are gone.
        """
        known = {it.rule.name: it for it in conditions}
        untold = [it for row in self.untold if (it := _told(row, known)) is not None]
        never_raised = {str(row["id"]) for row in self.untold if row["alert"] == AlertRaised.kind}
        for name, rule in self.rules.items():
            condition = known.get(name)
            if condition is not None and rule["kind"] == condition.rule.kind:
                condition.load(rule["rows"])
                for row in rule["watches"]:
                    _restore(engine, condition, row)
            else:
                watches = [_watch(engine, 0, row) for row in rule["watches"]]
                gone = [it for it in watches if it.raised_at is not None and it.id not in never_raised]
                untold += [engine.clear_gone(it, _rule(name, rule["kind"])) for it in gone]
        return untold


def dump(
    engine: Engine, conditions: Sequence[Condition[Any]], snapshot: Snapshot | None, untold: Iterable[Alert]
) -> bytes:
    """Return a state as JSON."""
    content: dict[str, Any] = {"snapshot": None, "rules": {}, "at": None}
    content["untold"] = [{**it.to_dict(), "kind": it.rule.kind} for it in untold]
    if engine.started:
        now = engine.wall(engine.now)
        if snapshot is None:
            content["at"] = now.isoformat()
        else:
            dated = snapshot.with_changes(
                {}, observed_at=now, server_time=snapshot.server_time, problems=snapshot.problems
            )
            content["snapshot"] = json.loads(dated.to_json())
        content["rules"] = {
            condition.rule.name: {
                "kind": condition.rule.kind,
                "watches": [_row(watch, engine.now) for watch in engine.watches(condition.number)],
                "rows": condition.save(),
            }
            for condition in conditions
        }
    return FORMAT.dump(content)


def load(data: bytes | str) -> Loaded:
    """Return the content of a saved state.

    Raises:
        ValueError: The document is damaged, of another kind, or of a version that this release does not know.
    """
    document = FORMAT.load(data)
    with FORMAT.decoding():
        snapshot = document["snapshot"]
        rules = {str(name): _checked(rule) for name, rule in document["rules"].items()}
        known = None if snapshot is None else Snapshot.from_json(json.dumps(snapshot))
        return Loaded(known, rules, _moment(document.get("at")), list(document.get("untold", ())))


def _row(watch: Watch, now: float) -> list[Any]:
    return [
        *watch.subject,
        watch.agent,
        _before(watch.since, now),
        watch.approximate,
        watch.started and watch.started.isoformat(),
        watch.raised_at and watch.raised_at.isoformat(),
        watch.id,
        watch.repeats,
        _before(watch.repeat_at, now),
        _before(watch.clear_at, now),
        watch.raisings,
        watch.reason,
    ]


def _before(at: float | None, now: float) -> float | None:
    return None if at is None else now - at


def _checked(rule: Any) -> dict[str, Any]:
    """Check the types of a rule's saved data, and return it."""
    watches = [_checked_watch(row) for row in rule["watches"]]
    return {"kind": str(rule["kind"]), "watches": watches, "rows": list(rule["rows"])}


def _checked_watch(row: Any) -> tuple[Any, ...]:
    queue, extension, agent, since, approximate, started, raised_at, identity, repeats, repeat_at, clear_at, *more = row
    for text in (queue, extension, agent):
        if not (text is None or isinstance(text, str)):
            raise ValueError(f"{text!r} is not a name")
    numbers = [None if number is None else float(number) for number in (since, repeat_at, clear_at)]
    moments = [_moment(moment) for moment in (started, raised_at)]
    if (moments[0] is None) != (moments[1] is None):
        raise ValueError(f"{started!r} and {raised_at!r} are not the times of an alert")
    raisings, reason = more
    counts = str(identity), int(repeats)
    return (queue, extension, agent, numbers[0], bool(approximate), *moments, *counts, *numbers[1:], raisings, reason)


def _moment(text: Any) -> datetime | None:
    moment = None if text is None else datetime.fromisoformat(text)
    if moment is not None and moment.utcoffset() is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment


def _reason(text: Any) -> Reason:
    return REASONS[REASONS.index(text)]


def _watch(engine: Engine, rule: int, row: tuple[Any, ...]) -> Watch:
    """Return the watch of a saved row, whose condition does not hold, and clears now."""
    queue, extension, agent, _, approximate, started, raised_at, identity, repeats, _, _, raisings, reason = row
    watch = Watch(engine, rule, (queue, extension))
    watch.agent, watch.approximate = agent, approximate
    watch.started, watch.raised_at, watch.id, watch.repeats = started, raised_at, identity, repeats
    watch.raisings, watch.reason = int(raisings), _reason(reason)
    watch.clear_at = engine.now
    return watch


def _restore(engine: Engine, condition: Condition[Any], row: tuple[Any, ...]) -> None:
    watch = _watch(engine, condition.number, row)
    since, repeat_at, clear_at = row[3], row[9], row[10]
    # Whether the platform answers is unknown until the first poll, which continues or ends its alert.
    of_feed = isinstance(condition.rule, FeedSilent)
    was_raised = watch.raised_at is not None
    if of_feed or condition.keeps(watch.subject):
        holds = since is not None and (was_raised or not of_feed)
    else:
        holds = engine.holds(condition.number, watch.subject)
    if not was_raised and not holds:
        return
    if holds:
        watch.since, watch.clear_at = engine.now - (since or 0.0), None
    elif not condition.has(watch.subject):
        watch.reason = "rule"
    elif clear_at is not None:
        watch.clear_at = engine.now - clear_at
    watch.repeat_at = None if repeat_at is None or not was_raised else engine.now - repeat_at
    engine.restore(watch)


def _rule(name: str, kind: str) -> Rule:
    """Return a stand-in for a rule that no longer exists: an alert needs its name, and whether it is about the feed."""
    return (FeedSilent if kind == FeedSilent.kind else Rule)(name)


def _told(row: Mapping[str, Any], conditions: Mapping[str, Condition[Any]]) -> Alert | None:
    """Return a saved alert, or None for one that was raised by a rule that no longer exists."""
    name, kind = str(row["rule"]), str(row["kind"])
    condition = conditions.get(name)
    rule: Rule = condition.rule if condition is not None and condition.rule.kind == kind else _rule(name, kind)
    since, at = _moment(row["since"]), _moment(row["at"])
    texts = [None if row[key] is None else str(row[key]) for key in ("queue", "extension", "agent")]
    if since is None or at is None:
        raise ValueError("an alert has no time")
    common: dict[str, Any] = {
        "rule": rule,
        "id": str(row["id"]),
        "queue": texts[0],
        "extension": texts[1],
        "agent": texts[2],
        "since": since,
        "at": at,
        "value": float(row["value"]),
        "approximate": bool(row["approximate"]),
    }
    if row["alert"] == AlertCleared.kind:
        raised_at = _moment(row["raised_at"]) or at
        return AlertCleared(**common, raised_at=raised_at, reason=_reason(row["reason"]))
    if condition is None or rule is not condition.rule:
        return None
    return AlertRaised(**common, repeat=int(row["repeat"]))
