"""The board's messages to browsers: first the full state, then the changes."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from sipqueue_async import (
    AgentState,
    AgentStatus,
    ApiError,
    AuthError,
    Event,
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
from sipqueue_async._error_text import reason
from sipqueue_async.simulator import Plan
from sipqueue_async.tally import Tally
from sipqueue_async.wallboard.board import Board
from tests.kit.builders import START, agent, snapshot
from tests.kit.wallboard_stage import NEVER, Stage

BUSY = Plan(agents=12, queues=3, several_queues=0.5, calls_per_hour=200.0, opening_callers=3, breaks_per_hour=6.0,
            shift_hours=0.2, off_hours=0.1)  # fmt: skip


def milliseconds(seconds: float) -> float:
    """Return START plus some seconds, in milliseconds since 1970."""
    return (START + timedelta(seconds=seconds)).timestamp() * 1000


class Browser:
    """Keeps the seats of the messages, like the page."""

    def __init__(self) -> None:
        self.revision = 0
        self.seats: dict[tuple[str, str], dict[str, Any]] = {}
        self.told = 0

    def read(self, board: Board) -> None:
        """Read the next message."""
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
        """Return the present seats, with as much history as a strip shows."""
        shown = {key: dict(seat) for key, seat in self.seats.items() if seat["present"]}
        for seat in shown.values():
            spans = seat["history"]
            seat["history"] = [
                span for index, span in enumerate(spans) if index + 1 == len(spans) or spans[index + 1][0] > window
            ]
        return shown


class Screen:
    """A board that receives successive snapshots, and a browser that reads its messages."""

    def __init__(self, *agents: AgentStatus, browser: Browser | None = None) -> None:
        self.board = Board(Tally())
        self.browser = browser or Browser()
        self.known: Snapshot | None = None
        if agents:
            self.board = Board(Tally(first := snapshot(*agents)))
            self.known = first
            self.board.begin(first)

    def show(self, new: Snapshot | None = None, *more: Event) -> dict[str, Any]:
        """Apply a snapshot, or feed events only, and return the full message."""
        old, self.known = self.known, new or self.known
        update = Update(sequence=1, snapshot=self.known, previous=old, events=(*more, *(diff(old, new) if new else ())))
        self.board.tally.update(update)
        if self.board.has_begun:
            self.board.show(update)
        else:
            self.board.begin(self.known)
        message: dict[str, Any] = json.loads(self.board.since(0))
        return message

    def down(self, error: Exception, since: datetime | None) -> dict[str, Any]:
        """Report that the feed is down; return the message."""
        feed: dict[str, Any] = self.show(None, FeedDown(error=error, since=since))["feed"]
        return feed


async def test_slow_and_returning_browsers_show_the_same_as_new_ones() -> None:
    stage, chance = Stage(BUSY, seed=4), random.Random(1)
    watcher = StatusWatcher(stage, interval=NEVER, initial=True, leave_after=1)
    tally = Tally()
    board = Board(tally)
    tally.follow(watcher, on_change=lambda update: board.show(update) if update else board.begin(watcher.snapshot))
    constant, slow, new = Browser(), Browser(), Browser()
    async with watcher:
        await watcher.ready()
        for _ in range(700):
            stage.centre.advance(3)
            await watcher.refresh()
            constant.read(board)
            if chance.random() < 0.05:
                slow.read(board)
    slow.read(board)
    new.read(board)
    window = (stage.now() - timedelta(minutes=15)).timestamp() * 1000
    assert new.shown(window) == constant.shown(window) == slow.shown(window)
    assert len(new.seats) >= 6
    assert max(len(seat["history"]) for seat in new.seats.values()) > 10
    assert all(len(seat["history"]) < 200 for seat in new.seats.values())
    assert {seat["present"] for seat in constant.seats.values()} == {True, False}


def test_a_message_holds_only_what_changed_and_is_made_once() -> None:
    people = [agent(str(number)) for number in range(500)]
    screen = Screen(*people)
    board, browser = screen.board, screen.browser
    browser.read(board)
    assert browser.told == 500
    people[7] = agent("7", AgentState.TALKING)
    screen.show(snapshot(*people, at=2))
    browser.read(board)
    assert browser.told == 501
    assert browser.seats["queue-1", "7"]["state"] == "talking"
    assert board.since(browser.revision - 1) is board.since(browser.revision - 1)


def test_before_the_first_poll_the_feed_is_neither_up_nor_down() -> None:
    message = json.loads(Board(Tally()).since(0))
    assert message["feed"] == {"up": None, "since": None, "error": None}
    assert message["seats"] == []


def test_the_first_update_shows_seats_that_did_not_change_too() -> None:
    screen = Screen()
    screen.known = snapshot(agent("1"), agent("2"))
    message = screen.show(snapshot(agent("1"), agent("2", AgentState.TALKING), at=2))
    shown = {seat["extension"]: (seat["state"], seat["since"], seat["approximate"]) for seat in message["seats"]}
    assert shown["1"] == ("waiting", milliseconds(0), True)
    assert shown["2"][:2] == ("talking", milliseconds(2))


def test_an_outage_is_drawn_until_no_strip_shows_it() -> None:
    screen = Screen(agent("1"))
    assert screen.down(TransportError("no route"), START) == {
        "up": False,
        "since": milliseconds(0),
        "error": "no route",
    }
    assert json.loads(screen.board.since(1))["outages"] == [[milliseconds(0), None]]
    for at, outages in ((60, [[milliseconds(0), milliseconds(60)]]), (7200, [])):
        again = snapshot(agent("1"), at=at)
        up = FeedUp(observed_at=again.observed_at, outage=timedelta(seconds=60), failures=3)
        message = screen.show(again, up)
        assert (message["feed"]["up"], message["outages"]) == (True, outages)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("token=abc"), "ValueError"),
        (TransportError("no route"), "no route"),
        (ApiError(500, "abc"), "ret 500: the platform had an internal error; it usually passes"),
        (AuthError(601, "appid abc", "ask them"), "ret 601: ask them"),
        (OperationFailed(1003, "abc"), "error 1003: the operation failed"),
        (HttpStatusError(302, location="http://abc"), "HTTP 302 Found: check the URL"),
        (MalformedResponse("the URL answered with a web page (title: abc)"), "the URL answered with a web page; check"),
        (HttpStatusError(404), "HTTP 404 Not Found: this URL is not the API"),
        (MalformedResponse("a field abc", "abc"), "malformed response: the program's log says more"),
    ],
)
def test_errors_are_described_without_text_from_outside(error: Exception, told: str) -> None:
    screen = Screen()
    assert screen.down(error, None) == (feed := screen.down(error, None))
    assert (feed["up"], feed["since"]) == (False, None)
    assert feed["error"].startswith(told)
    assert "abc" not in feed["error"]


def test_an_error_is_shown_without_the_internal_url() -> None:
    error = TransportError("no route")
    error.where = "the service at pbx.example"
    assert reason(error) == "no route"


def test_seats_that_left_are_dropped_once_no_strip_shows_them() -> None:
    screen = Screen(agent("0"))
    board, browser = screen.board, screen.browser
    browser.read(board)
    first = board.revision
    for number in range(1, 40):
        screen.show(snapshot(agent(str(number)), at=60 * number))
    assert len(board._rows) <= 17
    assert {key.extension for key in board._rows} >= {"39", "30"}
    # A browser that missed the departure of a dropped seat gets the full state.
    assert json.loads(board.since(first))["full"] is True
    browser.read(board)
    assert set(browser.seats) == {("queue-1", "39")}


def test_states_within_one_pixel_become_one() -> None:
    screen = Screen(agent("1"), agent("2"))
    for number in range(1, 1801):
        state = AgentState.TALKING if number % 2 else AgentState.WAITING
        message = screen.show(snapshot(agent("1", state), agent("2"), at=number / 2))
    spans = message["seats"][0]["history"]
    assert len(spans) < 10
    assert spans[-1] == [milliseconds(900), "waiting"]


def test_strips_are_coarser_with_many_seats() -> None:
    seats = [agent(str(number)) for number in range(300)]
    screen = Screen(*seats)
    for at, state in ((10, AgentState.TALKING), (12, AgentState.IDLE), (15, AgentState.WAITING)):
        message = screen.show(snapshot(agent("0", state), *seats[1:], at=at))
    (seat,) = (it for it in message["seats"] if it["extension"] == "0")
    assert seat["history"] == [[milliseconds(0), "waiting"], [milliseconds(12), "idle"], [milliseconds(15), "waiting"]]


def test_few_messages_are_kept() -> None:
    screen = Screen(agent("1"))
    for number in range(1, 50):
        screen.show(snapshot(agent("1", name=str(number)), at=number))
    for revision in range(screen.board.revision):
        screen.board.since(revision)
    assert len(screen.board._messages) <= 8


@pytest.mark.parametrize("name", ["", "x", "{run}-", "{run}-x", "{run}-99", "{run}--1", "{run}-²", "other-1"])
def test_an_id_that_is_not_of_this_run_means_everything(name: str) -> None:
    board = Board(Tally())
    run = board.event_id.partition("-")[0]
    assert board.revision_of(name.format(run=run)) == 0
    assert board.revision_of(None) == 0
    assert board.revision_of(board.event_id) == board.revision == 1


def test_a_returning_agent_keeps_the_history_on_new_browsers() -> None:
    screen = Screen(agent("1"), agent("2"))
    screen.show(snapshot(agent("1"), at=60))
    screen.browser.read(screen.board)
    assert set(screen.browser.seats) == {("queue-1", "1")}
    screen.show(snapshot(agent("1"), agent("2"), at=90))
    screen.browser.read(screen.board)
    assert screen.browser.seats["queue-1", "2"]["history"] == [
        [milliseconds(0), "waiting"], [milliseconds(60), None], [milliseconds(90), "waiting"],
    ]  # fmt: skip


def test_the_reason_of_an_outage_is_the_latest_one() -> None:
    screen = Screen(agent())
    board = screen.board
    assert not board.explain(TransportError("away")), "the feed is up"
    screen.down(TransportError("no relay is there"), START)
    revision = board.revision
    for error, changes in (("no relay is there", 0), ("no route", 1), ("no route", 0), ("no relay is there", 1)):
        assert board.explain(TransportError(error)) == bool(changes)
        assert board.revision == (revision := revision + changes)
        assert json.loads(board.since(0))["feed"]["error"] == error
    screen.show(None, FeedUp(observed_at=START, outage=timedelta(0), failures=1))
    assert board.down is None
    screen.down(TransportError("another outage"), START)
    assert board.down == (START, "another outage")


def test_a_step_of_the_wall_clock_counts_as_no_time() -> None:
    """Durations follow the snapshots' steady time; forward and backward steps of an hour do not change them."""
    screen = Screen()
    for number, step in enumerate((0, 0, 3600, 3600, -3600)):
        # One seat changes at each poll; they are 10 s apart.
        people = (agent(str(it), AgentState.TALKING if it == number else AgentState.WAITING) for it in range(5))
        message = screen.show(
            Snapshot(people, observed_at=START + timedelta(seconds=step + 10 * number), steady_at=100 + 10 * number)
        )
    now = screen.board.time.now(145, START)
    ages = {seat["extension"]: (now - seat["since"]) / 1000 for seat in message["seats"] if seat["state"] == "talking"}
    assert ages == {"4": 5}
    assert {span[0] for seat in message["seats"] for span in seat["history"]} == {
        milliseconds(10 * it) for it in range(5)
    }
    feed = screen.down(TransportError("away"), START + timedelta(seconds=-3560))
    assert now - feed["since"] == 5000
    later = START + timedelta(hours=9)
    up = FeedUp(observed_at=later, outage=timedelta(seconds=20), failures=2)
    message = screen.show(Snapshot([agent("9")], observed_at=later, steady_at=160), up)
    assert message["outages"] == [[milliseconds(40), milliseconds(60)]]
    assert [seat["since"] for seat in message["seats"] if seat["extension"] == "9"] == [milliseconds(60)]


def test_without_steady_time_the_labels_count() -> None:
    screen = Screen(agent("1"))
    assert screen.board.time.now(7, START + timedelta(seconds=9)) == milliseconds(9)
    message = screen.show(
        Snapshot([agent("1", AgentState.TALKING)], observed_at=START + timedelta(seconds=5), steady_at=70)
    )
    assert message["seats"][0]["since"] == milliseconds(5)
    assert screen.board.time.now(71, START) == milliseconds(6)
