"""Where a command's status comes from: what options, environment and settings file make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import SipQueueClient
from sipqueue_async.cli import app, running
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.settings import Settings
from sipqueue_async.cli.source import Arguments, Relayed, chosen

PLATFORM = {"SIPQUEUE_URL": "http://127.0.0.1:9", "SIPQUEUE_TOKEN": "good-token"}
REDIS = {"SIPQUEUE_REDIS_URL": "redis://of-the-environment"}


def arguments(
    *,
    url: str | None = None,
    from_relay: bool = True,
    redis: str | None = None,
    config: Path | None = None,
    timeout: float | None = None,
) -> Arguments:
    """Return what the command line makes of options."""
    return {
        "url": url,
        "config": config,
        "timezone": None,
        "timeout": timeout,
        "from_relay": from_relay,
        "redis_url": redis,
        "prefix": None,
    }


async def test_a_redis_in_the_environment_alone_changes_nothing() -> None:
    """Where a relay runs, its settings make every other command read from it unasked."""
    found = chosen(arguments(url="http://127.0.0.1:9", from_relay=False), PLATFORM | REDIS)
    assert isinstance(found, SipQueueClient)
    await found.aclose()


def test_a_relay_is_found_as_its_publisher_finds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader looks at another Redis than its relay, or nobody is warned of a password for all to read."""
    assert chosen(arguments(), REDIS) == Relayed(redis="redis://of-the-environment", prefix="sipqueue", timeout=10.0)
    assert chosen(arguments(redis="redis://r", timeout=3.0), REDIS) == Relayed(redis="redis://r", timeout=3.0)
    file = tmp_path / "sipqueue.toml"
    file.write_text('redis = "redis://of-the-file"\ntimeout = 2')
    file.chmod(0o644)
    assert chosen(arguments(config=file), {}) == Relayed(redis="redis://of-the-file", timeout=2)
    assert chosen(arguments(config=file, timeout=3.0), {}) == Relayed(redis="redis://of-the-file", timeout=3.0)
    assert "other users can get at the secrets" in capsys.readouterr().err
    file.write_text("timeout = 0")
    with pytest.raises(Failure, match="timeout must be above 0 seconds, not 0"):
        chosen(arguments(config=file), REDIS)
    with pytest.raises(Failure, match="no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file"):
        chosen(arguments(), PLATFORM)


@pytest.mark.parametrize("command", ["status", "watch", "top", "report", "wallboard"])
def test_every_command_that_asks_the_platform_can_read_from_a_relay(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the commands does not know the option, or forgets the prefix."""
    caught: list[Any] = []

    def note(work: Any) -> int:
        work = work.work if isinstance(work, running.Job) else work
        caught.append(work.keywords.get("source", *work.args[:1]))
        return 0

    monkeypatch.setattr(running, "run", note)
    for name in PLATFORM:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIPQUEUE_REDIS_URL", "redis://of-the-environment")
    assert app.run([command, "--from-relay"]) == 0
    assert app.run([command, "--from-relay", "--redis", "redis://r", "--prefix", "north"]) == 0
    assert caught == [Relayed(redis="redis://of-the-environment"), Relayed(redis="redis://r", prefix="north")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("watch --redis redis://r", "--redis is of use with --from-relay only"),
        ("wallboard --prefix north", "--prefix is of use with --from-relay only"),
        ("status --from-relay", "no Redis given"),
        ("relay", "no Redis given"),
        ("relay --redis redis://:secret@r", "other users can see a program's arguments"),
        ("relay --redis redis://r --lease 0.01", "0.01 is not in the range 0.1<=x<=3600"),
        ("watch --from-relay --redis redis://:secret@r", "other users can see a program's arguments"),
        ("top --from-relay --demo", "--from-relay and --demo do not go together"),
        ("wallboard --from-relay --demo", "--from-relay and --demo do not go together"),
        ("report --from-relay --demo", "--from-relay and --demo do not go together"),
        ("report --from-relay --saved --state-file x", "--from-relay and --saved do not go together"),
        ("wallboard --demo --redis redis://:secret@r", "--redis and --demo do not go together"),
        ("top --demo --prefix north", "--prefix and --demo do not go together"),
        ("report --saved --state-file x --prefix north", "--prefix and --saved do not go together"),
    ],
)
def test_wrong_usage_is_said(
    line: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip reads from another place than was meant, and nobody notices; or a password is shown."""
    monkeypatch.setattr(Settings, "client", lambda *_: "a client")
    monkeypatch.delenv("SIPQUEUE_REDIS_URL", raising=False)
    assert app.run(line.split()) == USAGE
    said = capsys.readouterr().err
    assert message in said
    assert "secret" not in said
