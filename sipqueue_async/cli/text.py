"""Makes text from outside safe to print: names and messages may hold anything, terminal control sequences too."""

from __future__ import annotations

import unicodedata


def harmless(text: str) -> str:
    r"""Return `text` with every character that is not for looking at written as an escape, such as ``\x1b``.

    That is control characters, line breaks, marks that turn the direction of writing, and lone surrogates. Spaces of
    any width become plain ones.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _replaced(character) for character in text)


def _replaced(character: str) -> str:
    if unicodedata.category(character) == "Zs":
        # The wide one is common in Chinese names.
        return " "
    return character.encode("unicode_escape").decode("ascii")
