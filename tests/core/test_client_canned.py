"""Canned replies for the client: the errors of the envelope, and the shim that this kind of test needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from sipqueue_async import ApiError, AuthError, HttpStatusError, MalformedResponse, OperationFailed, SipQueueClient
from tests.kit.builders import body, error_body, failure_body, record

URL = "http://platform.example/api"
Canned = Callable[..., None]


async def test_the_shim_for_aioresponses_is_still_needed() -> None:
    """Once this test fails, aioresponses and aiohttp agree: then remove `CannedResponse` from tests/kit/servers.py."""
    with aioresponses() as replies:
        replies.post(URL, body=b"")
        async with aiohttp.ClientSession() as session:
            try:
                await session.post(URL)
            except TypeError as error:
                reason = str(error)
            else:  # pragma: no cover  # the day has come
                pytest.fail("aioresponses works without the shim: remove CannedResponse from tests/kit/servers.py")
    assert "stream_writer" in reason


async def test_a_canned_snapshot(canned: Canned) -> None:
    canned(URL, body=body(record()))
    async with SipQueueClient(URL, "t0ken") as client:
        assert list(await client.fetch_snapshot()) == [("queue-1", "100001")]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"body": error_body(400)}, ApiError),
        ({"body": error_body(604)}, AuthError),
        ({"body": failure_body(1003)}, OperationFailed),
        ({"body": b"<html>"}, MalformedResponse),
        ({"body": b"", "status": 502}, HttpStatusError),
    ],
)
async def test_a_canned_refusal(canned: Canned, answer: dict[str, Any], kind: type[Exception]) -> None:
    """Each kind of refusal is a different error."""
    canned(URL, **answer)
    async with SipQueueClient(URL, "t0ken") as client:
        with pytest.raises(kind) as refusal:
            await client.fetch_snapshot()
    assert type(refusal.value) is kind


async def test_a_canned_renewal(canned: Canned) -> None:
    """After an expired token is renewed, the request is repeated."""
    canned(URL, body=error_body(600))
    canned(URL, body=body(record()))
    given = iter(["old", "new"])

    async def provide() -> str:
        return next(given)

    async with SipQueueClient(URL, provide) as client:
        assert len(await client.fetch_snapshot()) == 1
    assert list(given) == []
