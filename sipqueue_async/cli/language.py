"""The command line's language: found before the arguments are parsed, since help and errors are in it too."""

from __future__ import annotations

import gettext
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from sipqueue_async._language import ENGLISH, FOLDER, LANGUAGES, of_preferences, speaking
from sipqueue_async._settings_place import CONFIG, default_name

VARIABLE: Final = "SIPQUEUE_LANGUAGE"
KEY: Final = "language"
"""The key of the settings file."""
_CLICK: Final = "click"
"""The catalogue with click's own messages."""
_GLOBAL_OPTIONS: Final = frozenset({"--language", "--log-format"})
"""The options before the command that take a value."""
_SAMPLE: Final = "中"


def chosen_language(arguments: Sequence[str], environ: Mapping[str, str], stream: TextIO | None = None) -> str:
    """Return the language of `--language`, or else of the environment, the settings file or the system.

    Lines for programs that collect logs are in English, and so is a text that standard output cannot encode. A name
    that is not a language is not reported here: click and `Settings` check it.

    Args:
        arguments: The arguments without the program's name.
        environ: The environment.
        stream: Standard output; None if it is closed.
    """
    options = _global_options(arguments)
    if options.get("--log-format", environ.get("SIPQUEUE_LOG_FORMAT")) == "json" or not _can_show(stream):
        return ENGLISH
    for name in (options.get("--language"), environ.get(VARIABLE), _of_file(arguments, environ)):
        if name in LANGUAGES:
            return name
    return of_preferences(system_names(environ))


def _global_options(arguments: Sequence[str]) -> dict[str, str]:
    """Return the values of the options before the command."""
    found: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            break
        name, equals, value = argument.partition("=")
        if name in _GLOBAL_OPTIONS:
            found[name] = value if equals else next(rest, "")
    return found


def _can_show(stream: TextIO | None) -> bool:
    try:
        _SAMPLE.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _of_file(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the language that the settings file names; a file that cannot be read is reported later."""
    given = next(_values_of("--config", arguments), None) or environ.get(CONFIG)
    path = given or default_name(environ)
    if path is None or not os.path.isfile(path):  # noqa: PTH113  # of a path that may not be accessible, it is False
        return None
    import tomllib  # noqa: PLC0415  # imported lazily: most runs need no settings file

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            name = tomllib.loads(file.read().decode("utf-8-sig")).get(KEY)
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def _values_of(option: str, arguments: Sequence[str]) -> Iterator[str]:
    for at, argument in enumerate(arguments):
        if argument == option:
            yield from arguments[at + 1 : at + 2]
        elif argument.startswith(f"{option}="):
            yield argument.removeprefix(f"{option}=")


def _windows_name() -> str | None:
    import locale  # noqa: PLC0415  # imported lazily: other systems do not need it

    # Python has set it to the user's locale.
    return locale.getlocale(locale.LC_CTYPE)[0]


def system_names(
    environ: Mapping[str, str], *, platform: str = sys.platform, windows_name: Callable[[], str | None] = _windows_name
) -> list[str]:
    """Return the languages that the system's settings prefer, as gettext finds them.

    LC_ALL, LC_MESSAGES or LANG names a locale, the first that is set. LANGUAGE, a list, comes before it, unless the
    locale is that of the C language.
    """
    name = next((value for it in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(it))), "")
    if not name and platform == "win32":
        # "zh_CN", or "Chinese (Simplified)_China".
        name = (windows_name() or "").replace("Chinese", "zh_").replace("English", "en_")
    if name.partition(".")[0] in {"", "C", "POSIX"}:
        return []
    return [*filter(None, environ.get("LANGUAGE", "").split(":")), name]


@contextmanager
def in_force(name: str) -> Generator[None]:
    """Put a language in force for a block, for click's messages too."""
    with speaking(name), _click_speaking(name):
        yield


@contextmanager
def _click_speaking(name: str) -> Generator[None]:
    """Let click find its messages: it looks them up in the process's default domain, in the environment's language."""
    if name == ENGLISH:
        yield
        return
    domain, language = gettext.textdomain(), os.environ.get("LANGUAGE")
    gettext.bindtextdomain(_CLICK, FOLDER)
    gettext.textdomain(_CLICK)
    os.environ["LANGUAGE"] = name
    try:
        yield
    finally:
        gettext.textdomain(domain)
        if language is None:
            del os.environ["LANGUAGE"]
        else:
            os.environ["LANGUAGE"] = language
