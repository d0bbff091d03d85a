"""The order of a command's settings: options, then environment, then settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async import Settings
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.settings import ServerOptions, client_of, redis_of, settings_of, timeout_of

URL = "http://127.0.0.1:9/"
SECRET = "a-password-that-nobody-may-see"
TOKEN = {"SIPQUEUE_TOKEN": "good-token"}


def arguments(
    url: str | None = None, config: Path | None = None, timezone: str | None = None, timeout: float | None = None
) -> ServerOptions:
    """Return options, most of them absent."""
    return {"url": url, "config": config, "timezone": timezone, "timeout": timeout}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a settings file that only its owner can read."""
    path = tmp_path / "settings.toml"
    path.write_text(f'url = "http://of-the-file/"\ntimezone = "no/zone"\ntimeout = -1\nredis = "redis://:{SECRET}@r"')
    path.chmod(0o600)
    return path


def test_an_option_overrides_environment_and_file(file: Path) -> None:
    environ = {"SIPQUEUE_URL": "http://of-the-environment", **TOKEN}
    settings = settings_of(arguments(URL, file, "UTC", 5.0), environ, pytest.fail)
    assert (settings.url, settings.timezone, settings.timeout) == (URL, "UTC", 5.0)
    assert settings.origins["url"] == "--url"
    assert settings.origins["token"] == "SIPQUEUE_TOKEN"
    assert settings.origins["redis"] == f"{file}, line 4"
    assert URL in repr(client_of(settings))


@pytest.mark.parametrize(
    ("options", "environ", "message"),
    [
        (arguments(config=Path("nowhere.toml")), {}, "nowhere.toml cannot be read"),
        (arguments(), TOKEN, "no server given"),
        (arguments("ftp://somewhere"), TOKEN, "--url: url must begin with http://"),
    ],
)
def test_settings_that_cannot_work_are_a_usage_error(
    options: ServerOptions, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(Failure) as caught:
        client_of(settings_of(options, environ))
    assert message in str(caught.value)
    assert caught.value.code == USAGE


def test_a_timeout_that_is_not_above_0_is_refused() -> None:
    assert timeout_of(Settings(), 7.0) == 7.0
    assert timeout_of(Settings(timeout=5.0), 7.0) == 5.0
    with pytest.raises(Failure, match=r"^SIPQUEUE_TIMEOUT: timeout must be above 0 seconds, not -1\.0$"):
        timeout_of(settings_of(arguments(), {"SIPQUEUE_TIMEOUT": "-1"}), 7.0)


def test_warnings_are_printed(file: Path) -> None:
    file.chmod(0o644)
    warnings: list[str] = []
    settings_of(arguments(config=file), {"SIPQUEUE_TOKEN": "x"}, warnings.append)
    assert [warning.split(":")[0] for warning in warnings] == ["warning"] * 2
    assert SECRET not in "".join(warnings)


class TestRedis:
    def test_it_comes_from_the_option_or_the_settings(self) -> None:
        settings = Settings(redis=f"redis://:{SECRET}@of-the-settings")
        assert redis_of(settings, "redis://of-the-option") == "redis://of-the-option"
        assert redis_of(settings, None) == settings.redis
        assert redis_of(settings, "redis://[::1") == "redis://[::1", "it is refused as what it is, later"

    @pytest.mark.parametrize(
        "url",
        [
            f"redis://user:{SECRET}@127.0.0.1",
            f"redis://:{SECRET}@127.0.0.1/0",
            f"redis://127.0.0.1?password={SECRET}",
            f"unix:///run/redis.sock?db=1&password={SECRET}",
        ],
    )
    def test_a_password_in_the_option_is_refused(self, url: str) -> None:
        with pytest.raises(Failure, match="other users can see a program's arguments") as failure:
            redis_of(Settings(), url)
        assert SECRET not in str(failure.value)

    def test_without_any_it_says_how_to_give_one(self) -> None:
        with pytest.raises(Failure, match="no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file"):
            redis_of(Settings(), None)
