"""The laws for whole histories: a platform with every kind of change, polled through its encoded answers."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sipqueue_async import (
    AgentJoined,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatKey,
    Snapshot,
    TransportError,
    Update,
    apply,
    diff,
)
from sipqueue_async._fanout import Fanout
from sipqueue_async._mailbox import ALL_SEATS, Mailbox
from sipqueue_async._tracker import Tracker
from sipqueue_async._wire import SnapshotDecoder
from tests.kit.builders import START, envelope, record
from tests.kit.strategies import extensions, queues

CODES = st.sampled_from([1200, 1201, 1202, 1204, 1208, 1213, 1214, 1215, 1217, 1299, 4, "1213", "2"])
ERROR = TransportError("away")


class Consumer:
    """Takes updates from a mailbox and applies them."""

    def __init__(self, mailbox: Mailbox, known: Snapshot) -> None:
        self.mailbox = mailbox
        self.known = known
        self.up = True
        self.calls: Counter[tuple[type, SeatKey]] = Counter()

    def take_all(self) -> None:
        """Apply the pending updates."""
        while (update := self.mailbox.get_nowait()) is not None:
            self._take(update)

    def _take(self, update: Update) -> None:
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                assert self.up == isinstance(event, FeedDown), "told twice of the same condition"
                self.up = isinstance(event, FeedUp)
            elif isinstance(event, CallAnswered | CallMissed):
                self.calls[type(event), event.key] += event.count
        self.known = apply(self.known, update.events)
        assert update.snapshot is not None
        assert self.known == update.snapshot


class Platform(RuleBasedStateMachine):
    """The platform's records, the path from its bytes to the consumers, and the true calls."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[SeatKey, dict[str, Any]] = {}
        self.decoder = SnapshotDecoder()
        self.tracker = Tracker(None, initial=False, leave_after=1, max_lag=0.0)
        self.fanout = Fanout()
        self.at = 0
        self.up = True
        self.answered: Counter[SeatKey] = Counter()
        self.missed: Counter[SeatKey] = Counter()

    @initialize(bound=st.integers(1, 3), seats=st.sets(st.tuples(queues, extensions)))
    def start(self, bound: int, seats: set[tuple[str, str]]) -> None:
        """Start a watcher with a fast consumer and a slow one."""
        for queue, extension in sorted(seats):
            self.join(queue, extension, 1213)
        first = self._polled(random.Random(0))
        self.tracker.polled(first, 0.0)
        self.fast = Consumer(self.fanout.mailbox(ALL_SEATS, (), 64), first)
        self.slow = Consumer(self.fanout.mailbox(ALL_SEATS, (), bound), first)

    # ---- changes on the platform -------------------------------------------------------------------------------------

    @rule(queue=queues, extension=extensions, code=CODES)
    def join(self, queue: str, extension: str, code: int | str) -> None:
        """An agent signs in, with counters below those of an earlier shift."""
        fields = record(queuename=queue, extnumber=extension, state=code, callsanswered=0, noanswercount=0)
        fields["lastanswertime"] = fields["lastassigntime"] = "0000-00-00 00:00:00"
        self.records.setdefault(SeatKey(queue, extension), fields)

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        del self.records[self._somebody(data)]

    @precondition(lambda self: self.records)
    @rule(data=st.data(), code=CODES)
    def change_state(self, data: st.DataObject, code: int | str) -> None:
        """An agent's state changes, perhaps to an unlisted one."""
        self.records[self._somebody(data)]["state"] = code

    @precondition(lambda self: self.records)
    @rule(data=st.data(), name=st.sampled_from(["Ann", "<b>Ann</b>", "安", "", None, 7]))
    def rename(self, data: st.DataObject, name: str | int | None) -> None:
        """An agent gets another name, or none."""
        self.records[self._somebody(data)]["seatsname"] = name

    @precondition(lambda self: self.records)
    @rule(data=st.data(), answered=st.integers(0, 3), missed=st.integers(0, 3))
    def take_calls(self, data: st.DataObject, answered: int, missed: int) -> None:
        """An agent answers and misses calls."""
        self._take_calls(self._somebody(data), answered, missed)

    def _take_calls(self, seat: SeatKey, answered: int, missed: int) -> None:
        fields = self.records[seat]
        fields["callsanswered"] = int(fields["callsanswered"]) + answered
        fields["noanswercount"] = str(int(fields["noanswercount"]) + missed)
        fields["lastanswertime"] = f"2026-01-05 09:{self.at // 60:02}:{self.at % 60:02}"

    @rule()
    def reset(self) -> None:
        """All counters are set to 0."""
        for fields in self.records.values():
            fields["callsanswered"] = fields["noanswercount"] = 0

    # ---- polls and consumers -----------------------------------------------------------------------------------------

    @rule(seed=st.integers(0, 99))
    def poll(self, seed: int) -> None:
        """Poll after some agents took calls, with shuffled records, some of which are sent twice."""
        before, chance = self.tracker.snapshot, random.Random(seed)
        for seat in self.records:
            self._take_calls(seat, answered=chance.randrange(2), missed=chance.randrange(2))
        new = self._polled(chance)
        self._publish(self.tracker.polled(new, float(self.at)))
        assert self.tracker.snapshot == new
        assert diff(new, self._polled(random.Random(seed + 1))) == (), "the order or the notation tells something"
        events = diff(before, new)
        self._count(events)
        assert all(before is None or it.key not in before for it in events if isinstance(it, AgentJoined))
        self.fast.take_all()
        self.up = True

    @precondition(lambda self: self.up and self.tracker.snapshot)
    @rule(data=st.data(), seed=st.integers(0, 99))
    def poll_extension(self, data: st.DataObject, seed: int) -> None:
        """Poll one extension; where its seats are not the known ones, the whole is polled instead."""
        before, chance = self.tracker.known, random.Random(seed)
        extension = data.draw(st.sampled_from(sorted({key.extension for key in before})))
        records = {seat: fields for seat, fields in self.records.items() if seat.extension == extension}
        for seat in records:
            self._take_calls(seat, answered=chance.randrange(2), missed=chance.randrange(2))
        part = self._polled(chance, records)
        if not self.tracker.is_part_usable(part, extension):
            assert part.keys() != {seat for seat in before if seat.extension == extension}
            self.poll(seed)
            return
        self._publish(self.tracker.part_polled(part))
        known = self.tracker.known
        assert all(known[seat] is record for seat, record in before.items() if seat not in part)
        assert {seat: known[seat] for seat in part} == dict(part)
        self._count(diff(before, known))
        self.fast.take_all()

    @rule()
    def fail(self) -> None:
        """A poll fails."""
        known = self.tracker.snapshot
        self._publish(self.tracker.failed(ERROR, float(self.at)))
        assert self.tracker.snapshot is known
        self.fast.take_all()
        self.up = False

    @rule()
    def wake(self) -> None:
        """The slow consumer takes all pending updates."""
        self.slow.take_all()
        assert self.slow.known == self.tracker.snapshot
        assert self.slow.up == self.up

    @invariant()
    def the_fast_consumer_knows_what_is_known(self) -> None:
        """The fast consumer has the watcher's records, and received every call."""
        assert self.fast.known == self.tracker.snapshot
        assert self.fast.up == self.up
        for kind, counts in ((CallAnswered, self.answered), (CallMissed, self.missed)):
            assert counts == {key: count for (told, key), count in self.fast.calls.items() if told is kind}
        assert len(self.slow.mailbox) <= 3

    # ---- helpers -----------------------------------------------------------------------------------------------------

    def _somebody(self, data: st.DataObject) -> SeatKey:
        return data.draw(st.sampled_from(sorted(self.records)))

    def _count(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, CallAnswered):
                self.answered[event.key] += event.count
            elif isinstance(event, CallMissed):
                self.missed[event.key] += event.count

    def _publish(self, update: Update | None) -> None:
        self.at += 1
        if update is not None:
            self.fanout.publish(update)

    def _polled(self, chance: random.Random, part: Mapping[SeatKey, dict[str, Any]] | None = None) -> Snapshot:
        """Return the snapshot that a client decodes from the platform's answer about all seats, or about some."""
        shown = self.records if part is None else part
        records = [{**fields, "unheard_of": chance.random()} for fields in shown.values()]
        records += chance.sample(records, len(records) // 2)
        chance.shuffle(records)
        body = json.dumps(envelope(records), ensure_ascii=chance.random() < 0.5).encode()
        decoder = self.decoder if part is None else SnapshotDecoder()
        snapshot = decoder.decode(body, observed_at=START + timedelta(seconds=self.at))
        assert set(snapshot) == set(shown)
        return snapshot


TestHistories = Platform.TestCase
TestHistories.__doc__ = "After any history, every consumer has the current snapshot."
