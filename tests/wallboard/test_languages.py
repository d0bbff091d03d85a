"""The language of pages and messages: that of the address, the server's, or the browser's."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect

from sipqueue_async import AgentState
from sipqueue_async._language import speaking, state_word
from sipqueue_async.alerts import RulesFile, StateLasts
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from sipqueue_async.wallboard.files import read_files
from sipqueue_async.wallboard.languages import preferred, translated
from tests.kit.builders import agent
from tests.kit.wallboard_screen import TOLD, Visit, Wall
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
CHARACTERS = re.compile("[\u4e00-\u9fff]")
PAGE = read_files()["index.html"].content.decode()
ENGLISH = re.compile(r"\b(?!SIPQUEUE_WALLBOARD_KEY|JavaScript|English|key|file)[A-Za-z]{3,}")


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[aiohttp.ClientSession]:
    """Serve a small call centre; yield a client."""
    stage = Stage(Plan(agents=3, queues=2))
    # Otherwise aiohttp keeps no cookies of IP addresses.
    cookies = aiohttp.CookieJar(unsafe=True)
    async with (
        wallboard_of(stage, **options) as wallboard,
        aiohttp.ClientSession(wallboard.url, cookie_jar=cookies) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("zh", ["zh"]),
        ("zh-CN, en;q=0.8", ["zh-CN", "en"]),
        ("en;q=0.2,zh ; Q=0.4, fr", ["fr", "zh", "en"]),
        ("en;q=0, zh;q=0.1", ["zh"]),
        ("en;q=much, zh;level=1, *", ["*"]),
        ("de,en,zh", ["de", "en", "zh"]),
    ],
)
def test_the_languages_of_a_header_are_in_the_browsers_order(header: str, expected: list[str]) -> None:
    assert [name for name in preferred(header) if name] == expected


@pytest.mark.parametrize(
    ("default", "header", "query", "expected"),
    [
        (None, "", "", "en"),
        (None, "zh-CN,en;q=0.5", "", "zh"),
        (None, "fr,en;q=0.5,zh;q=0.4", "", "en"),
        ("zh", "en", "", "zh"),
        ("en", "zh", "?lang=junk", "en"),
        ("zh", "zh", "?lang=en", "en"),
        (None, "en", "?lang=zh&theme=dark", "zh"),
    ],
)
async def test_the_address_precedes_the_servers_language_and_that_the_browsers(
    default: str | None, header: str, query: str, expected: str
) -> None:
    async with served(language=default) as client:
        async with client.get(f"/{query}", headers={"Accept-Language": header}) as answer:
            page = await answer.text()
            tag = answer.headers["ETag"]
            assert answer.headers["Vary"] == "Accept-Language"
        assert f'<html lang="{expected}">' in page
        assert f"<title>{'大屏' if expected == 'zh' else 'Wallboard'}</title>" in page
        async with client.get("/?lang=en", headers={"If-None-Match": tag}) as answer:
            assert answer.status == (304 if expected == "en" else 200)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="language must be one of en, zh, not 'fr'"):
        Wallboard(Stage().watcher, language="fr")


@pytest.mark.parametrize("name", ["agent.html", "day.html", "index.html", "login.html"])
def test_a_page_is_wholly_in_its_language(name: str) -> None:
    page = read_files()[name].content.decode()
    with speaking("zh"):
        told = translated(page)
    shown = re.sub(r"<(script|svg|title).*?</\1>|<!--.*?-->", "", told, flags=re.DOTALL)
    shown = re.sub(r"<[^>]*>", " ", shown) + " ".join(re.findall(r'(?:label|placeholder|title)="([^"]*)"', shown))
    assert CHARACTERS.search(shown)
    assert ENGLISH.findall(shown) == []
    assert CHARACTERS.findall(translated(page).replace("中文", "")) == []


def test_a_page_has_the_words_of_its_scripts() -> None:
    with speaking("zh"):
        (words,) = re.findall(r'<script id="words" type="application/json">(.*?)</script>', translated(PAGE))
    known = json.loads(words)
    assert {state: known[f"state\4{state}"] for state in AgentState} == {
        state: state_word(state, "zh") for state in AgentState
    }
    assert known["Missed"] == "未接"
    assert "<" not in words
    assert '<script id="words" type="application/json">{}</script>' in translated(PAGE)


async def test_a_heading_is_the_servers_in_all_languages() -> None:
    async with served(title="Süd <1> {{Agents}}") as client, client.get("/?lang=zh") as answer:
        assert "<h1>Süd &lt;1&gt; {{Agents}}</h1>" in await answer.text()


async def test_messages_of_the_server_are_in_the_language_of_the_page() -> None:
    async with served(key=KEY, host_names=["wall.example"]) as client:
        for language, said in (("zh", "访问密钥不正确。"), ("en", "This is not the access key.")):
            async with client.post(f"/login?lang={language}", data={"key": "wrong"}) as answer:
                assert said in await answer.text()
        for _ in range(4):
            async with client.post("/login", data={"key": "wrong"}, headers=CHINESE) as answer:
                said = await answer.text()
        assert re.search(r"密钥输错次数过多，请 \d+ 秒后再试。", said)
        async with client.get("/?lang=zh&to=x", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "login?lang=zh&to=x"
        for asked, location in (("?lang=zh", "login?lang=zh"), ("?lang=<b>", "login"), ("", "login")):
            await client.post("/login", data={"key": KEY})
            async with client.post(f"/logout{asked}", allow_redirects=False) as answer:
                assert answer.headers["Location"] == location
        async with client.get("/", headers={"Host": "evil.example", **CHINESE}) as answer:
            assert await answer.text() == "大屏没有配置这个主机名，见选项 --host-name。\n"
        headers = {"Sec-Fetch-Site": "cross-site", **CHINESE}
        async with client.post("/login", data={"key": KEY}, headers=headers) as answer:
            assert "登录表单来自其他网站" in await answer.text()
    async with served() as client, client.get("/day", headers=CHINESE) as answer:
        assert await answer.text() == (
            "这个大屏没有历史。启动时请加上数据库，例如：sipqueue wallboard --db sqlite:///day.db\n"
        )


async def test_streams_share_messages_by_language_and_snapshots_stay_english() -> None:
    rules = RulesFile(rules=(StateLasts("break", AgentState.PAUSED, longer_than=0),), language="zh")
    stage = Stage(Plan(agents=3, queues=1, breaks_per_hour=900.0, calls_per_hour=0.0), seed=1)
    async with wallboard_of(stage, rules=rules) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        await stage.play(30)
        await stage.fail("the server closed the connection without a whole answer")
        for headers, query, said in (
            (CHINESE, "", (True, "示忙", "始于 {time}")),
            ({}, "?lang=en", (False, "paused", "since {time}")),
        ):
            async with client.get(f"/events{query}", headers=headers) as answer:
                async for line in answer.content:  # pragma: no branch
                    if line.startswith(b'data: {"v"'):
                        board = json.loads(line.removeprefix(b"data: "))
                        break
            alerts = board["alerts"]
            error = board["feed"]["error"]
            assert (bool(CHARACTERS.search(error)), alerts["raised"][0]["what"], alerts["since"]) == said
            assert CHARACTERS.search(error) or error == "the server closed the connection without a whole answer"
        async with client.get("/api/snapshot", headers=CHINESE) as answer:
            body = await answer.text()
    assert CHARACTERS.findall(body) == []
    assert json.loads(body)["feed_down"]["error"] == "the server closed the connection without a whole answer"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.one_python
async def test_the_page_keeps_its_language_and_can_change_it(visit: Visit) -> None:
    async with Wall(agent("1", queue="售前", name="客服 1"), key=KEY) as wall:
        page = await visit(f"{wall.url}?theme=dark", locale="zh-CN")
        await expect(page.locator("label")).to_have_text("访问密钥")
        await page.fill("#key", KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile .word")).to_have_text("等待来电")
        await expect(page.locator("#condition")).to_have_text("实时")
        await page.click("summary")
        assert ENGLISH.findall(await page.evaluate(TOLD)) == []
        await page.select_option("#language", "en")
        await expect(page.locator(".tile .word")).to_have_text("Waiting")
        assert page.url == f"{wall.url}?theme=dark&lang=en"
        await page.click("summary")
        await expect(page.locator("#language")).to_have_value("en")
        await page.click("text=Log out")
        await expect(page.locator("label")).to_have_text("Access key")
        assert page.url == f"{wall.url}login?lang=en"
        await page.fill("#key", KEY)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".tile")
        await page.click("summary")
        await page.select_option("#language", "")
        await expect(page.locator(".tile .word")).to_have_text("等待来电")
        assert page.url == wall.url
