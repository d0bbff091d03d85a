"""The format of publications: readers decode exactly what relays encode, and reject damaged entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    AgentJoined,
    ApiError,
    AuthError,
    FeedDown,
    FeedEvent,
    FeedUp,
    FieldProblem,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SeatKey,
    SipQueueError,
    Snapshot,
    StateChanged,
    TransportError,
    diff,
)
from sipqueue_async.redis import RelayError, SourceError
from sipqueue_async.redis.publication import (
    Change,
    Publication,
    check_version,
    feed_to_json,
    read_change,
    read_feed,
    read_snapshot,
    read_work,
    with_feed,
)
from tests.kit.builders import START, agent, snapshot
from tests.kit.publications import fields_of, payload_of
from tests.kit.strategies import moments, snapshots

UP = FeedUp(observed_at=START, outage=timedelta(seconds=61.25), failures=3)
SECRET = "a-token-that-nobody-may-see"
WAITING, TALKING = agent(), agent(state="talking", calls_answered=1)
PROBLEM = FieldProblem(queue="queue-1", extension=None, field="lastanswertime", reason="no time: 'soon'")


def without(counters: Iterable[str], known: Snapshot) -> Snapshot:
    """Return a snapshot whose counters the platform has never sent."""
    problems = [FieldProblem(*key, field, "it is missing") for key in known for field in counters]
    return Snapshot(known.values(), observed_at=known.observed_at, problems=problems)


def damaged(name: str, change: Callable[[Any], object], said: Publication | None = None) -> dict[str, str]:
    """Return an entry's fields after a change to the JSON in one of them."""
    fields = fields_of(said or payload_of(snapshot(WAITING), snapshot(TALKING, server=1, problems=[PROBLEM]), UP))
    document = json.loads(fields[name])
    given_instead = change(document)
    return {**fields, name: json.dumps(document if given_instead is None else given_instead)}


feeds = st.one_of(
    st.none(),
    st.builds(
        FeedUp,
        observed_at=moments,
        outage=st.integers(0, 10**9).map(lambda milliseconds: timedelta(milliseconds=milliseconds)),
        failures=st.integers(1, 1000),
    ),
    st.builds(FeedDown, error=st.text().map(TransportError), since=st.none() | moments),
)


class TestThereAndBack:
    @given(
        before=st.none() | snapshots(),
        after=snapshots(),
        feed=feeds,
        coalesced=st.booleans(),
        left_out=st.sets(st.sampled_from(["callsanswered", "noanswercount"])),
    )
    def test_a_publication_has_the_events_of_the_watcher(
        self, before: Snapshot | None, after: Snapshot, feed: FeedEvent | None, coalesced: bool, left_out: set[str]
    ) -> None:
        """A publication consists of ASCII lines, because Redis's scripts treat each line as one record."""
        before = None if before is None else without(left_out, before)
        said = payload_of(before, after, feed, coalesced=coalesced)
        change = read_change(fields_of(said))
        assert change.seat_events == diff(before, after)
        assert (change.after, change.sequence, change.coalesced) == ("7-0", 8, coalesced)
        assert change.moment is not None
        assert change.moment.observed_at == after.observed_at
        whole = read_snapshot(said.snapshot, said.now.splitlines()) if before is None else None
        assert after == (whole if before is None else change.moment.changed(before, change.agents))
        if isinstance(feed, FeedDown):
            assert isinstance(change.feed, FeedDown)
            assert (str(change.feed.error), change.feed.since) == (str(feed.error), feed.since)
        else:
            assert change.feed == feed
        changed = {event.key for event in diff(before, after)}
        for text in (*attrs.astuple(said), feed_to_json(feed)):
            assert text.isascii()
            values = [json.loads(line) for line in text.splitlines()]
            assert not [value for value in values if value is not None and not value], "an empty value is left out"
        for text in (said.seats, said.was, said.now):
            assert len(text.split("\n") if text else ()) == len(changed)
        for text in (said.update, said.snapshot, feed_to_json(feed)):
            assert "\n" not in text

    def test_a_snapshot_keeps_what_it_has_beside_its_records(self) -> None:
        after = snapshot(TALKING, at=9, server=8, problems=[PROBLEM])
        said = payload_of(snapshot(WAITING), after)
        whole = read_snapshot(said.snapshot, said.now.splitlines())
        for read in (read_change(fields_of(said)).after_snapshot, whole):
            assert read is not None
            assert (read.observed_at, read.server_time, read.problems) == (
                after.observed_at,
                after.server_time,
                after.problems,
            )

    def test_lone_surrogates_survive(self) -> None:
        """A name with half of a surrogate pair, which JSON can express and UTF-8 cannot, survives publication."""
        before, after = snapshot(agent(name="\udcff", queue="q\ud800")), snapshot(agent(name="\udcfe", queue="q\ud800"))
        said = payload_of(before, after)
        change = read_change({name: text.encode().decode() for name, text in fields_of(said).items()})
        assert change.seat_events == diff(before, after)
        assert change.seats == (SeatKey("q\ud800", "100001"),)

    def test_line_breaks_of_all_kinds_in_a_name_break_nothing(self) -> None:
        name = "a\nb\r\nc\u2028d\x0be\x85f\x1eg"
        before, after = snapshot(agent(name=name)), snapshot(agent(name=name, queue="q\u2029"), agent(name="n"))
        assert read_change(fields_of(payload_of(before, after))).seat_events == diff(before, after)

    def test_before_anything_is_known(self) -> None:
        """A platform that was never reached differs from a platform without agents."""
        change = read_change(fields_of(payload_of(None, None, FeedDown(error=TransportError("away"), since=None))))
        assert (change.moment, change.before_snapshot, change.after_snapshot) == (None, None, None)
        assert (change.seats, change.agents, change.seat_events) == ((), {}, ())
        assert read_snapshot("null", []) is None
        assert read_feed(json.loads(feed_to_json(None))) is None

    def test_an_empty_snapshot_is_published(self) -> None:
        """A platform without agents has an empty snapshot."""
        said = payload_of(None, snapshot())
        assert read_snapshot(said.snapshot, []) == snapshot()
        assert read_change(fields_of(said)).after_snapshot == snapshot()

    def test_the_events_in_words_are_those_of_the_command_line(self) -> None:
        """Readers in other languages get the events as `sipqueue watch --json` prints them."""
        joined, changed = snapshot(WAITING), snapshot(TALKING)
        said = payload_of(joined, changed, UP)
        assert json.loads(said.update)["events"] == [event.to_dict() for event in (UP, *diff(joined, changed))]

    def test_the_feed_comes_up_before_and_goes_down_after(self) -> None:
        events = diff(None, snapshot(WAITING))
        down = FeedDown(error=TransportError("away"), since=START)
        assert with_feed(None, events) == events
        assert with_feed(UP, events) == (UP, *events)
        assert with_feed(down, events) == (*events, down)


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        [
            TransportError("cannot connect"),
            HttpStatusError(503, 1.5),
            HttpStatusError(302, None, "https://elsewhere.example"),
            MalformedResponse("no JSON", "<html>"),
            ApiError(500, "sorry"),
            AuthError(600, "token", "log in again", True),
            OperationFailed(None, "no"),
            OperationFailed(1003),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("where", [None, "GetQueueSipStatus at http://127.0.0.1:1"])
    def test_the_librarys_own_keep_all_they_say(self, error: SipQueueError, where: str | None) -> None:
        error.where = where
        down = read_feed(json.loads(feed_to_json(FeedDown(error=error, since=START))))
        assert isinstance(down, FeedDown)
        assert type(down.error) is type(error)
        assert isinstance(down.error, SipQueueError)
        assert (str(down.error), down.error.retryable) == (str(error), error.retryable)
        assert (down.error.args, vars(down.error)) == (error.args, vars(error))
        assert down.since == START

    @pytest.mark.parametrize(
        "error",
        [
            ValueError(SECRET),
            ExceptionGroup(SECRET, [OSError(SECRET)]),
            cast("BaseException", type("TheirTransportError", (TransportError,), {})(SECRET)),
            cast("BaseException", type("TransportError", (RuntimeError,), {})(SECRET)),
        ],
        ids=["built in", "group", "derived", "namesake"],
    )
    def test_those_of_others_lose_their_words(self, error: BaseException) -> None:
        """Errors of other libraries are published without their text, which could contain a secret."""
        down = FeedDown(error=error, since=None)
        said = payload_of(None, snapshot(WAITING), down)
        assert SECRET not in repr((said, feed_to_json(down)))
        name = type(error).__name__
        assert json.loads(said.update)["events"][-1]["error_type"] == name

    def test_those_of_others_are_told_by_their_class(self) -> None:
        read = read_change(fields_of(payload_of(None, None, FeedDown(error=ZeroDivisionError("x"), since=None)))).feed
        assert isinstance(read, FeedDown)
        assert type(read.error) is SourceError
        assert str(read.error) == "the relay's source failed: ZeroDivisionError"
        assert not read.error.retryable

    def test_an_argument_that_json_cannot_hold_is_published_as_text(self) -> None:
        read = read_feed(json.loads(feed_to_json(FeedDown(error=TransportError(OSError("no route")), since=None))))
        assert isinstance(read, FeedDown)
        assert str(read.error) == "no route"


class TestVersions:
    @pytest.mark.parametrize("version", [0, 3, "1", None, [], 1.5, True])
    def test_another_version_is_refused(self, version: object) -> None:
        with pytest.raises(RelayError, match="this release reads versions up to 2: run the same release") as refused:
            read_change(damaged("update", lambda update: update.update(version=version)))
        assert repr(version) in str(refused.value)
        with pytest.raises(RelayError):
            check_version(version)

    def test_publications_of_format_1_are_read(self) -> None:
        """Publications of format 1, without a number of confirmations, are read."""
        fields = damaged("update", lambda update: update.update(version=1))
        del fields["confirmed"]
        change = read_change(fields)
        assert change == attrs.evolve(read_change(damaged("update", lambda update: None)), confirmed=None)


def _without(name: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        del document[name]

    return change


def _with(*path: str, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


def _each_with(*path: str, values: list[Any]) -> list[Callable[[Any], None]]:
    return [_with(*path, value=value) for value in values]


def _instead(value: object) -> Callable[[Any], object]:
    return lambda _: value


NAIVE = "2026-01-05T08:00:00"
OF_UPDATES: list[Callable[[Any], object]] = [
    *(_without(name) for name in ("version", "sequence", "snapshot", "coalesced", "feed")),
    *_each_with("sequence", values=["x", None, [], 1e999]),
    *_each_with("snapshot", values=[1, "x", [], {}]),
    *_each_with("snapshot", "observed_at", values=[None, 1, "soon", NAIVE]),
    *_each_with("snapshot", "server_time", values=[1, "soon", NAIVE]),
    *_each_with("snapshot", "problems", values=[None, 1, [1], [{}], [{"field": "x"}]]),
    _with("snapshot", "problems", value=[{"queue": 1, "extension": None, "field": "x", "reason": "y"}]),
    *_each_with("feed", values=[1, "x", [], {}, {"event": "feed-down"}]),
    *_each_with("feed", "observed_at", values=[None, 1, "soon", NAIVE]),
    *_each_with("feed", "outage", values=[None, "x", 1e999, 1e300]),
    *_each_with("feed", "failures", values=[None, "x", 1e999]),
    *map(_instead, [[], 1, "x", {}]),
]
OF_FEED_DOWN: list[Callable[[Any], object]] = [
    *(_without(name) for name in ("event", "since", "error", "error_type", "where")),
    *_each_with("since", values=[1, "soon", NAIVE]),
    *_each_with("error", values=[None, 1, [], [1, 2, 3, 4, 5], ["five hundred"]]),
    _with("error_type", value=[]),
    _with("where", value=1),
]
OF_RECORDS: list[Callable[[Any], object]] = [
    _without("queue"),
    _with("queue", value=1),
    _with("queue", value="another-queue"),
    _with("state", value="dancing"),
    _with("calls_answered", value="1"),
    _with("last_answered_at", value="soon"),
    _with("more", value=1),
    *map(_instead, [[], 1, "x", {}]),
]
OF_SEATS: list[object] = [1, "x", {}, [], ["queue-1"], ["queue-1", "100001", "x"], [1, 2], None, ["queue-1", "7"]]


class TestDamage:
    @pytest.mark.parametrize("change", OF_UPDATES)
    def test_of_an_update_is_refused(self, change: Callable[[Any], object]) -> None:
        with pytest.raises(RelayError, match=r"in Redis is damaged: |has version "):
            read_change(damaged("update", change))

    @pytest.mark.parametrize("change", OF_FEED_DOWN)
    def test_of_an_error_is_refused(self, change: Callable[[Any], object]) -> None:
        said = payload_of(None, None, FeedDown(error=HttpStatusError(500), since=START))

        def change_feed(update: Any) -> None:
            change(update["feed"])

        with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: "):
            read_change(damaged("update", change_feed, said))

    @pytest.mark.parametrize("name", ["was", "now"])
    @pytest.mark.parametrize("change", OF_RECORDS)
    def test_of_a_record_is_refused(self, name: str, change: Callable[[Any], object]) -> None:
        with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: "):
            read_change(damaged(name, change))
        if name == "now":
            said = payload_of(None, snapshot(TALKING))
            record = damaged("now", change, said)["now"]
            if "another-queue" not in record:
                with pytest.raises(RelayError, match="the snapshot in Redis is damaged: "):
                    read_snapshot(said.snapshot, [record])

    @pytest.mark.parametrize("seat", OF_SEATS)
    def test_of_a_seat_is_refused(self, seat: object) -> None:
        with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: "):
            read_change(damaged("seats", lambda _: seat) | {"seats": json.dumps(seat)})

    @pytest.mark.parametrize("name", ["seats", "was", "now"])
    @pytest.mark.parametrize("times", [0, 2])
    def test_of_their_number_is_refused(self, name: str, times: int) -> None:
        fields = fields_of(payload_of(snapshot(WAITING), snapshot(TALKING)))
        fields[name] = "\n".join([fields[name]] * times)
        with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: "):
            read_change(fields)

    def test_a_seat_that_is_there_twice_is_refused(self) -> None:
        fields = {
            name: "\n".join([text] * (2 if name in {"seats", "was", "now"} else 1))
            for name, text in fields_of(payload_of(snapshot(WAITING), snapshot(TALKING))).items()
        }
        with pytest.raises(RelayError, match="is damaged"):
            read_change(fields)

    @pytest.mark.parametrize("name", ["after", "update", "seats", "was", "now"])
    def test_a_field_that_is_missing_or_no_json_is_refused(self, name: str) -> None:
        fields = fields_of(payload_of(snapshot(WAITING), snapshot(TALKING)))
        with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: the field"):
            read_change({key: value for key, value in fields.items() if key != name})
        if name != "after":
            for text in ("{", "\N{SNOWMAN}", "[" * 100_000):
                with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged: "):
                    read_change({**fields, name: text})

    @pytest.mark.parametrize(
        "text",
        ["", "{", "1", "[]", "{}", '"update"', '{"update": 1}', '{"snapshot": 1, "sequence": "1"}', "[" * 100_000],
    )
    def test_of_a_groups_work_is_refused(self, text: str) -> None:
        with pytest.raises(RelayError, match=r"in Redis is damaged: "):
            read_work(text)

    @pytest.mark.parametrize("name", ["snapshot", "sequence", "seats", "was", "now"])
    @pytest.mark.parametrize("value", [None, 1, "x", []])
    def test_of_a_groups_difference_is_refused(self, name: str, value: object) -> None:
        if (name, value) == ("sequence", 1):
            return
        with pytest.raises(RelayError, match="a group's work in Redis is damaged: "):
            read_work(json.dumps({**_difference(), name: value}))

    @pytest.mark.parametrize("text", ["{", "1", "[]", "{}", '"x"', "[" * 100_000])
    def test_of_the_whole_is_refused(self, text: str) -> None:
        with pytest.raises(RelayError, match="the snapshot in Redis is damaged: "):
            read_snapshot(text, [])


def _difference() -> dict[str, Any]:
    said = payload_of(snapshot(WAITING), snapshot(TALKING, agent("7")))
    return {
        "after": "-",
        "sequence": "8",
        "snapshot": said.snapshot,
        "seats": said.seats,
        "was": said.was,
        "now": said.now,
    }


class TestWork:
    def test_it_is_an_entry_as_a_rule(self) -> None:
        fields = fields_of(payload_of(snapshot(WAITING), snapshot(TALKING), UP, coalesced=True))
        assert read_work(json.dumps(fields)) == read_change(fields)

    def test_it_is_a_difference_where_entries_are_gone(self) -> None:
        change = read_work(json.dumps(_difference()))
        assert isinstance(change, Change)
        assert (change.sequence, change.coalesced, change.feed) == (8, True, None)
        assert [type(event) for event in change.seat_events][:1] == [StateChanged]
        assert {type(event) for event in change.seat_events} >= {StateChanged, AgentJoined}
        assert change.seat_events == diff(snapshot(WAITING), snapshot(TALKING, agent("7")))


def test_times_are_the_same_moment_in_any_zone() -> None:
    moment = datetime(2026, 1, 5, 8, tzinfo=UTC)
    read = read_change(fields_of(payload_of(None, Snapshot([WAITING], observed_at=moment)))).moment
    assert read is not None
    assert read.observed_at == moment
