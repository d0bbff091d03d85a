"""What is on the wallboard's screen, and what should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Page, ViewportSize

from sipqueue_async.simulator import Simulator

BIG_SCREEN: ViewportSize = {"width": 1920, "height": 1080}

Visit = Callable[..., Awaitable[Page]]
"""Opens a page: the URL, and options of a browser's context."""

ORDER = ["talking", "receiving", "waiting", "idle", "paused", "unknown", "offline"]
SHOWN = """() => ({
  totals: Object.fromEntries([...document.querySelectorAll("#totals > div:not([hidden])")].map(
    (part) => [part.dataset.state, Number(part.querySelector("dd").textContent)])),
  queues: Object.fromEntries([...document.querySelectorAll(".queue")].map((card) => [
    card.querySelector(".name").textContent,
    Object.fromEntries([...card.querySelectorAll(".number:not([hidden])")].map(
      (number) => [number.dataset.state, Number(number.firstElementChild.nextElementSibling.textContent)]))])),
  warned: [...document.querySelectorAll(".queue")].filter((card) => card.querySelector(".warning").checkVisibility())
    .map((card) => card.querySelector(".name").textContent),
  agents: Object.fromEntries([...document.querySelectorAll(".tile")].map(
    (tile) => [tile.querySelector(".extension").textContent, tile.querySelector(".word").textContent.toLowerCase()])),
})"""


def truth_of(simulator: Simulator) -> dict[str, Any]:
    """Return what the page should show, by the simulator's own record of what happened."""
    truth, now = simulator.truth, simulator.centre.now
    seats = {seat.key: truth.state_at(seat.key, now) for seat in simulator.centre.seats()}
    agents: dict[str, str] = {}
    queues: dict[str, Counter[str]] = {}
    for key, state in seats.items():
        assert state is not None
        queues.setdefault(key.queue, Counter()).update([state.value])
        agents[key.extension] = min(agents.get(key.extension, "offline"), state.value, key=ORDER.index)
    return {
        "totals": _numbers(Counter(agents.values())),
        "queues": {name: _numbers(numbers) for name, numbers in queues.items()},
        "warned": [name for name, numbers in sorted(queues.items()) if not numbers["waiting"]],
        "agents": agents,
    }


def _numbers(counts: Counter[str]) -> dict[str, int]:
    states = ("waiting", "receiving", "talking", "idle", "paused")
    return {"signed-in": counts.total(), **{state: counts[state] for state in states}}
