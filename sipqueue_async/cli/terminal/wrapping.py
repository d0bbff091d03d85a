"""Lines that are wrapped between words."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sipqueue_async._language import ENGLISH, language
from sipqueue_async.cli.breaking import break_points, has_wide

_CONSOLE: Final = Console()


def wrapped(text: Text, width: int, indent: int = 0) -> list[Text]:
    """Return a text as lines of at most `width` cells, all but the first one indented; a long word is broken."""
    if text.cell_len <= width:
        return [text]
    room = max(1, width - indent)
    # Rich breaks at spaces only, and Chinese has none.
    breaks_anywhere = language() != ENGLISH and has_wide(text.plain)
    lines = text.divide(_points(text.plain, room)) if breaks_anywhere else text.wrap(_CONSOLE, room)
    for line in lines:
        line.rstrip()
    first, *rest = lines
    return [first, *(Text(" " * indent).append_text(line) for line in rest)]


def _points(text: str, width: int) -> list[int]:
    return break_points(text, width, cell_len)
