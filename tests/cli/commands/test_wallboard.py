"""``sipqueue wallboard``."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from sipqueue_async import AgentState, AuthError, SeatFilter, SeatKey, SipQueueClient
from sipqueue_async.cli import app
from sipqueue_async.cli.commands.wallboard import Site, read_key, wallboard
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.origin import ALL_SEATS
from sipqueue_async.cli.pushing import PushAddress
from sipqueue_async.cli.rules import shown_rules
from sipqueue_async.cli.simulation import Demonstration, client_of, name_people
from sipqueue_async.cli.thresholds import FEW, SOON
from sipqueue_async.simulator import CallCentre, Simulator
from tests.kit.cli import BUSY, Paper, environment, sipqueue
from tests.kit.ports import free_port, taken_port
from tests.kit.sse import Reader
from tests.kit.waiting import until
from tests.kit.wallboard_stage import KEY

LIMITS = {"talk": AgentState.TALKING, "ring": AgentState.RECEIVING, "pause": AgentState.PAUSED}
SMALL = Demonstration(agents=4, speed=50.0)


@asynccontextmanager
async def serving(origin: SipQueueClient | Demonstration = SMALL, **options: Any) -> AsyncGenerator[str]:
    """Run the command; yield the page's address."""
    paper = Paper()
    defaults: dict[str, Any] = {"site": Site(), "interval": 0.1}
    task = asyncio.ensure_future(wallboard(origin, paper.output(), **(defaults | options)))
    await until(lambda: paper.text.endswith("\n") or task.done())
    try:
        yield paper.lines[0].split()[4].partition("?")[0]
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _get(url: str, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as answer:
        return answer.status, await (answer.json() if answer.content_type == "application/json" else answer.text())


async def _told(url: str, condition: Callable[[Any], bool]) -> Any:
    """Return the wallboard's snapshot once it meets the condition."""
    async with asyncio.timeout(60):
        while not condition(told := (await _get(f"{url}api/snapshot"))[1]):
            await asyncio.sleep(0.02)
    return told


async def test_the_demonstration_needs_nothing() -> None:
    async with serving() as url:
        assert "<title>Wallboard</title>" in (await _get(url))[1]
        told = await _told(url, lambda told: told["total"]["calls_answered"] > 0)
        assert {seat["extension"] for seat in told["seats"]} == {"100001", "100002", "100003", "100004"}


async def test_pushes_are_counted_in_its_metrics() -> None:
    address = PushAddress("127.0.0.1", free_port(), "a-path-that-nobody-guesses")
    async with serving(push=address) as url, aiohttp.ClientSession() as session:
        async with session.post(f"http://127.0.0.1:{address.port}/{address.path}", data=b"{}") as response:
            assert await response.read() == b"1"
        assert "sipqueue_pushes_taken_total 1.0" in (await _get(f"{url}metrics"))[1]


async def test_the_alerts_of_a_rules_file_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[rules.any]\nkind = "available"\nmore_than = 0\nstates = "signed-in"\nper = "all"', encoding="utf-8"
    )
    shown = shown_rules(path, ALL_SEATS)
    async with serving(site=Site(rules=shown)) as url:
        told = await _told(url, lambda told: told["alerts"])
        (alert,) = told["alerts"]
        assert (alert["alert"], alert["rule"], alert["queue"]) == ("raised", "any", None)
        assert 'sipqueue_alerts_raised{rule="any"} 1.0' in (await _get(f"{url}metrics"))[1]
    async with serving() as url:
        assert (await _told(url, lambda told: told["seats"]))["alerts"] is None


@pytest.mark.parametrize("command", ["top", "wallboard"])
def test_rules_about_seats_that_are_not_shown_are_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.few]\nkind = "available"\nfewer_than = 1\nqueues = "queue-1"', encoding="utf-8")
    assert app.run([command, "--demo", "--rules", str(path), "--queue", "queue-2"]) == 2
    assert capsys.readouterr().err == ("sipqueue: the rule 'few' is about queue 'queue-1', which --queue leaves out\n")


async def test_programs_read_the_events_with_a_key_of_their_own() -> None:
    """Trouble with that key is said like trouble with the other."""
    site = Site(key=KEY, events_key="a key for programs", events_kept=5)
    async with serving(site=site) as url:
        await until_known(url)
        for key, status in {"a key for programs": 200, KEY: 200, "wrong": 401}.items():
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"{url}api/events", headers={"Authorization": f"Bearer {key}"}) as answer,
            ):
                assert answer.status == status
                if status == 200:
                    assert await answer.content.readuntil(b"event: snapshot")


async def until_known(url: str) -> None:
    """Wait until the status is known."""
    async with asyncio.timeout(60):
        while (await _get(f"{url}readyz"))[0] != 200:
            await asyncio.sleep(0.02)


async def test_the_demonstration_shows_trouble_within_a_minute() -> None:
    """With the thresholds in the printed address, agents exceed each limit, and a queue has few waiting agents."""
    centre = CallCentre(Demonstration(agents=24).plan)
    name_people(centre)
    assert len({seat.name for seat in centre.seats()}) == 24
    found: set[str] = set()
    began: dict[tuple[SeatKey, AgentState], float] = {}
    while centre.now < 60 * 5.0:
        centre.advance(2)
        seats = {(seat.key, seat.state) for seat in centre.seats()}
        began = {it: began.get(it, centre.now) for it in seats}
        for limit, state in LIMITS.items():
            found.update(limit for (_, it), at in began.items() if it is state and centre.now - at > SOON[limit])
        waiting = Counter(key.queue for key, state in seats if state is AgentState.WAITING)
        found.update("few" for queue in centre.queues if waiting[queue] < FEW)
    assert found == {"few", *SOON}


async def test_a_platform_is_shown_and_its_queues_can_be_chosen() -> None:
    async with Simulator(BUSY, speed=0) as simulator, serving(client_of(simulator), seats=SeatFilter("queue-2")) as url:
        told = await _told(url, lambda told: bool(told["seats"]))
        assert set(told["queues"]) == {"queue-2"}


async def test_the_platforms_credentials_stay_where_they_are() -> None:
    """No answer of the wallboard contains the platform's token."""
    secret = "a-token-of-the-platform"
    simulator = Simulator(BUSY, speed=0, tokens=[secret])
    await simulator.start_server()
    async with serving(SipQueueClient(simulator.url, secret)) as url:
        await _told(url, lambda told: bool(told["seats"]))
        await simulator.stop_server()
        await _told(url, lambda told: told["feed_down"] is not None)
        async with aiohttp.ClientSession() as client, client.get(f"{url}events") as stream:
            heard = [await stream.content.readline() for _ in range(8)]
        assert any(b"cannot connect" in line for line in heard)
        for path in ("", "api/snapshot", "metrics", "healthz", "readyz", "static/main.js"):
            assert secret not in str(await _get(f"{url}{path}"))
        assert secret.encode() not in b"".join(heard)


async def test_the_key_is_asked_for() -> None:
    async with serving(site=Site(key=KEY, host_names=["wall.example"])) as url:
        assert (await _get(f"{url}api/snapshot"))[0] == 401
        assert (await _get(f"{url}api/snapshot", Authorization=f"Bearer {KEY}", Host="wall.example"))[0] == 200


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (Site(host="0.0.0.0"), "so an access key is required; set SIPQUEUE_WALLBOARD_KEY, or use --key-file"),
        (Site(key="short"), "at least 12 characters; set SIPQUEUE_WALLBOARD_KEY"),
        (Site(key="a key \udcff that is broken"), "not UTF-8 text: use letters and digits; set SIPQUEUE"),
        (Site(events_key=KEY), "an events key needs an access key beside it.*; set SIPQUEUE_WALLBOARD_KEY"),
        (
            Site(key=KEY, events_key="short"),
            "the events key is too short: .*; set SIPQUEUE_EVENTS_KEY, or use --events",
        ),
        (Site(host_names={"http://x/"}), "not a host name: 'http://x/'; give one such as .*; see --host-name"),
        (Site(host="192.0.2.1", key=KEY), "192.0.2.1, port 0: it is not an address of this machine; give"),
        (Site(host="no.such.invalid", key=KEY), "the name is unknown; give --host an address of this machine"),
        (Site(host="x" * 70, key=KEY), "the name is unknown; give --host an address of this machine"),
    ],
)
async def test_an_invalid_site_is_a_usage_error(site: Site, message: str) -> None:
    with pytest.raises(Failure, match=message) as failure:
        await wallboard(Demonstration(), Paper().output(), site=site)
    assert failure.value.code == USAGE
    assert "short" not in str(failure.value).replace("too short", "")


async def test_a_port_that_is_taken_is_said() -> None:
    with (
        taken_port() as port,
        pytest.raises(Failure, match=f"cannot listen on 127.0.0.1, port {port}: .*; try another"),
    ):
        await wallboard(Demonstration(), Paper().output(), site=Site(port=port))


async def test_refused_credentials_end_it() -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        client = SipQueueClient(simulator.url, "a-wrong-token")
        with pytest.raises(AuthError):
            await asyncio.wait_for(wallboard(client, Paper().output(), site=Site()), 60)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """A warning says that other users can read the file."""
    warnings: list[str] = []
    environ = {"SIPQUEUE_WALLBOARD_KEY": "of the environment"}
    assert read_key(None, {}, warnings.append) is None
    assert read_key(None, {"SIPQUEUE_WALLBOARD_KEY": ""}, warnings.append) is None
    assert read_key(None, environ, warnings.append) == "of the environment"
    events = {"SIPQUEUE_EVENTS_KEY": "of programs"}
    assert read_key(None, environ | events, warnings.append, variable="SIPQUEUE_EVENTS_KEY") == "of programs"
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert read_key(file, environ, warnings.append) == KEY
    assert warnings == []
    file.chmod(0o644)
    assert read_key(file, environ, warnings.append) == KEY
    assert warnings == [f"warning: other users can read the access key in {file}; run: chmod 600 {file}"]


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"\xff\xfe\x00", "it is not text in UTF-8"), (b" \n", "is empty")]
)
def test_a_key_file_that_cannot_be_used_is_said(content: bytes | None, message: str, tmp_path: Path) -> None:
    """An empty key file is refused and does not disable authentication."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Failure, match=message):
        read_key(file, {"SIPQUEUE_WALLBOARD_KEY": KEY})


async def test_a_signal_ends_it_and_its_streams() -> None:
    env = environment(SIPQUEUE_WALLBOARD_KEY=KEY)
    options = ("--demo", "--port", "0", "--language", "zh")
    async with sipqueue("wallboard", *options, env=env) as program, aiohttp.ClientSession() as client:
        line = await program.line_with("the wallboard is at http://127.0.0.1:")
        headers = {"Authorization": f"Bearer {KEY}"}
        url = line.split()[4].partition("?")[0]
        assert '<html lang="zh">' in (await _get(f"{url}login"))[1]
        async with client.get(f"{url}events", headers=headers) as stream:
            assert (await stream.content.readline()).startswith(b"event")
            program.send(signal.SIGINT)
            assert await program.rest() == (130, "", "")
            assert KEY not in line


async def test_stopping_it_is_not_the_end_of_the_feed_for_readers_of_the_events() -> None:
    """They continue after the restart, or from another wallboard of the same relay."""
    async with AsyncExitStack() as stack:
        async with serving() as url:
            await until_known(url)
            readers = [await stack.enter_async_context(Reader(urlsplit(url).port or 0)) for _ in range(5)]
            for reader in readers:
                assert (await reader.next()).event == "snapshot"
        for reader in readers:
            while (messages := await reader.read()) is not None:
                assert "feed-ended" not in {message.event for message in messages}
