"""`read_rules`: rules for alerts from a TOML file, with errors that name the table and the key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async.alerts.events import Alert
from sipqueue_async.alerts.hours import Hours
from sipqueue_async.alerts.rules import RULES, SIGNED_IN, FeedSilent, Rule, SignedOut, check_rules
from sipqueue_async.alerts.sentences import LANGUAGES
from sipqueue_async.alerts.texts import Texts, checked_template

_KINDS: Final = {rule.kind: rule for rule in RULES}
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LONGEST: Final = 366 * _UNITS["d"]
_DURATION: Final = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEMPLATES: Final = ("raised", "cleared")
_MANY: Final = "write a text, or a list of texts, none of them empty"


@attrs.frozen(kw_only=True)
class Destination:
    """Where alerts are delivered. Give either the URL, or the environment variable that has it."""

    name: str
    """The name, which messages use instead of the URL."""
    url: str | None = attrs.field(default=None, repr=False)
    """The URL, as Apprise defines it; it contains a secret."""
    url_from: str | None = None
    """The name of the environment variable with the URL."""
    retry_for: float = 3600.0
    """Seconds for which a message is retried."""


@attrs.frozen(kw_only=True)
class RulesFile:
    """The content of a rules file."""

    rules: tuple[Rule, ...]
    """The rules, each after those that its `unless` names."""
    language: str = "en"
    """The language of the sentences: ``en`` or ``zh``."""
    destinations: tuple[Destination, ...] = ()
    """Where ``sipqueue alert`` delivers alerts."""
    _texts: Mapping[str, Texts] = attrs.field(alias="texts", factory=dict)

    def text(self, alert: Alert) -> str:
        """Return the text for an alert: by its rule's template if there is one, or the default sentence."""
        return self._texts.get(alert.rule.name, Texts()).text(alert, self.language)


def read_rules(path: Path) -> RulesFile:
    """Return the content of a rules file.

    Raises:
        ValueError: The file cannot be read or is not TOML, or a rule is invalid; the message names the file, the table
            or line, the key, and the reason.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"the rules file {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the rules file {path} is not valid TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the rules file {path} is not valid TOML: {error}") from None
    try:
        return _file(document)
    except _InvalidError as error:
        raise ValueError(f"{path}: {error}") from None


class _InvalidError(ValueError):
    """Something in the file is invalid; the message begins with the place."""


def _file(document: dict[str, Any]) -> RulesFile:
    _refuse_unknown("", document, ("language", "timezone", "rules", "destinations"))
    language = _value("", "language", document.get("language", "en"), _text)
    if language not in LANGUAGES:
        raise _InvalidError(f"language: write one of {', '.join(LANGUAGES)}, not {language!r}")
    zone = _value("", "timezone", document.get("timezone", "UTC"), _zone)
    tables = _tables(document, "rules")
    if not tables:
        raise _InvalidError("it has no rules: write at least one table such as [rules.away], with its kind")
    rules = [_rule(name, table, zone) for name, table in tables.items()]
    destinations = tuple(_destination(name, table) for name, table in _tables(document, "destinations").items())
    try:
        checked = check_rules(rules)
    except ValueError as error:
        raise _InvalidError(f"[rules]: {error}") from None
    texts = {
        name: _texts_of(f"[rules.{name}]", table) for name, table in tables.items() if table.keys() & {*_TEMPLATES}
    }
    return RulesFile(rules=checked, language=language, destinations=destinations, texts=texts)


def _texts_of(place: str, table: Mapping[str, Any]) -> Texts:
    return Texts(**{key: _value(place, key, table[key], _template) for key in _TEMPLATES if key in table})


def _tables(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    tables = document.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise _InvalidError(f"{name}: write each as a table of its own, such as [{name}.first]")
    return tables


def _rule(name: str, table: Mapping[str, Any], zone: str) -> Rule:
    place = f"[rules.{name}]"
    if "kind" not in table:
        raise _InvalidError(f"{place} has no kind: write one of {', '.join(_KINDS)}")
    kind = _value(place, "kind", table["kind"], _text)
    if kind not in _KINDS:
        raise _InvalidError(f"{place} kind: write one of {', '.join(_KINDS)}, not {kind!r}")
    rule = _KINDS[kind]
    fields = {field.name: field for field in attrs.fields(rule) if field.name not in {"name", "seats", "hours"}}
    seats = _seat_keys(rule)
    _refuse_unknown(place, table, ("kind", *fields, *seats, "hours", "timezone", *_TEMPLATES))
    values = {key: _value(place, key, table[key], _READERS[key]) for key in fields if key in table}
    for key, field in fields.items():
        if field.default is attrs.NOTHING and key not in table:
            raise _InvalidError(f"{place} needs the key {key}")
    names = {key: _value(place, key, table[key], _texts) for key in seats if key in table}
    hours = _hours(place, table, zone)
    try:
        return rule(name=name, seats=SeatFilter(**names), hours=hours, **values)
    except ValueError as error:
        raise _InvalidError(f"{place}: {error}") from None


def _destination(name: str, table: Mapping[str, Any]) -> Destination:
    place = f"[destinations.{name}]"
    _refuse_unknown(place, table, ("url", "url_from", "retry_for"))
    if ("url" in table) == ("url_from" in table):
        raise _InvalidError(f"{place} needs either url or url_from, the environment variable with the URL")
    readers: dict[str, _Reader] = {"url": _secret, "url_from": _variable, "retry_for": _duration}
    return Destination(name=name, **{key: _value(place, key, table[key], readers[key]) for key in table})


def _seat_keys(rule: type[Rule]) -> tuple[str, ...]:
    """Return the keys that limit a rule of this class to some seats."""
    if rule is FeedSilent:
        return ()
    return ("queues",) if rule is SignedOut else ("queues", "extensions")


def _hours(place: str, table: Mapping[str, Any], zone: str) -> Hours | None:
    if "hours" not in table:
        if "timezone" in table:
            raise _InvalidError(f"{place} timezone: it needs the key hours")
        return None
    own = _value(place, "timezone", table.get("timezone", zone), _zone)
    hours: Hours = _value(place, "hours", table["hours"], lambda value: Hours(_text(value), own))
    return hours


def _refuse_unknown(place: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            raise _InvalidError(f"{place} {key}: there is no such key here; there are {', '.join(known)}".strip())


_Reader: TypeAlias = Callable[[Any], Any]


def _value(place: str, key: str, value: object, read: _Reader) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise _InvalidError(f"{place} {key}: {error}".strip()) from None


# ---- values; each raises a ValueError that says what to write ----------------------------------------------------


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"write a text in quotes, not {value!r}")
    return value


def _secret(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("write one text in quotes")


def _variable(value: object) -> str:
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    # It may be a URL with a secret, so the message does not quote it.
    raise ValueError("write the name of an environment variable, such as DUTY_URL; a URL itself belongs to the key url")


def _template(value: object) -> str:
    return checked_template(_text(value))


def _texts(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{_MANY}, not {value!r}")
    return tuple(texts)


def _zone(value: object) -> str:
    return Hours("00:00-24:00", _text(value)).zone


def _duration(value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'write a time with its unit, such as "30 s", "10 min", "1 h" or "1 d", not {value!r}')
    if (seconds := float(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise ValueError(f"write at most {_LONGEST // _UNITS['d']} d, not {value!r}")
    return seconds


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    raise ValueError(f"write a whole number, not {value!r}")


def _share(value: object) -> float:
    if type(value) is float or type(value) is int:
        return value
    raise ValueError(f"write a share from 0 to 1, such as 0.85, not {value!r}")


def _states(value: object) -> tuple[AgentState, ...]:
    if value == "signed-in":
        return SIGNED_IN
    known = [state.value for state in AgentState]
    for name in (names := _texts(value)):
        if name not in known:
            raise ValueError(f"write some of {', '.join(known)}, or signed-in alone, not {name!r}")
    return tuple(AgentState(name) for name in names)


_READERS: Final[Mapping[str, _Reader]] = {
    "above": _share,
    "below": _share,
    "clear_after": _duration,
    "count": _whole,
    "extensions": _texts,
    "fewer_than": _whole,
    "lasting": _duration,
    "longer_than": _duration,
    "more_than": _whole,
    "per": _text,
    "repeat_every": _duration,
    "states": _states,
    "unless": _texts,
    "within": _duration,
}
"""Reads each field of the rules."""
