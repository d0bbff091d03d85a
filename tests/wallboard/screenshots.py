"""Takes the screenshots of the documentation: ``nox -s screenshots``."""

from __future__ import annotations

import argparse
import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from sipqueue_async.cli.simulation import name_people
from sipqueue_async.simulator import Plan
from tests.kit.needs import program
from tests.kit.recorded_wall import recorded_wall
from tests.kit.wallboard_screen import BIG_SCREEN
from tests.kit.wallboard_stage import Stage, wallboard_of

PLAN = Plan(
    agents=60,
    queues=5,
    several_queues=0.2,
    calls_per_hour=170.0,
    opening_callers=4,
    talk_median=170.0,
    answer_delay=9.0,
    breaks_per_hour=1.0,
    break_minutes=6.0,
    external_calls_per_hour=1.5,
)
NAMES = {
    "100004": "客服 04",
    "100009": "客服 09 夜班",
    "100017": "客服 17",
    "100023": "Second line, evenings only",
    "100038": "班长 38",
    "100051": "Spanish and Portuguese desk",
}

AWAY = "cannot connect to pbx.example.com:443 (Connection refused); check the URL and that the server runs"
PHONE: ViewportSize = {"width": 390, "height": 844}


@asynccontextmanager
async def page_of(browser: Browser, url: str, size: ViewportSize, scheme: Any, **more: Any) -> AsyncGenerator[Page]:
    """Open the wallboard in a browser."""
    context = await browser.new_context(viewport=size, color_scheme=scheme, timezone_id="UTC", **more)
    page = await context.new_page()
    await page.goto(url)
    await page.wait_for_selector(".tile")
    await page.wait_for_timeout(400)
    yield page
    await context.close()


async def save(page: Page, path: Path) -> None:
    """Save a screenshot with a reduced palette."""
    picture = Image.open(io.BytesIO(await page.screenshot()))
    picture.convert("RGB").quantize(colors=256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


async def save_history(browser: Browser, directory: Path) -> None:
    """Take the screenshots of the history's pages."""
    size: ViewportSize = {"width": 1366, "height": 700}
    plan = attrs.evolve(PLAN, agents=16, queues=2, calls_per_hour=45.0)
    with TemporaryDirectory() as place:
        async with recorded_wall(Path(place), plan=plan, names=NAMES) as wall:
            name_people(wall.stage.centre)
            await wall.play(3600 * 2.4)
            await wall.lose(1300)
            await wall.play(3600 * 3.2)
            context = await browser.new_context(viewport=size, color_scheme="light", timezone_id="UTC")
            page = await context.new_page()
            for name, path in (
                ("day", "day?zone=UTC"),
                ("day-zh", "day?zone=UTC&lang=zh"),
                ("agent", "agents/100004?zone=UTC"),
            ):
                await page.goto(f"{wall.url}{path}")
                await page.wait_for_selector("svg > rect", state="attached")
                await save(page, directory / f"wallboard-{name}.png")
            await context.close()


async def save_chinese(browser: Browser, directory: Path) -> None:
    """Take the screenshots of a wallboard in Chinese, before and during an outage."""
    names = {str(100_001 + number): f"客服 {number + 1:02}" for number in range(PLAN.agents)}
    stage = Stage(PLAN, seed=26, names=names | {"100009": "客服 09 夜班", "100038": "班长 38"})
    async with wallboard_of(stage) as wallboard:
        await stage.play(1232)
        url = f"{wallboard.url}?talk=480"
        async with page_of(browser, url, BIG_SCREEN, "dark", locale="zh-CN") as page:
            await save(page, directory / "wallboard-zh.png")
        await stage.fail(AWAY)
        stage.centre.advance(134)
        async with page_of(browser, url, BIG_SCREEN, "dark", locale="zh-CN") as page:
            await save(page, directory / "wallboard-down-zh.png")


async def main(directory: Path) -> None:
    """Take all screenshots."""
    stage = Stage(PLAN, seed=26, names=NAMES)
    name_people(stage.centre)
    async with wallboard_of(stage) as wallboard, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"))
        await stage.play(1232)
        url = f"{wallboard.url}?talk=480"
        async with page_of(browser, url, BIG_SCREEN, "dark") as page:
            await save(page, directory / "wallboard-dark.png")
        async with page_of(browser, url, BIG_SCREEN, "light") as page:
            await save(page, directory / "wallboard-light.png")
        async with page_of(browser, url, PHONE, "light", device_scale_factor=2) as page:
            await save(page, directory / "wallboard-phone.png")
        async with page_of(browser, url, BIG_SCREEN, "dark") as page:
            await stage.fail(AWAY)
            stage.centre.advance(134)
            await page.reload()
            await page.wait_for_selector(".tile")
            await page.wait_for_timeout(400)
            await save(page, directory / "wallboard-down.png")
        await save_chinese(browser, directory)
        await save_history(browser, directory)
        await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    asyncio.run(main(parser.parse_args().directory))
