"""The raised alerts of a rules file, as browsers show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from sipqueue_async._text import harmless
from sipqueue_async.alerts import AlertRaised, FeedSilent
from sipqueue_async.alerts.sentences import and_more, since

MOST: Final = 20
"""The most alerts that a browser receives; it shows the number of the others."""

_Json: TypeAlias = dict[str, Any]


def shown(alerts: Sequence[AlertRaised], language: str, board_time: Callable[[datetime], int]) -> _Json:
    """Return the alerts for a browser of a language.

    Args:
        alerts: The raised alerts, the most important first.
        language: The page's language.
        board_time: Returns a moment in board time.
    """
    return {
        # The browser fills in the number and the time.
        "more": and_more("{number}", language),
        "since": since("{time}", language),
        "number": len(alerts),
        "raised": [_alert(it, language, board_time) for it in alerts[:MOST]],
    }


def _alert(alert: AlertRaised, language: str, board_time: Callable[[datetime], int]) -> _Json:
    return {
        "id": alert.id,
        "rule": harmless(alert.rule.name, plain_spaces=False),
        "who": harmless(alert.who(language), plain_spaces=False),
        "what": alert.what(language),
        "since": board_time(alert.since),
        "approximate": alert.approximate,
        # Its duration runs on during an outage.
        "feed": isinstance(alert.rule, FeedSilent),
    }
