"""Checks every request (host name, access key) and sets the security headers of every response."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from sipqueue_async._language import N_
from sipqueue_async.wallboard.access import Access, Attempts, HostNames, without_port
from sipqueue_async.wallboard.health import HEALTH, READY
from sipqueue_async.wallboard.languages import WORDS

_ = WORDS.gettext

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Scripts and styles only from this server; no script can turn text into markup.
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With "no-referrer", browsers would send `Origin: null` with the login form.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)
"""Headers of every response."""

PUBLIC: Final = ("/login", "/static/")
"""Path prefixes that need no key: the login page and its files."""


async def set_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the security headers to a response, and remove the header that names the server's software."""
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.popall(hdrs.SERVER, None)


class RequestHandler(web.RequestHandler):
    """Sets the security headers on the answer to a malformed request too, for which aiohttp runs no hook."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the response to a request that is not HTTP, or whose handler failed."""
        # aiohttp logs the error here.
        super().handle_error(request, status, exc, message)
        reason = "The request cannot be read.\n" if status < 500 else f"{_INTERNAL}\n"
        response = _ErrorResponse(status=status, text=reason)
        response.force_close()
        return response


class _ErrorResponse(web.Response):
    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        assert self._req is not None  # noqa: S101  # a response has its request by now
        await set_headers(self._req, self)


DAY: Final = "/day"
"""The path of the page of a day."""
AGENTS: Final = "/agents/"
"""Prefix of the paths of the agents' pages."""
RETURN_TO: Final = "to"
"""The login page's parameter that names the page to show after the login."""

_INTERNAL: Final = N_("Internal error.")
"""The history's pages translate it."""

_FOR_PEOPLE: Final = frozenset({"/", "/logout", DAY})

_FOR_READERS: Final = frozenset({"/api/events", "/api/snapshot", "/api/openapi.json"})
"""The paths that the events key opens."""


class Guard:
    """Rejects requests without permission.

    Args:
        access: The access key; None if none is required.
        names: The host names that requests may use.
        readers: The events key, which opens only the paths for programs that read; None for none.
    """

    def __init__(self, access: Access | None, names: HostNames, readers: Access | None = None) -> None:
        self._access = access
        self._readers = readers
        self._names = names
        # Separate limits: a program with an old key must not throttle people.
        self._attempts = {"login": Attempts(), "bearer": Attempts()}

    @property
    def middleware(self) -> Middleware:
        """The aiohttp middleware."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        return guard

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # Load balancers have no key and use any host name.
        if request.path in {HEALTH, READY}:
            return await handler(request)
        if not self._names.include(request.headers.get(hdrs.HOST, "")):
            said = _("The wallboard is not configured for this host name: see its option --host-name.")
            raise web.HTTPForbidden(text=f"{said}\n")
        if self._access is None or request.path.startswith(PUBLIC) or self._is_known(request, self._access):
            return await handler(request)
        if request.path in _FOR_PEOPLE or request.path.startswith(AGENTS):
            raise web.HTTPSeeOther(_login_page(request))
        raise web.HTTPUnauthorized(text="An access key is required.\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})

    def _is_known(self, request: web.Request, access: Access) -> bool:
        if access.is_cookie(request.cookies.get(access.cookie_name, "")):
            return True
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        if self._readers is not None and self._readers.is_key(key.strip()):
            if request.path not in _FOR_READERS:
                raise web.HTTPForbidden(text=f"The events key opens only {', '.join(sorted(_FOR_READERS))}.\n")
            return True
        return self.try_key(request, access, key.strip(), "bearer")

    def try_key(self, request: web.Request, access: Access, key: str, way: Literal["login", "bearer"]) -> bool:
        """Return whether this is the access key.

        Raises:
            web.HTTPTooManyRequests: The key is wrong, and too many wrong keys were tried before.
        """
        # A correct key is never throttled, or an attacker could lock everyone out.
        if access.is_key(key):
            return True
        address = request.remote or ""
        wait = self._attempts[way].wait(address)
        if wait:
            raise web.HTTPTooManyRequests(
                text="Too many wrong keys: try again later.\n",
                headers={hdrs.RETRY_AFTER: f"{wait:.0f}"},
            )
        self._attempts[way].failed(address)
        return False


def _login_page(request: web.Request) -> URL:
    """Return the relative URL of the login page, with the requested page and its query, which keeps the chosen view."""
    query, page = query_of(request), request.rel_url.raw_path.removeprefix("/")
    if request.path == DAY or request.path.startswith(AGENTS):
        query = f"{query or '?'}{'&' if query else ''}{RETURN_TO}={page}"
    return URL(f"{'../' * page.count('/')}login{query}", encoded=True)


def query_of(request: web.Request) -> str:
    """Return a request's raw query with its question mark; empty if it cannot be put in a header."""
    query = request.rel_url.raw_query_string
    return f"?{query}" if query and query.isascii() and query.isprintable() else ""


def is_from_elsewhere(request: web.Request) -> bool:
    """Return whether another site's page sent a request, according to the browser's headers."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get(hdrs.ORIGIN)
    # Proxies may change the port, but not the name.
    return origin is not None and without_port(origin.partition("://")[2]) != without_port(request.headers[hdrs.HOST])
