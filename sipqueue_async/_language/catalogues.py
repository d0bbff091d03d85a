"""Looks up translations in the catalogues of this package, which are loaded at the first use."""

from __future__ import annotations

import gettext as stdlib_gettext
import os
from collections.abc import Mapping
from functools import cache
from typing import Final

from sipqueue_async._language.spoken import ENGLISH, language

# Importing pathlib would delay every --help.
FOLDER: Final = f"{os.path.dirname(__file__)}/locale"  # noqa: PTH120
"""The catalogues, as gettext expects them: ``zh/LC_MESSAGES/<domain>.mo``."""


@cache
def _catalogue(domain: str, name: str) -> stdlib_gettext.NullTranslations:
    return stdlib_gettext.translation(domain, FOLDER, [name])


def N_(message: str) -> str:  # noqa: N802  # its usual name
    """Mark a message that is translated where it is shown."""
    return message


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

    def messages(self, name: str | None = None) -> Mapping[str, str]:
        """Return the translations of all messages, for scripts that look them up by themselves.

        The context of a message stands before it, separated by U+0004. Of several forms it is the one for 1.
        """
        spoken = name or language()
        known = {} if spoken == ENGLISH else vars(_catalogue(self.domain, spoken))["_catalog"]
        return {key if isinstance(key, str) else key[0]: text for key, text in known.items() if key}
