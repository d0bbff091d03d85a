"""Reads expositions with the parsers of prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import attrs
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from sipqueue_async.prometheus import exposition

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@attrs.frozen
class Counts:
    """The delivery of alerts to one destination."""

    undelivered: Mapping[str, int] = attrs.field(factory=lambda: {"duty": 3})
    given_up: Mapping[str, int] = attrs.field(factory=lambda: {"duty": 2})


class Series(NamedTuple):
    """Identifies one sample of a scrape."""

    name: str
    labels: tuple[tuple[str, str], ...]


class Scrape:
    """The samples of one scrape.

    Args:
        collectors: The collectors to scrape.
        accept: The header ``Accept``.
    """

    def __init__(self, *collectors: Collector, accept: str = "") -> None:
        body, self.content_type = exposition(*collectors, accept=accept)
        parse = parse_open_metrics if self.content_type.startswith("application/openmetrics-text") else parse_text
        families: Iterable[Metric] = parse(body.decode())
        self.families = {family.name: family for family in families}
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples = {Series(it.name, tuple(sorted(it.labels.items()))): it.value for it in samples}
        assert len(self.samples) == len(samples), "two samples of one series"

    def get(self, name: str, /, **labels: str) -> float | None:
        """Return the sample with exactly these labels."""
        return self.samples.get(Series(name, tuple(sorted(labels.items()))))

    def by(self, name: str, label: str, /, **labels: str) -> dict[str, float]:
        """Return the samples of a metric with these labels, by another label."""
        found: dict[str, float] = {}
        for series, value in self.samples.items():
            if series.name == name and labels.items() <= dict(series.labels).items():
                found[dict(series.labels)[label]] = value
        return found
