"""The page in a real browser: how it looks at many sizes, and what can be chosen on it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from sipqueue_async.simulator import Plan
from tests.kit.wallboard_screen import Visit
from tests.kit.wallboard_stage import Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]

BUSY = Plan(agents=60, queues=5, several_queues=0.2, calls_per_hour=170.0, opening_callers=4, breaks_per_hour=2.0)
PHONE = {"width": 390, "height": 844}

OVERFLOWING = """() => [...document.querySelectorAll(".tile, .queue, #totals > div, header")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1)
  .map((box) => box.textContent)"""

# The contrast of each text with what is behind it, as WCAG 2 defines it.
FAINT = """() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    const colour = rgb(getComputedStyle(node).backgroundColor);
    return colour[3] === 0 ? ground(node.parentElement) : colour;
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own && !node.matches("svg.icon")) continue;
    if (!node.checkVisibility() || node.closest(".unseen, option, .skip")) continue;
    const [ink, paper] = [luminance(rgb(getComputedStyle(node).color)), luminance(ground(node))];
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < (node.matches("svg") ? 3 : 4.5)) faint.push([node.className, node.textContent, contrast]);
  }
  return faint;
}"""


async def _tiles(page: Page, count: int) -> None:
    await expect(page.locator(".tile")).to_have_count(count)


async def test_sixty_agents_are_on_one_screen(visit: Visit) -> None:
    """Somebody has to walk to the screen and scroll to see the last agents."""
    stage = Stage(BUSY, seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(60)
        page = await visit(wallboard.url)
        await _tiles(page, 60)
        sizes: dict[str, float] = await page.evaluate(
            """() => ({
              page: document.documentElement.scrollHeight, screen: innerHeight,
              letters: parseFloat(getComputedStyle(document.querySelector(".tile")).fontSize),
              last: document.querySelector(".tile:last-child").getBoundingClientRect().bottom })"""
        )
        assert sizes["page"] <= sizes["screen"]
        assert sizes["last"] <= 1080
        assert sizes["letters"] >= 15
        assert await page.evaluate(OVERFLOWING) == []


async def test_few_agents_are_large(visit: Visit) -> None:
    """A small team has to read small letters on a big screen."""
    async with wallboard_of(Stage(Plan(agents=8))) as wallboard:
        page = await visit(wallboard.url)
        await _tiles(page, 8)
        assert await page.evaluate("parseFloat(getComputedStyle(document.querySelector('.tile')).fontSize)") > 30
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_a_phone_shows_all_of_it_by_scrolling_down_alone(visit: Visit) -> None:
    """On a phone something is cut off, or one has to scroll sideways."""
    stage = Stage(BUSY, seed=1, names={"100001": "Agent 01 of the second line, who is there in the evenings only"})
    async with wallboard_of(stage) as wallboard:
        await stage.play(30)
        page = await visit(wallboard.url, viewport=PHONE, is_mobile=True, has_touch=True)
        await _tiles(page, 60)
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert (
            await page.evaluate(
                "getComputedStyle(document.querySelector('#agents')).gridTemplateColumns.split(' ').length"
            )
            == 2
        )
        assert await page.evaluate(OVERFLOWING) == []


async def test_five_hundred_agents_stay_smooth(visit: Visit) -> None:
    """A large call centre's page takes longer to draw than the next update takes to come."""
    stage = Stage(Plan(agents=500, queues=10, several_queues=0.1, calls_per_hour=200.0, opening_callers=20), seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(20)
        page = await visit(wallboard.url)
        await _tiles(page, 500)
        await page.evaluate(
            """() => { globalThis.tasks = [];
              new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)))
                .observe({ type: "longtask" }); }"""
        )
        for _ in range(10):
            await stage.play(2)
            await page.wait_for_timeout(100)
        longest: float = await page.evaluate("Math.max(0, ...tasks)")
        assert longest < 1000
        shown = await page.locator(".tile .word").all_inner_texts()
        assert len(shown) == 500


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_word_stands_out_from_its_ground(visit: Visit, scheme: Any) -> None:
    """Somebody with weaker eyes, or a screen in the sun, cannot read a state (WCAG AA)."""
    plan = Plan(agents=40, calls_per_hour=200.0, breaks_per_hour=6.0, external_calls_per_hour=9.0, shift_hours=1.0,
                off_hours=0.2, show_signed_out=True, several_queues=0.0)  # fmt: skip
    stage = Stage(plan, seed=3)
    async with wallboard_of(stage) as wallboard:
        await stage.play(300)
        page = await visit(f"{wallboard.url}?talk=60&ring=1", color_scheme=scheme)
        await _tiles(page, 40)
        await page.click("summary")
        states: list[str] = await page.evaluate(
            "[...new Set([...document.querySelectorAll('.tile')].map((it) => it.dataset.state))]"
        )
        assert set(states) >= {"talking", "receiving", "waiting", "idle", "paused", "offline"}
        assert await page.locator('.tile[data-overdue="true"]').count() > 0
        assert await page.evaluate(FAINT) == []
        await stage.fail("away")
        await expect(page.locator("#notice")).to_be_visible()
        assert await page.evaluate(FAINT) == []


async def test_a_state_is_told_by_a_word_and_a_sign_too(visit: Visit) -> None:
    """Who cannot tell the colours apart cannot tell the states apart."""
    stage = Stage(BUSY, seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(60)
        page = await visit(f"{wallboard.url}?talk=0&ring=0")
        await _tiles(page, 60)
        told: list[tuple[str, str, str]] = await page.evaluate(
            """() => [...document.querySelectorAll(".tile")].map((tile) => [tile.dataset.state,
              tile.querySelector(".word").textContent, tile.querySelector("use").getAttribute("href")])"""
        )
        assert {(state, word.lower(), sign) for state, word, sign in told} == {
            (state, state, f"#i-{state}") for state, _, _ in told
        }


async def test_what_was_chosen_is_in_the_address_and_survives_a_reload(visit: Visit) -> None:
    """A screen that restarts shows all queues again, instead of its own."""
    stage = Stage(BUSY, seed=1)
    async with wallboard_of(stage) as wallboard:
        page = await visit(wallboard.url)
        await _tiles(page, 60)
        await page.click(".queue:has-text('queue-2')")
        in_queue = {seat.extension for seat in stage.watcher.snapshot or () if seat.queue == "queue-2"}
        await _tiles(page, len(in_queue))
        await expect(page.locator("#totals [data-state='signed-in'] dd")).to_have_text(str(len(in_queue)))
        await page.fill("#text", "1000")
        await page.select_option("#sort", "state")
        await page.click("summary")
        await page.fill("#talk", "2")
        await page.fill("#ring", "")
        await page.check("#sound")
        assert page.url.partition("?")[2] == "queue=queue-2&q=1000&sort=state&talk=120&ring=&sound=1"
        await page.reload()
        await _tiles(page, len(in_queue))
        values = [await page.input_value(f"#{it}") for it in ("text", "sort", "talk", "ring")]
        assert values == ["1000", "state", "2", ""]
        assert await page.is_checked("#sound")
        await page.fill("#text", "nobody of that name")
        await expect(page.locator("#nobody")).to_have_text("Nobody fits what was asked for.")


async def test_who_is_over_a_threshold_stands_out(visit: Visit) -> None:
    """A call that has been going on for too long looks like any other."""
    stage = Stage(BUSY, seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(124)
        page = await visit(f"{wallboard.url}?talk=60&ring=3&sort=state&sound=1")
        await _tiles(page, 60)
        tiles: list[tuple[str, str, str, str]] = await page.evaluate(
            """() => [...document.querySelectorAll(".tile")].map((tile) => [tile.dataset.state, tile.dataset.overdue,
              tile.querySelector("use").getAttribute("href"), tile.querySelector(".time").textContent])"""
        )
        limits = {"talking": 60, "receiving": 3}
        for state, overdue, sign, time in tiles:
            minutes, seconds = map(int, time.removeprefix("≥ ").split(":"))
            age = 60 * minutes + seconds
            # It changes within the second that is shown.
            assert (overdue == "true") == (age > limits.get(state, 9999)) or age == limits[state]
            assert (sign == "#i-warning") == (overdue == "true")
        assert "talking" in {state for state, overdue, *_ in tiles if overdue == "true"}
        assert [state for state, *_ in tiles] == sorted(
            (it[0] for it in tiles), key=["talking", "receiving", "waiting", "idle", "paused"].index
        )
        # Somebody touches the page, so that it may sound; and it has what to sound for.
        await page.mouse.click(5, 5)
        await stage.play(60)
        await expect(page.locator('.tile[data-overdue="true"]').first).to_be_visible()


async def test_the_keyboard_reaches_everything_in_order(visit: Visit) -> None:
    """Who has no mouse cannot filter, or loses the place."""
    async with wallboard_of(Stage(Plan(agents=6, queues=2))) as wallboard:
        page = await visit(wallboard.url)
        await _tiles(page, 6)
        reached: list[str] = []
        for _ in range(6):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
            )
        assert [re.split(r"[\d\n]", it)[0].strip() for it in reached] == [
            "Skip to the agents", "text", "sort", "Settings", "queue-", "queue-",
        ]  # fmt: skip
        await page.keyboard.press("Enter")
        await expect(page.locator(".queue").nth(1)).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Shift+Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#talk")).to_be_visible()
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "talk"
        await page.keyboard.press("Escape")
        await expect(page.locator("#talk")).to_be_hidden()
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        await page.click("summary")
        await page.click("h1")
        await expect(page.locator("#talk")).to_be_hidden()


async def test_a_screen_reader_is_told_what_matters_and_no_ticking(visit: Visit) -> None:
    """A screen reader reads out a clock for ever, or says nothing when the feed goes down."""
    stage = Stage(Plan(agents=2, queues=1, several_queues=0.0, calls_per_hour=0.0, breaks_per_hour=0.0))
    async with wallboard_of(stage) as wallboard:
        page = await visit(wallboard.url)
        await _tiles(page, 2)
        live: list[str] = await page.evaluate(
            """() => [...document.querySelectorAll("[role=status], [role=alert], [aria-live]")].map(
              (it) => it.id || it.parentElement.id)"""
        )
        assert sorted(live) == ["alert", "condition"]
        tree = await page.locator("main").aria_snapshot()
        assert re.search(r'button "queue-1 2 signed in, 2 waiting, 0 receiving, 0 talking, 0 idle, 0 paused,"', tree)
        assert re.search(r"listitem.*: Agent 01 Waiting 100001 ≥ \d:\d\d", tree)
        await stage.fail("away")
        await expect(page.get_by_role("alert")).to_contain_text("No data since 08:00:00")
