"""`AlertsCollector`: raised alerts, and their delivery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sipqueue_async.alerts import Alerts
from sipqueue_async.prometheus.labels import label


class Deliveries(Protocol):
    """Counts of alerts by the name of their destination, for `AlertsCollector`."""

    @property
    def undelivered(self) -> Mapping[str, int]:
        """The number of alerts that the destination has not received yet. It may be read from any thread."""
        ...

    @property
    def given_up(self) -> Mapping[str, int]:
        """The number of alerts that were never delivered, since the start. It may be read from any thread."""
        ...


class AlertsCollector(Collector):
    """Exports the number of raised alerts by rule: register it with a registry, or pass it to `exposition`.

    It may be scraped from any thread. The alerts are those that the iteration of ``alerts`` has evaluated.

    Example::

        alerts = Alerts(watcher, rules)
        REGISTRY.register(AlertsCollector(alerts))
        async for alert in alerts:
            ...

    Args:
        alerts: The alerts of a feed.
        deliveries: The counts of their delivery, if they are delivered.
    """

    def __init__(self, alerts: Alerts, deliveries: Deliveries | None = None) -> None:
        self._alerts = alerts
        self._deliveries = deliveries

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        raised = GaugeMetricFamily("sipqueue_alerts_raised", "Raised alerts that have not cleared.", labels=["rule"])
        for rule, number in self._alerts.state.standing_by_rule.items():
            raised.add_metric([label(rule)], number)
        yield raised
        if self._deliveries is not None:
            undelivered = GaugeMetricFamily(
                "sipqueue_alerts_undelivered",
                "Alerts that a destination has not received yet.",
                labels=["destination"],
            )
            for destination, number in self._deliveries.undelivered.items():
                undelivered.add_metric([label(destination)], number)
            yield undelivered
            given_up = CounterMetricFamily(
                "sipqueue_alerts_given_up",
                "Alerts that were not delivered to a destination within its time for retries.",
                labels=["destination"],
            )
            for destination, number in self._deliveries.given_up.items():
                given_up.add_metric([label(destination)], number)
            yield given_up

    def __repr__(self) -> str:
        return f"<AlertsCollector of {self._alerts!r}>"
