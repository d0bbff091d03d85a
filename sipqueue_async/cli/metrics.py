"""``--metrics HOST:PORT``: serves metrics for Prometheus beside a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from aiohttp import hdrs, web

from sipqueue_async import Feed
from sipqueue_async._server_log import server_log
from sipqueue_async.alerts import Alerts
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.listening import cannot_listen
from sipqueue_async.wallboard.health import add_health

if TYPE_CHECKING:
    from sipqueue_async.prometheus import Deliveries

_HIGHEST: Final = 65535


class Address(NamedTuple):
    """An address to listen on."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL of the metrics."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"


def parse_address(_context: click.Context, _parameter: click.Parameter, given: str | None) -> Address | None:
    """Return the address of ``HOST:PORT``; an IPv6 address stands in brackets."""
    if given is None:
        return None
    host, _, port = given.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdecimal()) or int(port) > _HIGHEST:
        raise click.BadParameter(f"write HOST:PORT, such as 127.0.0.1:9300, not {given!r}")
    return Address(bare, int(port))


option: Final = click.option(
    "--metrics",
    metavar="HOST:PORT",
    callback=parse_address,
    help="Serve metrics for Prometheus at this address; port 0 for any free one.",
)


@asynccontextmanager
async def serving(
    address: Address | None, feed: Feed, alerts: Alerts, deliveries: Deliveries | None
) -> AsyncGenerator[Address | None]:
    """Serve the metrics of a feed and its alerts inside the block; yield the address with its port.

    Args:
        address: The address to listen on; None to serve nothing.
        feed: The feed, which is not started yet: calls count from now on.
        alerts: Its alerts.
        deliveries: The counts of their delivery.

    Raises:
        Failure: The extra is not installed, or nothing can listen on this address.
    """
    if address is None:
        yield None
    else:
        async with _served(address, feed, alerts, deliveries) as served:
            yield served


@asynccontextmanager
async def _served(
    address: Address, feed: Feed, alerts: Alerts, deliveries: Deliveries | None
) -> AsyncGenerator[Address]:
    try:
        # Imported lazily: alerts must not require prometheus-client.
        from sipqueue_async.prometheus import AlertsCollector, WatcherCollector, exposition  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    of_feed, of_alerts = WatcherCollector(feed), AlertsCollector(alerts, deliveries)

    async def respond(request: web.Request) -> web.Response:
        body, content_type = exposition(of_feed, of_alerts, accept=request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    app = web.Application()
    app.router.add_get("/metrics", respond)
    add_health(app, feed)
    runner = web.AppRunner(app, access_log=None, logger=server_log("metrics"), shutdown_timeout=0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except (OSError, UnicodeError) as error:
            raise cannot_listen(*address, error, address="--metrics", other="another port") from None
        yield Address(address.host, runner.addresses[0][1])
    finally:
        of_feed.close()
        await asyncio.shield(runner.cleanup())
