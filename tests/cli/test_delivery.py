"""Delivery of alerts, to real receivers of HTTP and of mail on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import apprise
import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

from sipqueue_async import AgentState
from sipqueue_async.alerts import Alert, AlertCleared, AlertRaised, Destination, FeedSilent, RulesFile, StateLasts
from sipqueue_async.cli import app, delivery
from sipqueue_async.cli.commands.alert import alert, state_file_of, try_out
from sipqueue_async.cli.delivery import Delivery, Outbox, senders
from sipqueue_async.cli.exits import UNREACHABLE, Failure
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.simulator import Simulator
from tests.kit.builders import START
from tests.kit.cli import BUSY, Paper, environment, sipqueue
from tests.kit.http import serving
from tests.kit.tasks import running
from tests.kit.waiting import until

RULE = StateLasts("long-talk", AgentState.TALKING, longer_than=60)
TALKS = '[rules.talks]\nkind = "state-lasts"\nstates = "talking"\nlonger_than = "0 s"\n'
SECRET = "s3cr3t-t0ken"

# Apprise imports it on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "GATHER", 0.05)
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.02)
    # Apprise's own pause between two messages to a service.
    monkeypatch.setattr(apprise.NotifyBase, "request_rate_per_sec", 0)


def about(number: int = 0, agent: str = "Ann") -> dict[str, Any]:
    """Return the fields that the alerts share."""
    return {
        "rule": RULE,
        "id": f"id-{number}",
        "queue": "queue-1",
        "extension": "100001",
        "agent": agent,
        "since": START,
        "at": START + timedelta(seconds=60),
        "value": 60.0,
        "approximate": False,
    }


def raised(number: int = 0, agent: str = "Ann", repeat: int = 0) -> AlertRaised:
    return AlertRaised(**about(number, agent), repeat=repeat)


class Receiver:
    """An HTTP server that records the messages of Apprise's ``json://``, by path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, str]] = []
        self.attempts: list[str] = []
        self.refusals = 0
        """The number of requests that it still answers with 500."""
        self.released = asyncio.Event()
        self.pause = 0.0
        """Seconds before it answers."""
        self.port = 0

    async def handle(self, request: web.Request) -> web.Response:
        found = json.loads(await request.read())
        self.attempts.append(found["message"])
        if request.path.endswith("/hangs"):
            await self.released.wait()
        await asyncio.sleep(self.pause)
        if self.refusals > 0:
            self.refusals -= 1
            if request.path.endswith("/closes"):
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=500, text=SECRET)
        self.received.append((request.path, found["title"], found["message"]))
        return web.Response()

    def has(self, *, received: int = 0, attempts: int = 0) -> bool:
        return len(self.received) >= received and len(self.attempts) >= attempts

    def url(self, path: str = "") -> str:
        return f"json://127.0.0.1:{self.port}/{SECRET}{path}"


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    async with serving(receiver.handle) as receiver.port:
        try:
            yield receiver
        finally:
            receiver.released.set()


@asynccontextmanager
async def delivering(
    *destinations: Destination, language: str = "en", outboxes: dict[str, Outbox] | None = None
) -> AsyncGenerator[Delivery]:
    it = Delivery(senders(destinations, {}), RulesFile(rules=(), language=language), outboxes)
    async with running(it.run(lambda: None)):
        yield it


def again(saved: Delivery) -> dict[str, Outbox]:
    """Return the outboxes after saving and loading, as in a restart."""
    return {name: Outbox.from_dict(json.loads(json.dumps(outbox.to_dict()))) for name, outbox in saved.outboxes.items()}


@pytest.mark.parametrize(
    ("language", "title", "last"), [("en", "25 alerts", "and 5 more"), ("zh", "25 条告警", "另有 5 条")]
)
async def test_a_storm_becomes_one_message(language: str, title: str, last: str) -> None:
    async with receiving() as receiver, delivering(Destination(name="a", url=receiver.url()), language=language) as it:
        for number in range(25):
            it.add(raised(number))
        assert it.number == 25
        await until(lambda: it.number == 0)
    [(_, received_title, body)] = receiver.received
    lines = body.splitlines()
    assert (received_title, len(lines), lines[20]) == (title, 22, last)
    assert lines[0][9:] == raised().text(language)
    assert lines[21].startswith("id ")


@pytest.mark.parametrize(
    ("event", "title", "last"),
    [
        (raised(), "long-talk", "id id-0"),
        (raised(repeat=2), "long-talk", "id id-0-2"),
        (AlertCleared(**about(), raised_at=START), "long-talk: over", "id id-0-over"),
        (AlertCleared(**about(), raised_at=START, reason="left"), "long-talk: over", "id id-0-over"),
        (AlertCleared(**about(), raised_at=START, reason="hours"), "long-talk: hours ended", "id id-0-over"),
        (AlertCleared(**about(), raised_at=START, reason="rule"), "long-talk: no longer watched", "id id-0-over"),
    ],
)
async def test_one_alert_has_its_rule_as_title_and_its_id(event: Alert, title: str, last: str) -> None:
    async with receiving() as receiver, delivering(Destination(name="a", url=receiver.url())) as it:
        it.add(event)
        await until(lambda: receiver.received)
    [(_, received_title, body)] = receiver.received
    assert (received_title, body.splitlines()) == (title, [body.splitlines()[0], last])


async def test_a_retry_carries_the_same_id_and_no_message_quotes_the_url(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as receiver, delivering(Destination(name="duty", url=receiver.url())) as it:
        receiver.refusals = 2
        it.add(raised())
        await until(lambda: it.number == 0)
    assert len(receiver.attempts) == 3
    assert len(set(receiver.attempts)) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        "sipqueue: destination 'duty': it answered with the HTTP status 500; retrying for 3600 s",
        "sipqueue: destination 'duty': delivered after 2 failures",
    ]
    assert SECRET not in caplog.text


async def test_a_destination_that_closes_the_connection_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async with receiving() as receiver, delivering(Destination(name="duty", url=receiver.url("/closes"))) as it:
        receiver.refusals = 2
        it.add(raised())
        await until(lambda: it.number == 0)
    assert len(set(receiver.attempts)) == len(receiver.received) == 1
    assert len(receiver.attempts) == 3
    assert "'duty': it cannot be reached, or refuses; retrying for 3600 s" in capsys.readouterr().err


async def test_a_destination_that_hangs_delays_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT", 0.2)
    async with receiving() as receiver:
        slow = Destination(name="slow", url=receiver.url("/hangs"))
        async with delivering(slow, Destination(name="fast", url=receiver.url())) as it:
            for number in range(2):
                it.add(raised(number))
                await until(partial(receiver.has, received=number + 1))
            await until(partial(receiver.has, attempts=5))
            assert it.outboxes["slow"].number == 2
        receiver.released.set()
        await until(partial(receiver.has, received=5))
    assert "'slow': it did not answer within 0.2 s; retrying" in capsys.readouterr().err


async def test_a_slow_receiver_gets_each_message_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may answer later than Apprise waits by default, and has the whole time of an attempt."""
    monkeypatch.setattr(apprise.URLBase, "socket_read_timeout", 0.05)
    async with receiving() as receiver:
        receiver.pause = 0.5
        slow = Destination(name="slow", url=receiver.url())
        impatient = Destination(name="impatient", url=receiver.url("/impatient") + "?rto=0.06", retry_for=0.01)
        async with delivering(slow, impatient) as it:
            it.add(raised())
            await until(lambda: it.number == 0)
    assert it.given_up == {"slow": 0, "impatient": 1}
    assert [path for path, _, _ in receiver.received if not path.endswith("/impatient")] == [f"/{SECRET}"]


async def test_a_destination_that_hangs_delays_no_end(tmp_path: Path) -> None:
    """Ctrl-C ends the program during a delivery attempt."""
    rules = tmp_path / "rules.toml"
    async with receiving() as receiver, Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        rules.write_text(TALKS + f'[destinations.slow]\nurl = "{receiver.url("/hangs")}?rto=600"\n', encoding="utf-8")
        rules.chmod(0o600)
        async with sipqueue("alert", "--rules", str(rules), env=environment(simulator)) as program:
            await until(partial(receiver.has, attempts=1))
            program.send(signal.SIGINT)
            code, out, err = await program.rest()
    number = len(out.splitlines())
    assert (code, err) == (130, f"sipqueue: {number} alerts not delivered yet; no --state-file keeps them\n")


async def test_an_undelivered_alert_is_sent_after_a_restart_with_the_same_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with receiving() as receiver:
        receiver.refusals = 1_000_000
        destination = Destination(name="a", url=receiver.url())
        async with delivering(destination, Destination(name="gone", url=receiver.url())) as it:
            it.add(raised(1))
            await until(lambda: len(receiver.attempts) > 3)
            it.add(raised(2))
            saved = again(it)
        assert again(Delivery({destination: lambda _: None}))["a"].number == 0
        receiver.refusals = 0
        async with delivering(destination, outboxes=saved) as it:
            await until(lambda: it.number == 0)
    assert [body.splitlines()[-1] for _, _, body in receiver.received] == ["id id-1", "id id-2"]
    assert "2 alerts for the destination 'gone' dropped: it no longer exists" in capsys.readouterr().err


async def test_retries_end_after_the_stated_time(capsys: pytest.CaptureFixture[str]) -> None:
    async with receiving() as receiver:
        receiver.refusals = 1_000_000
        async with delivering(Destination(name="a", url=receiver.url(), retry_for=0.2)) as it:
            it.add(raised())
            await until(lambda: it.number == 0)
    assert "destination 'a': 1 alert given up after 0.2 s: it answered with" in capsys.readouterr().err


class Mailbox:
    """Keeps the mails that arrive; at first it refuses, and closes the connection."""

    def __init__(self, refusals: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.attempts = 0
        self.refusals = refusals

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:  # noqa: N802
        self.attempts += 1
        if self.attempts <= self.refusals:
            if self.attempts == 1:
                return "451 try again later"
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@asynccontextmanager
async def mailing(mailbox: Mailbox) -> AsyncGenerator[str]:
    """Serve a mailbox; yield the URL of a destination, up to further options."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, hostname="localhost"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"mailto://127.0.0.1:{port}?from=a@example.com&to=b@example.com&mode=insecure"
    finally:
        server.close()


async def test_a_mail_server_that_refuses_or_closes_the_connection_loses_nothing() -> None:
    """A mail whose connection broke after it was sent arrives again, with the same id."""
    mailbox = Mailbox(refusals=2)
    async with mailing(mailbox) as url, delivering(Destination(name="mail", url=url)) as it:
        it.add(raised())
        await until(lambda: it.number == 0)
    assert mailbox.attempts == 3
    bodies = {str(mail.get_body(("plain", "html"))).strip().splitlines()[-1] for mail in mailbox.mails}
    assert len(mailbox.mails) == 2
    assert len(bodies) == 1


async def test_markup_in_a_name_is_escaped_in_a_mail() -> None:
    mailbox = Mailbox()
    async with mailing(mailbox) as url, delivering(Destination(name="mail", url=f"{url}&format=html")) as it:
        it.add(raised(agent="<b>Ann</b>\n"))
        await until(lambda: it.number == 0)
    [mail] = mailbox.mails
    html = mail.get_body(("html",))
    assert html is not None
    assert r"&lt;b&gt;Ann&lt;/b&gt;\n" in html.get_content()


def test_a_missing_or_wrong_url_is_named_by_its_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="the destination 'a' has no URL: set DUTY_URL"):
        senders([Destination(name="a", url_from="DUTY_URL")], {})
    with pytest.raises(Failure, match="the URL of the destination 'a' is not one that Apprise understands") as caught:
        senders([Destination(name="a", url_from="DUTY_URL")], {"DUTY_URL": f"nothing://{SECRET}"})
    assert SECRET not in str(caught.value)
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(Failure, match=r"delivery needs apprise: pip install 'sipqueue_async\[alerts\]'"):
        senders([Destination(name="a", url=f"json://{SECRET}")], {})


async def test_an_error_of_a_service_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    [send] = senders([Destination(name="a", url="json://127.0.0.1:9")], {}).values()
    assert send(delivery.trial("zh")) == "it cannot be reached, or refuses"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(apprise.Apprise, "notify", fail)
    assert send(delivery.trial("en")) == "the service failed"


async def test_try_sends_one_message_to_each_destination() -> None:
    paper = Paper()
    async with receiving() as receiver:
        rules = RulesFile(
            rules=(FeedSilent("away"),),
            destinations=(Destination(name="a", url=receiver.url()), Destination(name="b", url="json://127.0.0.1:9")),
        )
        with pytest.raises(Failure, match="not delivered to 'b'") as caught:
            await try_out(rules, senders(rules.destinations, {}), paper.output())
        await try_out(rules, senders(rules.destinations[:1], {}), paper.output())
        with pytest.raises(Failure, match="has no destinations"):
            await try_out(rules, {}, paper.output())
    assert caught.value.code == UNREACHABLE
    assert paper.lines == ["a: delivered", "b: it cannot be reached, or refuses", "a: delivered"]
    assert [title for _, title, _ in receiver.received] == ["Test message of sipqueue alert"] * 2


async def test_the_command_delivers_what_it_printed_even_after_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = RulesFile(rules=(StateLasts("talks", AgentState.TALKING, longer_than=0),))
    paper, state = Paper(), state_file_of(tmp_path / "state", rules)
    async with receiving() as receiver, Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        send = senders([Destination(name="a", url=receiver.url())], {})
        for refusals, kept in ((1_000_000, state), (0, state), (1_000_000, None)):
            receiver.refusals, attempts = refusals, len(receiver.attempts)
            work = alert(client_of(simulator), paper.output(), rules, interval=0.02, state_file=kept, send=send)
            async with running(work):
                await until(partial(receiver.has, attempts=attempts + 1))
                if not refusals:
                    await until(lambda: '"message":null' in (tmp_path / "state").read_text())
    [(_, title, body)] = receiver.received
    number = len(paper.lines) // 2
    assert (title, body.splitlines()[:-1]) == (f"{number} alerts", paper.lines[:number])
    errors = [line for line in capsys.readouterr().err.splitlines() if "not delivered" in line]
    assert errors == [
        f"sipqueue: {number} alerts not delivered yet; {kept}"
        for kept in ("the state file keeps them", "no --state-file keeps them")
    ]


def test_the_command_line_checks_destinations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.away]\nkind = "feed-silent"\n[destinations.a]\nurl = "nothing://x"\n', encoding="utf-8")
    path.chmod(0o644)
    assert app.run(["alert", "--rules", str(path), "--check"]) == 2
    assert app.run(["alert", "--rules", str(path), "--dry-run", "--check"]) == 0
    path.chmod(0o600)
    assert app.run(["alert", "--rules", str(path), "--try"]) == 2
    wrong = "sipqueue: the URL of the destination 'a' is not one that Apprise understands"
    warning = f"sipqueue: warning: other users can read the URLs of the destinations in {path}; run: chmod 600 {path}"
    assert capsys.readouterr().err.splitlines() == [warning, wrong, warning, wrong]
