"""Runs the command ``sipqueue`` for ``python -m sipqueue_async``."""

from __future__ import annotations

from sipqueue_async.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
