"""Credentials, and how the client gets and renews tokens."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from sipqueue_async import AppCredentials, AuthError, TransportError
from sipqueue_async._secrets import Secret
from sipqueue_async.auth import FixedToken, RenewableToken

HIDDEN = "s3cr/et+key=&x"

# ---- credentials -----------------------------------------------------------------------------------------------------


def test_credentials_show_the_appid_only() -> None:
    """The access key appears in no repr."""
    credentials = AppCredentials("app-1", HIDDEN)
    assert repr(credentials) == "AppCredentials(appid='app-1', accesskey='***')"
    assert credentials.appid == "app-1"
    assert credentials.accesskey.reveal() == HIDDEN


def test_credentials_are_values() -> None:
    """Equal credentials compare equal and have the same hash; they equal no object of another type."""
    one = AppCredentials("app-1", HIDDEN)
    assert one == AppCredentials("app-1", HIDDEN)
    assert hash(one) == hash(AppCredentials("app-1", HIDDEN))
    assert one != AppCredentials("app-2", HIDDEN)
    assert one != AppCredentials("app-1", "other")
    assert one != ("app-1", HIDDEN)
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("appid", "accesskey", "kind", "words"),
    [
        ("", "k", ValueError, "the appid is empty"),
        ("  ", "k", ValueError, "the appid is empty"),
        (None, "k", TypeError, "the appid must be a string"),
        (5, "k", TypeError, "the appid must be a string"),
        ("a", "", ValueError, "the accesskey is empty"),
        ("a", "k\n", ValueError, "the accesskey has characters"),
        ("a", None, TypeError, "the accesskey must be a string"),
        ("a", b"k", TypeError, "the accesskey must be a string"),
    ],
)
def test_impossible_credentials_are_refused(appid: Any, accesskey: Any, kind: type[Exception], words: str) -> None:
    """Invalid credentials are refused by the constructor, not at the first poll."""
    with pytest.raises(kind, match=words):
        AppCredentials(appid, accesskey)


async def test_a_fixed_token_cannot_be_renewed() -> None:
    """A fixed token is returned unchanged; its refusal is final, and the error says what to do."""
    source = FixedToken(Secret(HIDDEN))
    token = await source.token()
    assert token.reveal() == HIDDEN
    refusal = AuthError(600, "expired")
    with pytest.raises(AuthError, match="use AppCredentials to log in") as final:
        await source.renewed(token, refusal)
    assert final.value.__cause__ is refusal
    assert not final.value.retryable
    assert (final.value.ret, final.value.msg) == (600, "expired")


# ---- single flight ---------------------------------------------------------------------------------------------------


class Logins:
    """Counts the logins; a test decides when each one ends."""

    def __init__(self) -> None:
        self.started = 0
        self.outcomes: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.source = RenewableToken(self._log_in)

    async def _log_in(self) -> Secret:
        self.started += 1
        outcome = await self.outcomes.get()
        if isinstance(outcome, Exception):
            raise outcome
        return Secret(outcome)


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_many_calls_share_one_login() -> None:
    """If many calls need a token at once, the platform sees one login, and all calls get its token."""
    logins = Logins()
    calls = [asyncio.create_task(logins.source.token()) for _ in range(20)]
    await _settle()
    logins.outcomes.put_nowait("t1")
    tokens = await asyncio.gather(*calls)
    assert {token.reveal() for token in tokens} == {"t1"}
    assert (await logins.source.token()) is tokens[0]
    assert logins.started == 1


async def test_a_failure_is_shared_by_those_who_waited_and_no_longer() -> None:
    """A failed login raises in all calls that waited for it; the next call tries again."""
    logins = Logins()
    calls = [asyncio.create_task(logins.source.token()) for _ in range(5)]
    await _settle()
    logins.outcomes.put_nowait(TransportError("no route"))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no route"] * 5
    assert logins.started == 1
    logins.outcomes.put_nowait("t2")
    assert (await logins.source.token()).reveal() == "t2"
    assert logins.started == 2


async def test_a_shared_failure_does_not_grow() -> None:
    """The error of a failed login has the same traceback, no matter how many calls share it."""
    logins = Logins()
    calls = [asyncio.create_task(logins.source.token()) for _ in range(50)]
    await _settle()
    logins.outcomes.put_nowait(TransportError("no route"))
    (failure, *_) = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(failure, TransportError)
    frames, trace = 0, failure.__traceback__
    while trace is not None:
        frames, trace = frames + 1, trace.tb_next
    assert 2 <= frames <= 8


async def test_a_cancelled_login_is_taken_over_by_the_next_in_line() -> None:
    """If the call that logs in is cancelled, the next waiting call logs in, and none hangs."""
    logins = Logins()
    first, *others = [asyncio.create_task(logins.source.token()) for _ in range(4)]
    await _settle()
    first.cancel()
    await _settle()
    assert first.cancelled()
    assert logins.started == 2
    logins.outcomes.put_nowait("t1")
    async with asyncio.timeout(60):
        tokens = await asyncio.gather(*others)
    assert {token.reveal() for token in tokens} == {"t1"}
    assert logins.started == 2


async def test_a_cancelled_call_leaves_the_login_to_the_others() -> None:
    """A call that is cancelled while it waits for another call's login leaves the login running."""
    logins = Logins()
    first, second, third = [asyncio.create_task(logins.source.token()) for _ in range(3)]
    await _settle()
    second.cancel()
    logins.outcomes.put_nowait("t1")
    async with asyncio.timeout(60):
        assert (await first) is (await third)
    assert second.cancelled()
    assert logins.started == 1


async def test_a_refused_token_is_renewed_once_for_all() -> None:
    """Any number of calls with the same refused token cost one login, at once or later."""
    logins = Logins()
    logins.outcomes.put_nowait("t1")
    old = await logins.source.token()
    refusal = AuthError(600)
    renewals = [asyncio.create_task(logins.source.renewed(old, refusal)) for _ in range(5)]
    await _settle()
    newcomer = asyncio.create_task(logins.source.token())
    await _settle()
    logins.outcomes.put_nowait("t2")
    tokens = await asyncio.gather(*renewals, newcomer)
    assert {token.reveal() for token in tokens} == {"t2"}
    assert (await logins.source.renewed(old, refusal)) is tokens[0]
    assert logins.started == 2


async def test_a_failed_renewal_is_tried_again() -> None:
    """After a failed renewal, the refused token is not used again."""
    logins = Logins()
    logins.outcomes.put_nowait("t1")
    old = await logins.source.token()
    logins.outcomes.put_nowait(TransportError("no route"))
    with pytest.raises(TransportError):
        await logins.source.renewed(old, AuthError(600))
    logins.outcomes.put_nowait("t2")
    assert (await logins.source.token()).reveal() == "t2"
