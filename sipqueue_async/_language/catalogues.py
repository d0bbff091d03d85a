"""Looks up translations in the catalogues of this package, which are loaded at the first use."""

from __future__ import annotations

import gettext as stdlib_gettext
from functools import cache
from pathlib import Path
from typing import Final

from sipqueue_async._language.spoken import ENGLISH, language

FOLDER: Final = Path(__file__).with_name("locale")
"""The catalogues, as gettext expects them: ``zh/LC_MESSAGES/<domain>.mo``."""


@cache
def _catalogue(domain: str, name: str) -> stdlib_gettext.NullTranslations:
    return stdlib_gettext.translation(domain, FOLDER, [name])


class Words:
    """The translations of one part of the package.

    Each method takes the language, which by default is the one in force.

    Args:
        domain: The name of the catalogue.
    """

    def __init__(self, domain: str) -> None:
        self.domain = domain
        """The name of the catalogue."""

    def gettext(self, message: str, name: str | None = None) -> str:
        """Return a message in a language."""
        spoken = name or language()
        return message if spoken == ENGLISH else _catalogue(self.domain, spoken).gettext(message)

    def ngettext(self, one: str, many: str, number: float, name: str | None = None) -> str:
        """Return the form of a message for a number: in English, `one` for 1 and `many` for all others."""
        spoken = name or language()
        if spoken == ENGLISH:
            return one if number == 1 else many
        # The languages other than English have one form for all numbers, and gettext takes only whole ones.
        return _catalogue(self.domain, spoken).ngettext(one, many, int(number))

    def pgettext(self, context: str, message: str, name: str | None = None) -> str:
        """Return a message whose translation depends on where it stands, which `context` says."""
        spoken = name or language()
        return message if spoken == ENGLISH else _catalogue(self.domain, spoken).pgettext(context, message)
