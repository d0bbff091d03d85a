"""A real browser for the wallboard's tests: Chromium, started once. Any console error fails the test."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.kit.needs import program
from tests.kit.wallboard_screen import BIG_SCREEN, Visit

PATIENCE = 60_000.0
expect.set_options(timeout=PATIENCE)

# Console messages about connections that a test closes on purpose.
_EXPECTED = re.compile(r"net::ERR_|Failed to load resource")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(needs_chromium: None) -> AsyncGenerator[Browser]:
    """The browser, started once."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def window(chromium: Browser) -> AsyncGenerator[Page]:
    """A page that the tests share: a new page takes two seconds of processor time."""
    async with _context(chromium, {}) as context:
        yield await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, window: Page) -> AsyncGenerator[Visit]:
    """Return a function that opens a page; fail if a page logged an error."""
    errors: list[str] = []

    handlers: dict[str, Callable[[Any], object]] = {
        "console": lambda message: errors.append(message.text) if message.type != "log" else None,
        "pageerror": lambda error: errors.append(str(error)),
    }
    is_free = True
    async with AsyncExitStack() as stack:

        async def visit(url: str, **options: Any) -> Page:
            nonlocal is_free
            if is_free and not options:
                is_free, page = False, window
                stack.push_async_callback(_leave, page)
            else:
                page = await (await stack.enter_async_context(_context(chromium, options))).new_page()
            for event, handler in handlers.items():
                page.on(event, handler)  # type: ignore[call-overload]
                stack.callback(page.remove_listener, event, handler)
            await page.goto(url)
            return page

        yield visit
    assert [error for error in errors if not _EXPECTED.search(error)] == []


async def _leave(page: Page) -> None:
    await page.goto("about:blank")
    await page.context.clear_cookies()
    await page.set_viewport_size(BIG_SCREEN)


@asynccontextmanager
async def _context(browser: Browser, options: dict[str, Any]) -> AsyncGenerator[BrowserContext]:
    settings: dict[str, Any] = {"viewport": BIG_SCREEN, "timezone_id": "UTC", **options}
    context = await browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    try:
        yield context
    finally:
        await context.close()
