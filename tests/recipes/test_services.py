"""The recipes that serve, report, log, and combine with other services."""

from __future__ import annotations

import asyncio
import csv
import email
import email.policy
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import aiohttp
import aiosmtplib
import attrs
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from aiosmtplib.protocol import SMTPProtocol

from sipqueue_async import AgentState
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.tally import Tally
from tests.kit.preloaded import Preloaded
from tests.kit.recipes import RECIPES, ROOT, Recipe, command_of, load, preloaded, stage
from tests.kit.waiting import PATIENCE, until

pytestmark = [pytest.mark.one_python, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def python() -> Iterator[Preloaded]:
    with preloaded("fastapi", "uvicorn", "websockets", "aiosmtplib", "aiohttp.web") as it:
        yield it


async def _health(session: aiohttp.ClientSession) -> tuple[int, str]:
    async with session.get("/health") as answer:
        return answer.status, (await answer.json())["status"]


@pytest.mark.parametrize(
    ("name", "end"), [("fastapi_service.py", signal.SIGTERM), ("aiohttp_service.py", signal.SIGINT)]
)
async def test_a_service_sends_every_event_to_every_client_and_reports_its_health(
    python: Preloaded, name: str, end: signal.Signals
) -> None:
    async with stage() as it, Recipe(python, name, it.variables | {"PORT": "0"}, end=end) as recipe:
        url = re.findall(r"http://[\d.]+:\d+", await recipe.until("unning on"))[0]
        async with (
            aiohttp.ClientSession(url) as session,
            session.ws_connect("/events") as first,
            session.ws_connect("/events") as second,
        ):
            await recipe.polls(it.server)
            it.floor.put(AgentState.TALKING)
            for socket in (first, second):
                event = await socket.receive_json(timeout=PATIENCE)
                assert (event["event"], event["extension"]) == ("state-changed", "100001")
                assert "waiting → talking" in event["text"]
            async with session.get("/queues") as answer:
                assert (await answer.json())["queue-1"]["talking"] == 1
            assert await _health(session) == (200, "fresh")
            it.server.refuse(604, times=None)
            async with asyncio.timeout(PATIENCE):
                while await _health(session) != (503, "stale"):
                    await asyncio.sleep(0.05)
                for socket in (first, second):
                    assert (await socket.receive_json())["event"] == "feed-down"
                    assert (await socket.receive()).data == 1011


class Mailbox:
    """Collects mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # a hook's name
        """Accept a mail."""
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    @property
    def texts(self) -> list[str]:
        """The mails' texts."""
        bodies = [mail.get_body() for mail in self.mails]
        return [body.get_content() for body in bodies if body is not None]


@asynccontextmanager
async def mail_server(mailbox: Mailbox) -> AsyncGenerator[dict[str, str]]:
    """Run a mail server that puts everything into a mailbox; yield the settings of its address."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(mailbox, loop=loop), "127.0.0.1", 0) as server:
        place = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.sockets[0].getsockname()[1])}
        yield place | {"MAIL_FROM": "wallboard@example.com", "MAIL_TO": "team@example.com"}


async def test_the_report_comes_by_mail(python: Preloaded) -> None:
    mailbox = Mailbox()
    async with mail_server(mailbox) as settings:
        settings["REPORT_EVERY"] = "0.5"
        async with stage() as it, Recipe(python, "daily_report.py", it.variables | settings) as recipe:
            await recipe.polls(it.server)
            it.floor.put(AgentState.TALKING, answered=3)
            await recipe.wait_for(lambda: any("all: 3 answered" in text for text in mailbox.texts[:-1]))
    # Each day has its own report, so all calls are in one report.
    assert ["3 answered" in text for text in mailbox.texts].count(True) == 1
    place = next(place for place, text in enumerate(mailbox.texts) if "queue-1: 3 answered, 0 missed" in text)
    attachment = next(mailbox.mails[place].iter_attachments()).get_content()
    rows = list(csv.DictReader(attachment.splitlines()))
    assert [(row["queue"], row["extension"], row["answered"]) for row in rows] == [
        ("queue-1", "100001", "3"),
        ("queue-2", "100002", "0"),
    ]


@pytest.mark.parametrize("answer", range(1, 8))
async def test_ctrl_c_ends_the_report_even_as_the_mail_server_answers(
    answer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = 0
    received = SMTPProtocol.data_received

    def interrupt(protocol: SMTPProtocol, data: bytes) -> None:
        nonlocal answers
        received(protocol, data)
        answers += 1
        if answers == answer:
            sending.cancel()

    monkeypatch.setattr(SMTPProtocol, "data_received", interrupt)
    async with mail_server(Mailbox()) as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        sending = asyncio.create_task(load("daily_report.py").deliver(Tally(), "2026-01-01"))
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert answers >= answer


async def test_a_mail_server_that_ends_badly_is_not_sent_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Curt(Mailbox):
        async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            return "421 too busy for that"

    mailbox = Curt()
    async with mail_server(mailbox) as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        await load("daily_report.py").deliver(Tally(), "2026-01-01")
    assert len(mailbox.mails) == 1


async def test_the_report_comes_as_a_file(python: Preloaded, tmp_path: Path) -> None:
    settings = {"REPORT_DIR": str(tmp_path / "reports"), "REPORT_EVERY": "0.5"}
    async with stage() as it:
        it.floor.put(AgentState.WAITING, queue="=1+1")
        async with Recipe(python, "daily_report.py", it.variables | settings, end=signal.SIGINT) as recipe:
            await recipe.until("wrote")
    text = next(tmp_path.glob("reports/*.csv")).read_text()
    assert "queue-1,100001,0,0" in text
    assert "'=1+1,100001,0,0" in text


def test_a_setting_that_mail_lacks_is_missed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "mail.example.com")
    with pytest.raises(KeyError, match="MAIL_FROM"):
        load("daily_report.py")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-28 17:59:59", "2026-03-28 18:00:00+01:00"),
        ("2026-03-28 18:00:00", "2026-03-29 18:00:00+02:00"),
        ("2026-10-24 18:00:00", "2026-10-25 18:00:00+01:00"),
        ("2026-10-25 00:30:00", "2026-10-25 18:00:00+01:00"),
    ],
)
def test_the_report_is_due_by_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch, now: str, due: str) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        assert str(load("daily_report.py").next_report(datetime.fromisoformat(now).astimezone())) == due
    time.tzset()


def test_only_a_mail_that_is_refused_for_good_is_given_up() -> None:
    is_final = load("daily_report.py").is_final
    assert not is_final(aiosmtplib.SMTPConnectError("refused"))
    assert not is_final(aiosmtplib.SMTPSenderRefused(451, "later", "me@example.com"))
    assert is_final(aiosmtplib.SMTPAuthenticationError(535, "no"))
    for code, final in ((450, False), (550, True)):
        refused = aiosmtplib.SMTPRecipientRefused(code, "greylisted or unknown", "team@example.com")
        assert is_final(aiosmtplib.SMTPRecipientsRefused([refused])) is final


async def test_the_log_has_every_change_and_every_outage(python: Preloaded, tmp_path: Path) -> None:
    """Names that a spreadsheet would run as formulas are escaped."""
    logs = tmp_path / "logs"  # created by the recipe
    async with stage() as it, Recipe(python, "csv_log.py", it.variables | {"CSV_DIR": str(logs)}) as recipe:

        def rows() -> list[list[str]]:
            # The test may run across midnight.
            lines = [line for path in sorted(logs.glob("*.csv")) for line in path.read_text().splitlines()]
            return [row[1:] for row in csv.reader(lines) if row[0] != "observed_at"]

        await recipe.polls(it.server)
        it.floor.put(AgentState.TALKING)
        await recipe.wait_for(lambda: len(rows()) == 1)
        it.server.refuse(500, times=2)
        await recipe.wait_for(lambda: len(rows()) == 3)
        it.floor.put(AgentState.WAITING)
        await recipe.wait_for(lambda: len(rows()) == 4)
        it.floor.put(AgentState.WAITING, queue="@q;+1", name="")
        await recipe.polls(it.server)
        it.floor.put(AgentState.TALKING, queue="@q;+1", name="")
        await recipe.wait_for(lambda: len(rows()) == 5)
    change = ["queue-1", "100001", "'=Agent"]
    assert rows() == [
        [*change, "waiting", "talking"],
        ["", "", "", "", "feed down"],
        ["", "", "", "", "feed up"],
        [*change, "talking", "waiting"],
        ["'@q;'+1", "100001", "", "waiting", "talking"],
    ]


async def test_a_count_survives_restarts_and_has_each_call_once(python: Preloaded, tmp_path: Path) -> None:
    async with stage() as it:
        settings = it.variables | {"COUNTS_FILE": str(tmp_path / "counts.json")}
        async with Recipe(python, "answered_counts.py", settings) as recipe:
            await recipe.polls(it.server)
            it.floor.put(AgentState.TALKING, answered=1)
            await recipe.until("queue-1 100001 =Agent, talking: 1 answered")
        it.floor.put(AgentState.WAITING, answered=3)
        async with Recipe(python, "answered_counts.py", settings, end=signal.SIGINT) as recipe:
            await recipe.until("queue-1 100001 =Agent, waiting: 3 answered")
        async with Recipe(python, "answered_counts.py", settings) as recipe:
            await recipe.polls(it.server)
            it.floor.put(AgentState.TALKING, answered=4)
            assert "talking: 4 answered" in await recipe.until("answered")


async def test_several_platforms_are_one_stream_and_do_not_end_each_other(python: Preloaded, tmp_path: Path) -> None:
    async with stage() as berlin, stage() as paris:
        files = [tmp_path / "BERLIN.toml", tmp_path / "PARIS.toml"]
        for path, it in zip(files, (berlin, paris), strict=True):
            keys = {"url": it.server.url, "appid": it.server.appid, "accesskey": it.server.accesskey}
            path.write_text("\n".join(f'{key} = "{value}"' for key, value in keys.items()))
            path.chmod(0o600)
        settings = {"PLATFORMS": " ".join(map(str, files)), "SIPQUEUE_INTERVAL": "0.05"}
        async with Recipe(python, "several_platforms.py", settings) as recipe:
            await recipe.wait_for(lambda: min(berlin.server.requests, paris.server.requests) > 3)
            berlin.floor.put(AgentState.TALKING)
            assert "queue-1 100001 waiting → talking" in await recipe.until("BERLIN: ")
            berlin.server.refuse(604, times=None)
            await recipe.until("604")
            paris.floor.put(AgentState.PAUSED)
            await recipe.until("PARIS: queue-1 100001 waiting → paused")


async def test_a_missing_settings_file_of_several_is_one_line(python: Preloaded, tmp_path: Path) -> None:
    code = (RECIPES / "several_platforms.py").read_text(encoding="utf-8")
    missing = tmp_path / "berlin.toml"
    program = await python.start(code, tmp_path, {"PLATFORMS": str(missing)})
    async with asyncio.timeout(PATIENCE):
        errors = (await program.stderr.read()).decode()
        assert await program.wait() == 2
    assert errors == f"settings: the settings file {missing} cannot be read: No such file or directory\n"


async def test_calls_are_joined_with_the_other_partys_number(python: Preloaded) -> None:
    plan = attrs.evolve(Plan.lively(), short_calls=0.0)
    async with Simulator(plan, seed=2, speed=60) as simulator:
        settings = {"SIPQUEUE_URL": simulator.url, "SIPQUEUE_APPID": simulator.appid, "SIPQUEUE_INTERVAL": "0.05"}
        settings["SIPQUEUE_ACCESSKEY"] = simulator.accesskey
        numbers: set[tuple[str, str]] = set()

        def three_told() -> bool:
            simulator.catch_up()
            numbers.update((extension, call.number) for extension, call in simulator.centre.calls().items())
            return len(recipe.lines) >= 3

        async with Recipe(python, "who_talks_to_whom.py", settings, end=signal.SIGINT) as recipe:
            await recipe.wait_for(three_told)
    told = [re.fullmatch(r"queue-\d (\d+) Agent \d\d talks to (\d+)", line) for line in recipe.lines]
    assert all(told)
    assert {(it[1], it[2]) for it in told if it} <= numbers


@pytest.mark.parametrize("page", sorted(RECIPES.glob("[!i]*.md")), ids=lambda page: page.stem)
def test_a_recipe_is_installed_and_started_from_the_checkout_that_it_is_in(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    installed, started = text.partition("```shell\n")[2].partition("```")[0].splitlines()
    (recipe,) = re.findall(r"^```{literalinclude} (\w+\.py)$", text, re.MULTILINE)
    assert shlex.split(installed)[:3] == ["pip", "install", "."]
    assert shlex.split(started) == command_of(recipe)


def test_every_recipe_begins_with_its_command() -> None:
    recipes = sorted(path.name for path in RECIPES.glob("*.py"))
    assert len(recipes) >= 10
    assert [command_of(name) for name in recipes] == [["python", f"docs/recipes/{name}"] for name in recipes]


async def test_sigterm_ends_a_recipe_that_was_started_with_sigint_ignored() -> None:
    """A recipe started as a shell script's `program &` ends cleanly on SIGTERM."""
    async with stage() as it:
        python = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f"trap '' INT; exec {shlex.join(command_of('alert.py'))}"),
            env={**os.environ, **it.variables, "PATH": python},
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until(lambda: it.server.requests >= 3)
        async with asyncio.timeout(PATIENCE):
            process.terminate()
            assert await process.wait() == 0
