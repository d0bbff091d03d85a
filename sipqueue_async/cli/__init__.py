"""The command ``sipqueue``, which needs the extra ``cli``.

Stable: the commands, their options, their output and their exit codes. The modules behind them are not public.
"""

from __future__ import annotations

# Whatever is imported here is not protected from Ctrl-C: no `signal` and no `typing`, which take long.
import sys

_EXTRA = frozenset({"click", "rich", "simpy", "textual"})
_USAGE = 2
_INTERRUPTED = 130


def main() -> int:
    """Run the command line with the process's arguments and return its exit code: the entry point of ``sipqueue``."""
    try:
        return _run()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except RuntimeError as error:
        # Python 3.11 turns a Ctrl-C during some statements `class`, as an import has them, into this error.
        if isinstance(error.__cause__, KeyboardInterrupt):
            return _INTERRUPTED
        raise
    finally:
        # All output is printed. Another Ctrl-C would only interrupt the interpreter's clean-up, and cause a traceback
        # or another exit code.
        import signal  # noqa: PLC0415

        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run() -> int:
    try:
        # Imported lazily: a missing package gets one line, and Ctrl-C during the import no traceback.
        from sipqueue_async.cli.app import run  # noqa: PLC0415

        return run()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        remedy = "pip install 'sipqueue_async[cli]'"
        print(f"sipqueue: the command line needs {missing}, which is not installed: {remedy}", file=sys.stderr)
        return _USAGE
