"""The terminal of `sipqueue top`, by Textual: shows the board, and handles keys and the mouse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import ClassVar, Final, TextIO

import attrs
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.driver import Driver
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget
from textual.widgets import Input, Static

from sipqueue_async import SeatKey
from sipqueue_async.cli.terminal.alerts import AlertsTarget, Moments, alerts_text
from sipqueue_async.cli.terminal.board import Board, QueueTarget, Steady, compose
from sipqueue_async.cli.terminal.details import agent_text, help_text
from sipqueue_async.cli.terminal.layout import Line, target_at
from sipqueue_async.cli.terminal.live import LiveStatus
from sipqueue_async.cli.terminal.view import Sort, View
from sipqueue_async.cli.words import _

_TICK: Final = 1.0
"""Seconds between two pictures if nothing changes: times in state are shown to the second."""

_REST: Final = 0.05
"""Minimum seconds between two pictures; people cannot read faster."""

_NOTCH: Final = 3
"""How many agents one notch of the mouse wheel scrolls."""

_THEME: Final = "ansi-dark"
"""The terminal's own colours."""


class Picture(Widget):
    """Shows a board's lines; only those that changed are drawn again."""

    DEFAULT_CSS = "Picture { width: 1fr; height: 1fr; }"
    can_focus = True

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._styles: Callable[[str], Style] = Style.parse

    def show(self, lines: list[Line]) -> None:
        """Show these lines."""
        before, self._lines = self._lines, lines
        empty: Line = ()
        for y in range(max(len(before), len(lines))):
            if (before[y] if y < len(before) else empty) != (lines[y] if y < len(lines) else empty):
                self.refresh(Region(0, y, self.size.width, 1))

    def use(self, theme: Theme) -> None:
        """Use a theme's colours from now on."""
        # The terminal's own colours need no style, which saves a third of the time and of the output.
        base = Style.null() if theme.ansi else self.rich_style
        self._styles = lru_cache(256)(partial(_style, theme, base))
        self.refresh()

    def target_at(self, x: int, y: int) -> object:
        """Return what a click at this place is about."""
        return target_at(self._lines[y], x) if y < len(self._lines) else None

    def render_line(self, y: int) -> Strip:
        """Return a line as Textual draws it."""
        segments: list[Segment] = []
        at = 0
        plain = self._styles("")
        for field in self._lines[y] if y < len(self._lines) else ():
            if field.column > at:
                segments.append(Segment(" " * (field.column - at), plain))
            segments.append(Segment(field.text, self._styles(field.style)))
            at = field.column + cell_len(field.text)
        width = self.size.width
        return Strip([*segments, Segment(" " * max(0, width - at), plain)], max(at, width))


def _style(theme: Theme, base: Style, name: str) -> Style:
    """Return a style of the board in a theme's colours, over the widget's own style."""
    if theme.ansi:
        return Style.parse(name)
    colours = {
        "green": theme.success,
        "yellow": theme.warning,
        "red": theme.error,
        "blue": theme.primary,
        "cyan": theme.secondary,
        "magenta": theme.accent,
    }
    return base + Style.parse(" ".join(colours.get(word) or word for word in name.split()))


class Page(ModalScreen[None]):
    """A text over the board, which can be scrolled.

    Args:
        text: Returns the text to show now.
    """

    CSS = """
    Page { align: center middle; }
    Page VerticalScroll { width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; }
    Page VerticalScroll { border: round $primary; background: $surface; }
    Page Static { width: auto; max-width: 85vw; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape,enter,q,question_mark", "dismiss", "close")]

    def __init__(self, text: Callable[[], Text]) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Build the page."""
        with VerticalScroll():
            yield Static(self._text())

    def update(self) -> None:
        """Show the text as it is now."""
        for static in self.query(Static):
            static.update(self._text())

    def on_click(self, event: events.Click) -> None:
        """Close the page by a click outside it."""
        if event.widget is self:
            self.dismiss()


class TopApp(App[None]):
    """The program.

    Args:
        live: The status to show.
        driver: How Textual speaks to the terminal; by default as is usual on this system.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { overflow: hidden; }
    #search { dock: bottom; height: 1; border: none; padding: 0; display: none; }
    #search:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q,Q", "quit", "quit"),
        ("question_mark,h", "help", "help"),
        ("slash", "search", "search"),
        ("escape", "clear", "clear"),
        ("s,S", "sort", "sort"),
        ("r,R", "reverse", "reverse"),
        ("f,F", "queue", "queue"),
        ("a,A", "alerts", "alerts"),
        ("t,T", "theme", "theme"),
        ("enter", "details", "details"),
        ("up", "move(-1)", ""),
        ("down", "move(1)", ""),
        ("left", "move_block(-1)", ""),
        ("right", "move_block(1)", ""),
        ("pageup", "scroll_pages(-1)", ""),
        ("pagedown", "scroll_pages(1)", ""),
        ("space", "next_page", ""),
        ("home", "move_to(0)", ""),
        ("end", "move_to(-1)", ""),
    ]

    def __init__(self, live: LiveStatus, driver: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver)
        self._live = live
        self._view = View()
        self._steady = Steady()
        self._board = Board(lines=[])
        self._picture = Picture()
        self.failure: Exception | None = None
        """An unexpected error, which ended the program."""
        self._search = Input(id="search", placeholder=_("search"), select_on_focus=False)

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield self._picture
        yield self._search

    def on_mount(self) -> None:
        """Begin to show the status."""
        # Textual makes new tasks of the loop start eagerly, those of the feed too; it works without that.
        asyncio.get_running_loop().set_task_factory(None)
        self.theme_changed_signal.subscribe(self, self._picture.use)
        # Another program has used the terminal.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        wished = os.environ.get("TEXTUAL_THEME", _THEME)
        self.theme = wished if wished in self.available_themes else _THEME
        self._picture.use(self.current_theme)
        self._picture.focus()
        self.run_worker(self._run())

    async def _run(self) -> None:
        try:
            await self._keep_up_to_date()
        except Exception as error:  # noqa: BLE001  # raised by `show`: Textual would print it with all local variables
            self.failure = error
        self.exit()

    async def _keep_up_to_date(self) -> None:
        while not self._live.ended:
            self._live.news.clear()
            self._show()
            await asyncio.sleep(_REST)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK - _REST):
                    await self._live.news.wait()

    def on_resize(self) -> None:
        """Show the board in the new size."""
        self._live.news.set()

    def _show(self) -> None:
        size = self._picture.size
        self._board = compose(self._live.scene(), self._view, size.width, size.height, self._steady)
        self._view = attrs.evolve(self._view, first=self._board.first)
        self._picture.show(self._board.lines)
        for screen in self.screen_stack:
            if isinstance(screen, Page):
                screen.update()

    def _change(self, view: View) -> None:
        self._view = view
        self._show()

    # ---- keys --------------------------------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(Page(lambda: help_text(self.size.width)))

    def action_alerts(self) -> None:
        """Show all raised alerts."""
        self.push_screen(Page(self._alerts))

    def _alerts(self) -> Text:
        scene = self._live.scene()
        return alerts_text(scene.raised, Moments(scene.at, scene.now), scene.language)

    def action_sort(self) -> None:
        """Sort in the next way."""
        self._change(self._view.next_sort())

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._change(self._view.sorted_by(self._view.sort))

    def action_queue(self) -> None:
        """Show the next queue's agents."""
        self._change(self._view.next_queue(self._live.tally.queues))

    def action_theme(self) -> None:
        """Use the next theme."""
        names = sorted(self.available_themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def action_search(self) -> None:
        """Let the user type a text to search for."""
        self._search.display = True
        self._search.value = self._view.search
        self._search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while the user types."""
        self._change(self._view.searching(event.value))

    def on_input_submitted(self) -> None:
        """End typing and keep the search."""
        self._search.display = False
        self._picture.focus()

    def action_clear(self) -> None:
        """End the search, or else forget the selection and the queue."""
        is_searching = self._search.display or self._view.search
        self._search.display = False
        self._picture.focus()
        self._change(self._view.searching("") if is_searching else attrs.evolve(self._view, selected=None, queue=None))

    def action_details(self) -> None:
        """Show the selected agent's page."""
        if self._view.selected is None:
            self.action_move(0)
        if self._view.selected is not None:
            self.push_screen(Page(partial(self._details, self._view.selected)))

    def _details(self, key: SeatKey) -> Text:
        tally = self._live.tally
        seats = [tally.seats[it] for it in sorted(tally.seats) if it.extension == key.extension]
        return agent_text(seats, self._live.events(key.extension), self._live.scene())

    # ---- moving ------------------------------------------------------------------------------------------------------

    def action_move(self, agents: int) -> None:
        """Move the selection by a number of agents; without a selection, select the topmost agent on the screen."""
        order, view = self._board.order, self._view
        index = order.index(view.selected) + agents if view.selected in order else view.first
        self._select(index)

    def action_move_block(self, blocks: int) -> None:
        """Select the agent beside it."""
        self.action_move(blocks * self._board.rows)

    def action_move_to(self, index: int) -> None:
        """Select the first or the last agent."""
        self._select(index % max(1, len(self._board.order)))

    def _select(self, index: int) -> None:
        order, size = self._board.order, self._board.size
        if order:
            index = max(0, min(index, len(order) - 1))
            first = max(min(self._view.first, index), index - size + 1)
            self._change(attrs.evolve(self._view, selected=order[index], first=first))

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by screens."""
        self._scroll(pages * self._board.size)

    def action_next_page(self) -> None:
        """Scroll by a screen, and from the last one to the first."""
        is_last = self._view.first + self._board.size >= len(self._board.order)
        self._scroll(-self._view.first if is_last else self._board.size)

    def _scroll(self, agents: int) -> None:
        self._change(attrs.evolve(self._view, first=max(0, self._view.first + agents)))

    # ---- mouse -------------------------------------------------------------------------------------------------------

    def on_mouse_scroll_down(self) -> None:
        """Scroll down."""
        self._scroll(_NOTCH)

    def on_mouse_scroll_up(self) -> None:
        """Scroll up."""
        self._scroll(-_NOTCH)

    def on_click(self, event: events.Click) -> None:
        """Sort by a heading, choose a queue, or show an agent's page."""
        if event.widget is not self._picture:
            return
        match self._picture.target_at(event.x, event.y):
            case Sort() as sort:
                self._change(self._view.sorted_by(sort))
            case QueueTarget(name):
                self._change(self._view.of_queue(None if name == self._view.queue else name))
            case SeatKey() as key:
                self._change(attrs.evolve(self._view, selected=key))
                self.action_details()
            case AlertsTarget():
                self.action_alerts()
            case _:
                pass


async def show(live: LiveStatus, output: TextIO) -> int:
    """Show the status until the user quits or the feed ends; return the exit code.

    Raises:
        Exception: An unexpected error, once the terminal is restored.
    """
    # Let Ctrl-C and Ctrl-Z send signals as in every other command; Textual would otherwise read them as key presses.
    os.environ["TEXTUAL_ALLOW_SIGNALS"] = "1"
    app = TopApp(live)
    emergency: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    # Windows lacks the modules that it needs.
    with contextlib.suppress(ModuleNotFoundError):
        from sipqueue_async.cli.terminal.posix import driver_for, restored_in_an_emergency  # noqa: PLC0415

        app = TopApp(live, driver_for(output))
        emergency = restored_in_an_emergency(output, lambda: app.is_running)
    with emergency:
        await app.run_async()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
