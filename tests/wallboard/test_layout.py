"""The page in a real browser: nothing important is cut off, with any names, numbers, times and screens."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import ViewportSize, expect

from sipqueue_async import AgentState, AgentStatus
from tests.kit.builders import agent
from tests.kit.wallboard_screen import SHOWN, Visit, Wall, drawn, resize

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python, pytest.mark.needs_fonts]

SCREENS: dict[str, ViewportSize] = {
    "big": {"width": 1920, "height": 1080},
    "laptop": {"width": 1366, "height": 768},
    "projector": {"width": 1280, "height": 720},
    "phone": {"width": 390, "height": 844},
}
CHINESE_AGES = {86_399: "≥ 23小时59分", 1_976_400: "≥ 22天21小时"}
AGES = {7: "≥ 0:07", 3599: "≥ 59:59", 3600: "≥ 1h 00m", 86_399: "≥ 23h 59m", 86_400: "≥ 1d 00h", 1_130_400: "≥ 13d 02h"}
WIDTHS = (390, 740, 960, 1093, 1366, 1695, 1700, 1920, 3840)
LONG_NAMES = [
    "Customer service, northern region (German and English)",
    "客服中心华北大区投诉与建议专线夜班一组第三小组",
    "q" * 10_000,
]

CUT = """(parts) => [...document.querySelectorAll(parts)].filter((it) => it.checkVisibility())
  .filter((it) => it.scrollWidth > it.clientWidth)
  .map((it) => [it.className, it.textContent.slice(0, 60), it.scrollWidth, it.clientWidth])"""
# Returns the elements that extend beyond their box or the screen.
OUTSIDE = """([parts, box]) => [...document.querySelectorAll(parts)].filter((it) => it.checkVisibility())
  .map((it) => [it, it.getBoundingClientRect(), it.closest(box).getBoundingClientRect()])
  .filter(([, own, around]) => own.left < Math.max(0, around.left) - 0.5
    || own.right > Math.min(innerWidth, around.right) + 0.5
    || own.top < around.top - 0.5 || own.bottom > around.bottom + 0.5)
  .map(([it, own, around]) => [it.className || it.tagName, it.textContent.slice(0, 60), own.right, around.right])"""


def _people(count: int, queue: str = "queue-1") -> list[AgentStatus]:
    """Return agents that take each of the states in turn."""
    states = list(AgentState)
    return [
        agent(str(100_001 + number), states[number % len(states)], queue=queue, name=f"Agent {number + 1:02}")
        for number in range(count)
    ]


async def test_states_and_times_of_any_length_fit_in_their_tiles(visit: Visit) -> None:
    """Times from an hour on have no seconds, and the numbers of a queue add up."""
    async with Wall(*_people(60), agent("9", queue="calm")) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".tile")).to_have_count(61)
        shown = (await page.evaluate(SHOWN))["queues"]
        assert shown["queue-1"].pop("signed-in") == sum(shown["queue-1"].values()) > 40
        assert shown["queue-1"]["unknown"] > 0
        assert "unknown" not in shown["calm"]
        await expect(page.locator('.tile[data-state="unknown"] .code').first).to_have_text("1208")
        for age, told in (*AGES.items(), *CHINESE_AGES.items()):
            wall.age = age
            if told == CHINESE_AGES.get(age):
                await page.goto(f"{wall.url}?lang=zh")
            await expect(page.locator(".tile .time").first).to_have_text(told)
            # The widest texts appear at these ages.
            for screen in SCREENS.values() if age in {3599, *CHINESE_AGES} else ():
                await resize(page, screen)
                assert await page.evaluate(CUT, ".tile :is(.word, .time, .code)") == [], (age, screen)
                assert await page.evaluate(OUTSIDE, [".tile :is(.word, .time, .extension, canvas)", ".tile"]) == []


async def test_long_names_hide_no_warning(visit: Visit) -> None:
    people = [agent(str(number), AgentState.PAUSED, queue=name, name=name) for number, name in enumerate(LONG_NAMES)]
    async with Wall(*people) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".queue .warning:visible")).to_have_count(3)
        titles = await page.eval_on_selector_all(".queue", "(cards) => cards.map((card) => card.title)")
        assert sorted(titles) == sorted(LONG_NAMES)
        for screen in SCREENS.values():
            await resize(page, screen)
            assert await page.evaluate("document.documentElement.scrollWidth") == screen["width"]
            assert await page.evaluate(OUTSIDE, [".queue :is(.name, .warning, .number)", ".queue"]) == []
            assert await page.evaluate(CUT, ".queue .warning") == []


async def test_queues_in_a_table_have_room_for_their_names(visit: Visit) -> None:
    names = [f"Service {number:02}" for number in range(10)]
    people = [agent(str(number), AgentState.UNKNOWN, queue=name, name=name) for number, name in enumerate(names)]
    async with Wall(*people) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".queue .warning:visible")).to_have_count(10)
        for screen in ("big", "laptop", "projector"):
            await resize(page, SCREENS[screen])
            await expect(page.locator(".table .queue:visible")).to_have_count(10)
            assert await page.evaluate(CUT, ".table .queue .name") == [], screen


async def test_totals_stay_in_their_cards_and_settings_on_the_screen(visit: Visit) -> None:
    async with Wall(*_people(7)) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".tile")).to_have_count(7)
        # Set the totals of a large call centre without rendering its tiles.
        await page.evaluate("document.querySelectorAll('#totals dd').forEach((it) => { it.textContent = '1400'; })")
        for width in WIDTHS:
            await resize(page, {"width": width, "height": 1080})
            cards = "#totals > div"
            assert await page.evaluate(OUTSIDE, [f"{cards} :is(dt, dd)", cards]) == [], width
            assert await page.evaluate(CUT, f"{cards}, {cards} > *") == [], width
        await page.click("summary")
        await expect(page.locator("#panel")).to_be_visible()
        for width in (320, 390, 683, 960):
            await resize(page, {"width": width, "height": 700})
            # The page is drawn again in the frame after the resize event.
            await drawn(page)
            assert await page.evaluate(OUTSIDE, ["#panel, #panel *", "body"]) == []
            assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_a_chosen_queue_that_is_gone_is_shown_and_can_be_deselected(visit: Visit) -> None:
    async with Wall(agent("1"), agent("2", queue="queue-2")) as wall:
        page = await visit(f"{wall.url}?queue=gone&queue=never")
        await resize(page, SCREENS["phone"])
        await expect(page.locator("#nobody")).to_be_visible()
        assert (await page.evaluate(SHOWN))["queues"].keys() == {"gone", "never", "queue-1", "queue-2"}
        for name in ("gone", "never"):
            card = page.locator(f".queue:has-text('{name}')")
            await expect(card).to_have_attribute("aria-pressed", "true")
            await expect(card.locator(".warning")).to_have_text("No agents")
        await page.click(".queue:has-text('gone')")
        await expect(page.locator(".queue")).to_have_count(3)
        await expect(page).to_have_url(re.compile(r"\?queue=never$"))
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.click("text=Show all queues")
        await expect(page.locator(".queue")).to_have_count(2)
        await expect(page.locator(".tile")).to_have_count(2)
        await expect(page.locator("#all")).to_be_hidden()
        await expect(page).to_have_url(wall.url)
