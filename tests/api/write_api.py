"""Writes the current public interface to public_api.txt, or to the given file."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.api.surface import FILE, surface

(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE).write_text(surface(), encoding="utf-8")
