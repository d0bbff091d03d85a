"""The wallboard page's actual and expected content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

from playwright.async_api import Page, ViewportSize

from sipqueue_async import AgentStatus, Snapshot, StatusWatcher
from sipqueue_async.simulator import Simulator
from sipqueue_async.wallboard import Wallboard
from tests.kit.builders import START, snapshot
from tests.kit.wallboard_stage import NEVER

BIG_SCREEN: ViewportSize = {"width": 1920, "height": 1080}

Visit = Callable[..., Awaitable[Page]]
"""Opens a page: takes the URL, and options of the browser context."""

ORDER = ["talking", "receiving", "waiting", "idle", "paused", "unknown", "offline"]
STATES = ':is([data-state]):not([hidden], [data-state="answered"], [data-state="missed"])'
SHOWN = """() => ({
  totals: Object.fromEntries([...document.querySelectorAll(`#totals > ${STATES}`)].map(
    (part) => [part.dataset.state, Number(part.querySelector("dd").textContent)])),
  queues: Object.fromEntries([...document.querySelectorAll(".queue")].map((card) => [
    card.querySelector(".name").textContent,
    Object.fromEntries([...card.querySelectorAll(`.number${STATES}`)].map(
      (number) => [number.dataset.state, Number(number.firstElementChild.nextElementSibling.textContent)]))])),
  warned: [...document.querySelectorAll(".queue")].filter((card) => card.querySelector(".warning").checkVisibility())
    .map((card) => card.querySelector(".name").textContent),
  agents: Object.fromEntries([...document.querySelectorAll(".tile")].map(
    (tile) => [tile.querySelector(".extension").textContent, tile.querySelector(".word").textContent.toLowerCase()])),
})""".replace("${STATES}", STATES)

# Returns all that a page tells, also what only screen readers and pointers reach.
TOLD = """() => [...document.querySelectorAll("body, body *")].flatMap((it) => [
  ...[...it.childNodes].filter((node) => node.nodeType === 3 && !it.closest("script")).map((node) => node.textContent),
  it.title ?? "", it.placeholder ?? "", it.ariaLabel ?? ""]).filter((it) => typeof it === "string").join("\\n")"""


class Wall:
    """A wallboard of agents in constant states since before START, with a clock `age` seconds after START.

    Args:
        agents: The seats in the first answer; to change them, append to `answers` and refresh the watcher.
        options: Further arguments of `Wallboard`.
    """

    def __init__(self, *agents: AgentStatus, **options: Any) -> None:
        self.age = 0.0
        self.answers = [snapshot(*agents)]
        self.watcher = StatusWatcher(self._answer, interval=NEVER, leave_after=1)
        self._wallboard = Wallboard(
            self.watcher, clock=lambda: START + timedelta(seconds=self.age), beat=0.05, **options
        )

    async def _answer(self) -> Snapshot:
        return self.answers[-1]

    @property
    def url(self) -> str:
        """The page's URL."""
        return self._wallboard.url

    async def __aenter__(self) -> Self:
        await self.watcher.__aenter__()
        await self._wallboard.start()
        await self.watcher.ready(timeout=60)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wallboard.stop()
        await self.watcher.__aexit__(None, None, None)


async def drawn(page: Page) -> None:
    """Wait until the page has been drawn."""
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def resize(page: Page, size: ViewportSize) -> None:
    """Resize the page, and wait until it has been drawn in this size."""
    await page.set_viewport_size(size)
    # A busy browser may draw more frames in the old size.
    await page.wait_for_function("({width, height}) => innerWidth === width && innerHeight === height", arg=size)
    await drawn(page)


def truth_of(simulator: Simulator) -> dict[str, Any]:
    """Return the content that the page should show, from the simulator's ground truth."""
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
