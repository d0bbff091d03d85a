"""The endpoints for programs: snapshot, health, metrics, and their description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from sipqueue_async.push import PushReceiver
from sipqueue_async.tally import GroupTally, SeatTally, Tally
from sipqueue_async.wallboard.board import FORMAT_VERSION
from sipqueue_async.wallboard.health import add_health
from sipqueue_async.wallboard.live import Live

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from sipqueue_async.prometheus import WatcherCollector

DESCRIPTION: Final = "/api/openapi.json"
EVENTS: Final = "/api/events"
SNAPSHOT: Final = "/api/snapshot"

_REMEDY: Final = "pip install 'sipqueue_async[prometheus]'"


class Api:
    """Serves the endpoints for programs.

    Args:
        live: The feed's board.
        pushes: The receiver of the feed's pushes, if there is one.
    """

    def __init__(self, live: Live, pushes: PushReceiver | None = None) -> None:
        self._live = live
        # The metrics count from now on.
        self._collectors = _collectors(live, pushes)

    def close(self) -> None:
        """Stop counting."""
        if self._collectors is not None:
            self._collectors[0].close()

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        add_health(app, self._live.feed, lambda: self._live.is_fresh)
        app.router.add_get(SNAPSHOT, self._snapshot)
        app.router.add_get(DESCRIPTION, self._describe)
        app.router.add_get("/metrics", self._metrics)

    async def _describe(self, _request: web.Request) -> web.Response:
        return web.Response(body=description(), content_type="application/json", charset="utf-8")

    async def _metrics(self, request: web.Request) -> web.Response:
        if self._collectors is None:
            raise web.HTTPNotImplemented(text=f"Metrics need prometheus-client: {_REMEDY}\n")
        from sipqueue_async.prometheus import exposition  # noqa: PLC0415  # as in `_collectors`

        body, content_type = exposition(*self._collectors, accept=request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _snapshot(self, _request: web.Request) -> web.Response:
        return web.Response(body=json.dumps(self._state()).encode(), content_type="application/json", charset="utf-8")

    def _state(self) -> Mapping[str, Any]:
        board = self._live.board
        # A baseline is not shown before the feed has confirmed it.
        tally, down = board.tally if board.has_begun else Tally(), board.down
        present = [tally.seats[key] for key in sorted(tally.seats) if tally.seats[key].present]
        return {
            "v": FORMAT_VERSION,
            "observed_at": _iso(self._live.feed.health.last_good_at),
            "fresh": self._live.is_fresh,
            "feed_down": None if down is None else {"since": _iso(down[0]), "error": down[1]},
            "alerts": None if self._live.alerts is None else [it.to_dict() for it in self._live.alerts.state.raised],
            "total": _group(tally.total),
            "queues": {name: _group(tally.queues[name]) for name in sorted(tally.queues)},
            "seats": [_seat(seat) for seat in present],
        }


def description() -> bytes:
    """Return the OpenAPI description of the endpoints."""
    return resources.files("sipqueue_async.wallboard").joinpath("openapi.json").read_bytes()


def _collectors(live: Live, pushes: PushReceiver | None) -> tuple[WatcherCollector, *tuple[Collector, ...]] | None:
    try:
        # Imported lazily: the wallboard does not require the extra.
        from sipqueue_async.prometheus import AlertsCollector, PushCollector, WatcherCollector  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    of_alerts = () if live.alerts is None else (AlertsCollector(live.alerts),)
    of_pushes = () if pushes is None else (PushCollector(pushes),)
    return (WatcherCollector(live.feed), *of_alerts, *of_pushes)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _group(group: GroupTally) -> Mapping[str, Any]:
    return {
        "signed_in": group.signed_in,
        **{state.value: number for state, number in group.agents.items()},
        "calls_answered": group.calls_answered,
        "calls_missed": group.calls_missed,
    }


def _seat(seat: SeatTally) -> Mapping[str, Any]:
    return {
        "queue": seat.key.queue,
        "extension": seat.key.extension,
        "name": seat.agent.name,
        "state": seat.state.value,
        "state_code": seat.agent.state_code,
        "since": _iso(seat.since),
        "approximate": seat.approximate,
        "calls_answered": seat.calls_answered,
        "calls_missed": seat.calls_missed,
    }
