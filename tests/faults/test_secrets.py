"""A run of the fault matrix, whose servers quote what they are sent, shows no secret."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest

from sipqueue_async import FeedDown, Snapshot
from tests.faults.run import MatrixRun, listening, run_matrix, shown
from tests.faults.server import ACCESSKEY, TOKEN

pytestmark = pytest.mark.timeout(300)


def pieces(secret: str) -> set[str]:
    """Return what may be left of a secret, in any of its spellings, when a text is cut."""
    spelt = {quote_plus(secret), html.escape(secret), json.dumps(secret)[1:-1], secret.replace("/", "\\/")}
    plain = {secret[start : start + 6] for start in range(len(secret) - 5)}
    return plain | {it[start : start + 10] for it in spelt for start in range(len(it) - 9)}


PIECES = pieces(TOKEN) | pieces(ACCESSKEY)


def leaks(text: str) -> bool:
    """Tell whether a text has a piece of a secret."""
    return any(piece in text for piece in PIECES)


def errors_of(run: MatrixRun) -> Iterator[BaseException]:
    """Give every exception that a user gets hold of."""
    for asked in (*run.asked.values(), *run.asked_at_login.values()):
        if isinstance(asked.outcome, BaseException):
            yield asked.outcome
    for watched in run.watched.values():
        yield from (poll.outcome for poll in watched.polls if isinstance(poll.outcome, BaseException))
        yield from (event.error for event in watched.told if isinstance(event, FeedDown))
        if watched.end is not None:
            yield watched.end


def snapshots_of(run: MatrixRun) -> Iterator[Snapshot]:
    """Give every snapshot."""
    for asked in (*run.asked.values(), *run.asked_at_login.values()):
        if isinstance(asked.outcome, Snapshot):
            yield asked.outcome


def test_no_exception_shows_a_secret() -> None:
    """No error's text, nor its traceback with all local variables, shows the token or the access key."""
    errors = list(errors_of(run_matrix()))
    assert len(errors) > 300
    assert [text for error in errors for text in shown(error) if leaks(text)] == []


def test_no_log_record_shows_a_secret() -> None:
    """Nothing that the library, aiohttp or asyncio log at DEBUG shows the token or the access key."""
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
    """The search finds a secret in a text, in a local variable and in an error that led to another."""

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
