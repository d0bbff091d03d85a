"""Runs the command ``sipqueue`` for ``python -m sipqueue_async``."""

from __future__ import annotations

from sipqueue_async.cli import main

raise SystemExit(main())
