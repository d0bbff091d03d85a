"""Where the command ``sipqueue`` begins: installed beside the package, as ``_sipqueue_start``.

Loading the package takes a good part of a second. A Ctrl-C in that time would be a traceback, were there not already
somebody to catch it.
"""

from __future__ import annotations


def main() -> int:
    """Load the command line and run it; return its exit code."""
    try:
        from sipqueue_async.cli import main as run  # noqa: PLC0415  # what takes long

        return run()
    except KeyboardInterrupt:
        return 130
