"""Alerts: rules for conditions that last. An alert is raised once, and cleared once when its condition ends."""

from sipqueue_async.alerts.alerts import Alerts
from sipqueue_async.alerts.events import Alert, AlertCleared, AlertRaised
from sipqueue_async.alerts.hours import Hours
from sipqueue_async.alerts.rules import (
    SIGNED_IN,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    hours,
    minutes,
    seconds,
)
from sipqueue_async.alerts.rules_file import Destination, RulesFile, read_rules
from sipqueue_async.alerts.state import AlertState, evaluate

__all__ = [
    "SIGNED_IN",
    "Alert",
    "AlertCleared",
    "AlertRaised",
    "AlertState",
    "Alerts",
    "Available",
    "Destination",
    "FeedSilent",
    "Hours",
    "MissedCalls",
    "NoAnswers",
    "Occupancy",
    "Rule",
    "RulesFile",
    "SignedOut",
    "StateLasts",
    "evaluate",
    "hours",
    "minutes",
    "read_rules",
    "seconds",
]
