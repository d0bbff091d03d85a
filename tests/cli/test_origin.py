"""The source of a command's status, by options, environment and settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async import SipQueueClient
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.origin import OriginOptions, RelayOrigin, origin_of

PLATFORM = {"SIPQUEUE_URL": "http://127.0.0.1:9", "SIPQUEUE_TOKEN": "good-token"}
REDIS = {"SIPQUEUE_REDIS_URL": "redis://of-the-environment"}


def arguments(
    *,
    url: str | None = None,
    from_relay: bool = True,
    redis: str | None = None,
    config: Path | None = None,
    timeout: float | None = None,
) -> OriginOptions:
    """Return options as the command line parses them."""
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
    """Commands read from a relay only if asked to."""
    found = origin_of(arguments(url="http://127.0.0.1:9", from_relay=False), PLATFORM | REDIS)
    assert isinstance(found, SipQueueClient)
    await found.aclose()


def test_a_relay_is_found_as_its_publisher_finds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning says that other users can read the file."""
    assert origin_of(arguments(), REDIS) == RelayOrigin(
        redis="redis://of-the-environment", prefix="sipqueue", timeout=10.0
    )
    assert origin_of(arguments(redis="redis://r", timeout=3.0), REDIS) == RelayOrigin(redis="redis://r", timeout=3.0)
    file = tmp_path / "sipqueue.toml"
    file.write_text('redis = "redis://of-the-file"\ntimeout = 2')
    file.chmod(0o644)
    assert origin_of(arguments(config=file), {}) == RelayOrigin(redis="redis://of-the-file", timeout=2)
    assert origin_of(arguments(config=file, timeout=3.0), {}) == RelayOrigin(redis="redis://of-the-file", timeout=3.0)
    assert "other users can read the secrets" in capsys.readouterr().err
    file.write_text("timeout = 0")
    with pytest.raises(Failure, match="timeout must be above 0 seconds, not 0"):
        origin_of(arguments(config=file), REDIS)
    with pytest.raises(Failure, match="no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file"):
        origin_of(arguments(), PLATFORM)
