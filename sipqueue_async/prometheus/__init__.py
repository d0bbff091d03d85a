"""Prometheus metrics of feeds (agents, calls, health, polling), alerts and pushes. Needs the extra ``prometheus``.

`docs/metrics.md` lists the metrics; a dashboard and alert rules are beside it.
"""

from __future__ import annotations

from importlib import import_module

from sipqueue_async._extras import needed_by

with needed_by("prometheus", "prometheus-client"):
    import_module("prometheus_client.core")

from sipqueue_async.prometheus.alerts import AlertsCollector, Deliveries
from sipqueue_async.prometheus.feeds import WatcherCollector
from sipqueue_async.prometheus.pushes import PushCollector
from sipqueue_async.prometheus.scrape import exposition

__all__ = ["AlertsCollector", "Deliveries", "PushCollector", "WatcherCollector", "exposition"]
