"""The page in a real browser: how it fills screens of any size, and its settings."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from sipqueue_async import AgentState, AgentStatus
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Thresholds
from tests.kit.builders import START, agent, snapshot
from tests.kit.wallboard_screen import Visit, Wall, resize
from tests.kit.wallboard_stage import Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]

BUSY = Plan(agents=60, queues=5, several_queues=0.2, calls_per_hour=170.0, opening_callers=4, breaks_per_hour=2.0)
SCREENS = {1920: 1080, 1366: 768, 3840: 2160}

# Returns the boxes whose content does not fit.
OVERFLOWING = """() => [...document.querySelectorAll(
    "main, section, :is(.tile, .queue), :is(.tile, .queue) *, #totals > div, header, footer > span")]
  .filter((box) => box.checkVisibility() && box.matches(":not(.name, .unseen, canvas, svg, svg *)"))
  .filter((box) => box.scrollWidth > box.clientWidth + 1
    || (box.scrollHeight > box.clientHeight + 2 && !box.matches(".tile *, .queue *")))
  .map((box) => [box.className, box.textContent.slice(0, 80)])"""
WALL = """() => ({
  scrolls: document.documentElement.scrollHeight > innerHeight || document.documentElement.scrollWidth > innerWidth,
  letters: parseFloat(getComputedStyle(document.querySelector(".tile")).fontSize),
  room: document.querySelector("footer").getBoundingClientRect().top
    - Math.max(...[...document.querySelectorAll(".tile")].map((tile) => tile.getBoundingClientRect().bottom)),
  footer: innerHeight - document.querySelector("footer").getBoundingClientRect().bottom,
})"""

# Returns the number of the page that is shown, how many pages there are, and the extensions on this one.
SHOWN = """() => [
  ...document.querySelector("#page").textContent.match(/\\d+/g).slice(0, 2).map(Number),
  [...document.querySelectorAll(".tile .extension")].map((it) => it.textContent),
]"""

# Returns the contrast of each text with its background, as defined by WCAG 2.
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


def people(agents: int, queues: int = 1) -> list[AgentStatus]:
    """Return agents in all states, in turn in each queue; every third one is in two queues."""
    states = list(AgentState)[:4]
    places = {
        (it, queue)
        for it in range(agents)
        for queue in ({it % queues, it * it % queues} if it % 3 == 0 else {it % queues})
    }
    return [
        agent(str(100_001 + it), states[it % 4], queue=f"queue-{queue + 1}", name=f"Agent {it + 1:03}")
        for it, queue in sorted(places)
    ]


async def _everything_fits(page: Page) -> None:
    """Wait until it does: a busy browser may measure the letters late."""
    with suppress(PlaywrightTimeoutError):
        await page.wait_for_function(f"({OVERFLOWING})().length === 0")
    assert await page.evaluate(OVERFLOWING) == []


async def _tiles(page: Page, count: int) -> None:
    await expect(page.locator(".tile")).to_have_count(count)


@pytest.mark.parametrize(
    ("agents", "queues", "language"), [(5, 1, "zh"), (60, 5, "en"), (60, 5, "zh"), (1000, 25, "en")]
)
async def test_a_wall_shows_everything_without_scrolling(visit: Visit, agents: int, queues: int, language: str) -> None:
    """Text stays legible from 4 m; tiles that do not fit go to further pages, and the footer says how many."""
    async with Wall(*people(agents, queues)) as wall:
        page = await visit(f"{wall.url}?lang={language}")
        await expect(page.locator(".tile").first).to_be_visible()
        for width, height in SCREENS.items():
            await resize(page, {"width": width, "height": height})
            sizes = await page.evaluate(WALL)
            assert not sizes["scrolls"], width
            assert min(sizes["room"], sizes["footer"]) >= 0, width
            await _everything_fits(page)
            shown = await page.locator(".tile").count()
            assert sizes["letters"] >= width * 26 / 1920 - 0.1
            if agents <= 60:
                assert shown == agents
            else:
                await expect(page.locator("#page")).to_contain_text(f"{agents - shown} of {agents} not shown")
        assert await page.locator(".queue").count() == queues


async def test_pages_turn_by_themselves_and_show_every_agent(visit: Visit) -> None:
    async with Wall(*people(200)) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".tile").first).to_be_visible()
        seen: dict[int, dict[int, list[str]]] = {}
        pages, number = 1, 0
        async with asyncio.timeout(120):
            # After the last page comes the first one again.
            while len(seen.get(pages, ())) < pages or number != 1:
                # A page may turn by itself before the click, and a busy browser may measure the tiles late.
                number, pages, extensions = await page.evaluate(SHOWN)
                seen.setdefault(pages, {})[number] = extensions
                await page.click("#next")
        assert len({extension for extensions in seen[pages].values() for extension in extensions}) == 200
        await page.reload()
        await expect(page.locator("#page")).to_contain_text(f"Agents 2 of {pages}")


async def test_a_phone_scrolls_down_only(visit: Visit) -> None:
    long = {"100001": "Agent 01 of the second line, who is there in the evenings only"}
    async with wallboard_of(Stage(BUSY, seed=1, names=long)) as wallboard:
        page = await visit(wallboard.url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
        await _tiles(page, 60)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        columns = "getComputedStyle(document.querySelector('#agents')).gridTemplateColumns.split(' ').length"
        assert await page.evaluate(columns) == 2
        assert await page.evaluate(OVERFLOWING) == []


async def test_a_poll_touches_only_the_tiles_that_changed(visit: Visit) -> None:
    stage = Stage(Plan(agents=300, queues=3, calls_per_hour=0.0, breaks_per_hour=0.0, several_queues=0.0), seed=1)
    async with wallboard_of(stage) as wallboard:
        page = await visit(f"{wallboard.url}?sort=extension", viewport={"width": 390, "height": 844})
        await _tiles(page, 300)
        await page.evaluate(
            """() => { globalThis.touched = new Set();
              new MutationObserver((records) => records.filter((it) => it.target.nodeType === 1)
                .filter((it) => !it.target.matches(".time, canvas"))
                .forEach((it) => touched.add(it.target.closest(".tile")?.querySelector(".name").textContent)))
                .observe(document.querySelector("#agents"), { subtree: true, childList: true, attributes: true }); }"""
        )
        stage.names["100001"] = "Renamed"
        await stage.play(2)
        await expect(page.locator(".tile .name").first).to_have_text("Renamed")
        assert await page.evaluate("[...touched]") == ["Renamed"]


async def test_text_has_the_contrast_of_wcag_aa(visit: Visit) -> None:
    plan = Plan(agents=40, calls_per_hour=200.0, breaks_per_hour=6.0, external_calls_per_hour=9.0, shift_hours=1.0,
                off_hours=0.2, show_signed_out=True, several_queues=0.0)  # fmt: skip
    stage = Stage(plan, seed=3)
    async with wallboard_of(stage) as wallboard:
        await stage.play(300)
        page = await visit(f"{wallboard.url}?talk=60&ring=1")
        await _tiles(page, 40)
        states: list[str] = await page.evaluate(
            "[...new Set([...document.querySelectorAll('.tile')].map((it) => it.dataset.state))]"
        )
        assert set(states) >= {"talking", "receiving", "waiting", "idle", "paused", "offline"}
        assert await page.locator('.tile[data-overdue="true"]').count() > 0
        await page.click("summary")
        for is_down in (False, True):
            for theme in ("dark", "light"):
                # The setting overrides the system's.
                await page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
                await page.select_option("#theme", theme)
                lightness = "parseInt(getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/))"
                assert (await page.evaluate(lightness) > 128) == (theme == "light")
                assert await page.evaluate(FAINT) == [], (theme, is_down)
            if not is_down:
                await stage.fail("away")
                await expect(page.locator("#notice")).to_be_visible()
        await page.emulate_media(color_scheme="null")


async def test_settings_are_in_the_address_and_survive_a_reload(visit: Visit) -> None:
    """Thresholds that the address lacks are the server's."""
    thresholds = Thresholds(talk=None, idle=120, pause=900, least=2)
    async with wallboard_of(Stage(BUSY, seed=1), thresholds=thresholds) as wallboard:
        page = await visit(f"{wallboard.url}?sort=junk&theme=junk")
        await _tiles(page, 60)
        usual = [await page.input_value(f"#{it}") for it in ("sort", "theme", "talk", "ring", "idle", "pause", "least")]
        assert usual == ["trouble", "", "", "20", "2", "15", "2"]
        await page.locator(".queue").nth(1).click()
        await expect(page.locator(".tile")).not_to_have_count(60)
        own = await page.locator(".tile").count()
        assert 0 < own < 60
        await page.fill("#text", "1000")
        await page.select_option("#sort", "state")
        await page.click("summary")
        for name, value in (("talk", "2"), ("ring", ""), ("wait", "90"), ("pause", "15"), ("least", "3")):
            await page.fill(f"#{name}", value)
        await page.check("#sound")
        await page.select_option("#theme", "dark")
        expected = "queue=queue-2&q=1000&sort=state&talk=120&ring=&wait=90&least=3&sound=1&theme=dark"
        await expect(page).to_have_url(re.compile(rf"\?{expected}$"))
        await page.reload()
        await expect(page.locator(".queue").nth(1)).to_have_attribute("aria-pressed", "true")
        await _tiles(page, own)
        values = [await page.input_value(f"#{it}") for it in ("text", "sort", "talk", "ring", "wait", "pause", "least")]
        assert values == ["1000", "state", "2", "", "90", "15", "3"]
        assert await page.is_checked("#sound")
        await page.fill("#text", "nobody of that name")
        await expect(page.locator("#nobody")).to_have_text("No agent matches the selection.")


async def test_agents_over_a_threshold_stand_out_and_come_first(visit: Visit) -> None:
    stage = Stage(BUSY, seed=1)
    async with wallboard_of(stage) as wallboard:
        await stage.play(124)
        page = await visit(f"{wallboard.url}?talk=60&ring=3&idle=100&sound=1")
        await _tiles(page, 60)
        read = """() => [...document.querySelectorAll(".tile")].map((tile) => [tile.dataset.state, tile.dataset.overdue,
          tile.querySelector("use").getAttribute("href"), tile.querySelector(".word").textContent,
          tile.querySelector(".time").textContent])"""
        tiles: list[tuple[str, str, str, str, str]] = await page.evaluate(read)
        limits = {"talking": 60, "receiving": 3, "idle": 100}
        for state, overdue, sign, word, time in tiles:
            minutes, seconds = map(int, time.removeprefix("≥ ").split(":"))
            age = 60 * minutes + seconds
            # A displayed time that equals the limit may be just before or just after it.
            assert (overdue == "true") == (age > limits.get(state, 9999)) or age == limits[state]
            assert (sign, word.lower()) == ("#i-warning" if overdue == "true" else f"#i-{state}", state)
        standing_out = [overdue for _, overdue, *_ in tiles]
        assert standing_out == sorted(standing_out, reverse=True)
        assert "true" in standing_out
        await page.select_option("#sort", "state")
        ranks = ["talking", "receiving", "waiting", "idle", "paused"]
        await expect(page.locator(".tile").first).to_have_attribute("data-state", "talking")
        states = [ranks.index(state) for state, *_ in await page.evaluate(read)]
        assert states == sorted(states)
        # After a click, the browser allows the page to play a sound for the next alarm.
        await page.mouse.click(5, 5)
        await stage.play(60)
        await expect(page.locator('.tile[data-overdue="true"]').first).to_be_visible()


async def test_todays_calls_and_the_answer_rate_are_shown(visit: Visit) -> None:
    seats = [
        agent("1", queue="a", calls_answered=8, no_answer_count=1),
        agent("1", queue="b", calls_answered=1),
        agent("2", AgentState.PAUSED, queue="b", no_answer_count=2),
        agent("3", queue="new"),
        agent("4", AgentState.RECEIVING, queue="new"),
    ]
    async with Wall(*seats) as wall:
        page = await visit(wall.url)
        await _tiles(page, 4)
        *_, answered, missed, rate, ring = await page.locator("#totals > div:not([hidden]) dd").all_inner_texts()
        assert [answered, missed, rate] == ["9", "3", "75 %"]
        assert re.fullmatch(r"\d+:\d\d", ring)
        assert await page.locator(".queue .rate").all_inner_texts() == ["89 %", "33 %", "–"]
        assert await page.locator(".tile .calls").all_inner_texts() == ["9 1", "0 2", "0 0", "0 0"]
        await expect(page.locator("#several")).to_be_visible()
        short = [await it.get_attribute("title") for it in await page.locator(".queue.short").all()]
        assert short == []
        await page.goto(f"{wall.url}?least=2")
        await expect(page.locator(".queue.short .warning")).to_have_text(["Few agents waiting"] * 3)


async def test_an_empty_call_centre_or_queue_is_a_warning(visit: Visit) -> None:
    # The returning agent needs another call: an unchanged record would count as one from a lagging back end.
    later = agent("1", calls_answered=1, last_answered_at=START.replace(tzinfo=None))
    steps = [([agent("1")], "No agents in night"), ([], "Nobody is signed in"), ([later], "No agents in night")]
    wall = Wall(agent("1"), agent("2", queue="night"))
    async with wall:
        page = await visit(wall.url)
        condition = page.locator("#condition")
        await expect(condition).to_have_text("Live")
        for seats, text in steps:
            wall.answers.append(snapshot(*seats, at=len(wall.answers)))
            await wall.watcher.refresh()
            await expect(condition).to_have_text(text)
            await expect(condition).to_have_attribute("data-condition", "warning")
        await expect(page.locator(".queue", has_text="night").locator(".warning")).to_have_text("No agents")
        wall.answers.append(snapshot(later, agent("3", queue="night"), at=9))
        await wall.watcher.refresh()
        await expect(condition).to_have_text("Live")
        await expect(page.locator("#totals .short")).to_have_count(0)


async def test_a_kiosk_has_no_controls_and_its_title(visit: Visit) -> None:
    async with Wall(*people(3), title="North <1> & South") as wall:
        page = await visit(f"{wall.url}?kiosk=1&theme=dark")
        await _tiles(page, 3)
        assert await page.title() == "North <1> & South"
        await expect(page.locator("h1")).to_have_text("North <1> & South")
        for control in ("#controls", "#settings"):
            await expect(page.locator(control)).to_be_hidden()
        await page.mouse.click(5, 5)
        await page.wait_for_function("document.fullscreenElement !== null")


async def test_the_keyboard_reaches_everything_in_order(visit: Visit) -> None:
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


async def test_screen_readers_get_numbers_and_outages_but_no_clocks(visit: Visit) -> None:
    stage = Stage(Plan(agents=2, queues=1, several_queues=0.0, calls_per_hour=0.0, breaks_per_hour=0.0))
    async with wallboard_of(stage) as wallboard:
        page = await visit(wallboard.url)
        await _tiles(page, 2)
        live: list[str] = await page.evaluate(
            """() => [...document.querySelectorAll("[role=status], [role=alert], [aria-live]")].map(
              (it) => it.id || it.parentElement.id)"""
        )
        assert sorted(live) == ["alert", "condition", "raised"]
        tree = await page.locator("main").aria_snapshot()
        assert re.search(
            r'button "queue-1 2 signed in, 2 waiting, 0 receiving, 0 talking, 0 idle, 0 paused, 0 answ', tree
        )
        assert re.search(r"listitem.*: Agent 01 Waiting.* 100001 ≥ \d:\d\d", tree)
        await stage.fail("away")
        await expect(page.get_by_role("alert")).to_contain_text("No data since 08:00:00")
