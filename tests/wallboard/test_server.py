"""What the server of the wallboard answers, and to whom."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

import sipqueue_async.wallboard
from sipqueue_async import AuthError, Snapshot, StatusWatcher
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard, server
from sipqueue_async.wallboard.guard import HEADERS
from tests.kit.wallboard_stage import Stage, wallboard_of

KEY = "a key for the tests"
SMALL = Plan(agents=3, queues=2)
PATHS = ["/", "/login", "/static/main.js", "/static/icon.svg", "/api/snapshot", "/healthz", "/metrics", "/nowhere"]


async def test_every_answer_has_the_headers_that_browsers_heed() -> None:
    """A page in a frame, a script from elsewhere, or a cached list of names."""
    async with wallboard_of(Stage(SMALL)) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        for path in PATHS:
            async with client.get(path, allow_redirects=False) as answer:
                policy = answer.headers["Content-Security-Policy"].split("; ")
                assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} < set(
                    policy
                )
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "same-origin"
                assert answer.headers["X-Frame-Options"] == "DENY"
                assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}
                assert "Server" not in answer.headers
        async with client.get("/events") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_foreign_name_is_refused_but_for_the_health() -> None:
    """A page from elsewhere, whose name was made to lead here, reads who works in the call centre."""
    async with (
        wallboard_of(Stage(SMALL), host_names=["wall.example"]) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
    ):
        for path in (*PATHS, "/events"):
            async with client.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == (200 if path == "/healthz" else 403)
                assert "Agent" not in await answer.text()
        async with client.get("/", headers={"Host": "wall.example:8443"}) as answer:
            assert answer.status == 200


async def test_without_the_key_there_is_the_health_and_the_login_alone() -> None:
    """Something can be seen without the key."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        expected = {"/": 303, "/login": 200, "/static/main.js": 200, "/static/icon.svg": 200, "/healthz": 200}
        for path in (*PATHS, "/events", "/static/..%2fboard.py", "/static/index.html"):
            async with client.get(path, allow_redirects=False) as answer:
                assert answer.status == expected.get(path, 404 if path.startswith("/static/") else 401)
                assert "Agent" not in await answer.text()
                assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (answer.status == 401)


async def test_the_key_is_taken_from_programs_too() -> None:
    """Prometheus, or a script, cannot get at what it is to read."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        for authorization, status in (
            (f"Bearer {KEY}", 200),
            (f"bearer  {KEY}", 200),
            ("Bearer wrong", 401),
            (f"Basic {KEY}", 401),
            ("", 401),
        ):
            async with client.get("/api/snapshot", headers={"Authorization": authorization}) as answer:
                assert answer.status == status


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
    ({"X-Forwarded-Scheme": "https", "X-Forwarded-Ssl": "on"}, False),
]


async def test_a_right_key_becomes_a_cookie_that_scripts_cannot_read() -> None:
    """The cookie is HttpOnly and SameSite=Strict, and Secure when the first proxy says that the browser uses HTTPS."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        for proxied, secure in PROXIED:
            async with client.post("/login?q=x", data={"key": KEY}, headers=proxied, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "./?q=x")
                (cookie,) = answer.cookies.values()
                assert cookie.key.startswith("sipqueue_wallboard_")
                assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
                assert bool(cookie["secure"]) is secure, proxied
                assert KEY not in str(answer.headers)
            async with client.get("/api/snapshot", cookies={cookie.key: cookie.value}) as answer:
                assert answer.status == 200
        known = {cookie.key: cookie.value}
        async with client.post("/logout", cookies=known, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "login")
            assert answer.cookies[cookie.key].value == ""
        # Nobody else, such as a form of another site, which has no cookie to send, can log a screen out.
        async with client.post("/logout", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "login")
            assert not answer.cookies


async def test_wrong_keys_keep_nobody_waiting_who_has_the_right_one() -> None:
    """Anybody locks everybody out by a few wrong keys, or tries one after the other without being told to wait."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        for _ in range(5):
            async with client.post("/login", data={"key": "wrong"}) as answer:
                assert answer.status == 403
                assert "This is not the access key." in await answer.text()
        async with client.post("/login", data={"key": "wrong"}) as answer:
            assert answer.status == 429
            assert 50 < int(answer.headers["Retry-After"]) <= 60
            assert "Too many wrong keys. Try again in" in await answer.text()
            assert not answer.cookies
        # A program with an old key is another matter.
        for status in [401] * 5 + [429]:
            async with client.get("/api/snapshot", headers={"Authorization": "Bearer wrong"}) as answer:
                assert answer.status == status
                assert ("Retry-After" in answer.headers) == (status == 429)
        async with client.get("/api/snapshot", headers={"Authorization": f"Bearer {KEY}"}) as answer:
            assert answer.status == 200
        async with client.post("/login", data={"key": KEY}, allow_redirects=False) as answer:
            assert answer.status == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://127.0.0.1:8443"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
    ],
)
async def test_a_form_of_another_site_is_refused(headers: dict[str, str], status: int) -> None:
    """A page elsewhere has its visitors' browsers try keys, or log in."""
    async with (
        wallboard_of(Stage(SMALL), key=KEY) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
        client.post("/login", data={"key": KEY}, headers=headers, allow_redirects=False) as answer,
    ):
        assert answer.status == status


async def exchange(wallboard: Wallboard, request: bytes) -> bytes:
    """Send bytes, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", wallboard.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def _form(body: bytes, kind: str = "application/x-www-form-urlencoded", more: str = "") -> bytes:
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}"
    length = "" if "Transfer-Encoding" in more else f"Content-Length: {len(body)}\r\n"
    return f"{head}{length}\r\n".encode() + body


@pytest.mark.parametrize(
    "request_bytes",
    [
        _form(b"key=\xff\xfe"),
        _form(b"key=%ff"),
        _form(b"&".join([b"a=b"] * 20)),
        _form(b"xx", "multipart/form-data"),
        _form(b"--a\r\n\r\nxx", "multipart/form-data; boundary=a"),
        _form(b"xxxx", more="Content-Encoding: gzip\r\n"),
        _form(b"zz\r\n", more="Transfer-Encoding: chunked\r\n"),
        b"nothing like HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_what_cannot_be_read_is_refused_quietly(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody without a key gets internal errors, and fills a disk with tracebacks."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        answer = await exchange(wallboard, request_bytes)
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.startswith(("HTTP/1.1 400 ", "HTTP/1.0 400 "))
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert headers.items() >= {**HEADERS, "Cache-Control": "no-store"}.items()
    assert "Server" not in headers
    assert "aiohttp" not in body
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


async def test_an_unknown_charset_of_a_form_does_no_harm() -> None:
    """A form whose charset nobody knows is an internal error."""
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        answer = await exchange(wallboard, _form(b"key=x", "application/x-www-form-urlencoded; charset=nope"))
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_mistakes_of_ours_are_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With the noise, what is really wrong is hidden too."""
    stage = Stage(SMALL)
    async with wallboard_of(stage) as wallboard:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sipqueue_async.wallboard.api.json.dumps", lambda _: 1 // 0)
            answer = await exchange(wallboard, b"GET /api/snapshot HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 500 " in answer
    assert ["Error handling request" in record.message for record in caplog.records] == [True]
    caplog.clear()


async def test_the_view_that_was_asked_for_outlives_the_login() -> None:
    """Who logs in sees another queue than the one of the bookmark, or nothing at all."""
    views = ["queue=A%26B", "queue=A%2BB&q=%23x%25", "queue=%E9%94%80", "q=%0d%0aSet-Cookie:%20a=b"]
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        for view in views:
            query, close = view.encode(), b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert b"Location: login?" + query + b"\r\n" in await exchange(wallboard, b"GET /?" + query + close)
            form = _form(b"key=a+key+for+the+tests").replace(b"/login", b"/login?" + query)
            assert b"Location: ./?" + query + b"\r\n" in await exchange(wallboard, form)
        strange = _form(b"key=a+key+for+the+tests").replace(b"/login", b"/login?q=\xff")
        assert b" 400 " in await exchange(wallboard, strange)


async def test_a_request_without_a_name_is_refused() -> None:
    """Who names no host is asked for none, and the system's name server is."""
    async with wallboard_of(Stage(SMALL)) as wallboard:
        assert b" 403 " in await exchange(wallboard, b"GET /api/snapshot HTTP/1.0\r\n\r\n")


async def test_two_wallboards_on_one_machine_do_not_log_each_other_out() -> None:
    """Who logs in at one wallboard is logged out of the other: cookies do not know of ports."""
    one, other = Stage(SMALL), Stage(SMALL)
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        wallboard_of(one, key=KEY) as first,
        wallboard_of(other, key="another key than that") as second,
        aiohttp.ClientSession(cookie_jar=jar) as client,
    ):
        for wallboard, key in ((first, KEY), (second, "another key than that")):
            async with client.post(f"{wallboard.url}login", data={"key": key}) as answer:
                assert answer.status == 200
        for wallboard in (first, second):
            async with client.get(f"{wallboard.url}api/snapshot") as answer:
                assert answer.status == 200


async def test_without_a_key_a_logout_sets_no_cookie() -> None:
    """A wallboard that needs no key puts something into browsers."""
    async with (
        wallboard_of(Stage(SMALL)) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
        client.post("/logout", allow_redirects=False) as answer,
    ):
        assert (answer.status, dict(answer.cookies)) == (303, {})


async def test_a_form_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without a key holds connections open by forms that never end."""
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        reader, writer = await asyncio.open_connection("127.0.0.1", wallboard.port)
        writer.write(_form(b"key=" + b"x" * 100)[:-50])
        async with asyncio.timeout(5):
            assert b" 408 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize("form", [{}, {"other": "x"}, {"key": ""}])
async def test_a_form_without_a_key_is_a_wrong_key(form: dict[str, str]) -> None:
    """An empty form is an internal error, or opens the wallboard."""
    async with (
        wallboard_of(Stage(SMALL), key=KEY) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
        client.post("/login", data=form) as answer,
    ):
        assert answer.status == 403


async def test_a_form_that_is_too_large_is_refused() -> None:
    """Somebody without a key fills the server's memory."""
    async with (
        wallboard_of(Stage(SMALL), key=KEY) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
        client.post("/login", data={"key": "x" * 10_000}) as answer,
    ):
        assert answer.status == 413


async def test_without_a_key_the_login_leads_to_the_wallboard() -> None:
    """A bookmark of the login page is a dead end once there is no key any more."""
    async with wallboard_of(Stage(SMALL)) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        async with client.get("/login?q=x", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./?q=x")
        async with client.post("/login", data={"key": "x"}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./")
        async with client.get("/") as answer:
            assert "Log out" not in await answer.text()


def test_others_are_not_let_in_without_a_key() -> None:
    """The wallboard is open to the whole network by a slip of the hand."""
    watcher = Stage(SMALL).watcher
    with pytest.raises(ValueError, match="so an access key is needed"):
        Wallboard(watcher, host="0.0.0.0")
    assert repr(Wallboard(watcher, host="0.0.0.0", key=KEY)) == "<Wallboard on 0.0.0.0 port 0>"


async def test_files_are_sent_once() -> None:
    """Every visit takes the whole page again, or an old script stays after an upgrade."""
    async with wallboard_of(Stage(SMALL)) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        async with client.get("/static/main.js") as answer:
            assert answer.content_type == "text/javascript"
            tag = answer.headers["ETag"]
        async with client.get("/static/main.js", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with client.get("/static/main.js", headers={"If-None-Match": '"other"'}) as answer:
            assert answer.status == 200


def test_the_page_is_in_the_package() -> None:
    """An installed wallboard has no page."""
    static = Path(sipqueue_async.wallboard.__file__).parent / "static"
    page = (static / "index.html").read_text()
    assert {path.suffix for path in static.iterdir()} == {".html", ".js", ".css", ".svg"}
    # What the policy of the headers would refuse.
    for path in static.glob("*.html"):
        assert " style=" not in path.read_text()
        assert "<style" not in path.read_text()
        # Beneath a proxy's path everything is elsewhere.
        assert not re.search(r'(src|href|action)="/', path.read_text())
    assert page.count("<script") == page.count('<script type="module" src="static/main.js"></script>') == 1
    assert all("innerHTML" not in path.read_text() for path in static.glob("*.js"))


async def test_the_snapshot_says_what_is_known() -> None:
    """A program that reads the snapshot is told other numbers than the watcher knows."""
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


async def test_the_health_is_that_of_the_feed_and_nothing_else() -> None:
    """A load balancer sends people to a wallboard that knows nothing, or learns more than that."""
    stage = Stage(SMALL)
    async with wallboard_of(stage, key=KEY) as wallboard, aiohttp.ClientSession() as client:
        assert await _health(client, wallboard) == (200, "fresh\n")
        await stage.fail("a short while is no harm")
        assert await _health(client, wallboard) == (200, "fresh\n")
        async with Wallboard(stage.watcher, stale_after=0.001) as strict:
            await stage.recover()
            await asyncio.sleep(0.01)
            assert await _health(client, strict) == (503, "stale\n")
    never = Stage(SMALL)
    never.failure = "never there"
    async with never.watcher, Wallboard(never.watcher) as wallboard, aiohttp.ClientSession() as client:
        assert await _health(client, wallboard) == (503, "stale\n")


async def _health(client: aiohttp.ClientSession, wallboard: Wallboard) -> tuple[int, str]:
    async with client.get(f"{wallboard.url}healthz") as answer:
        return answer.status, await answer.text()


async def test_metrics_are_there_with_their_extra() -> None:
    """Prometheus finds nothing to scrape."""
    stage = Stage(SMALL)
    async with wallboard_of(stage, key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        async with client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain")
            text = await answer.text()
        waiting = next(line for line in text.splitlines() if 'queue="queue-1"' in line and 'state="waiting"' in line)
        assert waiting.endswith(" 2.0")


async def test_without_the_extra_metrics_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without the extra gets an internal error, or no hint."""
    monkeypatch.setitem(sys.modules, "sipqueue_async.prometheus", None)
    async with (
        wallboard_of(Stage(SMALL)) as wallboard,
        aiohttp.ClientSession(wallboard.url) as client,
        client.get("/metrics") as answer,
    ):
        assert answer.status == 501
        assert "pip install 'sipqueue_async[prometheus]'" in await answer.text()


async def test_it_ends_with_the_watcher_and_its_error() -> None:
    """A wallboard goes on for ever although its watcher has given up."""
    stage = Stage(SMALL)

    async def refuse() -> Snapshot:
        raise AuthError(601, "no")

    async with Wallboard(StatusWatcher(refuse)) as idle:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(idle.wait(), 0.05)
    watcher = StatusWatcher(refuse)
    async with Wallboard(watcher) as wallboard, watcher:
        with pytest.raises(AuthError):
            await asyncio.wait_for(wallboard.wait(), 10)
    async with Wallboard(stage.watcher) as wallboard:
        async with stage.watcher:
            await stage.watcher.ready()
        await asyncio.wait_for(wallboard.wait(), 10)


async def test_it_is_used_once_and_in_order() -> None:
    """A second start leaves the first server behind, unseen."""
    wallboard = Wallboard(Stage(SMALL).watcher)
    await wallboard.stop()
    with pytest.raises(RuntimeError, match="does not run"):
        await wallboard.wait()
    async with wallboard:
        with pytest.raises(RuntimeError, match="runs once"):
            await wallboard.start()


async def test_a_port_that_is_taken_is_an_error_that_leaves_nothing() -> None:
    """A port that is taken hangs the program, or is not noticed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wallboard = Wallboard(Stage(SMALL).watcher, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await wallboard.start()
        await wallboard.stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
async def test_it_listens_on_ipv6_too() -> None:
    """The address that is printed leads nowhere."""
    async with wallboard_of(Stage(SMALL), host="::1") as wallboard, aiohttp.ClientSession() as client:
        assert wallboard.url == f"http://[::1]:{wallboard.port}/"
        async with client.get(wallboard.url) as answer:
            assert answer.status == 200


async def test_a_stop_ends_every_stream_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart waits for every browser, or leaves tasks behind."""
    monkeypatch.setattr(server, "_GRACE", 30.0)
    async with aiohttp.ClientSession() as client, wallboard_of(Stage(SMALL)) as wallboard:
        streams = [await client.get(f"{wallboard.url}events") for _ in range(5)]
        for stream in streams:
            assert (await stream.content.readline()).startswith(b"event")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await wallboard.stop()
        assert loop.time() - began < 5
        for stream in streams:
            assert b"event: board" in await stream.read()
