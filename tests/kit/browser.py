"""A real browser for the wallboard's tests: Chromium, started once; any console error fails the test."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.kit.needs import program
from tests.kit.wallboard_screen import BIG_SCREEN, Visit

PATIENCE = 30_000.0
expect.set_options(timeout=PATIENCE)

# Console messages about connections that a test has cut.
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
    """Return a function that opens a page; fails if a page logged an error."""
    errors: list[str] = []
    async with AsyncExitStack() as stack:

        async def visit(url: str, **options: Any) -> Page:
            context = await stack.enter_async_context(_context(chromium, options))
            page = await context.new_page()
            page.on("console", lambda message: errors.append(message.text) if message.type != "log" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.goto(url)
            return page

        yield visit
    assert [error for error in errors if not _EXPECTED.search(error)] == []


@asynccontextmanager
async def _context(browser: Browser, options: dict[str, Any]) -> AsyncGenerator[BrowserContext]:
    settings: dict[str, Any] = {"viewport": BIG_SCREEN, "timezone_id": "UTC", **options}
    context = await browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    try:
        yield context
    finally:
        await context.close()
