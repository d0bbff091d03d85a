"""Agent states, code tables, records and snapshots."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot
from sipqueue_async.models import CODE_LABELS, STATE_CODES, code_label
from tests.kit.builders import START, agent, snapshot
from tests.kit.strategies import agents, snapshots
from tests.kit.times import NoOffset

EAST = timezone(timedelta(hours=8))

# ---- the code tables -------------------------------------------------------------------------------------------------


def test_state_codes_are_the_platforms_table() -> None:
    """The record's state codes are exactly those of the platform's table, with the same meanings."""
    assert dict(STATE_CODES) == {
        1: "idle",
        2: "waiting",
        3: "receiving",
        4: "talking",
        1200: "offline",
        1201: "idle",
        1202: "receiving",
        1204: "talking",
        1213: "waiting",
        1214: "receiving",
        1215: "talking",
        1217: "paused",
    }
    assert all(isinstance(state, AgentState) for state in STATE_CODES.values())


def test_labels_are_the_platforms_words() -> None:
    """Every code in the platform's tables has the table's word as its label; other codes are shown as numbers."""
    later = {1022, 1023, 1030}
    known = {*range(1, 5), *range(1012, 1034), 1200, 1201, 1202, 1203, 1204, *range(1208, 1218)} - later
    assert CODE_LABELS.keys() == known
    assert all(CODE_LABELS.values())
    assert code_label(1213) == "waiting"
    assert code_label(1299) == "code 1299"


@pytest.mark.parametrize("table", [STATE_CODES, CODE_LABELS])
def test_code_tables_are_read_only(table: Any) -> None:
    """A program cannot change the tables, which all programs in the process share."""
    with pytest.raises(TypeError):
        table[1213] = "other"


def test_a_record_knows_its_labels_and_its_seat() -> None:
    """A record returns the table's words for both of its codes, and its seat as a named tuple."""
    record = agent("100001", AgentState.WAITING, queue="q", status_code=1017)
    assert (record.state_label, record.status_label) == ("waiting", "registered")
    assert record.key == ("q", "100001")
    assert isinstance(record.key, SeatKey)
    assert agent(status_code=None).status_label is None
    assert agent(state_code=77).state_label == "code 77"


def test_a_record_is_frozen_and_has_slots() -> None:
    """A record is immutable, so an old and a new record are never the same object."""
    record: Any = agent()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        record.state = AgentState.TALKING
    assert not hasattr(record, "__dict__")


# ---- the snapshot as a mapping ---------------------------------------------------------------------------------------


def test_a_snapshot_is_a_mapping_from_seat_to_record() -> None:
    """Look-up, length, order, views and membership work as for any mapping, and a plain tuple works as a key."""
    first, second = agent("1", queue="b"), agent("2", queue="a")
    shown = snapshot(first, second)
    assert isinstance(shown, Mapping)
    assert shown[SeatKey("b", "1")] is first
    assert shown["a", "2"] is second
    assert len(shown) == 2
    assert list(shown) == [("b", "1"), ("a", "2")] == list(shown.keys())
    assert list(shown.values()) == [first, second]
    assert list(shown.items()) == [(("b", "1"), first), (("a", "2"), second)]
    assert ("a", "2") in shown
    assert ("a", "1") not in shown
    assert shown.get(("a", "2")) is second
    assert shown.get(("a", "1")) is None
    assert shown.get(("a", "1"), first) is first
    with pytest.raises(KeyError):
        shown["a", "1"]


def test_equality_is_that_of_mappings() -> None:
    """Equality ignores order, time and problems, and compares every field of every record."""
    first, second = agent("1"), agent("2")
    shown = snapshot(first, second, at=0)
    problem = FieldProblem("queue-1", "1", "lastanswertime", "is odd")
    assert shown == Snapshot([second, first], observed_at=START + timedelta(5), server_time=START, problems=[problem])
    assert shown == {first.key: first, second.key: second}
    assert shown != snapshot(first)
    assert shown != snapshot(first, attrs.evolve(second, calls_answered=1))
    assert shown != object()


def test_a_snapshot_cannot_be_changed() -> None:
    """A snapshot cannot be changed through an attribute, an item or a view."""
    shown: Any = snapshot(agent())
    with pytest.raises(TypeError):
        shown["queue-1", "1"] = agent("1")
    for name in ("observed_at", "server_time", "problems", "queues"):
        with pytest.raises(AttributeError):
            setattr(shown, name, None)
    with pytest.raises(TypeError):
        shown.queues["other"] = ()
    with pytest.raises(TypeError):
        shown.keys().mapping["other", "1"] = agent()


def test_a_snapshot_copies_its_arguments() -> None:
    """Changing a list after a snapshot was made of it does not change the snapshot."""
    agents, problems = [agent("1")], [FieldProblem(None, None, "rsptime", "is odd")]
    shown = Snapshot(agents, observed_at=START, problems=problems)
    agents.clear()
    problems.clear()
    assert len(shown) == 1
    assert len(shown.problems) == 1


def test_queues_group_the_records() -> None:
    """`queues` contains every record under its queue, in the snapshot's order, and an agent of two queues in both."""
    a1, b1, a2 = agent("1", queue="a"), agent("1", queue="b"), agent("2", queue="a")
    shown = snapshot(a1, b1, a2)
    assert dict(shown.queues) == {"a": (a1, a2), "b": (b1,)}
    assert shown.queues is shown.queues
    assert dict(snapshot().queues) == {}


def test_counts_have_every_state() -> None:
    """`counts` returns the number of agents by state, in all queues or one; unused states are 0."""
    shown = snapshot(
        agent("1", AgentState.TALKING, queue="a"),
        agent("2", AgentState.TALKING, queue="b"),
        agent("3", AgentState.IDLE, queue="b"),
    )
    nobody = dict.fromkeys(AgentState, 0)
    assert shown.counts() == {**nobody, AgentState.TALKING: 2, AgentState.IDLE: 1}
    assert shown.counts("b") == {**nobody, AgentState.TALKING: 1, AgentState.IDLE: 1}
    assert shown.counts("c") == nobody


def test_equal_records_of_a_seat_are_one_and_different_ones_are_refused() -> None:
    """A snapshot never chooses silently between two contradicting records."""
    assert len(snapshot(agent("1"), agent("1"))) == 1
    with pytest.raises(ValueError, match="two different records of queue 'queue-1', extension '1'"):
        snapshot(agent("1"), agent("1", calls_answered=3))


@pytest.mark.parametrize("naive", [datetime(2026, 1, 5), datetime(2026, 1, 5, tzinfo=NoOffset())])  # noqa: DTZ001
def test_naive_times_of_a_snapshot_are_refused(naive: datetime) -> None:
    """All times of snapshots can be compared with one another."""
    with pytest.raises(ValueError, match="observed_at must be an aware datetime"):
        Snapshot(observed_at=naive)
    with pytest.raises(ValueError, match="server_time must be an aware datetime"):
        Snapshot(observed_at=START, server_time=naive)


def test_the_repr_says_how_much_and_when() -> None:
    """Even a snapshot of thousands of agents has a short repr."""
    assert repr(snapshot(agent("1"), agent("2"))) == ("<Snapshot of 2 agents in 1 queues, 2026-01-05T08:00:00+00:00>")


class TestSteadyTime:
    def test_durations_ignore_steps_of_the_wall_clock(self) -> None:
        earlier = Snapshot(observed_at=START, steady_at=100.0)
        for step in (-3600, 0, 3600):
            later = Snapshot(observed_at=START + timedelta(seconds=5 + step), steady_at=105.0)
            assert later.seconds_since(earlier) == 5.0
            assert earlier.seconds_since(later) == 0.0

    def test_the_wall_clock_measures_where_a_snapshot_has_no_steady_time(self) -> None:
        noted, later = Snapshot(observed_at=START, steady_at=1e6), Snapshot(observed_at=START + timedelta(seconds=5))
        assert later.seconds_since(noted) == 5.0
        assert noted.seconds_since(later) == 0.0

    def test_is_neither_compared_nor_saved_nor_pickled(self) -> None:
        noted = Snapshot([agent()], observed_at=START, steady_at=7.0)
        assert noted == Snapshot([agent()], observed_at=START)
        assert Snapshot.from_json(noted.to_json()).steady_at is None
        assert pickle.loads(pickle.dumps(noted)).steady_at is None

    def test_a_later_snapshot_has_its_own(self) -> None:
        noted = Snapshot([agent()], observed_at=START, steady_at=7.0)
        assert noted.with_changes({}, observed_at=START, steady_at=8.0).steady_at == 8.0
        assert noted.with_changes({}, observed_at=START).steady_at is None


@pytest.mark.parametrize("remake", [lambda s: pickle.loads(pickle.dumps(s)), copy.copy, copy.deepcopy])
def test_snapshots_can_be_pickled_and_copied(remake: Any) -> None:
    """A snapshot survives pickling, even after its queues were accessed."""
    problem = FieldProblem("queue-1", "1", "lastanswertime", "is odd")
    shown = Snapshot([agent("1")], observed_at=START, server_time=START, problems=[problem])
    assert list(shown.queues) == ["queue-1"]
    again = remake(shown)
    assert again == shown
    assert (again.observed_at, again.server_time, again.problems) == (START, START, (problem,))
    assert again.queues == shown.queues


# ---- JSON ------------------------------------------------------------------------------------------------------------

# Two adjacent halves of a surrogate pair would become one character in JSON, so use only one kind of half.
_texts = st.text(st.characters(exclude_categories=[]).filter(lambda c: not "\udc00" <= c <= "\udfff"), max_size=8)
_naive = st.datetimes()
_zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_times = st.none() | _naive | st.datetimes(timezones=_zones)
_aware = st.datetimes(timezones=st.just(UTC) | _zones)
_integers = st.integers(-(2**63), 2**63 - 1)
_agents = st.builds(
    AgentStatus,
    queue=_texts,
    extension=_texts,
    name=st.none() | _texts,
    state=st.sampled_from(AgentState),
    state_code=_integers,
    status_code=st.none() | _integers,
    last_answered_at=_times,
    last_offered_at=_times,
    last_changed_at=_times,
    no_answer_count=_integers,
    calls_answered=_integers,
    external_calls_count=st.none() | _integers,
    wrap_up_time=st.none() | _integers,
    max_no_answer=st.none() | _integers,
)
_problems = st.builds(FieldProblem, queue=st.none() | _texts, extension=st.none() | _texts, field=_texts, reason=_texts)
_snapshots = st.builds(
    Snapshot,
    st.lists(_agents, max_size=4, unique_by=lambda record: record.key),
    observed_at=_aware,
    server_time=st.none() | _aware,
    problems=st.lists(_problems, max_size=2),
)


@given(shown=_snapshots)
def test_json_gives_back_the_snapshot(shown: Snapshot) -> None:
    """A loaded snapshot equals the saved one: every field, order, time, zone offset, problem and unusual character."""
    again = Snapshot.from_json(shown.to_json())
    assert Snapshot.from_dict(json.loads(json.dumps(shown.to_dict()))) == again
    assert json.loads(shown.to_json()) == shown.to_dict()
    assert list(again.items()) == list(shown.items())
    for old, new in zip(shown.values(), again.values(), strict=True):
        for name in ("last_answered_at", "last_offered_at", "last_changed_at"):
            was, now = getattr(old, name), getattr(new, name)
            assert (was and was.utcoffset()) == (now and now.utcoffset())
    assert (again.observed_at, again.server_time) == (shown.observed_at, shown.server_time)
    assert again.problems == shown.problems


def test_json_is_readable_utf8_with_a_version() -> None:
    """Other programs can read the saved form, and it has a version."""
    saved = snapshot(agent(name="张三")).to_json()
    assert "张三" in saved.decode()
    document = json.loads(saved)
    assert (document["format"], document["version"]) == ("sipqueue-snapshot", 1)
    assert Snapshot.from_json(saved.decode()) == Snapshot.from_json(saved)


def test_a_lone_surrogate_survives() -> None:
    """A name that UTF-8 cannot encode does not prevent saving the snapshot."""
    shown = snapshot(agent(name="x\ud800y"))
    assert Snapshot.from_json(shown.to_json()) == shown


def _document() -> dict[str, Any]:
    full = agent(
        "1",
        name="n",
        last_answered_at=datetime(2026, 1, 5, 8, tzinfo=EAST),
        last_offered_at=datetime(2026, 1, 5, 8),  # noqa: DTZ001
        last_changed_at=None,
        external_calls_count=1,
        wrap_up_time=2,
        max_no_answer=3,
    )
    problem = FieldProblem("queue-1", "1", "callsanswered", "is missing", carried=True)
    saved = Snapshot([full], observed_at=START, server_time=START, problems=[problem]).to_json()
    document: dict[str, Any] = json.loads(saved)
    return document


def _refused(document: Any) -> str:
    with pytest.raises(ValueError) as refusal:
        Snapshot.from_json(json.dumps(document).encode())
    return str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"nonsense", b"[" * 100_000, "{", b'{"a": ' + b"9" * 5000 + b"}"])
def test_text_that_is_not_json_is_refused(data: bytes | str) -> None:
    """Text that is not JSON is a ValueError that says so, whatever the defect."""
    with pytest.raises(ValueError, match="the saved snapshot is not JSON"):
        Snapshot.from_json(data)


@pytest.mark.parametrize("document", [None, [], {}, 1, "x", {"format": "other", "version": 1}, {"version": 1}])
def test_other_documents_are_refused(document: Any) -> None:
    """JSON of another kind is not accepted as a snapshot."""
    assert "this is not a saved snapshot" in _refused(document)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_other_versions_are_refused(version: object) -> None:
    """An unknown version is refused, and the error names it."""
    told = _refused({**_document(), "version": version})
    assert repr(version) in told
    assert "this release reads version 1" in told


@pytest.mark.parametrize("where", ["", "agents", "problems"])
def test_missing_and_unknown_fields_are_damage(where: str) -> None:
    """A record with a missing or an additional field is refused."""
    fields = (_document()[where][0] if where else _document()).keys() - {"format", "version", "carried"}
    for name in sorted(fields):
        document = _document()
        del (document[where][0] if where else document)[name]
        assert "damaged" in _refused(document)
    if where:
        document = _document()
        document[where][0]["surprise"] = 1
        assert "damaged" in _refused(document)


_WRONG: dict[str, list[Any]] = {
    "time": [True, 1, 1.5, "", "odd", [], {}],
    "text": [True, 1, 1.5, [], {}, ["x"]],
    "state": [None, True, 1, "", "odd", [], {}],
    "integer": [True, 1.5, "", "1", [], {}],
    "flag": [None, 0, 1, "", "true", [], {}],
    "list": [None, True, 1, 1.5, "", "odd", {}, {"a": 1}, [1], [None], [[]], ["x"]],
}
_PLACES = [
    *((None, name, "time", name == "server_time") for name in ("observed_at", "server_time")),
    *((None, name, "list", False) for name in ("agents", "problems")),
    *(("agents", name, "text", name == "name") for name in ("queue", "extension", "name")),
    ("agents", "state", "state", False),
    *(("agents", name, "integer", False) for name in ("state_code", "no_answer_count", "calls_answered")),
    *(("agents", name, "integer", True) for name in ("status_code", "external_calls_count")),
    *(("agents", name, "integer", True) for name in ("wrap_up_time", "max_no_answer")),
    *(("agents", name, "time", True) for name in ("last_answered_at", "last_offered_at", "last_changed_at")),
    *(("problems", name, "text", name in {"queue", "extension"}) for name in ("queue", "extension", "field", "reason")),
    ("problems", "carried", "flag", False),
]


@pytest.mark.parametrize(("where", "name", "kind", "optional"), _PLACES)
def test_fields_of_a_wrong_type_are_damage(where: str | None, name: str, kind: str, optional: bool) -> None:
    """A field with a wrong type or an invalid value is refused, and never read as an empty list of agents."""
    for wrong in [*_WRONG[kind], *([] if optional else [None])]:
        document = _document()
        (document[where][0] if where else document)[name] = wrong
        assert "damaged" in _refused(document), wrong
    if optional:
        document = _document()
        (document[where][0] if where else document)[name] = None
        assert isinstance(Snapshot.from_json(json.dumps(document)), Snapshot)


def test_the_table_of_wrong_types_has_every_field() -> None:
    """The table above contains every field of the saved form."""
    document = _document()
    fields: set[tuple[str | None, str]] = {(None, name) for name in document.keys() - {"format", "version"}}
    fields |= {(where, name) for where in ("agents", "problems") for name in document[where][0]}
    assert fields == {(where, name) for where, name, _, _ in _PLACES}


def test_a_naive_time_of_observation_is_damage() -> None:
    """A naive time is refused in a saved snapshot too."""
    assert "damaged" in _refused({**_document(), "observed_at": "2026-01-05T08:00:00"})
    twice = _document()
    twice["agents"].append({**twice["agents"][0], "calls_answered": 7})
    assert "two different records" in _refused(twice)


def test_a_truncated_snapshot_is_refused_at_every_byte() -> None:
    """A truncated file is never read as a smaller snapshot."""
    saved = snapshot(agent("1", name="张三"), agent("2")).to_json()
    for length in range(len(saved)):
        with pytest.raises(ValueError):
            Snapshot.from_json(saved[:length])


def test_views_behave_as_those_of_a_dict() -> None:
    first, second = agent("1"), agent("2")
    shown = snapshot(second, first)
    same = {it.key: it for it in (second, first)}
    view: Any
    for view, other in ((shown.keys(), same.keys()), (shown.values(), same.values()), (shown.items(), same.items())):
        assert list(view) == list(other)
        assert list(reversed(view)) == list(other)[::-1]
        assert len(view) == len(other)
        assert all(it in view for it in other)
        assert not any(it in view for it in ["x", 1, (), ("x", first), (first.key, second), agent("3")])
    assert shown.keys() & {("queue-1", "1"), ("queue-1", "3")} == {first.key}


# ---- a single record, and changed snapshots --------------------------------------------------------------------------


@given(record=agents())
def test_a_record_is_read_back_from_its_fields(record: AgentStatus) -> None:
    assert AgentStatus.from_dict(json.loads(json.dumps(record.to_dict()))) == record


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {**agent().to_dict(), "more": 1},
        {**agent().to_dict(), "state": "dancing"},
        {**agent().to_dict(), "queue": 1},
    ],
)
def test_damaged_fields_of_a_record_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the saved record is damaged: "):
        AgentStatus.from_dict(fields)


@given(before=snapshots(), after=snapshots())
def test_a_snapshot_with_changes_is_the_later_one(before: Snapshot, after: Snapshot) -> None:
    changed = {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    problems = (FieldProblem(None, None, "rsptime", "no number"),)
    made = before.with_changes(changed, observed_at=after.observed_at, server_time=START, problems=problems)
    assert made == after
    assert (made.observed_at, made.server_time, made.problems) == (after.observed_at, START, problems)


def test_a_seat_that_changes_or_leaves_leaves_the_others_alone() -> None:
    before = snapshot(agent("1"), agent("2"), agent("3"))
    one = SeatKey("queue-1", "1")
    talking = before.with_changes({one: agent("1", "talking")}, observed_at=START)
    assert [each.state for each in talking.values()] == ["talking", "waiting", "waiting"]
    assert talking["queue-1", "2"] is before["queue-1", "2"]
    assert list(before.with_changes({one: None}, observed_at=START)) == list(before)[1:]
    assert before[one].state is AgentState.WAITING
