"""Makes text from outside safe to show: names may contain anything, including terminal control sequences."""

from __future__ import annotations

import unicodedata


def harmless(text: str, *, plain_spaces: bool = True) -> str:
    r"""Return `text` with every character that cannot be printed written as an escape, such as ``\x1b``.

    These are control characters, line breaks, marks that change the writing direction, and lone surrogates.

    Args:
        text: What to show.
        plain_spaces: Replace spaces of other widths with a plain space, as a terminal needs; otherwise keep them.
    """
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else _shown(it, plain_spaces=plain_spaces) for it in text)


def _shown(character: str, *, plain_spaces: bool) -> str:
    if unicodedata.category(character) == "Zs":
        # The wide one (U+3000) is common in Chinese names.
        return " " if plain_spaces else character
    return character.encode("unicode_escape").decode("ascii")
