"""The file with the destinations of webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs
from yarl import URL

from sipqueue_async import Event, SeatFilter
from sipqueue_async._json_lines import KINDS
from sipqueue_async._text import is_host_name
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
from sipqueue_async.cli.destinations import url_of, warn_if_readable
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.forwarding.addresses import is_public, literal_address
from sipqueue_async.cli.forwarding.signature import SECRET_PREFIX, Signer

_MOST_PENDING: Final = 100_000


@attrs.frozen(kw_only=True)
class Webhook:
    """A destination, as the file describes it."""

    name: str
    """The name, which messages use instead of the URL."""
    url: str | None = attrs.field(default=None, repr=False)
    """The URL, which may contain a secret."""
    url_from: str | None = None
    """The name of the environment variable with the URL."""
    secret_from: str | None = None
    """The name of the environment variable with the signing secret."""
    secret_file: Path | None = None
    """The file with the signing secret."""
    seats: SeatFilter = attrs.field(factory=SeatFilter)
    """Forward events of these seats, and events of the feed."""
    events: frozenset[str] = frozenset(KINDS)
    """Forward events of these kinds."""
    retry_for: float = 86400.0
    """Age in seconds up to which an event is retried."""
    timeout: float = 15.0
    """Timeout in seconds of one attempt, from the name lookup to the answer."""
    max_pending: int = 10_000
    """How many events wait at most; beyond it the oldest become dead letters."""
    allow_private: bool = False
    """Whether addresses that are not public may be connected to, and plain HTTP used."""

    def wants(self, event: Event) -> bool:
        """Return whether an event goes to this destination."""
        return event.kind in self.events and self.seats.admits((event.queue, event.extension))


@attrs.frozen(kw_only=True)
class Target:
    """A destination with its URL and its secret."""

    webhook: Webhook
    url: URL = attrs.field(repr=False)
    signer: Signer

    @property
    def name(self) -> str:
        """The destination's name."""
        return self.webhook.name

    @property
    def fingerprint(self) -> str:
        """Identifies the URL and the secrets without revealing them."""
        return self.signer.fingerprint(str(self.url))


def read_webhooks(path: Path) -> tuple[Webhook, ...]:
    """Return the destinations of a file; warn if other users can read its URLs.

    Raises:
        Failure: The file cannot be read, or it is invalid; the message names the table or line, the key and the reason.
    """
    try:
        found = read_document(path, "destinations file", lambda document: _file(document, path.parent))
    except ValueError as error:
        raise Failure(str(error)) from None
    if any(it.url is not None for it in found):
        warn_if_readable(path, "the URLs of the destinations")
    return found


def _file(document: Mapping[str, Any], folder: Path) -> tuple[Webhook, ...]:
    refuse_unknown("", document, ("destinations",))
    tables = tables_of(document, "destinations")
    if not tables:
        raise InvalidError("it has no destinations: write at least one table such as [destinations.crm], with its url")
    return tuple(_webhook(name, table, folder) for name, table in tables.items())


def _webhook(name: str, table: Mapping[str, Any], folder: Path) -> Webhook:
    place = f"[destinations.{name}]"
    if "secret" in table:
        raise InvalidError(f"{place} secret: keep it out of this file: write secret_from or secret_file")
    refuse_unknown(place, table, (*_READERS, *_SEATS))
    check_url_keys(place, table)
    if ("secret_from" in table) == ("secret_file" in table):
        raise InvalidError(f"{place} needs either secret_file or secret_from, the environment variable with the secret")
    values = {key: read_value(place, key, table[key], read) for key, read in _READERS.items() if key in table}
    if "secret_file" in values:
        values["secret_file"] = folder / values["secret_file"]
    names = {key: read_value(place, key, table[key], texts) for key in _SEATS if key in table}
    return Webhook(name=name, seats=SeatFilter(**names), **values)


def _secret_file(value: object) -> str:
    path = text(value)
    if path.startswith(SECRET_PREFIX) or "\0" in path:
        raise ValueError("write the path of a file, such as /etc/sipqueue/crm.secret, not the secret")
    return path


def _secret_from(value: object) -> str:
    if not (isinstance(value, str) and value.startswith(SECRET_PREFIX)):
        with suppress(ValueError):
            return variable(value)
    raise ValueError("write the name of an environment variable, such as CRM_SECRET, not the secret")


def _kinds(value: object) -> frozenset[str]:
    for kind in (found := texts(value)):
        if kind not in KINDS:
            raise ValueError(f"write some of {', '.join(KINDS)}, not {kind!r}")
    return frozenset(found)


def _positive_duration(value: object) -> float:
    if (seconds := duration(value)) <= 0:
        raise ValueError(f"write a time above 0, not {value!r}")
    return seconds


def _max_pending(value: object) -> int:
    if not 1 <= (number := whole(value)) <= _MOST_PENDING:
        raise ValueError(f"write a number from 1 to {_MOST_PENDING}, not {number}")
    return number


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"write true or false, not {value!r}")


_SEATS: Final = ("queues", "extensions")
_READERS: Final[Mapping[str, Reader]] = {
    "url": secret,
    "url_from": variable,
    "secret_from": _secret_from,
    "secret_file": _secret_file,
    "events": _kinds,
    "retry_for": duration,
    "timeout": _positive_duration,
    "max_pending": _max_pending,
    "allow_private": _truth,
}


def targets_of(webhooks: Iterable[Webhook], environ: Mapping[str, str]) -> tuple[Target, ...]:
    """Return the destinations with their URLs and secrets.

    Raises:
        Failure: A URL or a secret is missing or invalid; no message holds one.
    """
    return tuple(
        Target(webhook=it, url=_checked_url(it, url_of(it, environ)), signer=_signer(it, environ)) for it in webhooks
    )


def _checked_url(webhook: Webhook, given: str) -> URL:
    place = f"the URL of the destination {webhook.name!r}"
    try:
        url = URL(given)
    except ValueError:
        raise Failure(f"{place} is not valid") from None
    host = url.raw_host
    if url.scheme not in {"http", "https"} or not host or not is_host_name(host):
        raise Failure(f"{place} is not valid: it must begin with https:// and a host's name")
    if webhook.allow_private:
        return url
    if url.scheme == "http":
        raise Failure(f"{place} is not encrypted: use https, or in your own network write allow_private = true")
    if (address := literal_address(host)) is not None and not is_public(address):
        raise Failure(f"{place} has an address that is not public: write allow_private = true to permit it")
    return url


def _signer(webhook: Webhook, environ: Mapping[str, str]) -> Signer:
    place = f"the secret of the destination {webhook.name!r}"
    if webhook.secret_file is None:
        source = f"the variable {webhook.secret_from}"
        given = environ.get(webhook.secret_from or "", "")
    else:
        source = f"the file {webhook.secret_file}"
        given = _content(webhook.secret_file, place)
    if not given.strip():
        raise Failure(f"{place} is missing: {source} is empty or not set")
    try:
        return Signer(given)
    except ValueError as error:
        raise Failure(f"{place} in {source} is not valid: {error}") from None


def _content(path: Path, place: str) -> str:
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Failure(f"{place} in the file {path} is not text") from None
    except OSError as error:
        raise Failure(f"{place} cannot be read from {path}: {error.strerror or error}") from None
    warn_if_readable(path, place)
    return content
