"""`WatcherCollector`: agents, calls, feed health and polling."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final, TypeVar

import attrs
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sipqueue_async import (
    AgentState,
    ApiError,
    AuthError,
    Feed,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    StatusWatcher,
    TransportError,
)
from sipqueue_async._whole_feed import check_whole_feed
from sipqueue_async.prometheus.labels import label
from sipqueue_async.prometheus.scrape import exposition
from sipqueue_async.tally import Tally

_F = TypeVar("_F", bound=Metric)

_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATENESSES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

# Export these from the start, at 0: Prometheus calculates no rate from a series that begins with its first failure.
_FAILURES: Final = (TransportError, HttpStatusError, MalformedResponse, ApiError, AuthError, OperationFailed)


class WatcherCollector(Collector):
    """Exports the metrics of one or several feeds: register it with a registry, or call `exposition`.

    A feed is a `StatusWatcher`, or a `RedisFeed` that reads from a relay. Metrics of polling exist for watchers only,
    because a reader does not poll the platform.

    Counting starts when the collector is made, so make it before you start the feed. The feed calls it after every
    poll or read, so the counts are exact however rarely they are scraped.

    It may be scraped from any thread, as `prometheus_client.start_http_server` does. One lock guards what a poll
    changes and a scrape reads, so a scrape shows each feed as it was between two polls.

    Example::

        watcher = StatusWatcher(client)
        REGISTRY.register(WatcherCollector(watcher))
        async with watcher:
            ...

    Args:
        watchers: One feed, or several by name; the name becomes the label ``platform`` of all the feed's metrics.
        agents: Also export series for each agent: ten and more per agent.

    Raises:
        TypeError: One of them is not a feed.
        ValueError: There is no feed, or a feed shares its changes with a group, so calls would be missing.
    """

    def __init__(self, watchers: Feed | Mapping[str, Feed], *, agents: bool = False) -> None:
        alone = not isinstance(watchers, Mapping)
        named = dict(watchers) if isinstance(watchers, Mapping) else {"": watchers}
        if not named:
            raise ValueError("watchers must be a feed, or at least one feed by name")
        for feed in named.values():
            check_whole_feed("each of watchers", feed)
        self._labels: tuple[str, ...] = () if alone else ("platform",)
        self._recorders = [(() if alone else (label(name),), _Recorder(feed)) for name, feed in named.items()]
        self._agents = agents
        self._polls = any(isinstance(feed, StatusWatcher) for feed in named.values())

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        families = _Families(self._labels, polls=self._polls, agents=self._agents)
        for labels, recorder in self._recorders:
            families.add(labels, recorder.read(agents=self._agents))
        return families.all

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return the body and the content type of the response to a scrape, for any web framework.

        Args:
            accept: The request's header ``Accept``, which names the formats that Prometheus prefers.
        """
        return exposition(self, accept=accept)

    def close(self) -> None:
        """Stop counting and detach from the feeds; the collector keeps its last values."""
        for _, recorder in self._recorders:
            recorder.close()

    def __repr__(self) -> str:
        names = ", ".join(name for labels, _ in self._recorders for name in labels)
        return f"<WatcherCollector of {names or 'a feed'}{', agents too' if self._agents else ''}>"


@attrs.frozen
class _Seat:
    """Values of one agent's series."""

    labels: tuple[str, str]
    name: str
    state: AgentState
    calls_answered: int
    calls_missed: int


@attrs.frozen
class _Queue:
    """Values of one queue's series."""

    name: str
    agents: Mapping[AgentState, int]
    calls_answered: int
    calls_missed: int


class _Histogram:
    """Counts values in buckets.

    Args:
        bounds: The buckets' upper bounds, ascending; a last bucket without a bound is added.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Return the cumulative buckets and the sum of the values."""
        names = (*map(str, self._bounds), "+Inf")
        return list(zip(names, map(float, accumulate(self._counts)), strict=True)), self._sum


@attrs.frozen(kw_only=True)
class _PollReading:
    """Polling statistics of one watcher."""

    polls: int
    stale_polls: int
    held_back_answers: int
    held_back_records: int
    failures: Mapping[str, int]
    durations: tuple[list[tuple[str, float]], float]
    latenesses: tuple[list[tuple[str, float]], float]


@attrs.frozen(kw_only=True)
class _Reading:
    """Values of one feed's series, between two polls."""

    up: bool
    ended: bool
    last_good_at: float | None
    polls: _PollReading | None
    """None if the feed does not poll."""
    queues: list[_Queue]
    seats: list[_Seat]


class _Polls:
    """Counts a watcher's polls."""

    def __init__(self, watcher: StatusWatcher) -> None:
        self._watcher = watcher
        self._first = self._health = watcher.health
        self._failures = Counter({kind.__name__: 0 for kind in _FAILURES})
        self._durations = _Histogram(_DURATIONS)
        self._latenesses = _Histogram(_LATENESSES)

    def count(self) -> None:
        """Count the last poll, unless it is counted already."""
        health, before = self._watcher.health, self._health
        self._health = health
        if health.polls == before.polls:
            return
        if health.failures > before.failures:
            self._failures[type(health.last_error).__name__] += 1
        self._durations.observe(health.last_duration or 0.0)
        self._latenesses.observe(health.last_lateness or 0.0)

    def read(self) -> _PollReading:
        """Return the statistics after the last counted poll."""
        return _PollReading(
            polls=self._health.polls - self._first.polls,
            stale_polls=self._health.stale_polls - self._first.stale_polls,
            held_back_answers=self._health.held_back_answers - self._first.held_back_answers,
            held_back_records=self._health.held_back_records - self._first.held_back_records,
            failures=dict(self._failures),
            durations=self._durations.read(),
            latenesses=self._latenesses.read(),
        )


class _Recorder:
    """Keeps one feed's values up to date, poll by poll.

    It serves as the lock of its tally. On release it also stores the feed's health and counts the poll, so that a
    scrape never mixes the tally of one poll with the counters of another.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._health = feed.health
        self._polls = _Polls(feed) if isinstance(feed, StatusWatcher) else None
        self._tally = Tally()
        self._stop_following = self._tally.follow(feed, lock=self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._health = self._feed.health
        if self._polls is not None:
            self._polls.count()
        self._lock.release()

    def read(self, *, agents: bool) -> _Reading:
        """Return the values after the last poll, with those of each agent if asked for."""
        # `ended` is the only value that changes without a poll.
        ended = self._feed.health.ended
        with self._lock:
            health = self._health
            return _Reading(
                up=health.up is True and not ended,
                ended=ended,
                last_good_at=None if health.last_good_at is None else health.last_good_at.timestamp(),
                polls=None if self._polls is None else self._polls.read(),
                queues=self._queues(),
                seats=self._seats() if agents else [],
            )

    def _queues(self) -> list[_Queue]:
        return [
            _Queue(label(it.name), dict(it.agents), it.calls_answered, it.calls_missed)
            for it in self._tally.queues.values()
        ]

    def _seats(self) -> list[_Seat]:
        return [
            _Seat(
                (label(it.key.queue), label(it.key.extension)),
                label(it.agent.name or ""),
                it.state,
                it.calls_answered,
                it.calls_missed,
            )
            for it in self._tally.seats.values()
            if it.present
        ]

    def close(self) -> None:
        """Stop following the feed."""
        self._stop_following()


class _Families:
    """All metric families, empty at first.

    Args:
        labels: The labels that all families have.
        polls: Include the metrics of polling.
        agents: Include the metrics of each agent.
    """

    def __init__(self, labels: tuple[str, ...], *, polls: bool, agents: bool) -> None:
        self.all: list[Metric] = []
        self._labels = labels
        self._feed_up = self._gauge("sipqueue_feed_up", "Whether the status is current (1).")
        self._ended = self._gauge(
            "sipqueue_watcher_ended", "Whether the feed has ended (1): it failed for good or was closed."
        )
        self._last_good = self._gauge(
            "sipqueue_last_good_poll_timestamp_seconds", "Time when the last good answer arrived, in Unix time."
        )
        if polls:
            self._poll_families()
        self._agents = self._gauge("sipqueue_agents", "Agents of a queue in a state, as last known.", "queue", "state")
        self._answered = self._counter("sipqueue_calls_answered", "Calls that agents of a queue answered.", "queue")
        self._missed = self._counter(
            "sipqueue_calls_missed", "Offers of calls that agents of a queue did not answer.", "queue"
        )
        if agents:
            self._agent_families()

    def _poll_families(self) -> None:
        self._polls = self._counter("sipqueue_polls", "Completed polls of the whole status, successful or failed.")
        self._failures = self._counter("sipqueue_poll_failures", "Polls that failed, by the error's class.", "error")
        self._stale = self._counter("sipqueue_stale_polls", "Answers dropped for being older than the one before.")
        self._held_back_answers = self._counter(
            "sipqueue_held_back_answers", "Answers held back because they were older than what was known."
        )
        self._held_back_records = self._counter(
            "sipqueue_held_back_records", "Records held back because they were older than those known of their seats."
        )
        self._durations = self._histogram("sipqueue_poll_duration_seconds", "Duration of polls, successful or failed.")
        self._latenesses = self._histogram(
            "sipqueue_poll_lateness_seconds", "Delay of polls behind their scheduled start."
        )

    def _agent_families(self) -> None:
        seat = ("queue", "extension")
        self._agent = self._add(
            InfoMetricFamily("sipqueue_agent", "The name of an agent.", labels=(*self._labels, *seat))
        )
        self._agent_state = self._gauge(
            "sipqueue_agent_state", "Whether an agent is in a state (1), as last known.", *seat, "state"
        )
        self._agent_answered = self._counter("sipqueue_agent_calls_answered", "Calls that an agent answered.", *seat)
        self._agent_missed = self._counter(
            "sipqueue_agent_calls_missed", "Offers of calls that an agent did not answer.", *seat
        )

    def add(self, feed: tuple[str, ...], reading: _Reading) -> None:
        """Add one feed's values under its labels."""
        self._feed_up.add_metric(feed, reading.up)
        self._ended.add_metric(feed, reading.ended)
        if reading.last_good_at is not None:
            self._last_good.add_metric(feed, reading.last_good_at)
        if reading.polls is not None:
            self._add_polls(feed, reading.polls)
        for queue in reading.queues:
            for state in AgentState:
                self._agents.add_metric((*feed, queue.name, state), queue.agents[state])
            self._answered.add_metric((*feed, queue.name), queue.calls_answered)
            self._missed.add_metric((*feed, queue.name), queue.calls_missed)
        for seat in reading.seats:
            self._add_seat((*feed, *seat.labels), seat)

    def _add_polls(self, feed: tuple[str, ...], reading: _PollReading) -> None:
        self._polls.add_metric(feed, reading.polls)
        for error, number in reading.failures.items():
            self._failures.add_metric((*feed, error), number)
        self._stale.add_metric(feed, reading.stale_polls)
        self._held_back_answers.add_metric(feed, reading.held_back_answers)
        self._held_back_records.add_metric(feed, reading.held_back_records)
        self._durations.add_metric(feed, *reading.durations)
        self._latenesses.add_metric(feed, *reading.latenesses)

    def _add_seat(self, labels: tuple[str, ...], seat: _Seat) -> None:
        self._agent.add_metric(labels, {"name": seat.name})
        for state in AgentState:
            self._agent_state.add_metric((*labels, state), state is seat.state)
        self._agent_answered.add_metric(labels, seat.calls_answered)
        self._agent_missed.add_metric(labels, seat.calls_missed)

    def _gauge(self, name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
        return self._add(GaugeMetricFamily(name, meaning, labels=(*self._labels, *labels)))

    def _counter(self, name: str, meaning: str, *labels: str) -> CounterMetricFamily:
        return self._add(CounterMetricFamily(name, meaning, labels=(*self._labels, *labels)))

    def _histogram(self, name: str, meaning: str) -> HistogramMetricFamily:
        return self._add(HistogramMetricFamily(name, meaning, labels=self._labels))

    def _add(self, family: _F) -> _F:
        self.all.append(family)
        return family
