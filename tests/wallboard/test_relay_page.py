"""The page in a real browser, fed by a relay on a real Redis."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import attrs
import pytest
from playwright.async_api import expect

from sipqueue_async import AppCredentials, SipQueueClient
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.wallboard import Wallboard
from tests.kit.redis_server import RedisServer
from tests.kit.wallboard_screen import SHOWN, Visit, truth_of

pytest_plugins = ["tests.kit.browser"]
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.one_python,
    pytest.mark.needs_redis,
]


async def test_the_page_shows_what_the_relay_publishes_and_each_outage(visit: Visit, tmp_path: Path) -> None:
    plan = attrs.evolve(Plan.lively(), breaks_per_hour=9.0)
    async with RedisServer(tmp_path) as server, Simulator(plan, seed=5, speed=0) as simulator:
        credentials = AppCredentials(simulator.appid, simulator.accesskey)
        feed = RedisFeed(server.url)
        async with Wallboard(feed, beat=0.3) as wallboard, feed:
            page = await visit(wallboard.url)
            await expect(page.locator("#alert")).to_have_text("No data: the platform has not answered yet.")
            await expect(page.locator("#nobody")).to_be_hidden()
            await expect(page.locator("#reason")).to_contain_text("no relay has published anything yet")
            async with SipQueueClient(simulator.url, credentials) as client:
                async with Relay(client, server.url, interval=0.3, lease=1):
                    for _ in range(2):
                        simulator.advance(37)
                        async with asyncio.timeout(60):
                            while await page.evaluate(SHOWN) != truth_of(simulator):
                                await asyncio.sleep(0.1)
                    await expect(page.locator("#condition")).to_have_text("Live")
                    await expect(page.locator("#notice")).to_be_hidden()
                await expect(page.locator("#condition")).to_have_text("No data")
                await expect(page.locator("#alert")).to_have_text(re.compile("No data since .* was known then"))
                await expect(page.locator("#reason")).to_contain_text("no relay is there")
                async with Relay(client, server.url, interval=0.3, lease=1):
                    await expect(page.locator("#condition")).to_have_text("Live")
                    await expect(page.locator("#notice")).to_be_hidden()
