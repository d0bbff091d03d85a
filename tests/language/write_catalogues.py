"""Brings the catalogues up to date with the sources and compiles them; `nox -s words` runs it.

Translations go into the ``.po`` files: run it, translate what it lists, and run it again. An argument is another folder
than that of the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.language.catalogues import DOMAINS, LOCALE, TRANSLATIONS, faults, po_path, write

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LOCALE
for domain in DOMAINS:
    for language in TRANSLATIONS:
        number = write(domain, language, folder)
        found = [f"  {fault}" for fault in faults(domain, language, folder)]
        print(f"{po_path(domain, language, folder)}: {number} messages", *found, sep="\n")
