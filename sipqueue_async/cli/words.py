"""The command line's messages in the language in force: the catalogue ``sipqueue``."""

from __future__ import annotations

from typing import Final

from sipqueue_async._language import ENGLISH, N_, Words, language, state_word

__all__ = ["N_", "_", "counted", "heading", "ngettext", "pgettext"]

_WORDS: Final = Words("sipqueue")
_ = _WORDS.gettext
ngettext = _WORDS.ngettext
pgettext = _WORDS.pgettext


def heading(name: str, context: str = "") -> str:
    """Return the word for a figure, which may be a state: the heading of a column or the label of a value.

    Args:
        name: The heading in English.
        context: Distinguishes headings that are the same in English.
    """
    if context:
        return pgettext(context, name)
    word = state_word(name)
    return _(name) if word == name else word


_HEADINGS: Final = (
    N_("queue"),
    N_("extension"),
    N_("name"),
    N_("answered"),
    N_("missed"),
    N_("state"),
    N_("last answer"),
    N_("last offer"),
    N_("agents"),
    N_("unseen"),
    N_("signed in"),
    N_("occupancy"),
    N_("rate"),
    N_("mean talk"),
    N_("longest"),
    N_("hour of day"),
    N_("handle"),
    N_("hour"),
    N_("number prefix"),
    N_("prefix"),
    N_("day"),
    N_("week"),
    N_("agent"),
    N_("events"),
    N_("records"),
    N_("from"),
    N_("to"),
    N_("lasted"),
    N_("reason"),
    N_("error"),
    N_("setting"),
    N_("value"),
    N_("started"),
    N_("way"),
    N_("caller"),
    N_("called"),
    N_("waited"),
    N_("talked"),
    N_("ended"),
    N_("offered"),
    N_("abandoned"),
    N_("in time"),
    N_("speed of answer"),
    N_("talk"),
    N_("strategy"),
    N_("longest wait"),
    N_("without agents"),
    N_("remark"),
    N_("longest talk"),
    N_("time"),
    N_("masked"),
    N_("short"),
    N_("other"),
)
"""What `heading` is given besides states."""

_COUNTED: Final = (
    N_("{number} agent"),
    N_("{number} alert"),
    N_("{number} answered call"),
    N_("{number} call"),
    N_("{number} event"),
    N_("{number} failed poll"),
    N_("{number} failure"),
    N_("{number} hour"),
    N_("{number} poll"),
    N_("{number} queue"),
    N_("{number} rule"),
    N_("{number} seat"),
)
"""What `counted` counts; languages other than English have one form for all numbers."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 agent``, ``2 agents``."""
    if language() == ENGLISH:
        return f"{number} {noun}{'' if number == 1 else 's'}"
    form = f"{{number}} {noun}"
    return _(form).format(number=number)
