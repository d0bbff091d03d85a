"""Words in the reader's language: catalogues of translations, and the language in force.

English is the language of the sources, so that it needs no catalogue. Exceptions, log lines and JSON stay English:
programs and searches depend on them. Text is translated where it is made for people, and an error where it is shown.
"""

from __future__ import annotations

from sipqueue_async._language.catalogues import FOLDER, N_, Words
from sipqueue_async._language.codes import code_word, label_word, state_word
from sipqueue_async._language.sentences import translated
from sipqueue_async._language.spoken import ENGLISH, LANGUAGES, language, of_preferences, speaking

__all__ = [
    "ENGLISH",
    "FOLDER",
    "LANGUAGES",
    "N_",
    "Words",
    "code_word",
    "label_word",
    "language",
    "of_preferences",
    "speaking",
    "state_word",
    "translated",
]
