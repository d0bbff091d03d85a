"""The raised alerts on the screen of `sipqueue top`: a line for each of the first ones, and a page with all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from sipqueue_async._text import harmless
from sipqueue_async.alerts import AlertRaised, FeedSilent
from sipqueue_async.alerts.sentences import and_more, since
from sipqueue_async.cli.terminal.layout import Field, Line, cut
from sipqueue_async.cli.terminal.lines import clock, time_span
from sipqueue_async.cli.words import _

_STYLE: Final = "bold black on yellow"
_OLD: Final = "dim"
"""The style of an alert about agents during an outage."""
_WIDE: Final = 60
"""Minimum number of columns for when a condition began."""


class AlertsTarget:
    """The raised alerts, as what a click is about."""


TARGET: Final = AlertsTarget()


@attrs.frozen
class Moments:
    """The moments up to which the conditions of alerts are known to hold."""

    at: datetime
    """For those of agents and queues."""
    now: datetime
    """For those of the feed."""

    def lasted(self, alert: AlertRaised) -> str:
        """Return how long an alert's condition has lasted; a plus sign stands for at least."""
        until = self.now if isinstance(alert.rule, FeedSilent) else self.at
        return time_span((until - alert.since).total_seconds()) + ("+" if alert.approximate else "")


def banner(
    alerts: Sequence[AlertRaised],
    moments: Moments,
    *,
    language: str,
    width: int,
    most: int,
    ellipsis: str,
    down: bool = False,
) -> list[Line]:
    """Return a line for each of the first alerts, and one with the number of the others.

    Args:
        alerts: The raised alerts, the most important first.
        moments: Up to when their conditions have lasted.
        language: The language of the alerts.
        width: The screen's width in cells.
        most: The maximum number of lines for alerts; with 1, the number of the others is in this line.
        ellipsis: The sign for text that was cut off.
        down: Whether the feed is down.
    """
    more = and_more(len(alerts) - most, language) if len(alerts) > most else ""
    lines: list[Line] = []
    for alert in alerts[:most]:
        end = moments.lasted(alert)
        if width >= _WIDE:
            end = f"{since(clock(alert.since), language)}  {end}"
        if more and most == 1:
            end = f"{end}  {more}"
        is_old = down and not isinstance(alert.rule, FeedSilent)
        lines.append(_line(_text(alert, language), end, width, ellipsis, _OLD if is_old else _STYLE))
    if more and most > 1:
        lines.append(_line("", more, width, ellipsis, _OLD if down else _STYLE))
    return lines


def _line(text: str, end: str, width: int, ellipsis: str, style: str) -> Line:
    end = cut(end, width, ellipsis)
    room = max(0, width - cell_len(end) - 2)
    start = set_cell_size(cut(text, room, ellipsis), width - cell_len(end))
    return (Field(0, start + end, style, TARGET),)


def _text(alert: AlertRaised, language: str) -> str:
    return harmless(f"! {alert.who(language)} {alert.what(language)}")


def alerts_text(alerts: Sequence[AlertRaised], moments: Moments, language: str) -> Text:
    """Return the page with all raised alerts, the most important first."""
    page = Text(_("Raised alerts"), "bold underline")
    if not alerts:
        return page.append("\n").append(_("none; option --rules names the file with the rules"), "dim not underline")
    for alert in alerts:
        start = f"{since(clock(alert.since), language)}, {moments.lasted(alert)}"
        page.append("\n").append(_text(alert, language), "bold not underline")
        page.append("\n").append(f"  {harmless(alert.rule.name)}, {start}", "dim not bold not underline")
    return page
