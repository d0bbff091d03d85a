"""What stands before every answer: the name asked for, the access key, and the headers that browsers heed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from sipqueue_async.wallboard.access import Access, Attempts, HostNames

COOKIE: Final = "sipqueue_wallboard"

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # Scripts and styles come from here alone, and no script can make markup of a text.
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)
"""What every answer has."""

HEALTH: Final = "/healthz"
PUBLIC: Final = ("/login", "/static/")
"""What is there for everybody: the page to log in with, and what it needs."""


async def set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers to an answer that is about to be sent."""
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    # Which programs run here, in which version, is nobody's business.
    response.headers.popall(hdrs.SERVER, None)


_FOR_PEOPLE: Final = frozenset({"/", "/logout"})


class Guard:
    """Lets through who may see the wallboard.

    Args:
        access: The access key; None lets everyone through who can reach the server.
        names: The names that may be asked for.
    """

    def __init__(self, access: Access | None, names: HostNames) -> None:
        self._access = access
        self._names = names
        self._attempts = Attempts()

    @property
    def middleware(self) -> Middleware:
        """What aiohttp calls for each request."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        return guard

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # Load balancers have no key, and ask for whatever name they like.
        if request.path == HEALTH:
            return await handler(request)
        if not self._names.include(request.host):
            raise web.HTTPForbidden(text="The wallboard does not answer to this name: see its option --host-name.\n")
        if self._access is None or request.path.startswith(PUBLIC) or self._is_known(request, self._access):
            return await handler(request)
        if request.path in _FOR_PEOPLE:
            # What the page was to show is kept.
            raise web.HTTPSeeOther(f"login?{request.query_string}" if request.query_string else "login")
        raise web.HTTPUnauthorized(text="The access key is needed.\n", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})

    def _is_known(self, request: web.Request, access: Access) -> bool:
        if access.is_cookie(request.cookies.get(COOKIE, "")):
            return True
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return scheme.lower() == "bearer" and self.try_key(request, access, key.strip())

    def try_key(self, request: web.Request, access: Access, key: str) -> bool:
        """Tell whether this is the access key.

        Raises:
            web.HTTPTooManyRequests: There were too many wrong ones.
        """
        address = request.remote or ""
        wait = self._attempts.wait(address)
        if wait:
            raise web.HTTPTooManyRequests(
                text="There were too many wrong keys: try again later.\n",
                headers={hdrs.RETRY_AFTER: f"{wait:.0f}"},
            )
        if access.is_key(key):
            return True
        self._attempts.failed(address)
        return False
