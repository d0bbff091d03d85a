"""The wallboard's HTTP interface: access and answers."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import sipqueue_async.wallboard
from sipqueue_async import AuthError, Snapshot, StatusWatcher
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard, server
from sipqueue_async.wallboard.guard import HEADERS
from tests.kit.ports import taken_port
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

OTHER_KEY = "another key than that"
SMALL = Plan(agents=3, queues=2)
PATHS = [
    "/", "/login", "/static/main.js", "/static/icon.svg", "/api/snapshot", "/api/openapi.json", "/healthz", "/readyz",
    "/metrics", "/nowhere",
]  # fmt: skip
STREAMS = ("/events", "/api/events")


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[aiohttp.ClientSession]:
    """Serve a small call centre; yield a client."""
    async with wallboard_of(Stage(SMALL), **options) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        yield client


async def test_every_response_has_the_security_headers() -> None:
    async with served() as client:
        for path in (*PATHS, *STREAMS):
            async with client.get(path, allow_redirects=False) as answer:
                assert answer.headers.items() >= HEADERS.items()
                assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}
                assert "Server" not in answer.headers
                assert (answer.headers["Content-Type"] == "text/event-stream") == (path in STREAMS)
    policy = HEADERS["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} < set(
        policy.split("; ")
    )
    assert "unsafe" not in policy


async def test_foreign_host_names_are_refused_except_for_the_health() -> None:
    async with served(host_names=["wall.example"]) as client:
        for path in (*PATHS, *STREAMS):
            async with client.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == (200 if path in {"/healthz", "/readyz"} else 403)
                assert "Agent" not in await answer.text()
        async with client.get("/", headers={"Host": "wall.example:8443"}) as answer:
            assert answer.status == 200


async def test_without_the_key_only_the_health_and_the_login_page_are_served() -> None:
    async with served(key=KEY) as client:
        expected = {"/": 303, "/login": 200, "/static/main.js": 200, "/static/icon.svg": 200}
        expected |= {"/healthz": 200, "/readyz": 200}
        for path in (*PATHS, *STREAMS, "/static/..%2fboard.py", "/static/index.html"):
            async with client.get(path, allow_redirects=False) as answer:
                assert answer.status == expected.get(path, 404 if path.startswith("/static/") else 401)
                assert "Agent" not in await answer.text()
                assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (answer.status == 401)


async def test_programs_send_the_key_as_a_bearer_token() -> None:
    cases = {f"Bearer {KEY}": 200, f"bearer  {KEY}": 200, "Bearer wrong": 401, f"Basic {KEY}": 401, "": 401}
    async with served(key=KEY) as client:
        for authorization, status in cases.items():
            async with client.get("/api/snapshot", headers={"Authorization": authorization}) as answer:
                assert answer.status == status


async def test_the_events_key_opens_only_what_programs_read() -> None:
    """The access key opens these paths too. A wrong key stays wrong."""
    other = {"Authorization": f"Bearer {OTHER_KEY}"}
    async with served(key=KEY, events_key=OTHER_KEY) as client:
        for path in ("/api/events", "/api/snapshot", "/api/openapi.json"):
            for key, status in {KEY: 200, OTHER_KEY: 200, "wrong": 401}.items():
                async with client.get(path, headers={"Authorization": f"Bearer {key}"}) as answer:
                    assert answer.status == status, (path, key)
        for path in ("/", "/events", "/metrics"):
            async with client.get(path, headers=other, allow_redirects=False) as answer:
                assert answer.status == 403
                assert "opens only /api/events, " in await answer.text()
        async with client.post("/login", data={"key": OTHER_KEY}) as answer:
            assert answer.status == 403


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"events_key": KEY}, "an events key needs an access key beside it"),
        ({"key": KEY, "events_key": KEY}, "the events key is the access key"),
        ({"key": KEY, "events_key": "short"}, "the events key is too short"),
        ({"events_kept": 0}, "events_kept must be at least 1 update"),
    ],
)
def test_options_of_the_events_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wallboard(Stage(SMALL).watcher, **options)


PROXIED: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({"X-Forwarded-Proto": "https"}, True),
    ({"X-Forwarded-Proto": "HTTPS, http"}, True),
    ({"X-Forwarded-Proto": '"https"'}, True),
    ({"X-Forwarded-Proto": "http, https"}, False),
    ({"Forwarded": "proto=https"}, True),
    ({"Forwarded": 'for="[2001:db8::1]:80, x";Proto="HttpS";by=y, for=z;proto=http'}, True),
    ({"Forwarded": "for=x;proto=http, for=y;proto=https"}, False),
    ({"Forwarded": "for=x, for=y;proto=https"}, False),
    ({"Forwarded": 'for="proto=https"'}, False),
    ({"Forwarded": "=;", "X-Forwarded-Proto": "https"}, True),
    ({"Forwarded": "for=2001:db8::1;proto=https"}, True),
    ({"Forwarded": "for=[2001:db8::1]:443; proto = https, for=x"}, True),
    ({"Forwarded": ", ;proto=https"}, True),
    ({"Forwarded": 'for="a\\";proto=https"'}, False),
    ({"Forwarded": 'for="a;proto=https'}, False),
    ({"Forwarded": 'proto="h\\ttps"'}, True),
    ({"X-Forwarded-Proto": " , https,http"}, True),
    ({"X-Forwarded-Scheme": "https", "X-Forwarded-Ssl": "on"}, False),
]


async def test_a_correct_key_sets_a_cookie_that_scripts_cannot_read() -> None:
    """It is HttpOnly, SameSite=Strict, and Secure when the first proxy says that the browser uses HTTPS."""
    async with served(key=KEY) as client:
        for proxied, secure in PROXIED:
            async with client.post("/login?q=x", data={"key": KEY}, headers=proxied, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "./?q=x")
                (cookie,) = answer.cookies.values()
                assert cookie.key.startswith("sipqueue_wallboard_")
                assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
                assert bool(cookie["secure"]) is secure, proxied
                assert KEY not in str(answer.headers)
        async with client.post("/login", data={"key": KEY}, allow_redirects=False) as answer:
            (cookie,) = answer.cookies.values()
        known = {cookie.key: cookie.value}
        async with client.get("/api/snapshot", cookies=known) as answer:
            assert answer.status == 200
        async with client.post("/logout", cookies=known, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "login")
            assert answer.cookies[cookie.key].value == ""
        # A form on another site sends no cookie, so it cannot log a user out.
        async with client.post("/logout", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "login")
            assert not answer.cookies


async def test_wrong_keys_are_throttled_and_the_correct_key_is_not() -> None:
    async with served(key=KEY) as client:
        for status, message in [(403, "This is not the access key.")] * 5 + [
            (429, "Too many wrong keys. Try again in")
        ]:
            async with client.post("/login", data={"key": "wrong"}) as answer:
                assert answer.status == status
                assert message in await answer.text()
                assert not answer.cookies
                assert (0 < int(answer.headers.get("Retry-After", 0)) <= 60) == (status == 429)
        # Programs are throttled separately from logins in a browser.
        for status in [401] * 5 + [429]:
            async with client.get("/api/snapshot", headers={"Authorization": "Bearer wrong"}) as answer:
                assert answer.status == status
                assert ("Retry-After" in answer.headers) == (status == 429)
        async with client.get("/api/snapshot", headers={"Authorization": f"Bearer {KEY}"}) as answer:
            assert answer.status == 200
        async with client.post("/login", data={"key": KEY}, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_forms_of_other_sites_are_refused() -> None:
    cases: list[tuple[dict[str, str], int]] = [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://127.0.0.1:8443"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
    ]
    async with served(key=KEY) as client:
        for headers, status in cases:
            async with client.post("/login", data={"key": KEY}, headers=headers, allow_redirects=False) as answer:
                assert answer.status == status, headers


async def exchange(wallboard: Wallboard, request: bytes) -> bytes:
    """Send raw bytes and return the whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", wallboard.port)
    writer.write(request)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return answer


def _form(body: bytes, kind: str = "application/x-www-form-urlencoded", more: str = "") -> bytes:
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}"
    length = "" if "Transfer-Encoding" in more else f"Content-Length: {len(body)}\r\n"
    return f"{head}{length}\r\n".encode() + body


UNREADABLE = [
    _form(b"key=\xff\xfe"),
    _form(b"key=%ff"),
    _form(b"&".join([b"a=b"] * 20)),
    _form(b"xx", "multipart/form-data"),
    _form(b"--a\r\n\r\nxx", "multipart/form-data; boundary=a"),
    _form(b"xxxx", more="Content-Encoding: gzip\r\n"),
    _form(b"zz\r\n", more="Transfer-Encoding: chunked\r\n"),
    b"nothing like HTTP\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
]


async def test_unreadable_requests_are_refused_without_log_records(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The 400 has the usual headers and names no software."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        for request in UNREADABLE:
            head, _, body = (await exchange(wallboard, request)).decode().partition("\r\n\r\n")
            assert head.startswith(("HTTP/1.1 400 ", "HTTP/1.0 400 "))
            headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
            assert headers.items() >= {**HEADERS, "Cache-Control": "no-store"}.items()
            assert "Server" not in headers
            assert "aiohttp" not in body
        odd_charset = _form(b"key=x", "application/x-www-form-urlencoded; charset=nope")
        assert (await exchange(wallboard, odd_charset)).startswith(b"HTTP/1.1 403 ")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


async def test_internal_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with wallboard_of(Stage(SMALL)) as wallboard:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sipqueue_async.wallboard.api.json.dumps", lambda _: 1 // 0)
            answer = await exchange(wallboard, b"GET /api/snapshot HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 500 " in answer
    assert b"Server: " not in answer
    assert ["Error handling request" in record.message for record in caplog.records] == [True]
    caplog.clear()


async def test_the_requested_view_survives_the_login() -> None:
    views = ["queue=A%26B", "queue=A%2BB&q=%23x%25", "queue=%E9%94%80", "q=%0d%0aSet-Cookie:%20a=b"]
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        for view in views:
            query, close = view.encode(), b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert b"Location: login?" + query + b"\r\n" in await exchange(wallboard, b"GET /?" + query + close)
            form = _form(b"key=a+key+for+the+tests").replace(b"/login", b"/login?" + query)
            assert b"Location: ./?" + query + b"\r\n" in await exchange(wallboard, form)
        strange = _form(b"key=a+key+for+the+tests").replace(b"/login", b"/login?q=\xff")
        assert b" 400 " in await exchange(wallboard, strange)


async def test_a_request_without_a_host_is_refused() -> None:
    async with wallboard_of(Stage(SMALL)) as wallboard:
        assert b" 403 " in await exchange(wallboard, b"GET /api/snapshot HTTP/1.0\r\n\r\n")


async def test_two_wallboards_on_one_machine_keep_separate_logins() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        wallboard_of(Stage(SMALL), key=KEY) as first,
        wallboard_of(Stage(SMALL), key=OTHER_KEY) as second,
        aiohttp.ClientSession(cookie_jar=jar) as client,
    ):
        for wallboard, key in ((first, KEY), (second, OTHER_KEY)):
            async with client.post(f"{wallboard.url}login", data={"key": key}) as answer:
                assert answer.status == 200
        for wallboard in (first, second):
            async with client.get(f"{wallboard.url}api/snapshot") as answer:
                assert answer.status == 200


async def test_a_form_that_does_not_arrive_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        reader, writer = await asyncio.open_connection("127.0.0.1", wallboard.port)
        writer.write(_form(b"key=" + b"x" * 100)[:-50])
        async with asyncio.timeout(60):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_forms_without_a_key_or_too_large_are_refused() -> None:
    cases: list[tuple[dict[str, str], int]] = [
        ({}, 403), ({"other": "x"}, 403), ({"key": ""}, 403), ({"key": "x" * 10_000}, 413),
    ]  # fmt: skip
    async with served(key=KEY) as client:
        for form, status in cases:
            async with client.post("/login", data=form) as answer:
                assert answer.status == status


async def test_without_a_key_login_and_logout_lead_to_the_wallboard_and_set_no_cookie() -> None:
    async with served() as client:
        async with client.get("/login?q=x", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./?q=x")
        async with client.post("/login", data={"key": "x"}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./")
        async with client.post("/logout", allow_redirects=False) as answer:
            assert (answer.status, dict(answer.cookies)) == (303, {})
        async with client.get("/") as answer:
            assert "Log out" not in await answer.text()


def test_a_public_address_requires_a_key() -> None:
    watcher = Stage(SMALL).watcher
    with pytest.raises(ValueError, match="so an access key is required"):
        Wallboard(watcher, host="0.0.0.0")
    assert repr(Wallboard(watcher, host="0.0.0.0", key=KEY)) == "<Wallboard on 0.0.0.0 port 0>"


async def test_files_are_revalidated_by_etag() -> None:
    async with served() as client:
        async with client.get("/static/main.js") as answer:
            assert answer.content_type == "text/javascript"
            tag = answer.headers["ETag"]
        async with client.get("/static/main.js", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with client.get("/static/main.js", headers={"If-None-Match": '"other"'}) as answer:
            assert answer.status == 200


def test_the_static_files_obey_the_content_security_policy() -> None:
    static = Path(sipqueue_async.wallboard.__file__).parent / "static"
    page = (static / "index.html").read_text()
    assert {path.suffix for path in static.iterdir()} == {".html", ".js", ".css", ".svg"}
    for path in static.glob("*.html"):
        assert " style=" not in path.read_text()
        assert "<style" not in path.read_text()
        # Absolute paths would not work behind a proxy that adds a path prefix.
        assert not re.search(r'(src|href|action)="/', path.read_text())
    assert page.count("<script") == 2
    # The words are data, which browsers do not run.
    for script in (
        '<script type="module" src="static/main.js"></script>',
        '<script id="words" type="application/json">',
    ):
        assert page.count(script) == 1
    assert all("innerHTML" not in path.read_text() for path in static.glob("*.js"))


async def test_the_snapshot_has_the_watchers_agents_and_counts() -> None:
    stage = Stage(Plan.lively())
    async with wallboard_of(stage) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        await stage.play(60)
        known = stage.watcher.snapshot
        assert known is not None
        async with client.get("/api/snapshot") as answer:
            assert answer.content_type == "application/json"
            told = await answer.json()
        assert told["v"] == 1
        assert (told["fresh"], told["feed_down"]) == (True, None)
        assert told["observed_at"] == stage.now().isoformat()
        assert {(it["queue"], it["extension"]): it["state"] for it in told["seats"]} == {
            tuple(key): seat.state for key, seat in known.items()
        }
        for state, number in known.counts().items():
            assert told["total"][state] == number
        assert told["queues"]["queue-1"]["signed_in"] == len(known.queues["queue-1"])
        assert told["total"]["calls_answered"] == stage.centre.truth.answered(0, stage.centre.now) > 0
        await stage.fail("away")
        async with client.get("/api/snapshot") as answer:
            told = await answer.json()
        assert told["feed_down"] == {"since": stage.now().isoformat(), "error": "away"}


async def test_the_process_is_alive_whatever_the_feed_does_and_ready_once_the_status_is_known() -> None:
    """An outage leaves it ready, because a restart does not end one; ``?fresh`` asks for a recent status too."""
    stage = Stage(SMALL)
    async with wallboard_of(stage, key=KEY) as wallboard, aiohttp.ClientSession() as client:
        assert await _health(client, wallboard, "readyz?fresh") == (200, "ready\n")
        await stage.fail("a short outage is tolerated")
        assert await _health(client, wallboard, "readyz?fresh") == (200, "ready\n")
        async with Wallboard(stage.watcher, stale_after=0.0) as strict:
            await stage.recover()
            assert await _health(client, strict, "readyz?fresh") == (503, "not ready: the status is stale\n")
            assert await _health(client, strict, "readyz") == (200, "ready\n")
    never = Stage(SMALL)
    async with Wallboard(never.watcher) as wallboard, aiohttp.ClientSession() as client:
        assert await _health(client, wallboard, "readyz") == (503, "not ready: the status is not known yet\n")
        async with never.watcher:
            await never.fail("no route")
            assert await _health(client, wallboard, "readyz") == (
                503,
                "not ready: the status is not known yet: no route\n",
            )
        assert (await _health(client, wallboard, "readyz"))[1].startswith("not ready: the feed has ended")
        assert await _health(client, wallboard, "healthz") == (200, "alive\n")


async def _health(client: aiohttp.ClientSession, wallboard: Wallboard, path: str) -> tuple[int, str]:
    async with client.get(f"{wallboard.url}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=abc"])
async def test_metrics_are_served(accept: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Accept": accept}
    async with served(key=KEY) as client, client.get("/metrics", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert 'sipqueue_agents{queue="queue-1",state="waiting"} 2.0' in await answer.text()


async def test_without_the_extra_metrics_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sipqueue_async.prometheus", None)
    async with served() as client, client.get("/metrics") as answer:
        assert answer.status == 501
        assert "pip install 'sipqueue_async[prometheus]'" in await answer.text()


async def test_it_ends_with_the_watcher_and_its_error() -> None:
    stage = Stage(SMALL)

    async def refuse() -> Snapshot:
        raise AuthError(601, "no")

    async with Wallboard(StatusWatcher(refuse)) as idle:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(idle.wait(), 0.05)
    watcher = StatusWatcher(refuse)
    async with Wallboard(watcher) as wallboard, watcher:
        with pytest.raises(AuthError):
            await asyncio.wait_for(wallboard.wait(), 60)
    async with Wallboard(stage.watcher) as wallboard:
        async with stage.watcher:
            await stage.watcher.ready()
        await asyncio.wait_for(wallboard.wait(), 60)


async def test_it_can_be_started_once() -> None:
    wallboard = Wallboard(Stage(SMALL).watcher)
    await wallboard.stop()
    with pytest.raises(RuntimeError, match="is not running"):
        await wallboard.wait()
    async with wallboard:
        with pytest.raises(RuntimeError, match="can be started once"):
            await wallboard.start()


async def test_a_port_in_use_raises_oserror() -> None:
    with taken_port() as port:
        wallboard = Wallboard(Stage(SMALL).watcher, port=port)
        with pytest.raises(OSError, match="address already in use"):
            await wallboard.start()
        await wallboard.stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
async def test_it_listens_on_ipv6() -> None:
    async with wallboard_of(Stage(SMALL), host="::1") as wallboard, aiohttp.ClientSession() as client:
        assert wallboard.url == f"http://[::1]:{wallboard.port}/"
        async with client.get(wallboard.url) as answer:
            assert answer.status == 200


async def test_stop_ends_every_stream_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_GRACE", 300.0)
    async with aiohttp.ClientSession() as client, wallboard_of(Stage(SMALL)) as wallboard:
        streams = [await client.get(f"{wallboard.url}events") for _ in range(5)]
        for stream in streams:
            assert (await stream.content.readline()).startswith(b"event")
        await asyncio.wait_for(wallboard.stop(), 60)
        for stream in streams:
            assert b"event: board" in await stream.read()
