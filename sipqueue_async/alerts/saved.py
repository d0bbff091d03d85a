"""Saves an alert state as versioned JSON. Times are seconds before the moment of saving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from sipqueue_async import Snapshot
from sipqueue_async._saved_format import SavedFormat
from sipqueue_async.alerts.conditions import Condition
from sipqueue_async.alerts.engine import Engine, Watch
from sipqueue_async.alerts.rules import FeedSilent

FORMAT: Final = SavedFormat(kind="alert state", name="sipqueue_async.alerts", version=1)


@attrs.frozen
class Loaded:
    """The content of a saved state."""

    snapshot: Snapshot | None
    rules: dict[str, Any]
    at: datetime | None
    """The moment of saving, if there is no snapshot: the platform has not answered yet."""

    def put_into(self, engine: Engine, conditions: Sequence[Condition[Any]]) -> None:
        """Restore the data of each rule that still exists with the same kind."""
        for condition in conditions:
            rows = self.rules.get(condition.rule.name)
            if rows is not None and rows["kind"] == condition.rule.kind:
                condition.load(rows["rows"])
                for row in rows["watches"]:
                    _restore(engine, condition.number, row)


def dump(engine: Engine, conditions: Sequence[Condition[Any]], snapshot: Snapshot | None) -> bytes:
    """Return a state as JSON."""
    content: dict[str, Any] = {"snapshot": None, "rules": {}, "at": None}
    if engine.started:
        now = engine.wall(engine.now)
        if snapshot is None:
            content["at"] = now.isoformat()
        else:
            content["snapshot"] = json.loads(snapshot.with_changes({}, observed_at=now).to_json())
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
        return Loaded(known, rules, _moment(document.get("at")))


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
    ]


def _before(at: float | None, now: float) -> float | None:
    return None if at is None else now - at


def _checked(rule: Any) -> dict[str, Any]:
    """Check the types of a rule's saved data, and return it."""
    watches = [_checked_watch(row) for row in rule["watches"]]
    return {"kind": str(rule["kind"]), "watches": watches, "rows": list(rule["rows"])}


def _checked_watch(row: Any) -> tuple[Any, ...]:
    queue, extension, agent, since, approximate, started, raised_at, identity, repeats, repeat_at, clear_at = row
    for text in (queue, extension, agent):
        if not (text is None or isinstance(text, str)):
            raise ValueError(f"{text!r} is not a name")
    numbers = [None if number is None else float(number) for number in (since, repeat_at, clear_at)]
    moments = [_moment(moment) for moment in (started, raised_at)]
    if (moments[0] is None) != (moments[1] is None):
        raise ValueError(f"{started!r} and {raised_at!r} are not the times of an alert")
    return (queue, extension, agent, numbers[0], bool(approximate), *moments, str(identity), int(repeats), *numbers[1:])


def _moment(text: Any) -> datetime | None:
    moment = None if text is None else datetime.fromisoformat(text)
    if moment is not None and moment.utcoffset() is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment


def _restore(engine: Engine, rule: int, row: tuple[Any, ...]) -> None:
    queue, extension, agent, since, approximate, started, raised_at, identity, repeats, repeat_at, clear_at = row
    # Whether the platform answers is unknown until the first poll, which continues or ends its alert.
    of_feed = isinstance(engine.rules[rule], FeedSilent)
    holds = since is not None and started is not None if of_feed else engine.holds(rule, (queue, extension))
    if started is None and not holds:
        return
    watch = Watch(engine, rule, (queue, extension))
    watch.agent, watch.approximate = agent, approximate
    watch.started, watch.raised_at, watch.id, watch.repeats = started, raised_at, identity, repeats
    watch.since = engine.now - (since or 0.0) if holds else None
    watch.repeat_at = None if repeat_at is None or raised_at is None else engine.now - repeat_at
    if not holds:
        watch.clear_at = engine.now if clear_at is None else engine.now - clear_at
    engine.restore(watch)
