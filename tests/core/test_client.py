"""The client against a platform: its requests, its results, and how it gets its token."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sipqueue_async import (
    AgentState,
    ApiError,
    AppCredentials,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueClient,
    TransportError,
)
from sipqueue_async._wire import Service, Settings, decode_data
from tests.kit.builders import body, envelope, error_body, failure_body, record
from tests.kit.servers import Platform

CREDENTIALS = AppCredentials("app-1", "accesskey-1")


def login_body(token: str) -> bytes:
    """Return the body of the answer to a login."""
    return json.dumps(envelope({"token": token, "companycode": "c"})).encode()


# ---- requests --------------------------------------------------------------------------------------------------------


async def test_the_request_is_the_references(platform: Platform) -> None:
    """A poll is one urlencoded POST with service and token and nothing else, which requests all agents."""
    async with SipQueueClient(platform.url, "t/0+k=&n") as client:
        await client.fetch_snapshot()
    (request,) = platform.requests
    assert (request.method, request.path_qs) == ("POST", "/api")
    assert request.content_type == "application/x-www-form-urlencoded"
    assert platform.forms == [{"service": "App.Sip_Queue.GetQueueSipStatus", "token": "t/0+k=&n"}]


@pytest.mark.parametrize(
    ("filters", "fields"),
    [
        ({"queue": "销售 & co"}, {"queuename": "销售 & co"}),
        ({"extension": "007"}, {"extnumber": "007"}),
        ({"state": AgentState.IDLE}, {"state": "1"}),
        ({"state": AgentState.WAITING}, {"state": "2"}),
        ({"state": AgentState.RECEIVING}, {"state": "3"}),
        ({"state": "talking"}, {"state": "4"}),
        ({"queue": "q", "extension": "1"}, {"queuename": "q", "extnumber": "1"}),
    ],
)
async def test_filters_are_sent(platform: Platform, filters: dict[str, Any], fields: dict[str, str]) -> None:
    """Filters are sent with the names and codes of the platform's reference."""
    async with SipQueueClient(platform.url, "t0ken") as client:
        await client.fetch_snapshot(**filters)
    (form,) = platform.forms
    assert {name: value for name, value in form.items() if name not in {"service", "token"}} == fields


async def test_an_unsupported_filter_is_refused_before_any_request(platform: Platform) -> None:
    """A filter that the platform does not support is a ValueError before any request, even a login."""
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        wrong: list[dict[str, Any]] = [{"queue": ""}, {"extension": ""}, {"state": "paused"}, {"state": "asleep"}]
        for filters in wrong:
            with pytest.raises(ValueError):
                await client.fetch_snapshot(**filters)
    assert platform.forms == []


async def test_call_asks_any_service(platform: Platform) -> None:
    """`call` sends the fields unchanged, omits None, and returns the answer's `data`."""
    platform.answers = [json.dumps(envelope({"a": [1]})).encode()]
    async with SipQueueClient(platform.url, "t0ken") as client:
        data = await client.call("App.Sip_Other.Do", number=5, text="x y", nothing=None)
    assert data["result"] == {"a": [1]}
    assert platform.forms == [{"service": "App.Sip_Other.Do", "token": "t0ken", "number": "5", "text": "x y"}]


async def test_call_refuses_what_makes_no_sense(platform: Platform) -> None:
    """`call` without a service, or with a field for the token, is a ValueError and sends no request."""
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(ValueError, match="service is empty"):
            await client.call("")
        with pytest.raises(ValueError, match="adds the token by itself"):
            await client.call("App.Sip_Other.Do", token="other")
    assert platform.forms == []


# ---- snapshots -------------------------------------------------------------------------------------------------------


async def test_a_snapshot_says_when_it_was_observed(platform: Platform) -> None:
    """`observed_at` is aware UTC and `steady_at` the loop's time, both from when the answer arrived."""
    async with SipQueueClient(platform.url, "t0ken") as client:
        before, steady_before = datetime.now(UTC), asyncio.get_running_loop().time()
        shown = await client.fetch_snapshot()
    assert before <= shown.observed_at <= datetime.now(UTC)
    assert shown.steady_at is not None
    assert steady_before <= shown.steady_at <= asyncio.get_running_loop().time()
    assert shown.observed_at.tzinfo is UTC
    assert shown.server_time == datetime(2020, 2, 12, 6, 25, 46, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", timezone(timedelta(hours=8))])
async def test_timezone_and_codes_reach_the_decoder(platform: Platform, zone: Any) -> None:
    """`timezone` makes times aware, and `state_codes` adds codes."""
    platform.answers = [body(record(state=1299))]
    async with SipQueueClient(platform.url, "t0ken", timezone=zone, state_codes={1299: AgentState.PAUSED}) as client:
        (agent,) = (await client.fetch_snapshot()).values()
    assert agent.last_answered_at == datetime(2020, 2, 5, 13, 3, 36, tzinfo=UTC)
    assert agent.state is AgentState.PAUSED


async def test_unchanged_records_are_shared_by_filters(platform: Platform) -> None:
    """Each set of filters has its own decoder memory; the client keeps the 64 most recently used ones."""
    platform.answers = [body(record())]
    async with SipQueueClient(platform.url, "t0ken") as client:

        async def fetch(queue: str | None) -> Any:
            (agent,) = (await client.fetch_snapshot(queue=queue)).values()
            return agent

        first = {name: await fetch(name) for name in [None, *map(str, range(63))]}
        assert len({id(agent) for agent in first.values()}) == 64
        assert await fetch(None) is first[None]
        await fetch("one more")
        assert await fetch(None) is first[None]
        assert await fetch("1") is first["1"]
        assert await fetch("0") is not first["0"]


async def test_many_single_extensions_do_not_push_out_the_memory_of_the_whole(platform: Platform) -> None:
    platform.answers = [body(record())]
    async with SipQueueClient(platform.url, "t0ken") as client:
        first = await client.fetch_snapshot()
        for number in range(70):
            await client.fetch_snapshot(extension=f"{number}")
        (agent,) = (await client.fetch_snapshot()).values()
        assert agent is first[agent.key]


class _QueueNames:
    """Decodes a list of queues, and counts the answers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.answers = 0

    def decode(self, body: bytes, *, encoding: str = "utf-8", **when: Any) -> tuple[int, list[str]]:
        self.answers += 1
        assert when.keys() == {"observed_at", "steady_at"}
        return self.answers, [queue["queuename"] for queue in decode_data(body, encoding)["result"]]


async def test_another_service_needs_no_more_than_a_decoder(platform: Platform) -> None:
    """To support another service, a name, fields and a decoder suffice; login, errors and memory are shared."""
    queue_list = Service("App.Sip_Queue.GetQueueList", _QueueNames)
    platform.answers = [login_body("t1"), json.dumps(envelope([{"queuename": "sales"}])).encode()]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        assert await client._fetch(queue_list, {}) == (1, ["sales"])
        assert await client._fetch(queue_list, {}) == (2, ["sales"])
        assert await client._fetch(queue_list, {"queuename": "sales"}) == (1, ["sales"])
        platform.answers = [error_body(500)]
        with pytest.raises(ApiError, match="GetQueueList at http"):
            await client._fetch(queue_list, {})
    assert platform.forms[3] == {"service": "App.Sip_Queue.GetQueueList", "token": "t1", "queuename": "sales"}


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("application/json; charset=GBK", None), ("text/html", "gbk"), ("text/html;charset=hex", "gbk")],
)
async def test_gbk(platform: Platform, content_type: str, encoding: str | None) -> None:
    """Names in GBK are decoded if the Content-Type or the caller declares GBK."""
    raw = json.dumps(envelope([record(seatsname="张三")]), ensure_ascii=False).encode("gbk")
    platform.answers = [web.Response(body=raw, headers={"Content-Type": content_type})]
    async with SipQueueClient(platform.url, "t0ken", encoding=encoding) as client:
        (agent,) = (await client.fetch_snapshot()).values()
    assert agent.name == "张三"


async def test_a_refused_login_in_gbk_is_readable(platform: Platform) -> None:
    """The error of a refused login decodes the platform's message in the declared encoding."""
    platform.answers = [json.dumps({"ret": 601, "msg": "未授权"}, ensure_ascii=False).encode("gbk")]
    async with SipQueueClient(platform.url, CREDENTIALS, encoding="gbk") as client:
        with pytest.raises(AuthError, match="未授权"):
            await client.fetch_snapshot()


# ---- tokens ----------------------------------------------------------------------------------------------------------


async def test_credentials_log_in_when_needed(platform: Platform) -> None:
    """The first call logs in with appid and accesskey; the next ones use the token."""
    platform.answers = [login_body("t1"), body(record())]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        await client.fetch_snapshot()
        await client.call("App.Sip_Other.Do")
    assert platform.forms[0] == {"service": "App.Sip_Auth.Login", "appid": "app-1", "accesskey": "accesskey-1"}
    assert platform.services == ["Login", "GetQueueSipStatus", "Do"]
    assert [form["token"] for form in platform.forms[1:]] == ["t1", "t1"]


async def test_a_dead_token_costs_one_login_and_one_repeat(platform: Platform) -> None:
    """A token refused with 600 is renewed, and the request repeated once, in `call` too: it had no effect before."""
    platform.answers = [login_body("t1"), error_body(600), login_body("t2"), body(record())]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        assert len(await client.fetch_snapshot()) == 1
        platform.answers = [error_body(600), login_body("t3"), body()]
        await client.call("App.Sip_Other.Do")
    assert platform.services == ["Login", "GetQueueSipStatus"] * 2 + ["Do", "Login", "Do"]
    assert [form["token"] for form in platform.forms if "token" in form] == ["t1", "t2", "t2", "t3"]


async def test_a_fresh_token_that_is_refused_is_the_servers_trouble(platform: Platform) -> None:
    """A 600 straight after a login is a retryable AuthError, without a third attempt."""
    platform.answers = [login_body("t1"), error_body(600, "dead"), login_body("t2"), error_body(600, "dead")]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        with pytest.raises(AuthError, match="refuses a fresh token") as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.ret, refusal.value.msg, refusal.value.retryable) == (600, "dead", True)
    assert str(refusal.value).endswith(f" (App.Sip_Queue.GetQueueSipStatus at {platform.url})")
    assert len(platform.forms) == 4


async def test_the_second_refusal_is_raised_even_if_it_is_another_one(platform: Platform) -> None:
    """The answer to the repeated request counts, even if it is another refusal."""
    platform.answers = [login_body("t1"), error_body(600), login_body("t2"), error_body(603)]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        with pytest.raises(AuthError, match="not licensed") as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.ret, refusal.value.retryable) == (603, False)


async def test_a_ready_token_cannot_be_renewed(platform: Platform) -> None:
    """If a plain token is refused, the error is a final AuthError after one request."""
    platform.answers = [error_body(600)]
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(AuthError, match="a ready token cannot be renewed") as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.ret, refusal.value.retryable) == (600, False)
    assert "(App.Sip_Queue.GetQueueSipStatus at http://127.0.0.1" in str(refusal.value)
    assert len(platform.forms) == 1


async def test_a_token_that_is_a_word_of_the_protocol_changes_no_error(platform: Platform) -> None:
    """Redaction leaves an error's type and codes unchanged, even if the token is a word of the protocol."""
    platform.answers = [error_body(600)]
    async with SipQueueClient(platform.url, "600") as client:
        with pytest.raises(AuthError) as refusal:
            await client.fetch_snapshot()
    assert refusal.value.ret == 600
    platform.answers = [b'{"ret": 200, "data": {"status": 1}}']
    async with SipQueueClient(platform.url, '"status": 1') as client:
        with pytest.raises(OperationFailed):
            await client.fetch_snapshot()


@pytest.mark.parametrize("ret", [601, 602, 603, 604])
@pytest.mark.parametrize("at_login", [False, True])
async def test_refused_authorization_is_final(platform: Platform, ret: int, at_login: bool) -> None:
    """601 to 604 are an AuthError at once, during the login and after it, without another attempt."""
    platform.answers = [error_body(ret, "no")] if at_login else [login_body("t1"), error_body(ret, "no")]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        with pytest.raises(AuthError) as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.ret, refusal.value.msg, refusal.value.retryable) == (ret, "no", False)
    assert len(platform.forms) == (1 if at_login else 2)


@pytest.mark.parametrize(
    ("answer", "ret"),
    [
        (error_body(400, "no"), 400),
        (error_body(600, "no"), 600),
        (failure_body(1003, "no"), 200),
        (failure_body("x", "no"), 200),
    ],
)
async def test_a_refused_login_is_an_auth_error(platform: Platform, answer: bytes, ret: int) -> None:
    """Any refusal of a login is a final AuthError that says what to check and where."""
    platform.answers = [answer]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        with pytest.raises(AuthError, match="check the appid and the accesskey") as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.ret, refusal.value.msg, refusal.value.retryable) == (ret, "no", False)
    assert str(refusal.value).endswith(f" (App.Sip_Auth.Login at {platform.url})")
    assert platform.services == ["Login"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error_body(500), ApiError),
        (failure_body(1001), OperationFailed),
        (web.Response(status=503), HttpStatusError),
        (b"<html>", MalformedResponse),
        (body(), MalformedResponse),
    ],
)
async def test_a_login_that_only_failed_may_work_later(platform: Platform, answer: Any, kind: type[Exception]) -> None:
    """If a login fails for the server's reasons, the error is retryable, and the next call logs in again."""
    platform.answers = [answer]
    async with SipQueueClient(platform.url, CREDENTIALS) as client:
        with pytest.raises(kind) as failure:
            await client.fetch_snapshot()
        assert type(failure.value) is kind
        assert getattr(failure.value, "retryable", None) is True
        platform.answers = [login_body("t1"), body(record())]
        assert len(await client.fetch_snapshot()) == 1


async def test_a_function_gives_tokens(platform: Platform) -> None:
    """A token function is called when a token is needed and again after a refusal, not for every request."""
    asked = 0

    async def provide() -> str:
        nonlocal asked
        asked += 1
        return f"t{asked}"

    platform.answers = [body(), body(), error_body(600), body()]
    async with SipQueueClient(platform.url, provide) as client:
        for _ in range(4):
            await client.fetch_snapshot()
    assert [form["token"] for form in platform.forms] == ["t1", "t1", "t1", "t2", "t2"]


@pytest.mark.parametrize(
    ("token", "kind"), [(None, TypeError), (b"t", TypeError), (5, TypeError), ("", ValueError), ("a\nb", ValueError)]
)
async def test_a_function_that_gives_no_token(platform: Platform, token: Any, kind: type[Exception]) -> None:
    """If a function returns a value that cannot be a token, that is a program error, and nothing is sent."""

    async def provide() -> Any:
        return token

    async with SipQueueClient(platform.url, provide) as client:
        with pytest.raises(kind, match="the token that the auth function gave"):
            await client.fetch_snapshot()
    assert platform.forms == []


async def test_a_functions_own_error_comes_out(platform: Platform) -> None:
    """An exception of the function reaches the caller; one of this library also names the function."""
    errors: list[Exception] = [KeyError("vault"), TransportError("vault is away")]

    async def provide() -> str:
        if len(errors) == 2 and not platform.forms:
            return "t1"
        raise errors[0]

    platform.answers = [error_body(600)]
    async with SipQueueClient(platform.url, provide) as client:
        with pytest.raises(KeyError, match="vault"):
            await client.fetch_snapshot()
        del errors[0]
        with pytest.raises(TransportError, match="vault is away"):
            await client.fetch_snapshot()

    async def provide_once() -> str:
        if len(platform.forms) == 1:
            return "t1"
        raise TransportError("vault is away")

    async with SipQueueClient(platform.url, provide_once) as client:
        with pytest.raises(TransportError, match=rf"^vault is away \(.*GetQueueSipStatus at {platform.url}\)$"):
            await client.fetch_snapshot()


# ---- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504])
async def test_an_http_status_that_is_not_2xx(platform: Platform, status: int) -> None:
    """Any HTTP status but 2xx is an HttpStatusError, no matter what the body contains."""
    platform.answers = [web.Response(status=status, body=None if status == 304 else body())]
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(HttpStatusError) as refusal:
            await client.fetch_snapshot()
    assert (refusal.value.status, refusal.value.retry_after, refusal.value.location) == (status, None, None)
    assert refusal.value.retryable == (status >= 500 or status in {408, 425, 429})
    assert str(refusal.value).startswith(f"HTTP {status}")
    assert str(refusal.value).endswith(f" (App.Sip_Queue.GetQueueSipStatus at {platform.url})")
    assert len(platform.forms) == 1


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("%a, %d %b %Y %H:%M:%S GMT", 3500, 3601),
        ("%a, %d %b %Y %H:%M:%S -0000", 3500, 3601),
    ],
)
async def test_retry_after(platform: Platform, header: str, least: float, most: float) -> None:
    """`Retry-After` may be seconds or a date; a date in the past means now."""
    if header.startswith("%"):
        header = f"{datetime.now(UTC) + timedelta(hours=1):{header}}"
    platform.answers = [web.Response(status=503, headers={"Retry-After": header})]
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(HttpStatusError, match="try again in") as refusal:
            await client.fetch_snapshot()
    assert refusal.value.retry_after is not None
    assert least <= refusal.value.retry_after <= most


@pytest.mark.parametrize(
    "header", ["", "soon", "-5", "1.5", "²", "Wed, 99 Oct 2015 07:28:00 GMT", "Mon, 01 Jan 2024 00:00:00 +99999"]
)
async def test_a_retry_after_that_makes_no_sense(platform: Platform, header: str) -> None:
    """An invalid `Retry-After` is ignored."""
    platform.answers = [web.Response(status=503, headers={"Retry-After": header})]
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(HttpStatusError) as refusal:
            await client.fetch_snapshot()
    assert refusal.value.retry_after is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(platform: Platform, status: int) -> None:
    """A redirect is an error that names its target. It is not followed, so the other host does not get the token."""
    other = Platform()
    await other.start()
    elsewhere = other.url
    platform.answers = [web.Response(status=status, headers={"Location": elsewhere})]
    async with SipQueueClient(platform.url, "t0ken") as client:
        with pytest.raises(HttpStatusError, match="redirects are not followed") as refusal:
            await client.fetch_snapshot()
    await other.stop()
    assert (refusal.value.status, refusal.value.location) == (status, elsewhere)
    assert other.requests == []


# ---- closing and arguments -------------------------------------------------------------------------------------------


async def test_the_callers_session_is_used_and_left_open(platform: Platform) -> None:
    """The caller's session sends the requests whatever its settings, and is never closed."""
    platform.answers = [body(), web.Response(status=503)]
    async with aiohttp.ClientSession(headers={"X-Own": "1"}, raise_for_status=True) as session:
        async with SipQueueClient(platform.url, "t0ken", session=session) as client:
            await client.fetch_snapshot()
            with pytest.raises(HttpStatusError):
                await client.fetch_snapshot()
        assert not session.closed
        with pytest.raises(RuntimeError, match="cannot be used any more"):
            await client.fetch_snapshot()
    assert [request.headers["X-Own"] for request in platform.requests] == ["1", "1"]


async def test_a_closed_client_is_closed(platform: Platform) -> None:
    """Closing closes the client's own session; it may be repeated, needs no earlier request, and is final."""
    client = SipQueueClient(platform.url, "t0ken")
    assert repr(client) == f"<SipQueueClient of {platform.url}>"
    await client.fetch_snapshot()
    await client.aclose()
    await client.aclose()
    assert repr(client) == f"<SipQueueClient of {platform.url}, closed>"
    with pytest.raises(RuntimeError, match="cannot be used any more"):
        await client.fetch_snapshot()
    with pytest.raises(RuntimeError, match="cannot be used any more"):
        await client.call("App.Sip_Other.Do")
    async with SipQueueClient(platform.url, "t0ken"):
        pass
    assert len(platform.forms) == 1


def _wrong(name: str, words: str, *values: Any, kind: type[Exception] = ValueError) -> list[tuple[Any, ...]]:
    return [({name: value}, kind, words) for value in values]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        *_wrong("base_url", "base_url", "", "platform.example", "ftp://x.example/", "http://"),
        *_wrong("base_url", "base_url must be a string, not", None, 5, kind=TypeError),
        *_wrong("session", "session must be an aiohttp.ClientSession, not int", 5, kind=TypeError),
        *_wrong("base_url", "base_url", "http://x.example:99999/", "http:///path"),
        *_wrong("base_url", "must not hold a user", "http://u:hidden@x.example/", "ftp://u:hidden@x.example/"),
        *_wrong("auth", "the token is empty", "", " "),
        *_wrong("auth", "the token has characters", "hidden\n", "hiddén"),
        *_wrong("auth", "the token must be a string", b"hidden", kind=TypeError),
        *_wrong("auth", "auth must be a token", None, 5, kind=TypeError),
        *_wrong("timeout", "timeout must be above 0", 0, -1, float("nan")),
        *_wrong("timeout", "timeout must be a number of seconds, not '10'", "10", kind=TypeError),
        *_wrong("max_body", "max_body must be at least 1", 0, -1),
        *_wrong("timezone", "not the name of a time zone", "", "Mars/Base", "../x", "/etc", "x\0y", "Asia"),
        *_wrong("timezone", "timezone must be a tzinfo or a name", 8, kind=TypeError),
        *_wrong("state_codes", "asleep", {1299: "asleep"}),
        *_wrong("state_codes", "must be an integer", {"1299": "idle"}, kind=TypeError),
        *_wrong("encoding", "not a text encoding", "", "klingon", "hex", "idna", "undefined"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    """The constructor refuses an invalid argument by name, without showing a secret."""
    every: dict[str, Any] = {"base_url": "http://x.example/", "auth": "t0ken", **arguments}
    with pytest.raises(kind, match=words) as refusal:
        SipQueueClient(**every)
    assert "hidden" not in str(refusal.value)
