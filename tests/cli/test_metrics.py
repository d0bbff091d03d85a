"""``--metrics`` of ``sipqueue alert``, scraped over HTTP."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from sipqueue_async import AgentState
from sipqueue_async.alerts import Destination, RulesFile, StateLasts
from sipqueue_async.cli import app, delivery
from sipqueue_async.cli.commands.alert import alert, alert_demo
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.metrics import Address
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Paper, Stderr
from tests.kit.ports import taken_port
from tests.kit.raw_http import send_malformed
from tests.kit.tasks import running
from tests.kit.waiting import until

RULES = RulesFile(rules=(StateLasts("any", tuple(AgentState), longer_than=0),))
ANY_PORT = Address("127.0.0.1", 0)


async def scrape(url: str) -> dict[tuple[str, str], float]:
    """Return the samples, by name and last label."""
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        text = await answer.text()
    families = text_string_to_metric_families(text)
    return {(it.name, [*it.labels.values(), ""][0]): it.value for family in families for it in family.samples}


async def address(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the URL that the command printed."""
    stderr = Stderr(capsys)
    await until(lambda: "metrics are at" in stderr.text)
    return next(line.split()[-1] for line in stderr.text.splitlines() if "metrics are at" in line)


async def test_the_command_serves_raised_and_undelivered_alerts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sample contains a destination's URL."""
    monkeypatch.setattr(delivery, "GATHER", 0.01)
    secret = "s3cr3t"
    brief = Destination(name="brief", url=f"json://{secret}", retry_for=0.0)
    send: dict[Destination, Any] = {
        Destination(name="away", url=f"json://{secret}"): lambda message: "away",
        brief: lambda message: "away",
        Destination(name="good", url=f"json://{secret}"): lambda message: None,
    }
    async with Simulator(BUSY, speed=0) as simulator:
        work = alert(client_of(simulator), Paper().output(), RULES, interval=0.02, send=send, metrics=ANY_PORT)
        async with running(work):
            url = await address(capsys)
            found: dict[tuple[str, str], float] = {}
            async with asyncio.timeout(60):
                while (
                    found.get(("sipqueue_alerts_given_up_total", "brief")) != 4
                    or found.get(("sipqueue_alerts_undelivered", "good")) != 0
                ):
                    found = await scrape(url)
            assert found["sipqueue_alerts_raised", "any"] == 4
            assert found["sipqueue_alerts_undelivered", "away"] == 4
            assert found["sipqueue_alerts_given_up_total", "good"] == 0
            assert found["sipqueue_feed_up", ""] == 1
            assert not any(secret in text for key in found for text in key)
        with pytest.raises(aiohttp.ClientConnectionError):
            await scrape(url)


async def test_a_demonstration_has_metrics_and_health_without_destinations(capsys: pytest.CaptureFixture[str]) -> None:
    async with running(alert_demo(Demonstration(), Paper().output(), RULES, metrics=ANY_PORT)):
        url = await address(capsys)
        async with aiohttp.ClientSession(url.removesuffix("metrics")) as client, asyncio.timeout(60):
            async with client.get("healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "alive\n")
            status, text = 503, "not ready: the status is not known yet\n"
            while status == 503:
                assert text == "not ready: the status is not known yet\n"
                async with client.get("readyz") as answer:
                    status, text = answer.status, await answer.text()
            assert (status, text) == (200, "ready\n")
        found = await scrape(url)
        assert ("sipqueue_alerts_raised", "any") in found
        assert not any(name == "sipqueue_alerts_undelivered" for name, _ in found)


async def test_an_address_that_cannot_be_listened_on_is_named() -> None:
    with taken_port() as port:
        for given, message in (
            (Address("127.0.0.1", port), f"cannot listen on 127.0.0.1, port {port}: .*; try another port"),
            (Address("192.0.2.1", 0), "not an address of this machine; give --metrics one that is"),
            (Address("no.such.invalid", 0), "the name is unknown; give --metrics an address"),
        ):
            with pytest.raises(Failure, match=message):
                await alert_demo(Demonstration(), Paper().output(), RULES, metrics=given)


async def test_without_the_extra_it_fails_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sipqueue_async.prometheus", None)
    with pytest.raises(Failure, match=r"sipqueue_async\.prometheus"):
        await alert_demo(Demonstration(), Paper().output(), RULES, metrics=ANY_PORT)


@pytest.mark.parametrize("given", ["9300", ":9300", "::1:9300", "localhost:", "localhost:x", "localhost:65536", "[]:1"])
def test_a_wrong_address_is_refused(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.away]\nkind = "feed-silent"', encoding="utf-8")
    assert app.run(["alert", "--rules", str(path), "--check", "--metrics", given]) == 2
    assert f"write HOST:PORT, such as 127.0.0.1:9300, not {given!r}" in " ".join(capsys.readouterr().err.split())


def test_an_address_of_ipv6_stands_in_brackets(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.away]\nkind = "feed-silent"', encoding="utf-8")
    assert app.run(["alert", "--rules", str(path), "--check", "--metrics", "[::1]:0"]) == 0
    assert Address("::1", 9300).url == "http://[::1]:9300/metrics"


async def test_malformed_requests_print_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Simulator(BUSY, speed=0) as simulator,
        running(alert(client_of(simulator), Paper().output(), RULES, interval=5.0, metrics=ANY_PORT)),
    ):
        await send_malformed(URL(await address(capsys)).port or 0)
    assert [it for it in caplog.records if it.exc_info] == []
