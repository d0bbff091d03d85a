"""The language of each request, and the words of the pages in it."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from sipqueue_async import AgentState
from sipqueue_async._language import ENGLISH, LANGUAGES, Words, language, of_preferences, speaking, state_word

PARAMETER: Final = "lang"
"""The parameter of a page's address that names its language."""

WORDS: Final = Words("wallboard")
"""The words of the pages, of their scripts, and of the server's messages to people."""
_ = WORDS.gettext

MARKED: Final = re.compile(r"\{\{(.+?)\}\}")
"""The words in a page: English, between two pairs of braces."""
_LANGUAGE: Final = "<!-- language -->"
_SCRIPTS_WORDS: Final = "<!-- words -->"


def speaks(default: str | None) -> Middleware:
    """Return the middleware that puts the language of each request in force.

    Args:
        default: The language of requests whose address names none; None for the browser's.
    """

    @web.middleware
    async def speak(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.query.get(PARAMETER)
        browsers = preferred(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
        with speaking(asked if asked in LANGUAGES else default or of_preferences(browsers)):
            return await handler(request)

    return speak


def preferred(header: str) -> list[str]:
    """Return the languages of an ``Accept-Language`` header, the preferred first."""
    found: list[tuple[float, str]] = []
    for entry in header.split(","):
        name, _semicolon, weight = entry.partition(";")
        try:
            found.append((float(weight.strip().lower().removeprefix("q=") or 1), name.strip()))
        except ValueError:
            # It is not a weight, so the entry says nothing.
            continue
    return [name for weight, name in sorted(found, key=lambda it: -it[0]) if weight > 0]


def translated(page: str) -> str:
    """Return a page's markup in the language in force, with the words of its scripts."""
    told = MARKED.sub(lambda found: escape(_(found[1])), page)
    return told.replace(_LANGUAGE, language()).replace(_SCRIPTS_WORDS, _scripts_words())


def _scripts_words() -> str:
    """Return what the scripts say in the language in force, as JSON that can stand in a page."""
    if language() == ENGLISH:
        return "{}"
    states = {f"state\4{state}": state_word(state) for state in AgentState}
    told = json.dumps({**WORDS.messages(), **states}, ensure_ascii=False, separators=(",", ":"))
    # A browser would take it for the end of the script.
    return told.replace("<", r"\u003c")
