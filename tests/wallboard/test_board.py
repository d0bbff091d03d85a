"""What the board tells: all of it once, and then what changed."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from sipqueue_async import (
    AgentState,
    ApiError,
    AuthError,
    FeedDown,
    FeedUp,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    Snapshot,
    StatusWatcher,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard.board import Board
from sipqueue_async.wallboard.words import reason
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.wallboard_stage import NEVER, Stage

BUSY = Plan(agents=12, queues=3, several_queues=0.5, calls_per_hour=200.0, opening_callers=3, breaks_per_hour=6.0,
            shift_hours=0.2, off_hours=0.1)  # fmt: skip


def milliseconds(seconds: float) -> float:
    """Return a moment so many seconds after the start, as a browser counts."""
    return (START + timedelta(seconds=seconds)).timestamp() * 1000


class Browser:
    """What a browser makes of messages."""

    def __init__(self) -> None:
        self.revision = 0
        self.seats: dict[tuple[str, str], dict[str, Any]] = {}
        self.told = 0

    def read(self, board: Board) -> None:
        """Be told what is new."""
        message = json.loads(board.since(self.revision))
        self.revision = board.revision
        if message["full"]:
            self.seats.clear()
        self.told += len(message["seats"])
        for seat in message["seats"]:
            key = seat["queue"], seat["extension"]
            known = self.seats.get(key, {"history": []})["history"]
            news = seat["history"][0][0] if seat["history"] else float("inf")
            seat["history"] = [span for span in known if span[0] < news] + seat["history"]
            self.seats[key] = seat

    def shown(self, window: float) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the seats that are there, with as much of their past as a strip shows."""
        shown = {key: dict(seat) for key, seat in self.seats.items() if seat["present"]}
        for seat in shown.values():
            spans = seat["history"]
            seat["history"] = [
                span for index, span in enumerate(spans) if index + 1 == len(spans) or spans[index + 1][0] > window
            ]
        return shown


def update_of(old: Snapshot | None, new: Snapshot, *more: FeedUp) -> Update:
    """Return the update from one snapshot to another."""
    return Update(sequence=1, snapshot=new, previous=old, events=(*more, *diff(old, new)))


async def test_whoever_is_told_what_changed_knows_what_everybody_knows() -> None:
    """A screen that was slow, or away for a while, shows something else than one that was just opened."""
    stage, chance = Stage(BUSY, seed=4), random.Random(1)
    watcher = StatusWatcher(stage, interval=NEVER, initial=True, leave_after=1)
    updates, board = watcher.updates(), Board()
    constant, slow = Browser(), Browser()
    async with watcher:
        await watcher.ready()
        for _ in range(700):
            stage.centre.advance(3)
            await watcher.refresh()
            while updates.pending:
                board.update(await anext(updates))
            constant.read(board)
            if chance.random() < 0.05:
                slow.read(board)
    slow.read(board)
    new = Browser()
    new.read(board)
    window = (stage.now() - timedelta(minutes=15)).timestamp() * 1000
    assert new.shown(window) == constant.shown(window) == slow.shown(window)
    assert len(new.seats) >= 6
    assert max(len(seat["history"]) for seat in new.seats.values()) > 10
    assert all(len(seat["history"]) < 200 for seat in new.seats.values())
    assert {seat["present"] for seat in constant.seats.values()} == {True, False}


async def test_a_message_is_as_long_as_what_changed() -> None:
    """A call in a large call centre sends the whole of it to every screen."""
    board, browser = Board(), Browser()
    old = snapshot(*(agent(str(number)) for number in range(500)))
    board.begin(old)
    browser.read(board)
    assert browser.told == 500
    new = snapshot(*(attrs_state(it) if it.extension == "7" else it for it in old.values()), at=2)
    board.update(update_of(old, new))
    browser.read(board)
    assert browser.told == 501
    assert browser.seats["queue-1", "7"]["state"] == "talking"
    assert board.since(browser.revision - 1) is board.since(browser.revision - 1)


def attrs_state(record: Any) -> Any:
    """Return a record of somebody who talks now."""
    return agent(record.extension, AgentState.TALKING)


def test_nothing_is_known_before_the_first_poll() -> None:
    """A board that knows nothing yet claims that nobody is there."""
    board = Board()
    assert not board.has_begun
    message = json.loads(board.since(0))
    assert message["feed"] == {"up": None, "since": None, "error": None}
    assert message["seats"] == []


def test_the_first_update_brings_those_with_it_who_did_not_change() -> None:
    """Only those who changed since the program was last run are on the screen."""
    board = Board()
    old = snapshot(agent("1"), agent("2"))
    board.update(update_of(old, snapshot(agent("1"), agent("2", AgentState.TALKING), at=2)))
    message = json.loads(board.since(0))
    shown = {seat["extension"]: (seat["state"], seat["since"], seat["approximate"]) for seat in message["seats"]}
    assert shown["1"] == ("waiting", milliseconds(0), True)
    assert shown["2"][:2] == ("talking", milliseconds(2))


def test_an_outage_is_told_and_forgotten_once_no_strip_shows_it() -> None:
    """What nobody saw is drawn as if it had been seen."""
    board = Board()
    first = snapshot(agent("1"))
    board.begin(first)
    down = FeedDown(error=TransportError("no route"), since=first.observed_at)
    board.update(Update(sequence=1, snapshot=first, previous=first, events=(down,)))
    message = json.loads(board.since(1))
    assert message["feed"] == {"up": False, "since": milliseconds(0), "error": "no route"}
    assert message["outages"] == [[milliseconds(0), None]]
    again = snapshot(agent("1"), at=60)
    up = FeedUp(observed_at=again.observed_at, outage=timedelta(seconds=60), failures=3)
    board.update(update_of(first, again, up))
    message = json.loads(board.since(1))
    assert message["feed"]["up"] is True
    assert message["outages"] == [[milliseconds(0), milliseconds(60)]]
    late = snapshot(agent("1"), at=7200)
    board.update(update_of(again, late, FeedUp(observed_at=late.observed_at, outage=timedelta(seconds=2), failures=1)))
    assert json.loads(board.since(1))["outages"] == []


def test_a_feed_that_was_never_up_has_been_down_since_nobody_knows_when() -> None:
    """A platform that is away from the start breaks the board."""
    board = Board()
    down = FeedDown(error=TransportError("no route"), since=None)
    board.update(Update(sequence=1, snapshot=None, previous=None, events=(down,)))
    assert json.loads(board.since(0))["feed"] == {"up": False, "since": None, "error": "no route"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("token=abc"), "ValueError"),
        (TransportError("no route"), "no route"),
        (ApiError(500, "abc"), "ret 500: the platform had an error of its own; it usually passes"),
        (AuthError(601, "appid abc", "ask them"), "ret 601: ask them"),
        (OperationFailed(1003, "abc"), "error 1003: the operation failed"),
        (HttpStatusError(302, location="http://abc"), "HTTP 302 Found: check the URL, and what stands between"),
        (MalformedResponse("a field abc", "abc"), "malformed response: the program that shows this was told more"),
    ],
)
def test_of_an_error_no_words_of_others_are_told(error: Exception, told: str) -> None:
    """A secret in an error of somebody's own source, or one that the platform repeats, ends on a screen."""
    board = Board()
    down = FeedDown(error=error, since=None)
    board.update(Update(sequence=1, snapshot=None, previous=None, events=(down,)))
    shown = json.loads(board.since(0))["feed"]["error"]
    assert shown.startswith(told)
    assert "abc" not in shown


def test_an_error_says_which_server_was_asked() -> None:
    """Nobody can tell which of two platforms is away."""
    error = TransportError("no route")
    error.where = "the service at pbx.example"
    assert reason(error) == "the service at pbx.example: no route"


def test_what_left_is_forgotten_once_no_strip_shows_it() -> None:
    """A call centre whose extensions come and go fills the memory."""
    board, browser = Board(), Browser()
    old = snapshot(agent("0"))
    board.begin(old)
    browser.read(board)
    first = board.revision
    for number in range(1, 40):
        new = snapshot(agent(str(number)), at=60 * number)
        board.update(update_of(old, new))
        old = new
    assert len(board._rows) <= 17
    assert {key.extension for key in board._rows} >= {"39", "30"}
    # Who was away for so long that nobody can say who left is told who is there.
    message = json.loads(board.since(first))
    assert message["full"] is True
    browser.read(board)
    assert set(browser.seats) == {("queue-1", "39")}


def test_states_within_a_pixel_are_one() -> None:
    """A call centre that is busy, or simulated faster than real, costs each browser megabytes."""
    board = Board()
    old = snapshot(agent("1"), agent("2"))
    board.begin(old)
    for number in range(1, 1801):
        state = AgentState.TALKING if number % 2 else AgentState.WAITING
        new = snapshot(agent("1", state), agent("2"), at=number / 2)
        board.update(update_of(old, new))
        old = new
    spans = json.loads(board.since(0))["seats"][0]["history"]
    assert len(spans) < 10
    assert spans[-1] == [milliseconds(900), "waiting"]


def test_a_large_call_centre_has_coarser_strips() -> None:
    """Strips that nobody can see so finely cost each browser megabytes."""
    board = Board()
    seats = [agent(str(number)) for number in range(300)]
    old = snapshot(*seats)
    board.begin(old)
    for at, state in ((10, AgentState.TALKING), (12, AgentState.IDLE), (15, AgentState.WAITING)):
        new = snapshot(agent("0", state), *seats[1:], at=at)
        board.update(update_of(old, new))
        old = new
    (seat,) = (it for it in json.loads(board.since(0))["seats"] if it["extension"] == "0")
    assert seat["history"] == [[milliseconds(0), "waiting"], [milliseconds(12), "idle"], [milliseconds(15), "waiting"]]


def test_few_messages_are_kept() -> None:
    """Browsers that come back after having been away for different times fill the memory."""
    board = Board()
    old = snapshot(agent("1"))
    board.begin(old)
    for number in range(1, 50):
        new = snapshot(agent("1", name=str(number)), at=number)
        board.update(update_of(old, new))
        old = new
    for revision in range(board.revision):
        board.since(revision)
    assert len(board._messages) <= 8


@pytest.mark.parametrize("name", ["", "x", "{run}-", "{run}-x", "{run}-99", "{run}--1", "{run}-²", "other-1"])
def test_an_id_that_names_no_revision_of_this_run_means_all(name: str) -> None:
    """A browser that comes back after a restart is told only what changed since, and shows the rest wrong."""
    board = Board()
    run = board.event_id.partition("-")[0]
    assert board.revision_of(name.format(run=run)) == 0
    assert board.revision_of(None) == 0
    assert board.revision_of(board.event_id) == board.revision == 1


async def test_who_comes_back_has_a_past() -> None:
    """Somebody who signs in again is the same on old screens, and without a past on new ones."""
    source = ScriptedSource(
        [snapshot(agent("1"), agent("2")), snapshot(agent("1"), at=60), snapshot(agent("1"), agent("2"), at=90)]
    )
    watcher = StatusWatcher(source, interval=NEVER, leave_after=1)
    updates, board, browser = watcher.updates(), Board(), Browser()
    async with watcher:
        board.begin(await watcher.ready())
        await watcher.refresh()
        board.update(await anext(updates))
        browser.read(board)
        assert set(browser.seats) == {("queue-1", "1")}
        await watcher.refresh()
        board.update(await anext(updates))
        browser.read(board)
    assert browser.seats["queue-1", "2"]["history"] == [
        [milliseconds(0), "waiting"], [milliseconds(60), None], [milliseconds(90), "waiting"],
    ]  # fmt: skip


def test_an_outage_says_why_it_is_by_now() -> None:
    """A relay is back while the platform is away, and the screen has everybody look for the relay."""
    board, known = Board(), snapshot(agent())
    board.begin(known)
    assert not board.explain(TransportError("away")), "nothing is down"
    down = FeedDown(error=TransportError("no relay is there"), since=START)
    board.update(Update(sequence=1, snapshot=known, previous=known, events=(down,)))
    revision = board.revision
    assert not board.explain(TransportError("no relay is there"))
    assert (board.revision, board.down) == (revision, (START, "no relay is there"))
    assert board.explain(TransportError("no route to the platform"))
    assert board.revision == revision + 1
    assert json.loads(board.since(revision))["feed"]["error"] == "no route to the platform"
    assert not board.explain(TransportError("no route to the platform"))
    assert board.explain(TransportError("no relay is there"))
    up = FeedUp(observed_at=START, outage=timedelta(0), failures=1)
    board.update(Update(sequence=2, snapshot=known, previous=known, events=(up,)))
    assert board.down is None
    again = FeedDown(error=TransportError("another outage"), since=START)
    board.update(Update(sequence=3, snapshot=known, previous=known, events=(again,)))
    assert board.down == (START, "another outage")
