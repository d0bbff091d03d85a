"""The pages: the wallboard, its static files, login and logout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from html import escape
from typing import Final
from urllib.parse import parse_qs

from aiohttp import ETag, hdrs, web
from yarl import URL

from sipqueue_async._language import LANGUAGES, language, speaking
from sipqueue_async.wallboard.access import COOKIE_AGE, Access
from sipqueue_async.wallboard.files import File, read_files
from sipqueue_async.wallboard.guard import AGENTS, DAY, RETURN_TO, Guard, is_from_elsewhere, query_of
from sipqueue_async.wallboard.languages import PARAMETER, WORDS, translated
from sipqueue_async.wallboard.thresholds import Thresholds, as_parameters

_TITLE: Final = "<!-- title -->"
_THRESHOLDS: Final = "<!-- thresholds -->"
_MESSAGE: Final = "<!-- message -->"
_LOGOUT_PLACEHOLDER: Final = "<!-- logout -->"
_LOGOUT: Final = '<form method="post" action="logout"><button>{{Log out}}</button></form>'
_HISTORY_PLACEHOLDER: Final = "<!-- history -->"
_HISTORY: Final = '<a id="history" href="day">{{History}}</a>'
_PAGES: Final = frozenset({"index.html", "login.html", "day.html", "agent.html"})
_AGENT: Final = "{extension}"
_RETURN: Final = re.compile(r"day|agents/[A-Za-z0-9%._~-]+", re.ASCII)
"""The pages, besides the wallboard itself, that are shown after a login."""
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_PAIR: Final = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')
"""Text up to a comma, or up to a semicolon, that is not in quotes."""
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 10

_ = WORDS.gettext


class Pages:
    """Serves the pages.

    Args:
        access: The access key, if one is required.
        guard: Checks the key.
        patience: Seconds within which a form must arrive.
        title: The heading of the pages; None for "Wallboard" in their language.
        thresholds: When agents and queues stand out, on pages whose address says nothing else.
        has_history: Whether there is a history to show.
    """

    def __init__(
        self,
        access: Access | None,
        guard: Guard,
        *,
        patience: float,
        title: str | None,
        thresholds: Thresholds,
        has_history: bool = False,
    ) -> None:
        self._has_history = has_history
        self._patience = patience
        self._access = access
        self._guard = guard
        self._files = read_files()
        parts = {
            _HISTORY_PLACEHOLDER: _HISTORY if has_history else "",
            _LOGOUT_PLACEHOLDER: "" if access is None else _LOGOUT,
        }
        self._pages: dict[tuple[str, str], File] = {}
        for name in LANGUAGES:
            with speaking(name):
                heading = _("Wallboard") if title is None else title
                values = {_TITLE: escape(heading), _THRESHOLDS: escape(as_parameters(thresholds))}
                self._pages.update({(name, page): self._read(page, parts, values) for page in _PAGES})

    def _read(self, name: str, parts: Mapping[str, str], values: Mapping[str, str]) -> File:
        """Return a page in the language in force.

        Args:
            name: The page's file.
            parts: Markup for its placeholders, with words that are translated too.
            values: Text for its placeholders that stays as it is.
        """
        page = self._files[name]
        for placeholder, part in parts.items():
            page = page.with_text(placeholder, part)
        page = page.map(translated)
        for placeholder, value in values.items():
            page = page.with_text(placeholder, value)
        return page

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/", self._page)
        if self._has_history:
            app.router.add_get(DAY, self._day_page)
            app.router.add_get(f"{AGENTS}{_AGENT}", self._agent_page)
        else:
            for path in (DAY, f"{AGENTS}{_AGENT}", "/api/day", f"/api{AGENTS}{_AGENT}"):
                app.router.add_get(path, self._no_history)
        app.router.add_get("/static/{name}", self._file)
        app.router.add_get("/login", self._login_page)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)

    async def _page(self, request: web.Request) -> web.Response:
        return self._sent_page(request, "index.html")

    async def _day_page(self, request: web.Request) -> web.Response:
        return self._sent_page(request, "day.html")

    async def _agent_page(self, request: web.Request) -> web.Response:
        return self._sent_page(request, "agent.html")

    def _sent_page(self, request: web.Request, name: str) -> web.Response:
        response = _sent(request, self._pages[language(), name])
        response.headers[hdrs.VARY] = hdrs.ACCEPT_LANGUAGE
        return response

    async def _no_history(self, _request: web.Request) -> web.Response:
        example = "sipqueue wallboard --db sqlite:///day.db"
        no_history = _("This wallboard has no history. Start it with a database, such as: {example}")
        raise web.HTTPNotFound(text=f"{no_history.format(example=example)}\n")

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None or file.content_type == "text/html":
            raise web.HTTPNotFound(text="No such file.\n")
        return _sent(request, file)

    async def _login_page(self, request: web.Request) -> web.Response:
        if self._access is None:
            raise web.HTTPSeeOther(_wallboard(request))
        return self._login(200)

    def _login(self, status: int, message: str = "") -> web.Response:
        page = self._pages[language(), "login.html"].with_text(_MESSAGE, escape(message))
        return web.Response(status=status, body=page.content, content_type=page.content_type, charset="utf-8")

    async def _log_in(self, request: web.Request) -> web.Response:
        if self._access is None:
            raise web.HTTPSeeOther(_wallboard(request))
        if is_from_elsewhere(request):
            said = _("The form was sent by another site: log in on the wallboard's own page.")
            raise web.HTTPForbidden(text=f"{said}\n")
        key = await self._key_of(request)
        try:
            good = self._guard.try_key(request, self._access, key, "login")
        except web.HTTPTooManyRequests as error:
            seconds = error.headers[hdrs.RETRY_AFTER]
            response = self._login(
                error.status, _("Too many wrong keys. Try again in {seconds} s.").format(seconds=seconds)
            )
            response.headers[hdrs.RETRY_AFTER] = seconds
            return response
        if not good:
            return self._login(403, _("This is not the access key."))
        response = web.Response(status=303, headers={hdrs.LOCATION: str(_wallboard(request))})
        response.set_cookie(
            self._access.cookie_name,
            self._access.cookie(),
            max_age=COOKIE_AGE,
            httponly=True,
            samesite="Strict",
            secure=_is_encrypted(request),
        )
        return response

    async def _key_of(self, request: web.Request) -> str:
        """Return the key in a login form.

        Raises:
            web.HTTPBadRequest: The body is not a login form.
            web.HTTPRequestEntityTooLarge: The form is too large.
            web.HTTPRequestTimeout: The form did not arrive in time.
        """
        if request.content_type != _FORM or hdrs.CONTENT_ENCODING in request.headers:
            raise web.HTTPBadRequest(text=f"Send the form as {_FORM}.\n")
        try:
            async with asyncio.timeout(self._patience):
                form = parse_qs((await request.read()).decode(), errors="strict", max_num_fields=_MOST_FIELDS)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="The form did not arrive in time.\n") from None
        except (ValueError, web.RequestPayloadError):
            raise web.HTTPBadRequest(text="The form cannot be read.\n") from None
        return form.get("key", [""])[0]

    async def _log_out(self, request: web.Request) -> web.Response:
        response = web.Response(status=303, headers={hdrs.LOCATION: str(_login_again(request))})
        if self._access is not None:
            response.del_cookie(
                self._access.cookie_name, httponly=True, samesite="Strict", secure=_is_encrypted(request)
            )
        return response


def _sent(request: web.Request, file: File) -> web.Response:
    known = request.if_none_match or ()
    if any(tag.value == file.etag for tag in known):
        response = web.Response(status=304)
    else:
        response = web.Response(body=file.content, content_type=file.content_type, charset="utf-8")
    response.etag = ETag(file.etag)
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response


def _wallboard(request: web.Request) -> URL:
    """Return the URL of the page that was requested before the login."""
    parameters = query_of(request).removeprefix("?").split("&")
    kept = "&".join(it for it in parameters if not it.startswith(f"{RETURN_TO}="))
    pages = [it.removeprefix(f"{RETURN_TO}=") for it in parameters if it.startswith(f"{RETURN_TO}=")]
    page = next((it for it in pages if _RETURN.fullmatch(it)), "")
    # A relative URL: a proxy may serve the wallboard below another path.
    return URL(f"./{page}{'?' if kept else ''}{kept}", encoded=True)


def _login_again(request: web.Request) -> URL:
    """Return the URL of the login page in the language that the page's address names."""
    asked = request.query.get(PARAMETER)
    return URL("login").with_query({PARAMETER: asked} if asked in LANGUAGES else None)


def _is_encrypted(request: web.Request) -> bool:
    """Return whether the browser's own connection is HTTPS, according to the proxy's headers.

    The first entry of each header describes the browser's connection. A browser that forges it only loses its own
    cookie.
    """
    forwarded = _first_element(request, hdrs.FORWARDED)
    # Not aiohttp's parser: it drops an element with an IPv6 address without quotes, as nginx's $remote_addr gives it.
    pairs = (pair.partition("=") for pair in _PAIR.findall(forwarded))
    schemes = [value for name, _, value in pairs if name.strip().lower() == "proto"]
    schemes.append(_first_element(request, hdrs.X_FORWARDED_PROTO))
    return request.secure or any(_unquoted(scheme) == "https" for scheme in schemes)


def _first_element(request: web.Request, name: str) -> str:
    """Return the first element of a header's list; HTTP tells recipients to ignore empty ones."""
    elements = _ELEMENT.findall(",".join(request.headers.getall(name, [])))
    return next(filter(None, map(str.strip, elements)), "")


def _unquoted(value: str) -> str:
    return value.strip().strip('"').replace("\\", "").lower()
