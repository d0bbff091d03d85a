"""The dashboard and the alert rules use metrics, labels and states of a real exposition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Expr, VectorSelector

from sipqueue_async import StatusWatcher
from sipqueue_async.alerts import Alerts, Destination, FeedSilent
from sipqueue_async.cli.delivery import Delivery
from sipqueue_async.prometheus import AlertsCollector, PushCollector, WatcherCollector
from sipqueue_async.push import PushReceiver
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.exposition import Scrape

DOCS = Path(__file__).parent.parent.parent / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "sipqueue.json").read_text())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
PAGE = (DOCS / "metrics.md").read_text()
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [*(target["expr"] for target in TARGETS), *(rule["expr"] for rule in RULES)]


@cache
def exposition() -> dict[str, dict[str, set[str]]]:
    """Return the labels and label values of each metric, from a scrape of two platforms."""
    known = snapshot(agent())
    watcher, other = (StatusWatcher(ScriptedSource([known]), baseline=known) for _ in range(2))
    found: dict[str, dict[str, set[str]]] = {}
    for series in Scrape(WatcherCollector({"a": watcher, "b": other}, agents=True)).samples:
        labels = found.setdefault(series.name, {})
        for label, value in series.labels:
            labels.setdefault(label, set()).add(value)
    alerts = Alerts(watcher, [FeedSilent("away")])
    delivery = Delivery({Destination(name="duty"): lambda message: None})
    for series in Scrape(AlertsCollector(alerts, delivery)).samples:
        found[series.name] = {label: {value} for label, value in series.labels}
    for series in Scrape(PushCollector(PushReceiver(watcher))).samples:
        found[series.name] = {}
    # This metric has no sample before the first poll.
    return found | {"sipqueue_last_good_poll_timestamp_seconds": {"platform": {"a", "b"}}}


def parts(expression: str) -> list[Expr]:
    """Return an expression and all its parts."""
    found: list[Expr] = []
    # Grafana replaces this variable.
    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), found.append)
    return found


def selectors(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the metrics of an expression with their label matchers."""
    for part in parts(expression):
        if isinstance(part, VectorSelector):
            assert part.name is not None
            yield part.name, {matcher.name: matcher.value for matcher in part.matchers.matchers}


def groupings(expression: str) -> set[str]:
    """Return the labels that an expression groups by or matches on."""
    found: set[str] = set()
    for part in parts(expression):
        if isinstance(part, AggregateExpr) and part.modifier:
            found.update(part.modifier.labels)
        if isinstance(part, BinaryExpr) and part.modifier and part.modifier.matching:
            found.update(part.modifier.matching.labels)
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_use_existing_metrics_and_labels(expression: str) -> None:
    labels: set[str] = set()
    for name, matchers in selectors(expression):
        assert name in exposition(), f"there is no metric {name}"
        assert matchers.keys() <= exposition()[name].keys(), f"{name} has no such label"
        assert {matchers.get("state", "idle")} <= exposition()["sipqueue_agents"]["state"]
        labels |= exposition()[name].keys()
    assert labels, "no metric at all"
    assert groupings(expression) <= labels


def test_texts_use_labels_of_the_result() -> None:
    kept = re.compile(r"\bby \((\w+)\)")
    for target in TARGETS:
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        by = set(kept.findall(target["expr"]))
        assert named <= (by or {"platform"}), target
    for rule in RULES:
        named = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        metrics = [exposition()[name].keys() for name, _ in selectors(rule["expr"])]
        assert all(any(label in labels for labels in metrics) for label in named), rule


def test_the_dashboard_has_no_fixed_data_source_and_no_overlaps() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    sources = re.findall(r'"uid": "([^"]*)"', json.dumps({**DASHBOARD, "uid": None}))
    assert set(sources) == {"${datasource}"}
    for name, variable in variables.items():
        if variable["type"] == "query":
            metric, label = re.findall(r"label_values\((\w+).*, (\w+)\)", variable["definition"])[0]
            assert name == label in exposition()[metric]
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(DASHBOARD)))
    assert used == variables.keys()
    covered: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & covered, panel["title"]
        assert max(x for x, _ in cells) < 24
        covered |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_metric_is_documented_and_every_feed_metric_is_used() -> None:
    documented = set(re.findall(r"`(sipqueue_[a-z_]+)`", PAGE))
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in exposition()}
    assert documented == names
    used = {re.sub("_bucket$", "", name) for expression in EXPRESSIONS for name, _ in selectors(expression)}
    assert {name for name in names if "agent_" not in name and "push" not in name} == used


def test_every_alert_is_described() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert len(rule["annotations"]["description"]) > 60
        assert rule["alert"] in PAGE
