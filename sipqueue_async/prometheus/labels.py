"""Names from the platform as values of labels."""

from __future__ import annotations

import re
from typing import Final

from sipqueue_async._text import harmless

_AMBIGUOUS: Final = re.compile(r"\\+(?=[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|(?P<escaped>.))", re.DOTALL)
"""Backslashes before the rest of an escape, or before a character that may become one."""


def label(name: str) -> str:
    """Return a name as a label shows it: with control characters and lone surrogates as escapes.

    Backslashes that would then read as part of an escape are doubled, so that different names stay different labels.
    """
    return harmless(_AMBIGUOUS.sub(_doubled, name), plain_spaces=False)


def _doubled(backslashes: re.Match[str]) -> str:
    following = backslashes["escaped"]
    run = backslashes[0]
    return run if following is not None and harmless(following, plain_spaces=False) == following else 2 * run
