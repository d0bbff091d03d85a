"""``--push``: the address, and a watcher that polls when a push arrives."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from sipqueue_async import StatusWatcher
from sipqueue_async.cli import app
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.redis import RedisFeed
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.ports import free_port, taken_port
from tests.kit.waiting import until

PATH = "a-path-that-nobody-guesses"


async def test_a_push_makes_the_watcher_poll() -> None:
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking"))])
    async with StatusWatcher(source, interval=600) as watcher:
        await watcher.ready()
        port = free_port()
        address = PushAddress("127.0.0.1", port, PATH)
        async with pushed(receiver_of(watcher, address), address), aiohttp.ClientSession() as session:
            async with session.post(f"http://127.0.0.1:{port}/{PATH}", data=b"{}") as response:
                assert await response.read() == b"1"
            await until(lambda: watcher.health.polls == 2)


async def test_without_an_address_nothing_listens() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
    async with watcher, pushed(receiver_of(watcher, None), None):
        assert await watcher.ready()


def test_a_reader_of_a_relay_does_not_poll() -> None:
    assert receiver_of(RedisFeed("redis://127.0.0.1"), PushAddress("127.0.0.1", 0, PATH)) is None


async def test_an_address_that_is_taken_is_named() -> None:
    with taken_port() as port:
        async with StatusWatcher(ScriptedSource([snapshot(agent())])) as watcher:
            address = PushAddress("127.0.0.1", port, PATH)
            with pytest.raises(Failure, match=f"cannot listen on 127.0.0.1, port {port}"):
                await pushed(receiver_of(watcher, address), address).__aenter__()


@pytest.mark.parametrize("command", ["watch", "wallboard", "record"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--push", "8090"], "it must be HOST:PORT[/SECRET-PATH]"),
        (["--push", f"localhost:99999/{PATH}"], "it must be HOST:PORT[/SECRET-PATH]"),
        (["--push", "localhost:8090/short"], "the path must have at least 16 characters"),
        (["--push", f"localhost:8090/{PATH}", "--from-relay"], "--from-relay and --push do not go together"),
    ],
)
def test_a_wrong_address_is_refused(
    command: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([command, *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["watch", "wallboard", "record --db sqlite:///d", "relay --redis redis://r"])
def test_a_path_that_is_missing_is_asked_for(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"URL": "http://127.0.0.1:9", "TOKEN": "good-token", "PUSH": ""}.items():
        monkeypatch.setenv(f"SIPQUEUE_{name}", value)
    assert app.run([*command.split(), "--push", "localhost:8090"]) == 2
    assert "--push has no secret path: set SIPQUEUE_PUSH, or put push in the settings file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "text"), [({"SIPQUEUE_PUSH": PATH}, 'push = "another-long-random-path"'), ({}, f'push = "{PATH}"')]
)
def test_the_path_can_be_in_the_settings(environ: dict[str, str], text: str, tmp_path: Path) -> None:
    """Other users of the machine do not see it there."""
    config = tmp_path / "settings.toml"
    config.write_text(text)
    found = with_path(PushAddress("::1", 8090, ""), config, environ)
    assert found == PushAddress("::1", 8090, PATH)
    assert with_path(found, tmp_path / "missing.toml", {}) is found


@pytest.mark.parametrize(
    ("environ", "text", "words"),
    [
        ({"SIPQUEUE_PUSH": "short"}, "", "the path must have at least 16 characters"),
        ({}, "push = 7", "push must be a non-empty text"),
    ],
)
def test_a_wrong_path_in_the_settings_is_refused(
    environ: dict[str, str], text: str, words: str, tmp_path: Path
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(text)
    with pytest.raises(Failure, match=words):
        with_path(PushAddress("::1", 8090, ""), config, environ)


def test_the_address_does_not_show_its_secret() -> None:
    assert PATH not in repr(PushAddress("::1", 8090, PATH))
