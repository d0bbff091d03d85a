"""Login and the content security policy in a real browser."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from tests.kit.wallboard_screen import BIG_SCREEN, Visit
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.one_python]


async def test_login_opens_the_requested_view_and_logout_ends_it(visit: Visit) -> None:
    async with wallboard_of(Stage(Plan(agents=3, queues=2)), key=KEY) as wallboard:
        page = await visit(f"{wallboard.url}?q=1000&talk=60")
        await expect(page.locator("#key")).to_be_focused()
        await page.fill("#key", "a wrong key of some length")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("This is not the access key.")
        assert await page.locator("#key").input_value() == ""
        await page.fill("#key", KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile")).to_have_count(3)
        await expect(page).to_have_url(f"{wallboard.url}?q=1000&talk=60")
        (cookie,) = await page.context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("secure")) == (True, "Strict", False)
        assert KEY not in str(cookie)
        await page.reload()
        await expect(page.locator(".tile")).to_have_count(3)
        await page.click("summary")
        await page.click("text=Log out")
        await expect(page.locator("#key")).to_be_visible()
        await page.goto(wallboard.url)
        await expect(page.locator("#key")).to_be_visible()


async def test_a_page_whose_cookie_became_invalid_goes_to_the_login(visit: Visit) -> None:
    stage = Stage(Plan(agents=2))
    async with wallboard_of(stage, key=KEY) as wallboard:
        page = await visit(f"{wallboard.url}?sort=name")
        await page.fill("#key", KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile")).to_have_count(2)
        await wallboard.stop()
        await expect(page.locator("#condition")).to_have_text("Connection lost")
        async with Wallboard(stage.watcher, port=wallboard.port, key="another key than before") as other:
            await expect(page.locator("#key")).to_be_visible()
            await expect(page).to_have_url(f"{other.url}login?sort=name")


async def test_foreign_markup_styles_images_and_frames_are_blocked(chromium: Browser) -> None:
    async with wallboard_of(Stage(Plan(agents=2))) as wallboard:
        context = await chromium.new_context(viewport=BIG_SCREEN)
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(wallboard.url)
        await page.wait_for_selector(".tile")
        with pytest.raises(Exception, match="TrustedHTML"):
            await page.evaluate("document.body.innerHTML = '<b>markup</b>'")
        await page.evaluate(
            """() => {
              const style = document.createElement("style");
              style.textContent = "body { display: none }";
              document.head.append(style);
              const image = document.createElement("img");
              image.src = "http://127.0.0.1:9/elsewhere.png";
              document.body.append(image);
            }"""
        )
        async with asyncio.timeout(60):
            while not all(any(policy in text for text in said) for policy in ("style-src 'self'", "img-src 'self'")):
                await page.wait_for_timeout(20)  # pragma: no cover
        assert await page.locator("body").is_visible()
        frame = await context.new_page()
        frame.on("console", lambda message: said.append(message.text))
        await frame.set_content(f"<iframe src='{wallboard.url}'></iframe>")
        async with asyncio.timeout(60):
            while not any("frame-ancestors" in text for text in said):
                await frame.wait_for_timeout(20)  # pragma: no cover
        assert await frame.frames[-1].locator(".tile").count() == 0
        await context.close()
