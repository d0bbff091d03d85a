"""The page in a real browser: the raised alerts of a rules file are its first part, and always fit."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from sipqueue_async import AgentState, AgentStatus
from sipqueue_async.alerts import FeedSilent, RulesFile, StateLasts
from sipqueue_async.simulator import Plan
from tests.kit.builders import agent, snapshot
from tests.kit.wallboard_screen import Visit, Wall, resize
from tests.kit.wallboard_stage import Stage, wallboard_of
from tests.wallboard.test_layout import CUT, OUTSIDE, SCREENS

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]

LONG = "Customer service Northern region German and English evenings"
BREAKS = StateLasts("long-break", AgentState.PAUSED, longer_than=0)
RULES = RulesFile(rules=(BREAKS,))


def people(paused: int, queue: str = "queue-1") -> list[AgentStatus]:
    """Return sixty agents; the first ones are paused, one of them with a long name."""
    return [
        agent(
            str(100_001 + number),
            AgentState.PAUSED if number < paused else AgentState.TALKING,
            queue=queue,
            name=LONG if number == paused - 1 else f"Agent {number + 1:02}",
        )
        for number in range(60)
    ]


async def test_an_alert_is_the_first_part_of_the_page_and_clears_by_itself(visit: Visit) -> None:
    evil = "<img src=x onerror=\"document.title='broken into'\">"
    paused = [agent("1", AgentState.PAUSED, name=evil), agent("2", AgentState.PAUSED, name="q" * 10_000)]
    async with Wall(agent("1", AgentState.TALKING, name=evil), rules=RULES) as wall:
        page = await visit(wall.url)
        await expect(page.locator(".tile")).to_have_count(1)
        await expect(page.locator("#alerts")).to_be_hidden()
        wall.answers.append(snapshot(*paused, at=60))
        await wall.watcher.refresh()
        wall.age = 95
        lines = page.locator(".alert")
        await expect(lines.nth(1).locator(".text")).to_have_text(f"{evil} (1) in queue-1 paused")
        await expect(lines.nth(1).locator(".start")).to_have_text("since 08:01:00")
        await expect(lines.nth(1).locator(".lasts")).to_have_text("0:35")
        await expect(lines.nth(0).locator(".who")).to_have_text(re.compile("^q{199}…$"))
        assert await page.evaluate("document.querySelector('body > :not(svg, .skip)').id") == "alerts"
        assert await page.locator("#alerts img").count() == 0
        wall.answers.append(snapshot(agent("1", AgentState.TALKING, name=evil), at=120))
        await wall.watcher.refresh()
        await expect(page.locator("#alerts")).to_be_hidden()


@pytest.mark.needs_fonts
@pytest.mark.parametrize(
    ("language", "since", "more"), [("en", "since 08:00:00", "and"), ("zh", "始于 08:00:00", "另有")]
)
async def test_alerts_fit_on_every_screen_and_the_rest_is_counted(
    visit: Visit, language: str, since: str, more: str
) -> None:
    rules = RulesFile(rules=(BREAKS,))
    async with Wall(*people(12), rules=rules) as twelve, Wall(*people(40), rules=rules) as many:
        for wall, number in ((twelve, 12), (many, 40)):
            wall.age = 86_399
            page = await visit(f"{wall.url}?lang={language}")
            await expect(page.locator(".tile")).to_have_count(60)
            for name, size in SCREENS.items():
                await resize(page, size)
                shown = await page.locator(".alert").count()
                assert 1 <= shown <= number
                if shown < number:
                    await expect(page.locator("#further")).to_contain_text(f"{more} {number - shown} ")
                else:
                    await expect(page.locator("#further")).to_be_hidden()
                await expect(page.locator(".alert .start").first).to_have_text(since)
                assert await page.evaluate(CUT, "#alerts, .alert, .alert *") == [], size
                assert await page.evaluate(OUTSIDE, [".alert .text, .alert .start, .alert .lasts", ".alert"]) == [], (
                    size
                )
                assert await page.evaluate(OUTSIDE, [".alert, #further", "#alerts"]) == [], size
                if name != "phone":
                    assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight"), size
                    assert await page.evaluate(OUTSIDE, [".tile, footer", "body"]) == [], size


async def test_in_an_outage_only_the_feeds_own_alert_runs_on(visit: Visit) -> None:
    rules = RulesFile(rules=(StateLasts("idle", tuple(AgentState), longer_than=0), FeedSilent("away", lasting=0)))
    stage = Stage(Plan(agents=2, queues=1, calls_per_hour=0.0), seed=1)
    async with wallboard_of(stage, beat=0.05, rules=rules) as wallboard:
        await stage.play(10)
        page = await visit(wallboard.url)
        await expect(page.locator(".alert")).to_have_count(2)
        await stage.fail("cannot connect")
        stage.centre.advance(100)
        await expect(page.locator(".alert")).to_have_count(3)
        await expect(page.locator(".alert").first).to_have_class("alert feed")
        await expect(page.locator(".alert.feed .text")).to_have_text("The platform cannot be reached")
        await expect(page.locator(".alert.feed .lasts")).to_have_text(re.compile(r"1:4\d"))
        for line in await page.locator(".alert:not(.feed) .lasts").all_inner_texts():
            assert re.fullmatch(r"≥ 0:(0\d|10)", line)
        await stage.recover()
        await expect(page.locator(".alert.feed")).to_have_count(0)


async def test_a_new_alert_plays_a_sound_if_it_is_on(visit: Visit) -> None:
    count = """() => {
      globalThis.notes = 0;
      OscillatorNode = class extends OscillatorNode { start(at) { super.start(at); globalThis.notes += 1; } };
    }"""
    async with Wall(agent("1", AgentState.TALKING), rules=RULES) as wall:
        page = await visit(f"{wall.url}?sound=1")
        await expect(page.locator(".tile")).to_have_count(1)
        await page.evaluate(count)
        await page.click("h1")
        wall.answers.append(snapshot(agent("1", AgentState.PAUSED), at=1))
        await wall.watcher.refresh()
        await expect(page.locator("#alerts")).to_be_visible()
        assert await page.evaluate("globalThis.notes") == 2
