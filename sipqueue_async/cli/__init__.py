"""The command ``sipqueue``: a demonstration, one snapshot, the event stream, and a simulated platform.

Needs the extra ``cli``. What each command prints and accepts is the contract here; the modules behind it are not.
"""

from __future__ import annotations

import signal
import sys
from typing import Final

_EXTRA: Final = frozenset({"click", "rich", "simpy"})
_USAGE: Final = 2
_INTERRUPTED: Final = 130


def main() -> int:
    """Run the command line on the process's arguments and return its exit code: the entry point of ``sipqueue``."""
    try:
        return _run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        # All is done and said. A further Ctrl-C could only break into the interpreter's own clean-up, which takes
        # moments, with a traceback or another exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run() -> int:
    try:
        # Imported here, so that a missing package gets a line, and a Ctrl-C while it all loads no traceback.
        from sipqueue_async.cli.app import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        remedy = "pip install 'sipqueue_async[cli]'"
        print(f"sipqueue: the command line needs {missing}, which is not installed: {remedy}", file=sys.stderr)
        return _USAGE
    return run()
