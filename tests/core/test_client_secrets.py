"""No failure shows the token or the access key anywhere."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from aiohttp import web

from sipqueue_async import AppCredentials, SipQueueClient, SipQueueError
from tests.kit.builders import body, envelope, error_body, failure_body, record
from tests.kit.servers import Platform, RawServer, raw_answer, read_request

# Module constants, not local variables: the search includes the locals of the tests' own frames.
TOKEN = "T/" + secrets.token_urlsafe(40) + "+=&"
FRESH = "F/" + secrets.token_urlsafe(40) + "+=&"
KEY = "K/" + secrets.token_urlsafe(40) + "+=&"
COOKIE = "C/" + secrets.token_urlsafe(40) + "+=&"

PIECE = 10
"""The minimum length of a leak: this many consecutive characters of a secret."""


def leaks(text: str) -> list[str]:
    """Return the parts of a text that contain a piece of a secret."""
    found: list[str] = []
    for name in ("TOKEN", "FRESH", "KEY", "COOKIE"):
        for at in range(len(globals()[name]) - PIECE + 1):
            place = text.find(globals()[name][at : at + PIECE])
            if place >= 0:
                found.append(f"{name} in {text[max(0, place - 60) : place]!r}...")
                break
    return found


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is not None and link not in chain:
            chain.append(link)
            pending += [link.__cause__, link.__context__]
    return chain


def everything_told_by(error: BaseException) -> str:
    """Return all text in an error and its causes, including the local variables of all their frames."""
    told: list[str] = []
    for link in _chain(error):
        told += [str(link), repr(link), repr(link.args), repr(vars(link))]
        told += traceback.TracebackException.from_exception(link, capture_locals=True).format()
    return "\n".join(told)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    """Capture log records of every level."""
    caplog.set_level(logging.DEBUG)


async def _fails(client: SipQueueClient, caplog: pytest.LogCaptureFixture) -> SipQueueError:
    """Fetch a snapshot, which must fail, and search all visible text for secrets."""
    asyncio.get_running_loop().set_debug(True)
    with pytest.raises(SipQueueError) as failed:
        await client.fetch_snapshot()
    assert leaks(everything_told_by(failed.value)) == []
    assert leaks(repr(client)) == []
    assert leaks(caplog.text) == []
    assert all(leaks(repr(vars(entry))) == [] for entry in caplog.records)
    return failed.value


def _client(url: str, auth: str, **options: Any) -> SipQueueClient:
    match auth:
        case "token":
            return SipQueueClient(url, TOKEN, **options)
        case "credentials":
            return SipQueueClient(url, AppCredentials("app-1", KEY), **options)
        case _:

            async def provide() -> str:
                return TOKEN

            return SipQueueClient(url, provide, **options)


Said = Callable[[bytes], bytes]
"""Returns a server's answer to a request body."""


def _in_json(ret: int, **fields: Any) -> Callable[[str], bytes]:
    return lambda said: json.dumps({"ret": ret, "data": [], "msg": said, **fields}).encode()


def _decoded(sent: bytes) -> str:
    return unquote_plus(sent.decode())


def _php(sent: bytes) -> str:
    return json.dumps(_decoded(sent)).replace("/", "\\/")


ECHOES: dict[str, Said] = {
    "as it came": lambda sent: sent,
    "decoded": lambda sent: _decoded(sent).encode(),
    "cut by the excerpt": lambda sent: b"." * (225 - sent.rindex(b"&")) + sent,
    "cut by the excerpt, decoded": lambda sent: (
        b"." * (235 - _decoded(sent).rindex("=", 0, -3)) + _decoded(sent).encode()
    ),
    "in a msg of ret 500": lambda sent: _in_json(500)(_decoded(sent)),
    "in a msg of ret 400": lambda sent: _in_json(400)(_decoded(sent)),
    "in a msg of ret 600": lambda sent: _in_json(600)(_decoded(sent)),
    "in a msg of ret 601": lambda sent: _in_json(601)(sent.decode()),
    "in a msg as PHP writes it": lambda sent: f'{{"ret": 500, "data": [], "msg": {_php(sent)}}}'.encode(),
    "as a list in msg": lambda sent: json.dumps({"ret": 500, "msg": [_decoded(sent)]}).encode(),
    "as ret": lambda sent: json.dumps({"ret": _decoded(sent)}).encode(),
    "as status": lambda sent: json.dumps({"ret": 200, "data": {"status": _decoded(sent)}}).encode(),
    "in codemsg": lambda sent: failure_body(1003, _decoded(sent)),
    "in a record's state": lambda sent: body(record(state=_decoded(sent))),
    "in a record's queue": lambda sent: body(record(queuename=_decoded(sent), state="x")),
    "in a record, cut off": lambda sent: body(record(seatsname=_decoded(sent)))[:-100],
    "in a record that cannot be read": lambda sent: body(record(a=_decoded(sent), status="X")).replace(
        b'"X"', b"1e999"
    ),
    "in another record": lambda sent: body(record(a=_decoded(sent)), record(a=_decoded(sent), state=1215)),
    "after the envelope": lambda sent: body() + sent,
}


@pytest.mark.parametrize("auth", ["token", "credentials", "function"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_a_server_that_quotes_the_request(
    platform: Platform, caplog: pytest.LogCaptureFixture, echo: str, auth: str
) -> None:
    """A quoted request, whole or in part, never shows the secret that was in it."""

    async def quote(request: web.Request) -> web.Response:
        return web.Response(body=ECHOES[echo](await request.read()))

    platform.answers = [quote]
    async with _client(platform.url, auth) as client:
        await _fails(client, caplog)


@pytest.mark.parametrize("auth", ["token", "credentials", "function"])
@pytest.mark.parametrize("status", [302, 404, 503])
async def test_an_http_error_that_quotes_the_request(
    platform: Platform, caplog: pytest.LogCaptureFixture, status: int, auth: str
) -> None:
    """A redirect or an error page that quotes the request does not show the secret."""

    async def quote(request: web.Request) -> web.Response:
        sent = await request.text()
        return web.Response(
            status=status, reason=sent, headers={"Location": f"/?{sent}", "Retry-After": sent}, text=sent
        )

    platform.answers = [quote]
    async with _client(platform.url, auth) as client:
        await _fails(client, caplog)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW_ECHOES: dict[str, Said] = {
    "no HTTP at all": lambda sent: sent + b"\r\n\r\n",
    "a status line": lambda sent: b"HTTP/1.1 " + sent + b"\r\n\r\n",
    "a header without an end": lambda sent: b"HTTP/1.1 200 OK\r\nX-Echo: " + sent + b"\r\nX-More: ",
    "a wrong header": lambda sent: b"HTTP/1.1 200 OK\r\nX Echo\0" + sent + b"\r\n\r\n",
    "a wrong length": lambda sent: b"HTTP/1.1 200 OK\r\nContent-Length: " + sent + b"\r\n\r\n",
    "a chunk": lambda sent: CHUNKED + sent + b"\r\n",
    "an encoding": lambda sent: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: " + sent + b"\r\n\r\nabc",
    "half a body": lambda sent: raw_answer(sent + b"....")[:-4],
    "a gzip": lambda sent: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n" + sent[-9:],
    "a charset": lambda sent: b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=" + sent + b"\r\n\r\nabc",
    "nothing": lambda sent: b"",
}


@pytest.mark.parametrize("auth", ["token", "credentials"])
@pytest.mark.parametrize("echo", RAW_ECHOES)
async def test_broken_http_that_quotes_the_request(
    raw_server: RawServer, caplog: pytest.LogCaptureFixture, echo: str, auth: str
) -> None:
    """Messages of aiohttp about malformed HTTP may quote it; none of them shows a secret."""

    async def quote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(RAW_ECHOES[echo](await read_request(reader)))
        await writer.drain()

    raw_server.connections = [quote]
    async with _client(raw_server.url, auth) as client:
        await _fails(client, caplog)


@pytest.mark.parametrize("auth", ["token", "credentials"])
@pytest.mark.parametrize("fault", ["silence", "reset before reading", "no server"])
async def test_a_broken_line(raw_server: RawServer, caplog: pytest.LogCaptureFixture, fault: str, auth: str) -> None:
    """A connection that breaks while sending or waiting does not show the unsent request."""

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async def abort(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    raw_server.connections = [silence if fault == "silence" else abort]
    url = "http://127.0.0.1:1/" if fault == "no server" else raw_server.url
    async with _client(url, auth, timeout=0.1) as client:
        await _fails(client, caplog)


LOGINS: dict[str, Callable[[], bytes]] = {
    "cut": lambda: json.dumps(envelope({"token": FRESH})).encode()[:-40],
    "cut in the token": lambda: (
        json.dumps(envelope({"token": FRESH})).encode().partition(b'"token"')[0] + b'"token": "' + FRESH[:30].encode()
    ),
    "followed by text": lambda: json.dumps(envelope({"token": FRESH})).encode() + b"<br>",
    "under another name": lambda: json.dumps(envelope({"tokens": [FRESH]})).encode(),
    "as the result": lambda: json.dumps(envelope(FRESH)).encode(),
    "as a string": lambda: json.dumps(FRESH).encode(),
    "with a wrong status": lambda: json.dumps(envelope({"token": FRESH}, status="x")).encode(),
    "with a wrong ret": lambda: json.dumps({**envelope({"token": FRESH}), "ret": "x"}).encode(),
    "with data in a list": lambda: json.dumps({"ret": 200, "data": [{"token": FRESH}]}).encode(),
    "that cannot be read": lambda: json.dumps(envelope({"token": FRESH, "x": "X"})).encode().replace(b'"X"', b"1e999"),
}


@pytest.mark.parametrize("login", LOGINS)
async def test_a_login_that_is_malformed(platform: Platform, caplog: pytest.LogCaptureFixture, login: str) -> None:
    """A malformed login answer may contain the new token, so no part of it is shown."""
    platform.answers = [LOGINS[login]()]
    async with _client(platform.url, "credentials") as client:
        failed = await _fails(client, caplog)
    assert type(failed).__name__ == "MalformedResponse"


async def test_a_refused_token(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """If a renewed token is refused too, the error shows neither of the tokens nor the key."""
    good = json.dumps(envelope({"token": TOKEN})).encode()
    fresh = json.dumps(envelope({"token": FRESH})).encode()
    platform.answers = [good, error_body(600), fresh, error_body(600)]
    async with _client(platform.url, "credentials") as client:
        await _fails(client, caplog)
    assert len(platform.forms) == 4


async def test_a_server_that_quotes_a_cookie(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """A cookie that the platform set and later quotes is not shown."""

    async def quote(request: web.Request) -> web.Response:
        said = f"no, {request.headers.get('Cookie')}: {quote_plus(request.headers.get('Cookie', ''))}"
        return web.Response(body=error_body(500, said), headers={"X-Echo": said})

    first = web.Response(body=body(record()), headers={"Set-Cookie": f"PHPSESSID={COOKIE}; HttpOnly"})
    platform.answers = [first, quote]
    async with _client(platform.url, "token") as client:
        await client.fetch_snapshot()
        failed = await _fails(client, caplog)
    assert "(the server says: no, PHPSESSID=***: PHPSESSID%3D***)" in str(failed)


@pytest.mark.parametrize("stops", ["before its answer", "in its answer"])
async def test_a_cancelled_fetch_shows_nothing(raw_server: RawServer, stops: str) -> None:
    """The traceback of a cancelled fetch has no part of the request in its variables, including cookies."""
    started = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        cookie = f"Set-Cookie: a={COOKIE}\r\n".encode()
        writer.write(raw_answer(body(record())).replace(b"\r\n", b"\r\n" + cookie, 1))
        await read_request(reader)
        if stops == "in its answer":
            writer.write(raw_answer(b"...").replace(b"\r\n", b"\r\n" + cookie, 1)[:-1])
        started.set()
        await asyncio.sleep(30)

    raw_server.connections = [silence]
    async with _client(raw_server.url, "token") as client:
        await client.fetch_snapshot()
        fetch = asyncio.create_task(client.fetch_snapshot())
        await started.wait()
        await asyncio.sleep(0.02)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await fetch
    assert leaks(everything_told_by(cancelled.value)) == []


def _frames(error: BaseException) -> list[FrameType]:
    frames: list[FrameType] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames


@pytest.mark.parametrize(
    "make",
    [
        lambda: SipQueueClient("nonsense", TOKEN),
        lambda: SipQueueClient("http://x.example", TOKEN + "\n"),
        lambda: SipQueueClient("http://x.example", TOKEN.encode()),  # type: ignore[arg-type]
        lambda: SipQueueClient("http://x.example", TOKEN, timeout=0),
        lambda: AppCredentials("", KEY),
        lambda: AppCredentials("app-1", KEY + "\n"),
        lambda: AppCredentials("app-1", KEY.encode()),  # type: ignore[arg-type]
    ],
)
def test_a_refused_argument_shows_nothing(make: Callable[[], object]) -> None:
    """If a client or credentials cannot be created, the error does not show their arguments."""
    with pytest.raises((TypeError, ValueError)) as refusal:
        make()
    assert len(_frames(refusal.value)) > 2
    assert leaks(everything_told_by(refusal.value)) == []


def test_a_url_that_is_none_is_not_quoted() -> None:
    """A password in the wrong place of a URL is not quoted."""
    with pytest.raises(ValueError, match="name a host") as refusal:
        SipQueueClient(f"app:{KEY}@platform.example", TOKEN)
    assert KEY not in str(refusal.value)


async def test_the_address_is_shown_without_its_query() -> None:
    """A key in the URL's query appears in no `repr` and no error."""
    async with SipQueueClient(f"http://127.0.0.1:1/?key={KEY}", "t0ken") as client:
        with pytest.raises(SipQueueError) as refusal:
            await client.fetch_snapshot()
    assert KEY not in repr(client) + str(refusal.value)


async def test_the_callers_own_error_keeps_its_frames() -> None:
    """An error that the caller was handling when the fetch failed is unchanged, and stays the context."""
    async with SipQueueClient("http://127.0.0.1:1/", "t0ken") as client:

        async def fetch_while_handling() -> None:
            try:
                int("the caller's")
            except ValueError:
                await client.fetch_snapshot()

        with pytest.raises(SipQueueError) as failed:
            await fetch_while_handling()
    own = failed.value.__context__
    assert isinstance(own, ValueError)
    assert own.__traceback__ is not None


def test_the_search_finds_what_there_is_to_find() -> None:
    """The search above works: it finds a piece of a secret in a text and in a local variable."""

    def fail(token: str) -> None:
        raise ValueError(f"wrong: {token[:20]}")

    with pytest.raises(ValueError) as failed:
        fail(TOKEN)
    assert len(leaks(everything_told_by(failed.value))) == 1
    assert leaks(str(failed.value)) != []
