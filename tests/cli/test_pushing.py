"""``--push``: the address, and a watcher that polls when a push arrives."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from sipqueue_async import StatusWatcher
from sipqueue_async.cli import app
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.pushing import PushAddress, pushed
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.cli import until

PATH = "a-path-that-nobody-guesses"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_a_push_makes_the_watcher_poll() -> None:
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking"))])
    async with StatusWatcher(source, interval=600) as watcher:
        await watcher.ready()
        port = _free_port()
        async with pushed(watcher, PushAddress("127.0.0.1", port, PATH)), aiohttp.ClientSession() as session:
            async with session.post(f"http://127.0.0.1:{port}/{PATH}", data=b"{}") as response:
                assert await response.read() == b"1"
            await until(lambda: watcher.health.polls == 2)


async def test_without_an_address_nothing_listens() -> None:
    async with StatusWatcher(ScriptedSource([snapshot(agent())])) as watcher, pushed(watcher, None):
        assert await watcher.ready()


async def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with StatusWatcher(ScriptedSource([snapshot(agent())])) as watcher:
            with pytest.raises(Failure, match=f"cannot listen on 127.0.0.1, port {port}"):
                await pushed(watcher, PushAddress("127.0.0.1", port, PATH)).__aenter__()


@pytest.mark.parametrize("command", ["watch", "wallboard"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--push", "8090"], "it must be HOST:PORT/SECRET-PATH"),
        (["--push", f"localhost:99999/{PATH}"], "it must be HOST:PORT/SECRET-PATH"),
        (["--push", "localhost:8090/short"], "the path must have at least 16 characters"),
        (["--push", f"localhost:8090/{PATH}", "--from-relay"], "--from-relay and --push do not go together"),
    ],
)
def test_a_wrong_address_is_refused(
    command: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([command, *options]) == 2
    assert words in capsys.readouterr().err


def test_the_address_does_not_show_its_secret() -> None:
    assert PATH not in repr(PushAddress("::1", 8090, PATH))
