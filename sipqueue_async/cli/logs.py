"""The library's log as lines on stderr."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sipqueue_async.cli.exits import complain, writes_json

_log: Final = logging.getLogger("sipqueue_async")


@contextmanager
def log_on_stderr() -> Generator[None]:
    """Print the library's log on stderr inside the block: what is unreachable, and what works again."""
    if any(isinstance(it, _StderrHandler) for it in _log.handlers):
        # With JSON, every command does this.
        yield
        return
    handler = _StderrHandler(logging.INFO)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # The command itself reports the error that ends it.
        if record.levelno < logging.ERROR:
            complain(record.getMessage(), level=record.levelname.lower())
        elif record.exc_info is not None and writes_json():
            traceback = logging.Formatter().formatException(record.exc_info)
            complain(record.getMessage(), level="error", exception=traceback)
