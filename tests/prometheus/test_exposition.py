"""Expositions: valid for any names and Accept headers, and consistent from any thread."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import unicodedata
import urllib.request
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, start_http_server

from sipqueue_async import AgentState, Snapshot, StatusWatcher
from sipqueue_async.prometheus import WatcherCollector
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.exposition import OPEN_METRICS, Scrape
from tests.kit.waiting import until

ODD = '\\"\n\r\t{},= \u2028\x85\x00\x1b\u202e\u3000\U0001f600'
NAMES = st.text(st.characters(exclude_categories=[]) | st.sampled_from(ODD), min_size=1)
# Characters that are escaped, their escapes, and parts of these.
ESCAPES = st.lists(
    st.sampled_from(
        ["\\", "\ud800", "ud800", "ud7ff", "\\ud8", "00", "\x1b", "x1b", "\n", "n", "U00100000", "\U00100000"]
    ),
    min_size=1,
).map("".join)


def collector_of(known: Snapshot, *, agents: bool = False) -> WatcherCollector:
    """Return a collector of a watcher that has this snapshot."""
    return WatcherCollector(StatusWatcher(ScriptedSource([known]), baseline=known), agents=agents)


@given(st.sets(ESCAPES, max_size=5))
@example({"\ud800", r"\ud800", r"\\ud800", "\\\ud800"})
def test_different_names_have_different_labels(names: set[str]) -> None:
    scrape = Scrape(collector_of(snapshot(*(agent(queue=name) for name in names))))
    assert len(scrape.by("sipqueue_agents", "queue", state="waiting")) == len(names)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Sales\u3000座席 \xa0x", "Sales\u3000座席 \xa0x"),
        ("\x1b[31m\u202eevil\n", r"\x1b[31m\u202eevil\n"),
        (r"DOMAIN\user", r"DOMAIN\user"),
        (r"\x1b and \ud800", r"\\x1b and \\ud800"),
        ("\\\x1b", r"\\\x1b"),
    ],
)
def test_control_characters_of_names_are_shown_as_escapes(name: str, label: str) -> None:
    scrape = Scrape(collector_of(snapshot(agent(queue=name))))
    assert scrape.by("sipqueue_agents", "queue", state="waiting") == {label: 1}


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=4, unique_by=lambda names: names[0]))
@pytest.mark.parametrize("accept", ["", OPEN_METRICS])
def test_any_names_make_a_valid_exposition(accept: str, names: list[tuple[str, str, str]]) -> None:
    known = snapshot(*(agent(extension, queue=queue, name=name) for queue, extension, name in names))
    scrape = Scrape(collector_of(known, agents=True), accept=accept)
    queues = scrape.by("sipqueue_agents", "queue", state="waiting")
    assert list(queues.values()) == [1] * len(names)
    infos = [labels for series in scrape.samples if "name" in (labels := dict(series.labels))]
    assert len(infos) == len(names)
    assert {labels["queue"] for labels in infos} == queues.keys()
    for text in ("".join(labels.values()) for labels in infos):
        assert all(it.isprintable() or unicodedata.category(it) == "Zs" for it in text)


def test_the_format_follows_the_accept_header() -> None:
    collector = collector_of(snapshot(agent()))
    plain, open_metrics = Scrape(collector), Scrape(collector, accept=f"{OPEN_METRICS};q=0.5,text/plain;q=0.1")
    assert plain.content_type.startswith("text/plain")
    assert open_metrics.content_type.startswith("application/openmetrics-text")
    assert plain.samples == open_metrics.samples
    excluded = Scrape(collector, accept=f"{OPEN_METRICS}; Q=0.0 ,text/plain")
    assert excluded.content_type == plain.content_type


@given(st.text(st.sampled_from("1.0;=,version escapingq*/abc") | st.characters(), max_size=40))
@example("application/openmetrics-text;version=abc")
@example("application/openmetrics-text;version=1.x, text/plain;version=2..;q=1")
@example("text/plain; version=" + "9" * 5000)
def test_any_accept_header_gets_a_valid_exposition(junk: str) -> None:
    collector = collector_of(snapshot(agent()))
    for accept in (junk, f"application/openmetrics-text; version={junk}", f"text/plain;version={junk};q=0.5"):
        scrape = Scrape(collector, accept=accept)
        assert scrape.get("sipqueue_feed_up") == 0
        assert scrape.content_type.isascii()
    assert Scrape(collector, accept=f"text/plain;version={junk},{OPEN_METRICS}").content_type


def test_names_and_units_follow_the_conventions() -> None:
    families = Scrape(collector_of(snapshot(agent()), agents=True), accept=OPEN_METRICS).families
    assert len(families) == 17
    for name, family in families.items():
        assert name.startswith("sipqueue_")
        assert family.documentation.endswith(".")
        assert (family.type == "histogram") <= name.endswith("_seconds")
        # The parser removes the suffix from the names of counter families, but not from their samples.
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)


@pytest.fixture
def greedy_threads() -> Iterator[None]:
    """Switch between threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("greedy_threads")
async def test_a_scrape_from_another_thread_sees_whole_polls() -> None:
    numbers = itertools.count()

    async def source() -> Snapshot:
        # At each poll, each agent has answered one more call, and the two agents have swapped places.
        number = next(numbers)
        states = AgentState.TALKING, AgentState.WAITING
        return snapshot(
            agent("1", states[number % 2], calls_answered=number),
            agent("2", states[1 - number % 2], calls_answered=number),
            at=number,
        )

    watcher = StatusWatcher(source, interval=0.0005)
    collector = WatcherCollector(watcher, agents=True)
    enough = threading.Event()

    scrapes: list[Scrape] = []
    polls: list[float] = []

    def scrape_on() -> None:
        while not enough.is_set():
            scrapes.append(Scrape(collector))
            polls.append(scrapes[-1].get("sipqueue_polls_total") or 0)

    async with watcher:
        await watcher.ready()
        scraping = asyncio.get_running_loop().run_in_executor(None, scrape_on)
        await until(lambda: len(set(polls)) > 5 and len(polls) >= 20)
        enough.set()
        await scraping
    for scrape, number in zip(scrapes, polls, strict=True):
        assert scrape.get("sipqueue_calls_answered_total", queue="queue-1") == 2 * (number - 1)
        assert scrape.get("sipqueue_poll_duration_seconds_count") == number
        assert scrape.get("sipqueue_agents", queue="queue-1", state="talking") == 1
        assert scrape.get("sipqueue_agent_calls_answered_total", queue="queue-1", extension="2") == number - 1
        talking = scrape.by("sipqueue_agent_state", "extension", state="talking")
        assert talking == ({"1": 1, "2": 0} if number % 2 else {"1": 0, "2": 1})


async def test_start_http_server_serves_it() -> None:
    registry = CollectorRegistry(auto_describe=True)
    async with StatusWatcher(ScriptedSource([snapshot(agent())])) as watcher:
        registry.register(WatcherCollector(watcher))
        await watcher.ready()
        server, thread = start_http_server(0, "127.0.0.1", registry)
        try:
            url = f"http://127.0.0.1:{server.server_port}/metrics"
            body = await asyncio.get_running_loop().run_in_executor(None, _get, url)
        finally:
            await asyncio.get_running_loop().run_in_executor(None, server.shutdown)
            server.server_close()
            thread.join()
    assert "sipqueue_feed_up 1.0" in body
    assert 'sipqueue_agents{queue="queue-1",state="waiting"} 1.0' in body


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        text: str = answer.read().decode()
        return text
