"""A real browser for the wallboard's tests: Debian's Chromium, started once, and pages that forgive nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.kit.needs import program
from tests.kit.wallboard_screen import BIG_SCREEN, Visit

# What a browser says of a connection that a test has cut.
_EXPECTED = re.compile(r"net::ERR_|Failed to load resource")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(needs_chromium: None) -> AsyncGenerator[Browser]:
    """The browser, started once."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser) -> AsyncGenerator[Visit]:
    """Return a function that opens a page; at the end no page may have complained of anything."""
    complaints: list[str] = []
    async with AsyncExitStack() as stack:

        async def visit(url: str, **options: Any) -> Page:
            context = await stack.enter_async_context(_context(chromium, options))
            page = await context.new_page()
            page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(url)
            return page

        yield visit
    assert [complaint for complaint in complaints if not _EXPECTED.search(complaint)] == []


@asynccontextmanager
async def _context(browser: Browser, options: dict[str, Any]) -> AsyncGenerator[BrowserContext]:
    settings: dict[str, Any] = {"viewport": BIG_SCREEN, "timezone_id": "UTC", **options}
    context = await browser.new_context(**settings)
    context.set_default_timeout(30_000)
    try:
        yield context
    finally:
        await context.close()
