"""`read_rules`: rules for alerts from a TOML file, with errors that name the table and the key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async._toml_tables import (
    InvalidError,
    Reader,
    check_url_keys,
    duration,
    read_document,
    read_value,
    refuse_unknown,
    secret,
    tables_of,
    text,
    texts,
    variable,
    whole,
)
from sipqueue_async.alerts.events import Alert
from sipqueue_async.alerts.hours import Hours
from sipqueue_async.alerts.rules import RULES, SIGNED_IN, FeedSilent, Rule, SignedOut, check_rules
from sipqueue_async.alerts.sentences import LANGUAGES
from sipqueue_async.alerts.texts import Texts, checked_template

_KINDS: Final = {rule.kind: rule for rule in RULES}
_TEMPLATES: Final = ("raised", "cleared")


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


def read_rules(path: Path | str) -> RulesFile:
    """Return the content of a rules file.

    Raises:
        ValueError: The file cannot be read or is not TOML, or a rule is invalid; the message names the file, the table
            or line, the key, and the reason.
    """
    return read_document(Path(path), "rules file", _file)


def _file(document: dict[str, Any]) -> RulesFile:
    refuse_unknown("", document, ("language", "timezone", "rules", "destinations"))
    language = read_value("", "language", document.get("language", "en"), text)
    if language not in LANGUAGES:
        raise InvalidError(f"language: write one of {', '.join(LANGUAGES)}, not {language!r}")
    zone = read_value("", "timezone", document.get("timezone", "UTC"), _zone)
    tables = tables_of(document, "rules")
    if not tables:
        raise InvalidError("it has no rules: write at least one table such as [rules.away], with its kind")
    rules = [_rule(name, table, zone) for name, table in tables.items()]
    destinations = tuple(_destination(name, table) for name, table in tables_of(document, "destinations").items())
    try:
        checked = check_rules(rules)
    except ValueError as error:
        raise InvalidError(f"[rules]: {error}") from None
    templates = {
        name: _texts_of(f"[rules.{name}]", table) for name, table in tables.items() if table.keys() & {*_TEMPLATES}
    }
    return RulesFile(rules=checked, language=language, destinations=destinations, texts=templates)


def _texts_of(place: str, table: Mapping[str, Any]) -> Texts:
    return Texts(**{key: read_value(place, key, table[key], _template) for key in _TEMPLATES if key in table})


def _rule(name: str, table: Mapping[str, Any], zone: str) -> Rule:
    place = f"[rules.{name}]"
    if "kind" not in table:
        raise InvalidError(f"{place} has no kind: write one of {', '.join(_KINDS)}")
    kind = read_value(place, "kind", table["kind"], text)
    if kind not in _KINDS:
        raise InvalidError(f"{place} kind: write one of {', '.join(_KINDS)}, not {kind!r}")
    rule = _KINDS[kind]
    fields = {field.name: field for field in attrs.fields(rule) if field.name not in {"name", "seats", "hours"}}
    seats = _seat_keys(rule)
    refuse_unknown(place, table, ("kind", *fields, *seats, "hours", "timezone", *_TEMPLATES))
    values = {key: read_value(place, key, table[key], _READERS[key]) for key in fields if key in table}
    for key, field in fields.items():
        if field.default is attrs.NOTHING and key not in table:
            raise InvalidError(f"{place} needs the key {key}")
    names = {key: read_value(place, key, table[key], texts) for key in seats if key in table}
    hours = _hours(place, table, zone)
    try:
        return rule(name=name, seats=SeatFilter(**names), hours=hours, **values)
    except ValueError as error:
        raise InvalidError(f"{place}: {error}") from None


def _destination(name: str, table: Mapping[str, Any]) -> Destination:
    place = f"[destinations.{name}]"
    refuse_unknown(place, table, ("url", "url_from", "retry_for"))
    check_url_keys(place, table)
    readers: dict[str, Reader] = {"url": secret, "url_from": variable, "retry_for": duration}
    return Destination(name=name, **{key: read_value(place, key, table[key], readers[key]) for key in table})


def _seat_keys(rule: type[Rule]) -> tuple[str, ...]:
    """Return the keys that limit a rule of this class to some seats."""
    if rule is FeedSilent:
        return ()
    return ("queues",) if rule is SignedOut else ("queues", "extensions")


def _hours(place: str, table: Mapping[str, Any], zone: str) -> Hours | None:
    if "hours" not in table:
        if "timezone" in table:
            raise InvalidError(f"{place} timezone: it needs the key hours")
        return None
    own = read_value(place, "timezone", table.get("timezone", zone), _zone)
    hours: Hours = read_value(place, "hours", table["hours"], lambda value: Hours(text(value), own))
    return hours


# ---- values; each raises a ValueError that says what to write ----------------------------------------------------


def _template(value: object) -> str:
    return checked_template(text(value))


def _zone(value: object) -> str:
    return Hours("00:00-24:00", text(value)).zone


def _share(value: object) -> float:
    if type(value) is float or type(value) is int:
        return value
    raise ValueError(f"write a share from 0 to 1, such as 0.85, not {value!r}")


def _states(value: object) -> tuple[AgentState, ...]:
    if value == "signed-in":
        return SIGNED_IN
    known = [state.value for state in AgentState]
    for name in (names := texts(value)):
        if name not in known:
            raise ValueError(f"write some of {', '.join(known)}, or signed-in alone, not {name!r}")
    return tuple(AgentState(name) for name in names)


_READERS: Final[Mapping[str, Reader]] = {
    "above": _share,
    "below": _share,
    "clear_after": duration,
    "count": whole,
    "extensions": texts,
    "fewer_than": whole,
    "lasting": duration,
    "longer_than": duration,
    "more_than": whole,
    "per": text,
    "repeat_every": duration,
    "states": _states,
    "unless": texts,
    "within": duration,
}
"""Reads each field of the rules."""
