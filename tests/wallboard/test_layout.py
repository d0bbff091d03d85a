"""The page in a real browser: whatever names, numbers and times are like, what matters is on the screen."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import expect

from sipqueue_async import AgentState, AgentStatus, StatusWatcher
from sipqueue_async.wallboard import Wallboard
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.wallboard_screen import SHOWN, Visit
from tests.kit.wallboard_stage import NEVER

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]

SCREENS = {
    "big": {"width": 1920, "height": 1080},
    "laptop": {"width": 1366, "height": 768},
    "projector": {"width": 1280, "height": 720},
    "phone": {"width": 390, "height": 844},
}
AGES = {"minutes": 14 * 60 + 9, "an hour": 3723, "hours": 23 * 3600 + 59 * 60, "days": 13 * 86400 + 3600}
LONG_NAMES = [
    "Customer service, northern region (German and English)",
    "客服中心华北大区投诉与建议专线夜班一组第三小组",
    "q" * 10_000,
]

CUT = """(parts) => [...document.querySelectorAll(parts)].filter((it) => it.checkVisibility())
  .filter((it) => it.scrollWidth > it.clientWidth)
  .map((it) => [it.className, it.textContent.slice(0, 60), it.scrollWidth, it.clientWidth])"""
# What sticks out of the box that it belongs to, or of the screen.
OUTSIDE = """([parts, box]) => [...document.querySelectorAll(parts)].filter((it) => it.checkVisibility())
  .map((it) => [it, it.getBoundingClientRect(), it.closest(box).getBoundingClientRect()])
  .filter(([, own, around]) => own.left < Math.max(0, around.left) - 0.5
    || own.right > Math.min(innerWidth, around.right) + 0.5
    || own.top < around.top - 0.5 || own.bottom > around.bottom + 0.5)
  .map(([it, own, around]) => [it.className || it.tagName, it.textContent.slice(0, 60), own.right, around.right])"""


@asynccontextmanager
async def _wall(*agents: AgentStatus, age: float = 0.0) -> AsyncGenerator[tuple[StatusWatcher, Wallboard]]:
    """Serve agents who have been as they are since before the start, which was `age` seconds ago."""
    watcher = StatusWatcher(ScriptedSource([snapshot(*agents)]), interval=NEVER)
    async with watcher, Wallboard(watcher, clock=lambda: START + timedelta(seconds=age)) as wallboard:
        await watcher.ready(timeout=10)
        yield watcher, wallboard


def _people(count: int, queue: str = "queue-1") -> list[AgentStatus]:
    """Return agents in each state in turn."""
    states = list(AgentState)
    return [
        agent(str(100_001 + number), states[number % len(states)], queue=queue, name=f"Agent {number + 1:02}")
        for number in range(count)
    ]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("age", AGES)
async def test_no_time_takes_room_from_a_states_word(visit: Visit, screen: str, age: str) -> None:
    """The main fact of the wall is cut to a letter, since it has lasted for long or the program was just started."""
    async with _wall(*_people(60), age=AGES[age]) as (_, wallboard):
        page = await visit(wallboard.url, viewport=SCREENS[screen])
        await expect(page.locator(".tile")).to_have_count(60)
        await expect(page.locator(".tile .time").first).to_contain_text("≥ ")
        assert await page.evaluate(CUT, ".tile :is(.word, .time)") == []
        assert await page.evaluate(OUTSIDE, [".tile :is(.word, .time, .extension, canvas)", ".tile"]) == []
        unknown = page.locator('.tile[data-state="unknown"]').first
        await expect(unknown.locator(".code")).to_have_text("1208")
        assert await page.evaluate(CUT, ".tile .code") == []


@pytest.mark.parametrize(
    ("age", "told"),
    [(7, "≥ 0:07"), (3599, "≥ 59:59"), (3600, "≥ 1h 00m"), (86_399, "≥ 23h 59m"), (86_400, "≥ 1d 00h")],
)
async def test_a_long_time_is_told_without_seconds(visit: Visit, age: int, told: str) -> None:
    """An hour and two minutes cannot be told from a minute and two seconds, or need more room than they are worth."""
    async with _wall(agent(), age=age) as (_, wallboard):
        page = await visit(wallboard.url)
        await expect(page.locator(".tile .time")).to_have_text(told)


@pytest.mark.parametrize("screen", SCREENS)
async def test_a_long_name_hides_no_warning(visit: Visit, screen: str) -> None:
    """A queue with a long name breaks its card, or nobody sees that it has no agent waiting."""
    people = [agent(str(number), AgentState.PAUSED, queue=name, name=name) for number, name in enumerate(LONG_NAMES)]
    async with _wall(*people) as (_, wallboard):
        page = await visit(wallboard.url, viewport=SCREENS[screen])
        await expect(page.locator(".queue")).to_have_count(3)
        assert await page.evaluate("document.documentElement.scrollWidth") == SCREENS[screen]["width"]
        await expect(page.locator(".queue .warning:visible")).to_have_count(3)
        assert await page.evaluate(OUTSIDE, [".queue :is(.name, .warning, .number)", ".queue"]) == []
        assert await page.evaluate(CUT, ".queue .warning") == []
        titles = await page.eval_on_selector_all(".queue", "(cards) => cards.map((card) => card.title)")
        assert sorted(titles) == sorted(LONG_NAMES)


@pytest.mark.parametrize("count", [60, 1400])
async def test_totals_stay_in_their_cards(visit: Visit, count: int) -> None:
    """A number runs under the next card: of 131 agents one sees 13."""
    async with _wall(*_people(count)) as (_, wallboard):
        page = await visit(wallboard.url)
        await expect(page.locator(".tile")).to_have_count(count)
        for width in (390, 740, 853, 900, 960, 1093, 1280, 1366, 1600, 1695, 1700, 1920, 2560, 3840):
            await page.set_viewport_size({"width": width, "height": 1080})
            cards = "#totals > div"
            assert await page.evaluate(OUTSIDE, [f"{cards} :is(dt, dd)", cards]) == [], width
            assert await page.evaluate(CUT, f"{cards}, {cards} > *") == [], width


@pytest.mark.parametrize("width", [320, 390, 683, 960])
async def test_the_settings_are_on_the_screen(visit: Visit, width: int) -> None:
    """On a phone half of each setting is beyond the edge, where nobody can scroll to."""
    async with _wall(agent()) as (_, wallboard):
        page = await visit(wallboard.url, viewport={"width": width, "height": 700})
        await page.click("summary")
        await expect(page.locator("#panel")).to_be_visible()
        assert await page.evaluate(OUTSIDE, ["#panel, #panel *", "body"]) == []
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_a_chosen_queue_that_is_gone_can_be_let_go(visit: Visit) -> None:
    """A bookmark of a queue that was renamed shows nobody for ever, and nothing on the page says why."""
    async with _wall(agent("1"), agent("2", queue="queue-2")) as (watcher, wallboard):
        page = await visit(f"{wallboard.url}?queue=gone&queue=never", viewport=SCREENS["phone"])
        await expect(page.locator("#nobody")).to_be_visible()
        assert (await page.evaluate(SHOWN))["queues"].keys() == {"gone", "never", "queue-1", "queue-2"}
        for name in ("gone", "never"):
            card = page.locator(f".queue:has-text('{name}')")
            await expect(card).to_have_attribute("aria-pressed", "true")
            await expect(card.locator(".warning")).to_have_text("Nobody is in it")
        await page.click(".queue:has-text('gone')")
        await expect(page.locator(".queue")).to_have_count(3)
        assert page.url.endswith("?queue=never")
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.click("text=Show all queues")
        await expect(page.locator(".queue")).to_have_count(2)
        await expect(page.locator(".tile")).to_have_count(2)
        await expect(page.locator("#all")).to_be_hidden()
        assert page.url == wallboard.url
        assert watcher.health.up


async def test_the_numbers_of_a_queue_add_up(visit: Visit) -> None:
    """Somebody whose state cannot be read is signed in, and then missing among the numbers."""
    states: list[Any] = [AgentState.UNKNOWN, AgentState.WAITING, AgentState.OFFLINE]
    people = [agent(str(number), state) for number, state in enumerate(states)]
    async with _wall(*people, agent("9", queue="calm")) as (_, wallboard):
        page = await visit(wallboard.url)
        await expect(page.locator(".queue")).to_have_count(2)
        shown = (await page.evaluate(SHOWN))["queues"]
        assert shown["queue-1"].pop("signed-in") == sum(shown["queue-1"].values()) == 2
        assert shown["queue-1"]["unknown"] == 1
        assert "unknown" not in shown["calm"]
