"""`Settings`: the platform's URL, the credentials and other settings, from the environment and a settings file."""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import attrs

from sipqueue_async._language import LANGUAGES
from sipqueue_async._secrets import Secret
from sipqueue_async._settings_place import CONFIG, default_path
from sipqueue_async.auth import AppCredentials

_VARIABLES: Final = {
    "url": "SIPQUEUE_URL",
    "token": "SIPQUEUE_TOKEN",
    "appid": "SIPQUEUE_APPID",
    "accesskey": "SIPQUEUE_ACCESSKEY",
    "timezone": "SIPQUEUE_TIMEZONE",
    "timeout": "SIPQUEUE_TIMEOUT",
    "encoding": "SIPQUEUE_ENCODING",
    "redis": "SIPQUEUE_REDIS_URL",
    "push": "SIPQUEUE_PUSH",
    "language": "SIPQUEUE_LANGUAGE",
}
"""The environment variable of each setting; the names are the keys of the file."""
_WALLBOARD: Final = "wallboard"
_NAMES: Final = (*_VARIABLES, _WALLBOARD)
_THRESHOLDS: Final = {
    "talk": "seconds",
    "ring": "seconds",
    "wait": "seconds",
    "idle": "seconds",
    "pause": "seconds",
    "least": "agents",
}
"""The keys of the file's table for the wallboard, and their units."""
_LOGIN: Final = ("appid", "accesskey")
_SECRETS: Final = ("token", "accesskey", "redis", "push")
"""Only its owner should read a file with one of these; the URL of a Redis may hold a password."""


class SettingsError(ValueError):
    """A setting is missing or invalid. The text says where it is and what to do; it never contains a secret."""


def _stars(value: str | None) -> str:
    return repr(None if value is None else "***")


def _assignments(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def _masked_url(url: str | None) -> str:
    """Return the `repr` of a URL with stars for its user, password and query, which may be secrets."""
    if url is None:
        return "None"
    try:
        parts = urlsplit(url)
    except ValueError:
        return _stars(url)
    if not parts.scheme:
        return _stars(url)
    _, at, host = parts.netloc.rpartition("@")
    netloc = f"***@{host}" if at else host
    return repr(urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", "")))


@attrs.frozen(kw_only=True)
class Settings:
    """What a program needs to know to reach the platform; None where nothing is given.

    `load` reads them from the environment and a settings file. No `repr` shows a secret.

    Raises:
        SettingsError: A setting is empty, or has the wrong type.
    """

    url: str | None = attrs.field(default=None, repr=_masked_url)
    """The API's one URL."""
    token: str | None = attrs.field(default=None, repr=_stars)
    """A ready token."""
    appid: str | None = None
    """The application's id, to log in with."""
    accesskey: str | None = attrs.field(default=None, repr=_stars)
    """The application's key."""
    timezone: str | None = None
    """The server's time zone, such as Asia/Shanghai."""
    timeout: float | None = None
    """Seconds for one exchange with the platform."""
    encoding: str | None = None
    """The encoding of the platform's answers, if it sends GBK and does not say so."""
    redis: str | None = attrs.field(default=None, repr=_masked_url)
    """The URL of the Redis where a relay publishes."""
    push: str | None = attrs.field(default=None, repr=_stars)
    """The secret path at which to listen for pushes."""
    wallboard: Mapping[str, float] | None = attrs.field(default=None, hash=False)
    """Thresholds of the wallboard's page, by the names that its address has for them. Only the file can have them."""
    language: str | None = None
    """The language of the command's text for people: en or zh."""
    origins: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """Where each given setting comes from: {name: environment variable, or file and line}."""
    file: Path | None = None
    """The settings file that was read."""
    file_warning: str | None = None
    """A warning that other users can read the secrets in the file."""

    def __attrs_post_init__(self) -> None:
        for name in _NAMES:
            if (value := getattr(self, name)) is not None:
                _checked(name, value, "")

    @classmethod
    def load(cls, path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of the environment and, where it has none, of the settings file.

        The variables are SIPQUEUE_URL, SIPQUEUE_APPID and SIPQUEUE_ACCESSKEY or SIPQUEUE_TOKEN, SIPQUEUE_TIMEZONE,
        SIPQUEUE_TIMEOUT, SIPQUEUE_ENCODING, SIPQUEUE_REDIS_URL, SIPQUEUE_PUSH and SIPQUEUE_LANGUAGE; an empty one
        counts as not set. The file is TOML with the keys url, appid, accesskey, token, timezone, timeout, encoding,
        redis, push and language, and the table wallboard. A token in the environment overrides appid and accesskey of
        the file, and the other way round.

        Args:
            path: The settings file; by default the one that SIPQUEUE_CONFIG names, or `default_path` if it exists.
            environ: The environment; by default the process's.

        Raises:
            SettingsError: The file cannot be read, or a setting has a wrong name or type.
        """
        found = path or (os.environ if environ is None else environ).get(CONFIG)
        optional = default_path(environ)
        if found:
            settings = _of_file(Path(found))
        elif optional is not None and _is_file(optional):
            settings = _of_file(optional)
        else:
            settings = cls()
        given = _given(os.environ if environ is None else environ)
        return settings.overridden(given, {name: _VARIABLES[name] for name in given})

    def overridden(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
        """Return these settings with other values in place of some.

        Args:
            values: The other values; None leaves a setting as it is.
            origins: Where each of them comes from.

        Raises:
            SettingsError: A name is unknown, or a value has the wrong type.
        """
        checked = {
            name: _checked(name, value, f"{origins[name]}: ") for name, value in values.items() if value is not None
        }
        # A token given for one run overrides appid and accesskey of the file, and the other way round.
        overruled = _LOGIN if "token" in checked else ("token",) if checked.keys() & set(_LOGIN) else ()
        cleared = dict.fromkeys(overruled) | checked
        kept = {name: origin for name, origin in self.origins.items() if name not in cleared}
        return attrs.evolve(self, **cleared, origins=kept | {name: origins[name] for name in checked})

    def auth(self) -> str | AppCredentials:
        """Return the token, or the credentials to log in with.

        Raises:
            SettingsError: There are none, or half of them, or both kinds, or they are invalid.
        """
        if self.token is not None:
            if self.appid or self.accesskey:
                raise SettingsError("both a token and an appid with accesskey are given; leave one of the two out")
            return self.token
        if self.appid is not None and self.accesskey is not None:
            try:
                return AppCredentials(self.appid, self.accesskey)
            except ValueError as error:
                raise self.blame(error) from None
        for name, value, other in (
            ("accesskey", self.accesskey, self.appid),
            ("appid", self.appid, self.accesskey),
        ):
            if value is None and other is not None:
                raise SettingsError(f"the {name} is missing: set {_VARIABLES[name]}, or put it in the settings file")
        raise SettingsError(
            "no credentials given: set SIPQUEUE_APPID and SIPQUEUE_ACCESSKEY, or SIPQUEUE_TOKEN, "
            f"or put them in {_some_file(self.file)}"
        )

    def required_url(self) -> str:
        """Return the URL.

        Raises:
            SettingsError: There is none.
        """
        if self.url is None:
            raise SettingsError(f"no server given: set SIPQUEUE_URL, or put url in {_some_file(self.file)}")
        return self.url

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not safe: a file of secrets that others can read, a secret too short to be masked in errors."""
        secrets = (("the token", self.token), ("the accesskey", self.accesskey))
        short = [Secret(value).weakness(what) for what, value in secrets if value is not None]
        return tuple(filter(None, (self.file_warning, *short)))

    def shown(self) -> dict[str, str]:
        """Return the given settings as text for people, secrets masked."""
        fields = attrs.fields_dict(type(self))
        masks = {name: field.repr for name, field in fields.items() if callable(field.repr)}
        masks[_WALLBOARD] = _assignments
        return {
            name: masks.get(name, repr)(value).strip("'")
            for name in _NAMES
            if (value := getattr(self, name)) is not None
        }

    def blame(self, error: ValueError) -> SettingsError:
        """Return an error of the client with the name of the setting, and where it comes from."""
        text = str(error).replace("base_url", "url")
        named = re.match(r"(?:the )?(\w+)", text)
        origin = self.origins.get(named[1]) if named else None
        return SettingsError(f"{origin}: {text}" if origin else text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        # A service may run with another user's home directory.
        return False


class _Parsed(NamedTuple):
    """A parsed settings file. Errors are raised elsewhere, because a traceback here could show secrets of the file."""

    values: dict[str, Any]
    origins: dict[str, str]
    is_exposed: bool
    problem: str | None = None


def _of_file(path: Path) -> Settings:
    values, origins, is_exposed, problem = _parsed(path)
    if problem is not None:
        raise SettingsError(problem)
    warning = f"other users can read the secrets in {path}; run: chmod 600 {path}" if is_exposed else None
    return attrs.evolve(Settings().overridden(values, origins), file=path, file_warning=warning)


def _parsed(path: Path) -> _Parsed:
    def unusable(problem: str) -> _Parsed:
        return _Parsed({}, {}, is_exposed=False, problem=f"the settings file {path}{problem}")

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            # Editors of Windows begin a file with a byte order mark, which TOML does not allow.
            text = file.read().decode("utf-8-sig")
        values = tomllib.loads(text)
    except OSError as error:
        return unusable(f" cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return unusable(" is not valid TOML: it is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        return unusable(f" is not valid TOML: {error}")
    origins = {name: f"{path}, line {_line_of(name, text)}" for name in values}
    others_read = os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO)
    return _Parsed(values, origins, bool(others_read and values.keys() & set(_SECRETS)))


def _line_of(name: str, text: str) -> int:
    """Return the number of the line on which a key or a table stands; the first if it is spelled in an unusual way."""
    found = re.search(rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*[=.\]]", text, re.MULTILINE)
    return 1 + text.count("\n", 0, found.start() if found else 0)


def _given(environ: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for name, variable in _VARIABLES.items() if (value := environ.get(variable))}


def _checked(name: str, value: object, place: str) -> object:
    if name not in _NAMES:
        raise SettingsError(f"{place}unknown key {name!r}; there are {', '.join(_NAMES)}")
    if name == "timeout":
        return _number(name, value, "seconds", place)
    if name == _WALLBOARD:
        return _thresholds(value, place)
    if not (isinstance(value, str) and value):
        raise SettingsError(f"{place}{name} must be a non-empty text in quotes")
    if name == "language" and value not in LANGUAGES:
        raise SettingsError(f"{place}language must be one of {', '.join(LANGUAGES)}, not {value!r}")
    return value


def _thresholds(table: object, place: str) -> dict[str, float]:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{place}wallboard must be a table of thresholds, such as: [wallboard]")
    if unknown := [str(name) for name in table if name not in _THRESHOLDS]:
        raise SettingsError(f"{place}unknown key {unknown[0]!r} in wallboard; there are {', '.join(_THRESHOLDS)}")
    found = {name: _number(f"{name} in wallboard", it, _THRESHOLDS[name], place) for name, it in table.items()}
    for name, number in found.items():
        if not 0 <= number < math.inf:
            raise SettingsError(f"{place}{name} in wallboard must be 0 or more {_THRESHOLDS[name]}, not {number:g}")
    return found


def _number(name: str, value: object, unit: str, place: str) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise SettingsError(f"{place}{name} must be a number of {unit}, not {value!r}")


def _some_file(file: Path | None) -> str:
    return str(file or default_path() or "a settings file")
