"""The history's endpoints: a day's figures by the hour, and an agent's day, as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from aiohttp import hdrs, web

from sipqueue_async import SeatKey
from sipqueue_async._language import N_, translated
from sipqueue_async._text import harmless
from sipqueue_async.history import Call, Figures, History, HistoryError, Outage, Report, ReportRow, StateInterval
from sipqueue_async.wallboard.answers import KEPT_FOR, Answers, BusyError
from sipqueue_async.wallboard.board import FORMAT_VERSION, Board, milliseconds
from sipqueue_async.wallboard.days import Day, Hour, day_of

MOST_ROWS: Final = 5000
"""The most intervals, and the most calls, of one answer; further ones are counted only."""

# The pages translate them.
_BUSY: Final = N_("Too many requests wait for the history: try again later.")
_UNREADABLE: Final = N_("The history cannot be read; the program's log says why.")

_RETRY: Final = 5
"""Seconds after which a refused browser may try again."""

_Json: TypeAlias = dict[str, Any]
_log: Final = logging.getLogger("sipqueue_async.wallboard")


class Past:
    """Serves the endpoints of the history.

    Args:
        history: The open history.
        clock: The time now (aware).
        board: The board, which knows whether the feed is up.
        every: Seconds after which a page that shows the present day asks again.
    """

    def __init__(self, history: History, clock: Callable[[], datetime], board: Board, *, every: float) -> None:
        self._history = history
        self._clock = clock
        self._board = board
        self._every = every
        self._answers = Answers(min(KEPT_FOR, every / 2))
        self._is_readable = True

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/api/day", self._day)
        app.router.add_get("/api/agents/{extension}", self._agent)

    async def _day(self, request: web.Request) -> web.Response:
        day, queue = day_of(request, self._clock(), others=("queue",)), request.query.get("queue")
        return await self._answer(day, ("queue", queue), partial(self._hours, day, queue))

    async def _agent(self, request: web.Request) -> web.Response:
        day, extension = day_of(request, self._clock()), request.match_info["extension"]
        return await self._answer(day, ("agent", extension), partial(self._states, day, extension))

    async def _answer(self, day: Day, question: Hashable, make: Callable[[], Awaitable[_Json]]) -> web.Response:
        async def encoded() -> bytes:
            return json.dumps(await make(), separators=(",", ":")).encode()

        try:
            body = await self._answers.get((day, question), encoded)
        except BusyError:
            raise _unavailable(_BUSY) from None
        except HistoryError as error:
            if self._is_readable:
                self._is_readable = False
                _log.warning("the wallboard cannot read the history: %s", error)
            raise _unavailable(_UNREADABLE) from None
        self._is_readable = True
        # The figures may be those of a moment ago. The feed's condition is not: a page must not call old figures live.
        feed = json.dumps(self._feed(day), separators=(",", ":")).encode()
        body = b'%s,"feed":%s}' % (body.removesuffix(b"}"), feed)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    def _feed(self, day: Day) -> _Json:
        """Return whether the feed is up; otherwise since when it is down, and why in the language in force."""
        since, why = self._board.down or (None, None)
        return {
            "up": None if not self._board.has_begun else why is None,
            "since": _moment(since),
            "offset": None if since is None else day.offset_at(since),
            "error": None if why is None else translated(why),
        }

    async def _hours(self, day: Day, queue: str | None) -> _Json:
        """Return a day's figures by the hour, and those of its agents."""
        agents = await self._report(day, None)
        rows = [row for row in agents.rows if queue is None or row.queue == queue] if agents else []
        names = {row.queue for row in (agents.rows if agents else ()) if row.queue is not None}
        removed = "zone" if agents is None else None
        by_hour: Report | None = None
        try:
            by_hour = await self._history.report(day.start, day.end, by="hour", zone=day.zone, queue=queue)
        except ValueError:
            removed = removed or "hours"
        total = sum((row.figures for row in rows), Figures()) if by_hour is None else by_hour.total
        return {
            **await self._common(day, agents, removed),
            "total": _figures(total),
            "hours": [_hour(hour, by_hour) for hour in day.hours()],
            # The key is exactly as recorded, for the parameter.
            "queues": [{"key": name, "name": _shown(name)} for name in sorted(names)],
            "agents": [_agent(row) for row in rows],
        }

    async def _states(self, day: Day, extension: str) -> _Json:
        """Return an agent's day: states, figures and calls."""
        report = await self._report(day, extension)
        figures = {SeatKey(row.queue or "", extension): row.figures for row in (report.rows if report else ())}
        intervals: dict[SeatKey, list[list[Any]]] = {}
        name, left_out = None, 0
        async for interval in self._history.intervals(day.start, day.end, extension=extension):
            name = interval.name or name
            of_seat = intervals.setdefault(interval.key, [])
            if len(of_seat) < MOST_ROWS:
                of_seat.append(_interval(interval))
            else:
                left_out += 1
        calls: list[_Json] = []
        async for call in self._history.calls(day.start, day.end, extension=extension):
            if len(calls) < MOST_ROWS:
                calls.append(_call(call))
            else:
                left_out += 1
        name = name or next((row.name for row in (report.rows if report else ()) if row.name), None)
        removed = "zone" if report is None else "hours" if await self._has_only_sums(report) else None
        return {
            **await self._common(day, report, removed),
            "hours": [_hour(hour, None) for hour in day.hours()],
            "extension": _shown(extension),
            "name": name and _shown(name),
            "seats": [
                {
                    "queue": _shown(key.queue),
                    "figures": _figures(figures.get(key, Figures())),
                    "intervals": intervals.get(key, []),
                }
                for key in sorted({*figures, *intervals})
            ],
            "calls": calls,
            "left_out": left_out,
        }

    async def _report(self, day: Day, extension: str | None) -> Report | None:
        """Return the figures by agent; None if only those of another zone's days are left."""
        try:
            return await self._history.report(day.start, day.end, by="agent", zone=day.zone, extension=extension)
        except ValueError:
            return None

    async def _has_only_sums(self, report: Report) -> bool:
        """Return whether a day has figures, but its hours were removed: no status is known at its beginning."""
        return bool(report.rows) and await self._history.snapshot_at(report.since) is None

    async def _common(self, day: Day, report: Report | None, removed: str | None) -> _Json:
        outages = [_outage(it) async for it in self._history.outages(day.start, day.end)]
        recorded = report is not None and report.since < report.until
        return {
            "v": FORMAT_VERSION,
            "every": self._every,
            "date": day.day.isoformat(),
            "today": day.today.isoformat(),
            "zone": None if day.zone is None else day.zone.key,
            "zone_name": day.zone_name,
            "start": milliseconds(day.start),
            "end": milliseconds(day.end),
            "now": milliseconds(self._clock()),
            "recorded": [milliseconds(report.since), milliseconds(report.until)] if report and recorded else None,
            "removed": removed,
            "outages": outages,
        }


def _unavailable(text: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=f"{text}\n", headers={hdrs.RETRY_AFTER: str(_RETRY)})


def _shown(name: str) -> str:
    # Escaped as on the wallboard.
    return harmless(name, plain_spaces=False)


def _moment(moment: datetime | None) -> int | None:
    return None if moment is None else milliseconds(moment)


def _figures(figures: Figures) -> _Json:
    return {
        "answered": figures.answered,
        "hidden": figures.hidden,
        "missed": figures.missed,
        "answer_rate": figures.answer_rate,
        "talk_seconds": figures.talk_seconds,
        "mean_talk_seconds": figures.mean_talk_seconds,
        "longest_talk_seconds": figures.longest_talk_seconds,
        "signed_in_seconds": figures.signed_in_seconds,
        "occupancy": figures.occupancy,
        "unseen_seconds": figures.unseen_seconds,
        "first_signed_in_at": _moment(figures.first_signed_in_at),
        "last_signed_in_at": _moment(figures.last_signed_in_at),
        "seconds": {state.value: seconds for state, seconds in figures.seconds.items()},
    }


def _hour(hour: Hour, report: Report | None) -> _Json:
    """Return an hour, with its row of a report by hour if it has one."""
    rows: Iterable[ReportRow] = report.rows if report else ()
    row = next((it for it in rows if it.start is not None and hour.start <= it.start < hour.end), None)
    return {
        "label": hour.label,
        "start": milliseconds(hour.start),
        "end": milliseconds(hour.end),
        "offset": hour.offset,
        "figures": None if row is None else _figures(row.figures),
    }


def _agent(row: ReportRow) -> Mapping[str, Any]:
    return {
        # Exactly as recorded: it is a part of the path of the agent's page.
        "key": row.extension,
        "extension": _shown(row.extension or ""),
        "queue": _shown(row.queue or ""),
        "name": row.name and _shown(row.name),
        "figures": _figures(row.figures),
    }


def _interval(interval: StateInterval) -> list[Any]:
    return [
        milliseconds(interval.began_at),
        milliseconds(interval.ended_at),
        interval.state.value,
        {
            "seconds": interval.seconds,
            "approximate": interval.approximate or interval.began_before,
            "goes_on": interval.goes_on,
        },
    ]


def _call(call: Call) -> _Json:
    return {
        "at": milliseconds(call.at),
        "queue": _shown(call.key.queue),
        "outcome": call.outcome,
        "count": call.count,
        "hidden": call.hidden_count,
    }


def _outage(outage: Outage) -> _Json:
    # Without the error: it may be the platform's own text.
    return {"began_at": milliseconds(outage.began_at), "ended_at": _moment(outage.ended_at), "reason": outage.reason}
