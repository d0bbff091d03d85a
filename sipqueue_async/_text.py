"""Makes text from outside fit to show: names may contain anything, and Python's errors speak of Python."""

from __future__ import annotations

import os
import ssl
import unicodedata
from typing import Final


def harmless(text: str, *, plain_spaces: bool = True) -> str:
    r"""Return `text` with every character that cannot be printed written as an escape, such as ``\x1b``.

    These are control characters, line breaks, marks that change the writing direction, lone surrogates, and zero-width
    joiners that do not join emoji.

    Args:
        text: What to show.
        plain_spaces: Replace spaces of other widths with a plain space, as a terminal needs; otherwise keep them.
    """
    if text.isprintable():
        return text
    shown: list[str] = []
    for at, character in enumerate(text):
        if character.isprintable() or (character == _JOINER and _joins_emoji(text, at)):
            shown.append(character)
        else:
            shown.append(_escaped(character, plain_spaces=plain_spaces))
    return "".join(shown)


_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_AFTER_EMOJI: Final = frozenset("\N{VARIATION SELECTOR-16}\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
"""What may stand between an emoji and a joiner: the sign for its coloured form, and the colours of skin."""


def _joins_emoji(text: str, at: int) -> bool:
    """Return whether the joiner at this place makes one emoji of two; elsewhere it is invisible and could deceive."""
    before, after = text[:at][-1:], text[at + 1 : at + 2]
    return (before in _AFTER_EMOJI or _is_symbol(before)) and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    return bool(character) and unicodedata.category(character) == "So"


def _escaped(character: str, *, plain_spaces: bool) -> str:
    if unicodedata.category(character) == "Zs":
        # The wide one (U+3000) is common in Chinese names.
        return " " if plain_spaces else character
    return character.encode("unicode_escape").decode("ascii")


_FORMULA: Final = frozenset("=+-@\N{MINUS SIGN}")
"""The signs that begin a formula in a spreadsheet; their wide, small, raised and lowered forms normalize to them."""


def no_formula(text: str) -> str:
    """Return a name that a spreadsheet reads as text: an apostrophe is put before one that begins like a formula.

    Text after a semicolon counts as a beginning too: where numbers are written with a decimal comma, spreadsheets end
    cells at semicolons and ignore quotes inside a line.
    """
    return ";".join(f"'{part}" if _begins_a_formula(part) else part for part in harmless(text).split(";"))


def _begins_a_formula(text: str) -> bool:
    return unicodedata.normalize("NFKC", text.lstrip(' "')[:1])[:1] in _FORMULA


def is_host_name(name: str) -> bool:
    """Return whether a name can be looked up: no part of it is empty or too long."""
    try:
        # Lookups encode it like this, and decode what is encoded already.
        return bool(name.encode("idna").decode("idna"))
    except UnicodeError:
        return False


def plain_reason(error: OSError) -> str:
    """Return why a connection failed, in the system's words instead of Python's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        # OpenSSL's own word, such as WRONG_VERSION_NUMBER, if it has one.
        reason = getattr(error, "reason", None)
        return reason.replace("_", " ").lower() if reason else "TLS failed"
    if error.errno is None:
        # asyncio merges the errors of several addresses into one without a number.
        return "none of its addresses answers"
    # Name lookups use error numbers below 0, which are not those of the system.
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
