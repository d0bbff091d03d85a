"""The page in a real browser: it shows the truth, or says that it cannot."""

from __future__ import annotations

import asyncio
import re

import attrs
import pytest
from playwright.async_api import expect

from sipqueue_async import AppCredentials, SipQueueClient, StatusWatcher
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.wallboard import Wallboard
from tests.kit.cable import Cable
from tests.kit.wallboard_screen import SHOWN, Visit, truth_of
from tests.kit.wallboard_stage import Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]


async def test_the_screen_shows_the_truth_after_each_change(visit: Visit) -> None:
    async with Simulator(attrs.evolve(Plan.lively(), breaks_per_hour=9.0), seed=5, speed=0) as simulator:
        credentials = AppCredentials(simulator.appid, simulator.accesskey)
        async with SipQueueClient(simulator.url, credentials) as client:
            watcher = StatusWatcher(client, interval=0.7)
            async with Wallboard(watcher) as wallboard, watcher:
                page = await visit(wallboard.url)
                states: set[str] = set()
                for _ in range(6):
                    simulator.advance(37)
                    truth = truth_of(simulator)
                    async with asyncio.timeout(60):
                        while (shown := await page.evaluate(SHOWN)) != truth:
                            await asyncio.sleep(0.1)
                    states.update(shown["agents"].values())
                assert states == {"talking", "receiving", "waiting", "idle", "paused"}


async def test_names_are_text_and_nothing_comes_from_other_servers(visit: Visit) -> None:
    evil = "<b>x</b><img src=x onerror=\"document.title='broken into'\"><script>document.title='broken into'</script>"
    async with wallboard_of(Stage(Plan(agents=4), names={"100001": evil, "100002": "座席 2\u202e"})) as wallboard:
        page = await visit(wallboard.url)
        names = page.locator(".tile .name")
        await expect(names.nth(0)).to_have_text(evil)
        await expect(names.nth(1)).to_have_text(r"座席 2\u202e")
        assert await page.locator("main :is(b, img, script)").count() == 0
        assert await page.title() == "Wallboard"
        fetched: list[str] = await page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert len(fetched) > 10
        assert [url for url in fetched if not url.startswith(wallboard.url)] == []
        await expect(page).to_have_url(wallboard.url)


async def test_times_use_the_servers_clock_and_mark_inexact_ones(visit: Visit) -> None:
    stage = Stage(Plan(agents=4, queues=1, breaks_per_hour=60.0, calls_per_hour=0.0), seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(60)
        page = await visit(wallboard.url)
        await page.wait_for_selector(".tile")
        assert re.fullmatch(r"08:0[01]:\d\d", await page.inner_text("#clock"))
        times = await page.locator(".tile .time").all_inner_texts()
        assert len(times) == 4
        for time, seat in zip(times, stage.watcher.snapshot or (), strict=True):
            (*_, interval) = stage.centre.truth.intervals_of(seat)
            began_before = interval.start == 0
            minutes, seconds = time.removeprefix("≥ ").split(":")
            assert time.startswith("≥ ") == began_before
            # The time counts from the poll that showed the state, which is later than the change.
            assert 60 - interval.start - (int(minutes) * 60 + int(seconds)) < 3
        await expect(page.locator(".tile .time").first).not_to_have_text(times[0])


async def test_an_outage_is_shown_at_once_and_ends_with_the_next_good_poll(visit: Visit) -> None:
    stage = Stage(Plan(agents=6), seed=2)
    async with wallboard_of(stage, beat=0.3) as wallboard:
        await stage.play(10)
        page = await visit(wallboard.url)
        await expect(page.locator("#condition")).to_have_text("Live")
        since = stage.now()
        times = await page.locator(".tile .time").all_inner_texts()
        await stage.fail("no route to the platform")
        await expect(page.locator("#alert")).to_contain_text(f"No data since {since:%H:%M:%S}")
        await expect(page.locator("#condition")).to_have_text("No data")
        await expect(page.locator("#reason")).to_have_text("no route to the platform")
        await expect(page.locator("main")).to_have_css("filter", "grayscale(1)")
        stage.centre.advance(90)
        await expect(page.locator("#age")).to_have_text(re.compile(r"1:3\d"))
        # Times stand still during an outage.
        frozen = await page.locator(".tile .time").all_inner_texts()
        assert [_seconds(one) - _seconds(other) <= 1 for one, other in zip(frozen, times, strict=True)] == [True] * 6
        await stage.recover()
        await expect(page.locator("#notice")).to_be_hidden()
        await expect(page.locator("#condition")).to_have_text("Live")
        await expect(page.locator("main")).to_have_css("filter", "none")


def _seconds(text: str) -> int:
    minutes, seconds = text.removeprefix("≥ ").split(":")
    return int(minutes) * 60 + int(seconds)


async def test_a_lost_connection_is_shown_and_made_again(visit: Visit) -> None:
    stage = Stage(Plan(agents=3), seed=1)
    async with wallboard_of(stage, beat=0.3) as wallboard:
        page = await visit(wallboard.url)
        await expect(page.locator(".tile")).to_have_count(3)
        await wallboard.stop()
        await expect(page.locator("#alert")).to_contain_text("The connection to the wallboard has been lost since")
        await expect(page.locator("#condition")).to_have_text("Connection lost")
        again = Wallboard(stage.watcher, port=wallboard.port, clock=stage.now, beat=0.3)
        async with again:
            await stage.play(4)
            await expect(page.locator("#notice")).to_be_hidden()
            await expect(page.locator("#condition")).to_have_text("Live")


async def test_a_silent_connection_is_noticed_and_made_again(visit: Visit) -> None:
    stage = Stage(Plan(agents=3), seed=1)
    async with wallboard_of(stage, beat=0.3) as wallboard, Cable(wallboard.port) as cable:
        page = await visit(f"http://127.0.0.1:{cable.port}/")
        await expect(page.locator("#condition")).to_have_text("Live")
        cable.pull()
        await expect(page.locator("#condition")).to_have_text("Connection lost")
        cable.plug()
        await expect(page.locator("#condition")).to_have_text("Live")
