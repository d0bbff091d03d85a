"""The fault matrix: the reactions of a call and a watcher to each fault, the documentation page, and secrets.

All tests are in one file, because the matrix runs once in each test process.
"""

from __future__ import annotations

import html
import json
import logging
import runpy
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import attrs
import pytest

from sipqueue_async import AgentStatus, Event, FeedDown, FeedUp, SeatKey, SipQueueError, Snapshot, diff
from tests.faults.catalogue import FAULTS
from tests.faults.page import BEGIN, PAGE
from tests.faults.run import MatrixRun, listening, run_matrix, shown
from tests.faults.server import ACCESSKEY, TOKEN
from tests.faults.ways import COUNTERS, Fault

# The faults belong to networks and platforms, not to a Python version.
pytestmark = pytest.mark.one_python

FIRST = SeatKey("queue-1", "100001")

every_fault = pytest.mark.parametrize("fault", [pytest.param(it, id=it.name) for it in FAULTS])


def known_of(fault: Fault, sound: Snapshot, *, first_answer: bool = False) -> Snapshot:
    """Return the expected snapshot of a fault, given the snapshot of the platform without it.

    In a client's first answer a blank counter is 0.
    """
    if fault.shows == "nobody":
        return Snapshot((), observed_at=sound.observed_at)
    lost: dict[str, Any] = {} if fault.loses is None else {fault.loses: None}
    counters: dict[str, Any] = dict.fromkeys(("calls_answered", "no_answer_count"), 0) if first_answer else {}
    known: list[AgentStatus] = []
    for agent in sound.values():
        is_first = agent.key == FIRST
        is_blank = fault.blank_counters == "all" or (is_first and fault.blank_counters == "first")
        known.append(attrs.evolve(agent, **(lost if is_first else {}), **(counters if is_blank else {})))
    return Snapshot(known, observed_at=sound.observed_at)


@every_fault
def test_a_call_gives_the_truth_or_the_right_error(fault: Fault) -> None:
    """A call returns the platform's records, or raises the fault's error with a text to act on.

    A login with the fault returns a token or raises one of the library's errors.
    """
    assert isinstance(run_matrix().asked_at_login[fault.name].outcome, Snapshot | SipQueueError)
    assert isinstance(run_matrix().asked_at_login[fault.name].outcome, Snapshot | SipQueueError)
    asked = run_matrix().asked[fault.name]
    assert set(asked.paths) <= {"/"}
    if fault.error is None:
        assert isinstance(asked.outcome, Snapshot)
        assert asked.outcome == known_of(fault, asked.sound, first_answer=True)
        problems = Counter(it.field for it in asked.outcome.problems if it.field not in {"rsptime", *COUNTERS})
        assert problems.total() == (fault.loses is not None)
        blank = Counter((it.queue, it.extension) for it in asked.outcome.problems if it.field in COUNTERS)
        expected = {"first": [FIRST], "all": list(asked.sound), None: []}[fault.blank_counters]
        assert blank == dict.fromkeys(expected, len(COUNTERS))
        return
    assert isinstance(asked.outcome, SipQueueError)
    assert type(asked.outcome) is fault.error
    assert fault.says in asked.outcome.describe()
    assert str(asked.outcome).startswith(f"{asked.outcome.describe()} (App.Sip_")
    assert str(asked.outcome).endswith(f" at {asked.url})")
    assert asked.outcome.retryable is fault.retryable
    assert asked.outcome.wrong_url is fault.wrong_url


def essence(event: Event) -> tuple[object, ...]:
    """Return an event without its time of observation."""
    when = {"observed_at", "error", "since", "outage", "failures"}
    names = [it.name for it in attrs.fields(type(event)) if it.init and it.name not in when]
    return type(event), {name: getattr(event, name) for name in names}


@every_fault
def test_a_watcher_tells_what_happened_and_goes_on(fault: Fault) -> None:
    """A watcher reports what happened and nothing else, and the first poll after the fault brings the news."""
    watched = run_matrix().watched[fault.name]
    # A record that lost its call time is held back, and so is an answer without agents.
    is_held_back = fault.shows == "nobody" or fault.loses == "last_answered_at"
    known = watched.before if is_held_back else known_of(fault, watched.before)
    told = [essence(it) for it in watched.told]
    if not fault.goes_on:
        assert fault.error is not None
        assert [kind for kind, _ in told] == [FeedDown]
        assert type(watched.end) is fault.error
        assert fault.says in str(watched.end)
        assert watched.after == watched.before
        return
    assert watched.end is None
    assert watched.stale >= fault.stale
    assert watched.during == known
    lost = [essence(it) for it in diff(watched.before, known)]
    news = [essence(it) for it in diff(known, watched.after)]
    feed: list[tuple[object, ...]] = [] if fault.error is None else [(FeedDown, {}), (FeedUp, {})]
    assert told == [*lost, *feed, *news]
    polls = watched.polls
    (recovery, *_) = (number for number, it in enumerate(polls) if it.outcome == watched.after)
    assert sum(it.began >= watched.mended_at for it in polls[:recovery]) <= fault.leaves_bytes
    assert polls[recovery].began - polls[recovery - 1].ended >= fault.pause


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the page has the words of Linux for errors")
def test_the_page_says_what_a_run_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script writes the page's tables from a run, and keeps the text above them.

    After a change, run `python -m tests.faults.write_docs` to write the page.
    """
    path = tmp_path / "faults.md"
    path.write_text(f"# Faults\n\n{BEGIN}\nsomething old\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["write_docs.py", str(path)])
    runpy.run_path(str(Path(__file__).with_name("write_docs.py")))
    introduction, _, tables = path.read_text(encoding="utf-8").partition(BEGIN)
    assert introduction == "# Faults\n\n"
    assert tables == PAGE.read_text(encoding="utf-8").partition(BEGIN)[2]


# ---- secrets --------------------------------------------------------------------------------------------------------


def pieces(secret: str) -> set[str]:
    """Return the pieces of a secret, in any of its encodings, that a truncated text may contain."""
    spelt = {quote_plus(secret), html.escape(secret), json.dumps(secret)[1:-1], secret.replace("/", "\\/")}
    plain = {secret[start : start + 6] for start in range(len(secret) - 5)}
    return plain | {it[start : start + 10] for it in spelt for start in range(len(it) - 9)}


PIECES = pieces(TOKEN) | pieces(ACCESSKEY)


def leaks(text: str) -> bool:
    """Return whether a text contains a piece of a secret."""
    return any(piece in text for piece in PIECES)


def errors_of(run: MatrixRun) -> Iterator[BaseException]:
    """Yield every exception that a user receives."""
    for asked in (*run.asked.values(), *run.asked_at_login.values()):
        if isinstance(asked.outcome, BaseException):
            yield asked.outcome
    for watched in run.watched.values():
        yield from (poll.outcome for poll in watched.polls if isinstance(poll.outcome, BaseException))
        yield from (event.error for event in watched.told if isinstance(event, FeedDown))
        if watched.end is not None:
            yield watched.end


def snapshots_of(run: MatrixRun) -> Iterator[Snapshot]:
    """Yield every snapshot."""
    for asked in (*run.asked.values(), *run.asked_at_login.values()):
        if isinstance(asked.outcome, Snapshot):
            yield asked.outcome


def test_no_exception_shows_a_secret() -> None:
    """No error's text, and no traceback with all local variables, shows the token or the access key."""
    errors = list(errors_of(run_matrix()))
    assert len(errors) > 300
    assert [text for error in errors for text in shown(error) if leaks(text)] == []


def test_no_log_record_shows_a_secret() -> None:
    """No record that the library, aiohttp or asyncio log at DEBUG shows the token or the access key."""
    said = run_matrix().said
    assert any("a poll failed" in text for text in said)
    assert any("polling works again" in text for text in said)
    assert [text for text in said if leaks(text)] == []


def test_no_repr_shows_a_secret() -> None:
    """No `repr` of a client, a watcher, an event or a snapshot shows the token or the access key."""
    run = run_matrix()
    reprs = [text for watched in run.watched.values() for text in watched.reprs]
    reprs += [f"{it!r} {it.problems!r} {list(it.values())!r}" for it in snapshots_of(run)]
    assert any("<SipQueueClient of " in text for text in reprs)
    assert [text for text in reprs if leaks(text)] == []


def test_a_secret_would_be_found() -> None:
    """The search finds a secret in a text, in a local variable and in an error's cause."""

    def fail(unlucky: str) -> None:
        raise LookupError

    def fail_because_of_it() -> None:
        try:
            fail(ACCESSKEY)
        except LookupError:
            raise ValueError from None

    with pytest.raises(ValueError) as caught:
        fail_because_of_it()
    assert any(leaks(text) for text in shown(caught.value))
    said: list[str] = []
    with listening(said):
        logging.getLogger("aiohttp").debug("it failed", exc_info=caught.value)
    assert any(leaks(text) for text in said)
    assert leaks(f"not possible: token={quote_plus(TOKEN)[:14]}")
    assert not leaks("a text without any")
