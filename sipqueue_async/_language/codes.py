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


def state_word(state: str, name: str | None = None) -> str:
    """Return the word for an `AgentState` in a language, by default the one in force; in English it is the value."""
    return _WORDS.pgettext(STATE, str(state), name)


def code_word(code: int, name: str | None = None) -> str:
    """Return the word for a code of `state` or `status`; for an unlisted one, the word "code" with the number."""
    spoken = name or language()
    if code in CODE_LABELS:
        return _WORDS.pgettext(CODE, CODE_LABELS[code], spoken)
    return f"code {code}" if spoken == ENGLISH else _WORDS.gettext("code {code}", spoken).format(code=code)
