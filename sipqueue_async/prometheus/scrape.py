"""The response to a scrape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

_UNREADABLE_VERSION: Final = re.compile(r";\s*version=(?![0-9]{1,4}(\.[0-9]{1,4}){0,3}\s*(;|$))")
"""A version in a media range that prometheus-client cannot compare with its own."""
_NOT_ACCEPTED: Final = re.compile(r";\s*q=0(\.0*)?\s*(;|$)", re.IGNORECASE)
"""A weight of 0, which excludes a media range; prometheus-client reads no weights."""


class _Several(Collector):
    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = tuple(collectors)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all collectors."""
        for collector in self._collectors:
            yield from collector.collect()


def exposition(*collectors: Collector, accept: str = "") -> tuple[bytes, str]:
    """Return the body and the content type of the response to a scrape of these collectors, for any web framework.

    Args:
        collectors: The collectors; no two of them have a metric of the same name.
        accept: The request's header ``Accept``, which names the formats that Prometheus prefers.
    """
    ranges = accept.split(",")
    usable = [it for it in ranges if not _UNREADABLE_VERSION.search(it) and not _NOT_ACCEPTED.search(it)]
    encode, content_type = choose_encoder(",".join(usable))
    return encode(_Several(collectors)), content_type
