"""History: records what a feed reports into SQLite or PostgreSQL, and reads it back. Needs the extra ``history``."""

from importlib import import_module

from sipqueue_async._extras import needed_by

with needed_by("history", "SQLAlchemy"):
    import_module("sqlalchemy")

from sipqueue_async.history.call_recorder import CallRecorder, CallRecorderHealth
from sipqueue_async.history.call_report import CallReport, CallReportRow
from sipqueue_async.history.errors import HistoryError, RecordedError
from sipqueue_async.history.exports import export
from sipqueue_async.history.figures import Figures
from sipqueue_async.history.history import History
from sipqueue_async.history.intervals import Call, StateInterval
from sipqueue_async.history.prune import Pruned
from sipqueue_async.history.recorder import Recorder, RecorderHealth
from sipqueue_async.history.report import Report, ReportRow
from sipqueue_async.history.store import Outage

__all__ = [
    "Call",
    "CallRecorder",
    "CallRecorderHealth",
    "CallReport",
    "CallReportRow",
    "Figures",
    "History",
    "HistoryError",
    "Outage",
    "Pruned",
    "RecordedError",
    "Recorder",
    "RecorderHealth",
    "Report",
    "ReportRow",
    "StateInterval",
    "export",
]
