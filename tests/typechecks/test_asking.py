"""Types of clients, snapshots, errors and tallies: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, ItemsView, Iterable, KeysView, Mapping, ValuesView
from datetime import datetime, timedelta
from typing import Any, assert_type

import pytest

from sipqueue_async import (
    AgentState,
    AgentStatus,
    ApiError,
    AppCredentials,
    AuthError,
    CallDirection,
    CallMethod,
    CallRecord,
    FeedDown,
    FieldProblem,
    HangUpSide,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    QueueInfo,
    QueueStrategy,
    Registration,
    SeatKey,
    Settings,
    SettingsError,
    SipQueueClient,
    SipQueueError,
    Snapshot,
    StatusWatcher,
    TransportError,
)
from sipqueue_async.simulator import Faults, GroundTruth, Simulator
from sipqueue_async.tally import GroupTally, QueueTally, SeatTally, Tally
from sipqueue_async.testing import ScriptedSource, make_agent, make_snapshot
from tests.kit.builders import agent, snapshot


def test_a_snapshot_is_a_mapping() -> None:
    known = snapshot(agent(), agent("100002"))
    assert_type(known["queue-1", "100001"], AgentStatus)
    assert_type(known[SeatKey("queue-1", "100001")], AgentStatus)
    assert_type(known.get(("queue-1", "100001")), AgentStatus | None)
    assert_type(known.get(("queue-1", "1"), agent()), AgentStatus)
    assert_type(known.get(("queue-1", "1"), "nobody"), AgentStatus | str)
    assert_type(known.keys(), KeysView[SeatKey])
    assert_type(known.values(), ValuesView[AgentStatus])
    assert_type(known.items(), ItemsView[SeatKey, AgentStatus])
    assert_type(list(known), list[SeatKey])
    assert_type(len(known), int)
    assert_type(("queue-1", "100001") in known, bool)
    as_mapping: Mapping[SeatKey, AgentStatus] = known
    for (queue, extension), record in as_mapping.items():
        assert_type(queue, str)
        assert_type(extension, str)
        assert_type(record.key, SeatKey)
    assert known.get(("queue-1", "1"), "nobody") == "nobody"


def test_settings() -> None:
    environ = {"SIPQUEUE_URL": "http://127.0.0.1:1", "SIPQUEUE_TOKEN": "good-token"}
    assert_type(Settings.load(environ=environ), Settings)
    settings = Settings.load(environ=environ)
    assert_type(settings.language, str | None)
    assert_type(settings.url, str | None)
    assert_type(settings.timeout, float | None)
    assert_type(settings.origins, Mapping[str, str])
    assert_type(settings.warnings, tuple[str, ...])
    assert_type(settings.shown(), dict[str, str])
    assert_type(settings.auth(), str | AppCredentials)
    assert_type(settings.required_url(), str)
    assert_type(settings.overridden({"timeout": 5}, {"timeout": "--timeout"}), Settings)
    assert_type(settings.blame(ValueError("timeout")), SettingsError)
    assert_type(SipQueueClient.from_env(settings), SipQueueClient)
    assert settings.token == "good-token"


def test_a_call_record() -> None:
    since = datetime.fromisoformat("2026-01-05 00:00:00")
    call = CallRecord(id="1", direction=CallDirection.IN, method=CallMethod.GROUP, started_at=since)
    assert_type(call.caller, str | None)
    assert_type(call.answered_at, datetime | None)
    assert_type(call.talk_seconds, int | None)
    assert_type(call.is_answered, bool)
    assert_type(call.hang_up_side, HangUpSide | None)
    assert_type(call.hang_up_cause, str | None)
    assert_type(call.own_values, Mapping[str, str])
    assert_type(call.problems, tuple[FieldProblem, ...])
    assert_type(call.to_dict(numbers=True), dict[str, Any])
    assert not call.is_answered


def test_a_queue_and_a_registration() -> None:
    queue, registration = QueueInfo(name="queue-1"), Registration(extension="1", code=1017)
    assert_type(queue.strategy, QueueStrategy)
    assert_type(queue.max_wait, int | None)
    assert_type(registration.is_registered, bool)
    assert_type(registration.label, str)
    assert registration.is_registered


async def test_a_watcher_with_a_client_of_its_own() -> None:
    settings = Settings(url="http://127.0.0.1:1", token="good-token")
    assert_type(StatusWatcher.from_env(settings, queues=["queue-1"]), StatusWatcher)
    assert settings.file is None


def test_a_snapshots_own() -> None:
    known = snapshot(agent())
    assert_type(known.observed_at, datetime)
    assert_type(known.server_time, datetime | None)
    assert_type(known.problems, tuple[FieldProblem, ...])
    assert_type(known.queues, Mapping[str, tuple[AgentStatus, ...]])
    assert_type(known.counts(), dict[AgentState, int])
    assert_type(known.counts("queue-1"), dict[AgentState, int])
    assert_type(known.to_json(), bytes)
    assert_type(Snapshot.from_json(known.to_json()), Snapshot)
    assert_type(known.to_dict(), dict[str, Any])
    assert_type(Snapshot.from_dict(known.to_dict()), Snapshot)
    record = known["queue-1", "100001"]
    assert_type(record.state, AgentState)
    assert_type(record.state_label, str)
    assert_type(record.status_label, str | None)
    assert_type(record.last_answered_at, datetime | None)
    assert_type(record.wrap_up_time, int | None)
    assert Snapshot.from_json(known.to_json()) == known


async def test_a_client_gives_snapshots(sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient) -> None:
    assert_type(await sipqueue_client.fetch_snapshot(), Snapshot)
    assert_type(await sipqueue_client.fetch_snapshot(queue="queue-1", state=AgentState.IDLE), Snapshot)
    assert_type(await sipqueue_client.fetch_snapshot(state="idle"), Snapshot)
    assert_type(await sipqueue_client.call("App.Sip_Queue.GetQueueSipStatus", queuename="queue-1", state=0), Any)
    since = datetime.fromisoformat("2026-01-05 00:00:00")
    async for call in sipqueue_client.fetch_calls(since, since + timedelta(days=1), direction="in"):
        assert_type(call, CallRecord)
    assert_type(sipqueue_client.fetch_calls(since, since), AsyncIterator[CallRecord])
    assert_type(await sipqueue_client.queues(), tuple[QueueInfo, ...])
    assert_type(await sipqueue_client.registrations(["100001"]), dict[str, Registration])
    assert_type(await sipqueue_client.pause("100001"), None)
    assert_type(await sipqueue_client.resume("100001"), None)
    assert_type(await sipqueue_client.sign_out("queue-1", "100001"), None)
    assert_type(await sipqueue_client.sign_in("queue-1", "100001"), None)
    with pytest.raises(OperationFailed):
        assert_type(await sipqueue_client.hang_up("999"), None)
    assert_type(AppCredentials("demo", "key").appid, str)
    assert_type(str(AppCredentials("demo", "key").accesskey), str)
    assert_type(StatusWatcher(sipqueue_client), StatusWatcher)
    assert_type(StatusWatcher(sipqueue_client.fetch_snapshot), StatusWatcher)
    assert_type(sipqueue_simulator.faults, Faults)
    assert_type(sipqueue_simulator.truth, GroundTruth)
    async with sipqueue_client as same:
        assert_type(same, SipQueueClient)
    assert_type(await sipqueue_client.aclose(), None)

    async def token() -> str:
        return "token"

    assert await token() == "token"
    for auth in ("token", AppCredentials("demo", "key"), token):
        assert "127.0.0.1" in repr(SipQueueClient("http://127.0.0.1:1", auth))


@pytest.mark.parametrize(
    "error",
    [
        TransportError("no route"),
        HttpStatusError(503),
        MalformedResponse("no JSON"),
        AuthError(601),
        ApiError(500),
        OperationFailed(1003),
    ],
)
def test_errors_have_what_their_classes_say(error: SipQueueError) -> None:
    assert_type(error.retryable, bool)
    assert_type(error.wrong_url, bool)
    assert_type(error.in_doubt, bool)
    assert_type(error.where, str | None)
    assert_type(error.describe(), str)
    match error:
        case HttpStatusError():
            assert_type(error.status, int)
            assert_type(error.retry_after, float | None)
        case MalformedResponse():
            assert_type(error.reason, str)
            assert_type(error.excerpt, str)
        case ApiError():
            assert_type(error.ret, int)
            assert_type(error.msg, str)
        case OperationFailed():
            assert_type(error.code, int | None)
            assert_type(error.message, str)
        case _:
            assert isinstance(error, TransportError)


def test_a_tally() -> None:
    tally = Tally(snapshot(agent()))
    assert_type(tally.seats, Mapping[SeatKey, SeatTally])
    assert_type(tally.queues, Mapping[str, QueueTally])
    assert_type(tally.total, GroupTally)
    assert_type(tally.started_at, datetime | None)
    assert_type(tally.feed_down, FeedDown | None)
    assert_type(tally.snapshot, Snapshot | None)
    assert_type(Tally.from_json(tally.to_json()), Tally)
    seat = tally.seats[SeatKey("queue-1", "100001")]
    assert_type(seat, SeatTally)
    assert_type(seat.agent, AgentStatus)
    assert_type(seat.seconds(), dict[AgentState, float])
    assert_type(seat.occupancy(), float | None)
    assert_type(tally.queues["queue-1"].name, str)
    assert_type(tally.total.longest_talk(), SeatTally | None)
    assert tally.total.signed_in == 1


async def test_the_test_kit() -> None:
    made = make_agent("100001", "talking", queue="queue-2", calls_answered=3)
    assert_type(make_agent(), AgentStatus)
    assert_type(make_snapshot(made, at=60.0, server=0), Snapshot)
    script: Iterable[Snapshot | BaseException] = [make_snapshot(made), TransportError("no")]
    source = ScriptedSource(script)
    assert_type(await source(), Snapshot)
    assert_type(source.polls, int)
    assert_type(source.polled_at, list[float])
    assert_type(source.running, int)
    with pytest.raises(TypeError):
        make_agent(calls_anserwed=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
