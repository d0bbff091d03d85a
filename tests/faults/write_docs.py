"""Writes the tables of docs/faults.md, or of a given page, from a run of the fault matrix.

Every text in the tables comes from the library's behaviour in that run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.page import PAGE, page
from tests.faults.run import run_matrix

path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
path.write_text(page(path.read_text(encoding="utf-8"), run_matrix()), encoding="utf-8")
