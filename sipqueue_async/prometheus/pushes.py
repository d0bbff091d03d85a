"""`PushCollector`: pushes of the platform, and the polls that they cause."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from sipqueue_async.push import PushReceiver


class PushCollector(Collector):
    """Exports the counts of a push receiver: register it with a registry, or pass it to `exposition`.

    It may be scraped from any thread.

    Args:
        receiver: The receiver.
    """

    def __init__(self, receiver: PushReceiver) -> None:
        self._receiver = receiver

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        health = self._receiver.health
        for name, meaning, count in (
            ("sipqueue_pushes_taken", "Pushes that were taken.", health.taken),
            ("sipqueue_pushes_refused", "Pushes that were refused.", health.refused),
            ("sipqueue_push_polls", "Polls that pushes caused, successful or failed.", health.polls),
            ("sipqueue_push_polls_partial", "Polls of one extension that pushes caused.", health.partial),
            ("sipqueue_push_polls_useful", "Polls that pushes caused and that found a change.", health.useful),
            ("sipqueue_push_polls_failed", "Polls that pushes caused and that failed.", health.failures),
        ):
            yield CounterMetricFamily(name, meaning, value=count)

    def __repr__(self) -> str:
        return f"<PushCollector of {self._receiver!r}>"
