"""Settings from the environment and the settings file, and the clients and watchers created from them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from sipqueue_async import Settings, SettingsError, SipQueueClient, StatusWatcher
from sipqueue_async._settings_place import default_path
from sipqueue_async.simulator import Simulator

URL = "http://127.0.0.1:9/"
LOGIN = {"SIPQUEUE_APPID": "demo", "SIPQUEUE_ACCESSKEY": "secret-key"}
TOKEN = {"SIPQUEUE_TOKEN": "good-token"}
ONLY_URL = f'url = "{URL}"'


def saved(directory: Path, text: str, mode: int = 0o600) -> Path:
    """Write a settings file."""
    path = directory / "settings.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


async def accepted(client: SipQueueClient) -> bool:
    """Return whether a simulator accepts the client's credentials."""
    async with client:
        return len(await client.fetch_snapshot()) > 0


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (LOGIN, ""),
        (TOKEN, ""),
        ({}, 'appid = "demo"\naccesskey = "secret-key"'),
        ({}, 'token = "good-token"\ntimeout = 5\ntimezone = "Asia/Shanghai"\nencoding = "gbk"'),
        ({"SIPQUEUE_ACCESSKEY": "secret-key"}, 'appid = "demo"'),
        (TOKEN, 'appid = "demo"\naccesskey = "wrong-key"'),
        (LOGIN, 'token = "wrong-token"'),
        ({"SIPQUEUE_TOKEN": "", "SIPQUEUE_TIMEOUT": "2.5", **LOGIN}, "timeout = -1"),
    ],
)
async def test_a_client_uses_the_environment_and_then_the_file(
    environ: dict[str, str], text: str, tmp_path: Path
) -> None:
    """The environment overrides the file."""
    async with Simulator(accesskey="secret-key", tokens=["good-token"]) as simulator:
        path = saved(tmp_path, f'\ufeffurl = "{simulator.url}"\n{text}')
        assert await accepted(SipQueueClient.from_env(Settings.load(path, environ)))


@pytest.mark.parametrize(
    ("environ", "text", "message"),
    [
        (TOKEN, None, "no server given: set SIPQUEUE_URL"),
        ({}, ONLY_URL, "no credentials given: set SIPQUEUE_APPID"),
        ({"SIPQUEUE_APPID": "demo"}, ONLY_URL, "the accesskey is missing: set SIPQUEUE_ACCESSKEY"),
        ({"SIPQUEUE_ACCESSKEY": "secret-key"}, ONLY_URL, "the appid is missing: set SIPQUEUE_APPID"),
        ({**TOKEN, **LOGIN}, ONLY_URL, "both a token and an appid"),
        (TOKEN, '# a comment\nurl = "ftp://somewhere"', "line 2: url must begin with http://"),
        ({**LOGIN, "SIPQUEUE_ACCESSKEY": "secret-key密"}, ONLY_URL, "SIPQUEUE_ACCESSKEY: the accesskey has characters"),
        ({**LOGIN, "SIPQUEUE_ACCESSKEY": " "}, ONLY_URL, "SIPQUEUE_ACCESSKEY: the accesskey is empty"),
        ({**LOGIN, "SIPQUEUE_APPID": " "}, ONLY_URL, "SIPQUEUE_APPID: the appid is empty"),
        ({**LOGIN, "SIPQUEUE_APPID": "\udcb6"}, ONLY_URL, "SIPQUEUE_APPID: the appid is not UTF-8 text; was it"),
        (TOKEN, 'url = "https://a..b/"', "line 1: url has a host name that is not valid"),
        (TOKEN, 'url = "https://xn--a/"', "line 1: url has a host name that is not valid"),
        ({"SIPQUEUE_TOKEN": "secret-key\n"}, ONLY_URL, "SIPQUEUE_TOKEN: the token has characters"),
        (
            TOKEN,
            f'{ONLY_URL}\ntimezone = "no/zone"',
            "line 2: timezone is 'no/zone', which is not the name of a time zone",
        ),
        ({**TOKEN, "SIPQUEUE_TIMEOUT": "-1"}, ONLY_URL, "SIPQUEUE_TIMEOUT: timeout must be above 0 seconds, not -1.0"),
        ({**TOKEN, "SIPQUEUE_TIMEOUT": "soon"}, ONLY_URL, "SIPQUEUE_TIMEOUT: timeout must be a number of seconds"),
        (TOKEN, f'{ONLY_URL}\n\n"password"  = "secret-key"', "line 3: unknown key 'password'; there are url, token"),
        (TOKEN, f'{ONLY_URL}\n[server]\nkey = "secret-key"', "line 2: unknown key 'server'"),
        (TOKEN, "language = 'fr'", "line 1: language must be one of en, zh, not 'fr'"),
        (TOKEN, "url = 5", "line 1: url must be a non-empty text in quotes"),
        (TOKEN, 'url = ""', "line 1: url must be a non-empty text in quotes"),
        (TOKEN, 'timeout = "long"', "line 1: timeout must be a number of seconds, not 'long'"),
        (TOKEN, "timeout = true", "line 1: timeout must be a number of seconds, not True"),
        (TOKEN, "[wallboard]\nloud = 1", "line 1: unknown key 'loud' in wallboard; there are talk, ring, wait,"),
        (TOKEN, "[wallboard]\nring = -1", "line 1: ring in wallboard must be 0 or more seconds, not -1"),
        (TOKEN, "[wallboard]\nleast = 'two'", "line 1: least in wallboard must be a number of agents, not 'two'"),
        (TOKEN, "wallboard = 5", "line 1: wallboard must be a table of thresholds, such as: [wallboard]"),
        (TOKEN, 'accesskey "secret-key"', "is not valid TOML: "),
        (TOKEN, 'token = "\udcff"', "is not valid TOML: it is not UTF-8"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_place_and_advice(
    environ: dict[str, str], text: str | None, message: str, tmp_path: Path
) -> None:
    """The message names the place, says what to do, and shows no secret."""
    path = None
    if text is not None:
        path = tmp_path / "settings.toml"
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SettingsError) as caught:
        SipQueueClient.from_env(Settings.load(path, environ))
    assert message in str(caught.value)
    assert "secret-key" not in str(caught.value)


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read: No such file"):
        Settings.load(environ={"SIPQUEUE_CONFIG": str(missing)})


def test_the_users_own_file_is_read_if_there_is_one(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = default_path(environ, "linux")
    assert path == tmp_path / "sipqueue" / "settings.toml"
    assert Settings.load(environ=environ) == Settings()
    path.parent.mkdir()
    path.write_text(ONLY_URL)
    loaded = Settings.load(environ=environ)
    assert (loaded.url, loaded.file, loaded.origins) == (URL, path, {"url": f"{path}, line 1"})


def test_a_home_that_is_another_users_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", refuse)
    assert Settings.load(environ={"HOME": "/root"}) == Settings()


@pytest.mark.parametrize(
    ("platform", "environ", "place"),
    [
        ("linux", {"HOME": "/home/u"}, "/home/u/.config/sipqueue/settings.toml"),
        ("linux", {"HOME": "/home/u", "XDG_CONFIG_HOME": "/etc/u"}, "/etc/u/sipqueue/settings.toml"),
        ("darwin", {"HOME": "/Users/u"}, "/Users/u/Library/Application Support/sipqueue/settings.toml"),
        ("win32", {"APPDATA": "C:/Users/u/AppData/Roaming"}, "C:/Users/u/AppData/Roaming/sipqueue/settings.toml"),
        ("linux", {}, None),
    ],
)
def test_each_platform_has_its_place_for_the_file(platform: str, environ: dict[str, str], place: str | None) -> None:
    assert default_path(environ, platform) == (None if place is None else Path(place))


@pytest.mark.parametrize(
    ("mode", "text", "warns"),
    [
        (0o644, 'token = "good-token"', True),
        (0o640, 'appid = "a"\naccesskey = "good-token"', True),
        (0o640, 'redis = "redis://:good-token@host"', True),
        (0o600, 'token = "good-token"', False),
        (0o644, "timeout = 5", False),
    ],
)
def test_a_file_of_secrets_that_others_can_read_is_warned_of(mode: int, text: str, warns: bool, tmp_path: Path) -> None:
    warnings = Settings.load(saved(tmp_path, text, mode), {}).warnings
    assert ["chmod 600" in warning for warning in warnings] == [True] * warns
    assert "good-token" not in "".join(warnings)


@pytest.mark.parametrize("settings", [{"token": "x"}, {"appid": "demo", "accesskey": "abc-1"}])
def test_a_secret_too_short_to_be_masked_is_warned_of(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The warning is part of the settings, and the client logs it."""
    known = Settings(url=URL, file_warning="other users can read it", **settings)
    SipQueueClient.from_env(known)
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert logged == list(known.warnings)
    assert "fewer than 6 letters and digits" in logged[1]


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (
            {"url": "https://u:secret@host:1/api?key=secret", "appid": "demo", "accesskey": "secret", "timeout": 5.0},
            {"url": "https://***@host:1/api?***", "appid": "demo", "accesskey": "***", "timeout": "5.0"},
        ),
        ({"token": "secret", "redis": "redis://:secret@host/0"}, {"token": "***", "redis": "redis://***@host/0"}),
        ({"url": "secret", "redis": "redis://[secret"}, {"url": "***", "redis": "***"}),
        ({"wallboard": {"talk": 300.0, "least": 2}}, {"wallboard": "talk = 300, least = 2"}),
        ({}, {}),
    ],
)
def test_no_secret_is_shown(settings: dict[str, Any], shown: dict[str, str]) -> None:
    known = Settings(**settings)
    assert known.shown() == shown
    assert "secret" not in repr(known)


@pytest.mark.parametrize(("setting", "words"), [({"url": 5}, "url must be"), ({"timeout": "soon"}, "timeout must be")])
def test_settings_of_the_wrong_type_are_refused_when_made(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**setting)


async def test_a_watcher_has_a_client_of_its_own_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(tokens=["good-token"]) as simulator:
        monkeypatch.setenv("SIPQUEUE_URL", simulator.url)
        monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
        async with StatusWatcher.from_env(interval=0.05, queues=["queue-1"]) as watcher:
            assert {key.queue for key in await watcher.ready(30)} == {"queue-1"}
    with pytest.raises(TypeError, match=r"settings must be Settings, such as Settings\.load"):
        StatusWatcher.from_env(cast("Any", "settings.toml"))
    with pytest.raises(ValueError, match="interval"):
        StatusWatcher.from_env(interval=-1)
    # A watcher does not close a source that it did not create; an unclosed session would cause a warning and so an
    # error.
    async with Simulator(tokens=["good-token"]) as simulator, SipQueueClient(simulator.url, "good-token") as client:
        async with StatusWatcher(client, interval=0.05) as watcher:
            await watcher.ready(30)
        await client.fetch_snapshot()
