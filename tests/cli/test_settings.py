"""The server's URL and the secrets, from options, environment and settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipqueue_async import SipQueueClient
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.settings import ServerOptions, Settings
from sipqueue_async.simulator import Simulator

URL = "http://127.0.0.1:9/"


def arguments(
    url: str | None = None, config: Path | None = None, timezone: str | None = None, timeout: float | None = None
) -> ServerOptions:
    """Return options, of which most are not given."""
    return {"url": url, "config": config, "timezone": timezone, "timeout": timeout}


SECRET = "a-password-that-nobody-may-see"

no_warning = pytest.fail
"""Where nothing is to be warned of."""


def saved(directory: Path, text: str, mode: int = 0o600) -> Path:
    """Write a settings file."""
    path = directory / "sipqueue.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


async def accepted(client: SipQueueClient) -> bool:
    """Return whether a simulator accepts the client's credentials."""
    async with client:
        return len(await client.fetch_snapshot()) > 0


LOGIN = {"SIPQUEUE_APPID": "demo", "SIPQUEUE_ACCESSKEY": "secret-key"}
TOKEN = {"SIPQUEUE_TOKEN": "good-token"}


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (LOGIN, ""),
        (TOKEN, ""),
        ({}, 'appid = "demo"\naccesskey = "secret-key"'),
        ({}, 'token = "good-token"\ntimeout = 5\ntimezone = "Asia/Shanghai"\nencoding = "gbk"'),
        ({"SIPQUEUE_ACCESSKEY": "secret-key"}, 'appid = "demo"'),
        (TOKEN, 'appid = "demo"\naccesskey = "wrong"'),
        (LOGIN, 'token = "wrong"'),
        ({"SIPQUEUE_TOKEN": "", **LOGIN}, ""),
    ],
)
async def test_credentials_are_found_in_environment_and_file(
    environ: dict[str, str], text: str, tmp_path: Path
) -> None:
    """The environment overrides the file."""
    async with Simulator(accesskey="secret-key", tokens=["good-token"]) as simulator:
        config = saved(tmp_path, f'url = "{simulator.url}"\n{text}')
        assert await accepted(Settings(arguments(config=config), environ, no_warning).client())


async def test_an_argument_overrules_the_file(tmp_path: Path) -> None:
    config = saved(tmp_path, f'url = "{URL}"\ntimezone = "no/zone"\ntimeout = -1\ntoken = "good-token"')
    async with Simulator(tokens=["good-token"]) as simulator:
        given = arguments(url=simulator.url, config=config, timezone="UTC", timeout=5.0)
        assert await accepted(Settings(given, {}, no_warning).client())


@pytest.mark.parametrize(
    ("environ", "text", "message"),
    [
        (TOKEN, None, "no server given: set SIPQUEUE_URL"),
        ({}, f'url = "{URL}"', "no credentials given: set SIPQUEUE_APPID"),
        ({"SIPQUEUE_APPID": "demo"}, f'url = "{URL}"', "the accesskey is missing: set SIPQUEUE_ACCESSKEY"),
        ({"SIPQUEUE_ACCESSKEY": "secret-key"}, f'url = "{URL}"', "the appid is missing: set SIPQUEUE_APPID"),
        ({**TOKEN, **LOGIN}, f'url = "{URL}"', "both a token and an appid"),
        (TOKEN, 'url = "ftp://somewhere"', "the URL must be http://"),
        ({"SIPQUEUE_TOKEN": "secret-key\n"}, f'url = "{URL}"', "printable ASCII"),
        (TOKEN, f'url = "{URL}"\ntimezone = "no/zone"', "no name of a zone"),
        (TOKEN, f'url = "{URL}"\npassword = "secret-key"', "unknown key 'password'"),
        (TOKEN, "url = 5", "url in the settings file"),
        (TOKEN, 'url = ""', "must be a non-empty text"),
        (TOKEN, 'timeout = "long"', "must be a number of seconds"),
        (TOKEN, "timeout = true", "must be a number of seconds"),
        (TOKEN, 'accesskey "secret-key"', "is not valid TOML"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_advice(
    environ: dict[str, str], text: str | None, message: str, tmp_path: Path
) -> None:
    """The message shows no secret."""
    config = None if text is None else saved(tmp_path, text)
    with pytest.raises(Failure) as caught:
        Settings(arguments(config=config), environ, no_warning).client()
    assert message in str(caught.value)
    assert "secret-key" not in str(caught.value)
    assert caught.value.code == USAGE


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nowhere\.toml cannot be read: No such file"):
        Settings(arguments(config=tmp_path / "nowhere.toml"), {}).client()


@pytest.mark.parametrize(
    ("mode", "text", "warns"),
    [
        (0o644, 'token = "good-token"', True),
        (0o640, 'appid = "a"\naccesskey = "b"', True),
        (0o600, 'token = "good-token"', False),
    ],
)
def test_a_file_of_secrets_that_others_can_read_is_warned_of(mode: int, text: str, warns: bool, tmp_path: Path) -> None:
    warnings: list[str] = []
    Settings(arguments(URL, saved(tmp_path, text, mode)), {}, warnings.append).client()
    assert [("chmod 600" in warning) for warning in warnings] == [True] * warns
    assert "good-token" not in "".join(warnings)


def test_a_file_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    Settings(arguments(config=saved(tmp_path, f'url = "{URL}"', 0o644)), TOKEN, no_warning).client()


class TestRedis:
    def test_it_comes_from_the_option_the_environment_or_the_file(self, tmp_path: Path) -> None:
        file = arguments(config=saved(tmp_path, f'redis = "redis://:{SECRET}@of-the-file"'))
        environ = {"SIPQUEUE_REDIS_URL": f"redis://:{SECRET}@of-the-environment"}
        assert Settings(file, environ).redis("redis://of-the-option") == "redis://of-the-option"
        assert Settings(file, environ).redis(None) == environ["SIPQUEUE_REDIS_URL"]
        assert Settings(file, {"SIPQUEUE_REDIS_URL": ""}).redis(None) == f"redis://:{SECRET}@of-the-file"
        assert Settings(arguments(), {}).redis("redis://[::1") == "redis://[::1", "it is refused as what it is, later"

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
            Settings(arguments(), {}).redis(url)
        assert SECRET not in str(failure.value)

    def test_without_any_it_says_how_to_give_one(self) -> None:
        with pytest.raises(Failure, match="no Redis given: set SIPQUEUE_REDIS_URL, or use --redis or a settings file"):
            Settings(arguments(), {}).redis(None)

    def test_a_file_with_it_is_its_owners_alone(self, tmp_path: Path) -> None:
        """The warning appears once."""
        text = f'url = "{URL}"\ntoken = "x"\nredis = "redis://:{SECRET}@redis"'
        warnings: list[str] = []
        settings = Settings(arguments(config=saved(tmp_path, text, 0o644)), {}, warnings.append)
        settings.client()
        assert len(warnings) == 1
        settings.redis(None)
        assert len(warnings) == 1, "it is said once"
