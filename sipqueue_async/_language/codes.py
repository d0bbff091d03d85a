"""The words for states and for the platform's codes: the one table that screens, pages and alerts use.

It is the catalogue ``codes``: its messages are the values of `AgentState` and the platform's labels.
"""

from __future__ import annotations

from typing import Final

from sipqueue_async._codes import CODE_LABELS
from sipqueue_async._language.catalogues import Words
from sipqueue_async._language.spoken import ENGLISH, language

_WORDS: Final = Words("codes")
STATE: Final = "state"
"""The context of the words for states."""
CODE: Final = "code"
"""The context of the words for the codes of `state` and `status`."""
HANG_UP: Final = "hang-up"
"""The context of the words for why a call ended."""
DIRECTION: Final = "direction"
"""The context of the words for the direction of a call."""
STRATEGY: Final = "strategy"
"""The context of the words for the strategy of a queue."""


def state_word(state: str, name: str | None = None) -> str:
    """Return the word for an `AgentState` in a language, by default the one in force; in English it is the value."""
    return _WORDS.pgettext(STATE, str(state), name)


def code_word(code: int, name: str | None = None) -> str:
    """Return the word for a code of `state` or `status`; for an unlisted one, the word "code" with the number."""
    return label_word(CODE, CODE_LABELS.get(code, f"code {code}"), name)


def label_word(context: str, label: str, name: str | None = None) -> str:
    """Return the word for one of the library's labels, which are English.

    Args:
        context: What the label is of: `CODE`, `HANG_UP`, `DIRECTION` or `STRATEGY`.
        label: The label; ``code 1299`` for an unlisted code.
        name: The language; by default the one in force.
    """
    spoken = name or language()
    if spoken != ENGLISH and label.startswith("code "):
        return _WORDS.gettext("code {code}", spoken).format(code=label.removeprefix("code "))
    return _WORDS.pgettext(context, label, spoken)
