"""Lines that are wrapped between words."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

_CONSOLE: Final = Console()


def wrapped(text: Text, width: int, indent: int = 0) -> list[Text]:
    """Return a text as lines of at most `width` cells, all but the first one indented; a long word is broken."""
    if text.cell_len <= width:
        return [text]
    lines = text.wrap(_CONSOLE, max(1, width - indent))
    for line in lines:
        line.rstrip()
    first, *rest = lines
    return [first, *(Text(" " * indent).append_text(line) for line in rest)]
