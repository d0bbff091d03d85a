"""Delivers alerts with Apprise: a destination that is slow or down delays neither the feed nor the others."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async._text import harmless
from sipqueue_async.alerts import Alert, AlertRaised, Destination, RulesFile
from sipqueue_async.cli.destinations import url_of
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.terminal.lines import clock
from sipqueue_async.cli.threads import in_own_thread
from sipqueue_async.cli.words import counted

GATHER: Final = 1.0
"""Seconds for which a message waits for further alerts, so that a storm becomes one message."""
FIRST_PAUSE: Final = 5.0
"""Seconds before the first retry; each further pause is twice as long, up to `_LONGEST_PAUSE`."""
_LONGEST_PAUSE: Final = 300.0
TIMEOUT: Final = 30.0
"""Timeout in seconds of one attempt."""
_MOST_LINES: Final = 20
"""How many alerts a message lists; services refuse or split long ones."""

_NO_RULES: Final = RulesFile(rules=())

_WORDS: Final = {
    "en": {
        "ended": "{}: over",
        "left": "{}: over",
        "hours": "{}: hours ended",
        "rule": "{}: no longer watched",
        "many": "{} alerts",
        "more": "and {} more",
        "test": "Test message of sipqueue alert",
    },
    "zh": {
        "ended": "{}：恢复",
        "left": "{}：恢复",
        "hours": "{}：生效时段结束",
        "rule": "{}：不再监测",
        "many": "{} 条告警",
        "more": "另有 {} 条",
        "test": "sipqueue alert 测试消息",
    },
}


@attrs.frozen
class Note:
    """One alert that has to be delivered."""

    id: str
    """The alert's id, and what happened: raised, repeated or cleared."""
    title: str
    line: str


@attrs.frozen
class Message:
    """One or several alerts, as they are sent. A retry sends the same message with the same id."""

    id: str
    title: str
    body: str
    number: int
    """The number of alerts in it."""
    packed_at: float
    """When it was made, in seconds since 1970: the time for retries counts across restarts."""


def note_of(alert: Alert, rules: RulesFile) -> Note:
    """Return an alert as it is delivered."""
    name, words = harmless(alert.rule.name), _WORDS[rules.language]
    if isinstance(alert, AlertRaised):
        suffix, title = (f"-{alert.repeat}" if alert.repeat else ""), name
    else:
        suffix, title = "-over", words[alert.reason].format(name)
    return Note(alert.id + suffix, title, harmless(f"{clock(alert.at)} {rules.text(alert)}"))


def message_of(notes: list[Note], language: str) -> Message:
    """Return one message with all of these alerts."""
    words = _WORDS[language]
    lines = [note.line for note in notes[:_MOST_LINES]]
    if more := len(notes) - len(lines):
        lines.append(words["more"].format(more))
    if len(notes) == 1:
        identity, title = notes[0].id, notes[0].title
    else:
        identity = hashlib.sha256("\0".join(note.id for note in notes).encode()).hexdigest()[:16]
        title = words["many"].format(len(notes))
    return Message(identity, title, "\n".join([*lines, f"id {identity}"]), len(notes), time.time())


def trial(language: str) -> Message:
    """Return the message that ``--try`` sends."""
    text = _WORDS[language]["test"]
    return Message("test", text, text, 0, time.time())


class Outbox:
    """The alerts that a destination has not received yet."""

    def __init__(self, notes: Iterable[Note] = (), message: Message | None = None) -> None:
        self.notes = list(notes)
        """Alerts for a later message."""
        self.message = message
        """The message that is being sent."""

    @property
    def number(self) -> int:
        """The number of alerts in it."""
        return len(self.notes) + (0 if self.message is None else self.message.number)

    def to_dict(self) -> dict[str, Any]:
        """Return the outbox as JSON can hold it."""
        message = None if self.message is None else attrs.astuple(self.message)
        return {"notes": [attrs.astuple(note) for note in self.notes], "message": message}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Outbox:
        """Return the outbox that `to_dict` wrote."""
        message = saved["message"]
        if message is not None:
            identity, title, body, number, packed_at = message
            message = Message(str(identity), str(title), str(body), int(number), float(packed_at))
        return cls([Note(*map(str, note)) for note in saved["notes"]], message)


Send: TypeAlias = Callable[[Message], str | None]
"""Sends a message, blocking; returns why it was not accepted, or None."""


class Delivery:
    """The destinations and their outboxes.

    Args:
        destinations: The destinations, each with the function that sends to it.
        rules: The rules file, which has the texts and their language.
        outboxes: The outboxes of an earlier run.
    """

    def __init__(
        self,
        destinations: Mapping[Destination, Send] | None = None,
        rules: RulesFile = _NO_RULES,
        outboxes: Mapping[str, Outbox] | None = None,
    ) -> None:
        self._destinations = dict(destinations or {})
        self._rules = rules
        saved = outboxes or {}
        self.outboxes = {it.name: saved.get(it.name) or Outbox() for it in self._destinations}
        """The outbox of each destination, by name."""
        self.given_up = dict.fromkeys(self.outboxes, 0)
        """How many alerts were never delivered to each destination, since the start, by name."""
        self._filled = {name: asyncio.Event() for name in self.outboxes}
        for name, outbox in saved.items():
            if outbox.number and name not in self.outboxes:
                complain(f"{counted(outbox.number, 'alert')} for the destination {name!r} dropped: it no longer exists")

    @property
    def number(self) -> int:
        """The number of deliveries that are due."""
        return sum(outbox.number for outbox in self.outboxes.values())

    @property
    def undelivered(self) -> dict[str, int]:
        """The number of alerts that each destination has not received yet, by name."""
        return {name: outbox.number for name, outbox in self.outboxes.items()}

    def add(self, alert: Alert) -> None:
        """Deliver an alert to every destination; `run` sends it."""
        note = note_of(alert, self._rules)
        for name, outbox in self.outboxes.items():
            outbox.notes.append(note)
            self._filled[name].set()

    async def run(self, save: Callable[[], None]) -> None:
        """Send what is in the outboxes until the task is cancelled.

        Args:
            save: Called whenever an outbox has changed. A message is saved before it is sent.
        """
        await asyncio.gather(*(self._serve(it, send, save) for it, send in self._destinations.items()))

    async def _serve(self, destination: Destination, send: Send, save: Callable[[], None]) -> None:
        outbox, filled = self.outboxes[destination.name], self._filled[destination.name]
        while True:
            if outbox.message is None:
                if not outbox.notes:
                    filled.clear()
                    await filled.wait()
                await asyncio.sleep(GATHER)
                outbox.message = message_of(outbox.notes, self._rules.language)
                outbox.notes.clear()
                save()
            if not await _send_until(destination, outbox.message, send):
                self.given_up[destination.name] += outbox.message.number
            outbox.message = None
            save()


async def _send_until(destination: Destination, message: Message, send: Send) -> bool:
    """Send a message until it is accepted, or the destination's time for retries has passed; return whether it was."""
    place, pause, failures = f"destination {destination.name!r}", FIRST_PAUSE, 0
    while (reason := await in_thread(lambda: send(message))) is not None:
        failures += 1
        left = message.packed_at + destination.retry_for - time.time()
        if left <= 0:
            complain(
                f"{place}: {counted(message.number, 'alert')} given up after {destination.retry_for:g} s: {reason}"
            )
            return False
        if failures == 1:
            complain(f"{place}: {reason}; retrying for {left:.0f} s")
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
    if failures:
        complain(f"{place}: delivered after {counted(failures, 'failure')}", level="info")
    return True


async def in_thread(work: Callable[[], str | None]) -> str | None:
    """Return the result of a blocking call, or after `TIMEOUT` a reason; the thread is then left to itself."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await in_own_thread(work, "delivery")
    except TimeoutError:
        return f"it did not answer within {TIMEOUT:g} s"


def senders(destinations: Iterable[Destination], environ: Mapping[str, str]) -> dict[Destination, Send]:
    """Return the function that sends to each destination.

    Raises:
        Failure: Apprise is not installed, or a URL is missing or invalid; no message holds a URL.
    """
    return {it: _sender(it.name, url_of(it, environ)) for it in destinations}


def _sender(name: str, url: str) -> Send:
    try:
        # Imported lazily: printing alerts must not require Apprise.
        import apprise  # noqa: PLC0415
    except ModuleNotFoundError:
        raise Failure("delivery needs apprise: pip install 'sipqueue_async[alerts]'") from None
    # Its log may quote URLs.
    logger = logging.getLogger("apprise")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    # With a timeout of its own, Apprise would send in a few shared threads, which destinations that hang would occupy.
    asset = apprise.AppriseAsset(app_id="sipqueue", app_desc="sipqueue alert", service_timeout=0)
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        raise Failure(f"the URL of the destination {name!r} is not one that Apprise understands")
    for plugin in service:
        _give_time(plugin)

    def send(message: Message) -> str | None:
        try:
            result = service.notify(title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT)
        except Exception:  # noqa: BLE001  # a service's error may quote its URL
            return "the service failed"
        if result:
            return None
        # Only the status: the rest of the log may quote the URL.
        codes = [found[1] for entry in result.logs() if (found := _STATUS.search(entry.message))]
        return f"it answered with the HTTP status {codes[-1]}" if codes else "it cannot be reached, or refuses"

    return send


def _give_time(plugin: Any) -> None:
    """Let a service answer until the attempt ends, unless the URL says otherwise (``cto``, ``rto``).

    Apprise waits for a few seconds only, so it would repeat a message that a slow service accepts later.
    """
    for timeout in ("socket_connect_timeout", "socket_read_timeout"):
        if getattr(plugin, timeout) == getattr(type(plugin), timeout):
            setattr(plugin, timeout, TIMEOUT)


_STATUS: Final = re.compile(r"\berror=([1-9]\d\d)\b")
