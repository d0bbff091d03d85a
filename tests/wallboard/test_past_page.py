"""The pages of the history in a real browser: they show the history's figures, on any screen, or why they cannot."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import ViewportSize, expect

from tests.kit.recorded_wall import EIGHT, RecordedWall, recorded_wall
from tests.kit.wallboard_screen import TOLD, Visit, resize
from tests.wallboard.test_layout import CUT, OUTSIDE, SCREENS

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]

EVIL = "<b>x</b><img src=x onerror=\"document.title='broken into'\">"
LONG = "客服 02 夜班 Second line, northern region, evenings only " + "q" * 300
NAMES = {"100001": EVIL, "100002": LONG}
BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 1, 5, tzinfo=BERLIN)
DAY = (MIDNIGHT, MIDNIGHT + timedelta(days=1))
# Returns the texts of a table's body, row by row.
CELLS = """(table) => [...document.querySelectorAll(`${table} tbody tr`)].map(
  (row) => [...row.cells].map((cell) => cell.textContent))"""
FIGURES = """(list) => Object.fromEntries([...document.querySelectorAll(`${list} > div`)].map(
  (it) => [it.children[0].textContent, it.children[1].textContent]))"""
# Returns the letters of a chart that are beyond its edges.
BEYOND = """() => [...document.querySelectorAll("svg text")].map((it) => [it, it.getBoundingClientRect(),
    it.closest("svg").getBoundingClientRect()])
  .filter(([, own, around]) => own.left < around.left - 1 || own.right > around.right + 1
    || own.top < around.top - 1 || own.bottom > around.bottom + 1).map(([it]) => it.textContent)"""
# Makes all figures a text, in letters as wide as those of DejaVu Sans, which phones without other fonts show.
WIDEST = """(text) => document.querySelectorAll(".figures dd").forEach((it) => {
  it.textContent = text; it.style.letterSpacing = "0.13em"; })"""
LONGEST = {"en": "123d 04h", "zh": "23小时59分"}
SMALL: ViewportSize = {"width": 360, "height": 640}
PAPER: ViewportSize = {"width": 718, "height": 1040}
"""A4 with the usual margins."""
TEXTS = "h1, h2, h3, #recorded span, .figures dt, .figures dd, .legend span, :is(th, td):not(.wide), #choice *"


def clock(seconds: float) -> str:
    """Return a duration as the pages show it."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h {whole // 60 % 60:02}m"
    return f"{whole // 60}:{whole % 60:02}"


def share(figure: float | None) -> str:
    return "–" if figure is None else f"{int(figure * 100 + 0.5)} %"


async def busy(wall: RecordedWall) -> None:
    """Let more than an hour pass, with an outage."""
    await wall.play(4000)
    await wall.lose(900)
    await wall.play(600)


async def test_the_day_shows_the_reports_figures_and_the_outage(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path, names=NAMES) as wall:
        await busy(wall)
        page = await visit(f"{wall.url}day?zone=Europe/Berlin")
        await expect(page.locator("#condition")).to_have_text("Live")
        report = await wall.history.report(*DAY, by="hour", zone=BERLIN)
        assert await page.evaluate(CELLS, "#hours") == [
            [
                row.label[-5:],
                str(row.figures.answered),
                str(row.figures.missed),
                share(row.figures.answer_rate),
                clock(row.figures.talk_seconds),
                clock(row.figures.mean_talk_seconds or 0),
                clock(row.figures.signed_in_seconds),
                share(row.figures.occupancy),
            ]
            for row in report.rows
        ]
        shown = await page.evaluate(FIGURES, "#totals")
        assert (shown["Answered"], shown["Missed"]) == (str(report.total.answered), str(report.total.missed))
        assert shown["Longest talk"] == clock(report.total.longest_talk_seconds)
        titles = await page.locator("#chart rect.answered title").all_text_contents()
        assert titles == [
            f"{row.label[-5:]}: {row.figures.answered} answered, {row.figures.missed} missed" for row in report.rows
        ]
        await expect(page.locator("#chart .unknown-time")).to_have_count(2)
        await expect(page.locator("#heading")).to_have_text("Monday, 5 January 2026")
        names = await page.locator("#agents a").all_text_contents()
        assert {EVIL, LONG} < set(names)
        assert await page.locator("main :is(b, img, script)").count() == 0
        # A chosen queue stays in the address, and is that of the figures.
        await page.select_option("#queue", "queue-2")
        await expect(page.locator("#heading")).to_have_text("Monday, 5 January 2026: queue-2")
        await expect(page).to_have_url(re.compile(r"/day\?zone=Europe%2FBerlin&queue=queue-2$"))
        chosen = await wall.history.report(*DAY, by="hour", zone=BERLIN, queue="queue-2")
        assert (await page.evaluate(FIGURES, "#totals"))["Answered"] == str(chosen.total.answered)


async def test_an_agents_bar_has_its_states_and_calls(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path, names=NAMES) as wall:
        await busy(wall)
        page = await visit(f"{wall.url}?theme=dark")
        await page.click(f".tile .name:has-text('{EVIL[:8]}')")
        await expect(page.locator("#heading")).to_have_text(f"{EVIL}, 100001: Monday, 5 January 2026")
        await expect(page).to_have_url(f"{wall.url}agents/100001?theme=dark")
        assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
        await page.select_option("#zone", "UTC")
        found = [it async for it in wall.history.intervals(*DAY, extension="100001")]
        # The browser's zone is UTC.
        expected = sorted((it.key.queue, f"{it.began_at:%H:%M:%S}", it.state.value) for it in found)
        await expect(page.locator("#states tbody tr")).to_have_count(len(found))
        cells = await page.evaluate(CELLS, "#states")
        assert sorted((row[4], row[0].removeprefix("≤ "), row[2].lower()) for row in cells) == expected
        await expect(page.locator("rect.state")).to_have_count(len(found))
        states = await page.eval_on_selector_all("rect.state", "(all) => all.map((it) => it.dataset.state)")
        assert sorted(states) == sorted(it.state.value for it in found)
        seats = {it.key.queue for it in found}
        await expect(page.locator(".seat .unknown-time")).to_have_count(len(seats))
        calls = [it async for it in wall.history.calls(*DAY, extension="100001")]
        assert [row[:3] for row in await page.evaluate(CELLS, "#calls")] == [
            [f"{it.at:%H:%M:%S}", it.key.queue, "✓ Answered" if it.outcome == "answered" else "✗ Missed"]
            for it in calls
        ]
        report = await wall.history.report(*DAY, by="agent", zone=BERLIN, extension="100001")
        shown = await page.evaluate(FIGURES, ".seat:first-child .figures")
        figures = report.rows[0].figures
        assert (shown["Answered"], shown["Talk time"], shown["Occupancy"]) == (
            str(figures.answered),
            clock(figures.talk_seconds),
            share(figures.occupancy),
        )
        await page.click("#day")
        await expect(page.locator("#queue")).to_have_value("")
        await expect(page).to_have_url(f"{wall.url}day?zone=UTC&theme=dark")
        # A link keeps what was chosen in the very moment before, although the answer is still to come.
        await page.wait_for_selector("#agents a")
        await page.route("**/api/day*", lambda _: None)
        await page.select_option("#zone", "")
        await page.click("#agents a >> nth=0")
        await page.wait_for_url("**/agents/*")
        await expect(page).to_have_url(re.compile(r"\?theme=dark$"))
        await page.unroute("**/api/day*")


async def test_today_grows_and_other_days_are_a_click_away(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(600)
        page = await visit(f"{wall.url}day?zone=UTC")
        await page.wait_for_selector("#hours tbody tr")
        before = await page.evaluate(CELLS, "#hours")
        await wall.play(600)
        await expect(page.locator("#hours tbody")).not_to_have_text("".join(before[0]))
        await expect(page.locator("#hours tbody tr")).to_have_count(1)
        await page.click("#before")
        await expect(page.locator("#nothing")).to_have_text("Nothing is recorded on this day.")
        await expect(page.locator("#condition")).to_have_text("Past")
        await expect(page).to_have_url(re.compile(r"day\?zone=UTC&date=2026-01-04$"))
        await page.click("#today")
        await expect(page.locator("#content")).to_be_visible()
        await expect(page).to_have_url(re.compile(r"day\?zone=UTC$"))
        await page.click("#after")
        await expect(page.locator("#condition")).to_have_text("To come")
        await page.goto(f"{wall.url}agents/%3Cb%3E9?zone=Europe/Berlin&date=2026-10-25")
        await expect(page.locator("#nothing")).to_have_text("Nothing is recorded of extension <b>9 on this day.")
        await expect(page.locator("#recorded")).to_contain_text("The clocks change on this day: it has 25 hours.")
        for path in ("day?lang=zh", "agents/100001?lang=zh", "agents/100001?lang=zh&date=2026-10-25"):
            await page.goto(f"{wall.url}{path}")
            await expect(page.locator("main")).to_be_visible()
            assert re.findall(r"\b(?!Agent|JavaScript|queue|UTC)[A-Za-z]{3,}", await page.evaluate(TOLD)) == []
        for language, told in (("en", "The zone is unknown"), ("zh", "没有这个时区")):
            await page.goto(f"{wall.url}day?zone=Nowhere&lang={language}")
            await expect(page.locator("#trouble")).to_contain_text(told)
            await expect(page.locator("main")).to_be_hidden()


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_lost_connection_is_shown_and_made_again(tmp_path: Path, visit: Visit, *, is_frozen: bool) -> None:
    """Also if the server does not answer, but closes nothing."""
    async with recorded_wall(tmp_path) as wall:
        await wall.play(600)
        page = await visit(f"{wall.url}day")
        await expect(page.locator("#condition")).to_have_text("Live")
        await page.route("**/api/day*", lambda route: None if is_frozen else route.abort())
        await expect(page.locator("#trouble")).to_contain_text("The connection to the wallboard is lost")
        await expect(page.locator("#hours")).to_be_visible()
        await page.unroute("**/api/day*")
        await expect(page.locator("#trouble")).to_be_hidden()
        await expect(page.locator("#condition")).to_have_text("Live")


async def test_an_outage_of_the_platform_is_not_live_and_says_since_when_and_why(tmp_path: Path, visit: Visit) -> None:
    told = {
        "en": ("Live", "No data", "No data since {time}. The page shows what was known then.", "Connection refused"),
        "zh": ("实时", "无数据", "{time} 起无数据，画面为当时的状态。", "连接被拒绝"),
    }
    async with recorded_wall(tmp_path) as wall:
        await wall.play(600)
        since = wall.stage.now()
        page = await visit(wall.url)
        for path in ("day", "agents/100001"):
            for language, (live, down, text, why) in told.items():
                await page.goto(f"{wall.url}{path}?lang={language}&zone=Europe/Berlin")
                await expect(page.locator("#condition")).to_have_text(live)
                await wall.stage.fail("Connection refused")
                await expect(page.locator("#condition")).to_have_text(down)
                await expect(page.locator("#condition")).to_have_attribute("data-condition", "down")
                await expect(page.locator("#alert")).to_have_text(
                    text.format(time=f"{since.astimezone(BERLIN):%H:%M:%S}")
                )
                await expect(page.locator("#reason")).to_have_text(why)
                await expect(page.locator("body")).to_have_attribute("data-stale", "true")
                await wall.stage.recover()
                await expect(page.locator("#condition")).to_have_text(live)
                await expect(page.locator("#trouble")).to_be_hidden()
                await expect(page.locator("body")).to_have_attribute("data-stale", "false")
        # A past day does not change, whatever the platform does.
        await wall.stage.fail("Connection refused")
        await page.goto(f"{wall.url}day?lang=en&date=2026-01-04")
        await expect(page.locator("#condition")).to_have_text("Past")
        await expect(page.locator("#trouble")).to_be_hidden()


async def test_an_outage_since_another_day_has_its_date(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path, start=EIGHT + timedelta(hours=15, minutes=40)) as wall:
        await wall.play(600)
        since = wall.stage.now()
        await wall.stage.fail("Connection refused")
        wall.stage.centre.advance(3600)
        page = await visit(f"{wall.url}day?zone=UTC")
        await expect(page.locator("#alert")).to_have_text(
            f"No data since {since:%Y-%m-%d %H:%M:%S}. The page shows what was known then."
        )


@pytest.mark.needs_fonts
async def test_nothing_is_cut_off_on_any_screen_or_on_paper(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path, names=NAMES) as wall:
        await busy(wall)
        page = await visit(wall.url)
        for path in ("day", "agents/100002", "day?lang=zh", "agents/100002?lang=zh", "agents/nobody?lang=zh"):
            await page.goto(f"{wall.url}{path}")
            await expect(page.locator("#condition")).to_have_text("实时" if "zh" in path else "Live")
            for screen in (*SCREENS.values(), SMALL):
                await resize(page, screen)
                # The chart is drawn again after the resize event.
                await page.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
                assert await page.evaluate("document.documentElement.scrollWidth") == screen["width"], path
                await page.evaluate(WIDEST, LONGEST["zh" if "zh" in path else "en"])
                await page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
                assert await page.evaluate(OUTSIDE, [TEXTS, "body"]) == []
                assert await page.evaluate(CUT, "h1, h2, h3, th, td, dd, dt") == [], (path, screen)
                assert await page.evaluate(BEYOND) == [], (path, screen)
            await resize(page, PAPER)
            await page.emulate_media(media="print")
            for hidden in ("nav", "#choice", "#condition"):
                await expect(page.locator(hidden)).to_be_hidden()
            assert await page.evaluate("document.documentElement.scrollWidth") == PAPER["width"]
            await page.emulate_media(media="screen")


async def test_a_screen_without_controls_has_no_links(tmp_path: Path, visit: Visit) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(10)
        page = await visit(f"{wall.url}?kiosk=1")
        await page.wait_for_selector(".tile")
        assert await page.locator(".tile a").count() == 0
        await expect(page.locator("#history")).to_be_hidden()
        await page.goto(f"{wall.url}?queue=queue-2")
        await expect(page.locator("#history")).to_have_attribute("href", re.compile(r"^day\?queue=queue-2$"))
        await page.goto(f"{wall.url}?lang=zh")
        await page.click("#history")
        await expect(page.locator("#wall")).to_have_attribute("href", re.compile(r"\?lang=zh$"))
        assert page.url == f"{wall.url}day?lang=zh"
