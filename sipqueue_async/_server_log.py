"""The loggers of the servers, without malformed requests."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class _MalformedRequests(logging.Filter):
    """Drops the records of malformed requests, or any client could fill the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        refused = HttpProcessingError, web.RequestPayloadError
        return record.exc_info is None or not isinstance(record.exc_info[1], refused)


_MALFORMED = _MalformedRequests()


def server_log(name: str) -> logging.Logger:
    """Return the logger of a server, which aiohttp uses too."""
    logger = logging.getLogger(f"sipqueue_async.{name}")
    # Adding the same filter again changes nothing.
    logger.addFilter(_MALFORMED)
    return logger
