"""Locks a command's state file, so that one process uses it at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sipqueue_async._text import harmless
from sipqueue_async.cli.exits import FAILED, Failure


@contextmanager
def locked(path: Path, given: Path) -> Generator[None]:
    """Keep other processes from using a state file inside the block. Its lock file, ``.NAME.lock``, stays behind.

    Args:
        path: The file, without symbolic links.
        given: Its path as the user wrote it, for messages.

    Raises:
        Failure: Another process uses the state file, or the lock file cannot be written.
    """
    if sys.platform == "win32":  # pragma: no cover  # Windows lacks these locks
        yield
        return
    import fcntl  # noqa: PLC0415

    try:
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Failure(f"the state file {given} cannot be locked: {error.strerror or error}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = harmless(os.read(descriptor, 20).decode("ascii", "replace"))
            raise Failure(
                f"the state file {given} is in use by process {holder}: end it, or choose another file"
            ) from None
        try:
            os.ftruncate(descriptor, os.write(descriptor, str(os.getpid()).encode()))
        except OSError as error:
            # Such as a full disk.
            raise Failure(f"the state file {given} cannot be locked: {error.strerror or error}", FAILED) from None
        yield
    finally:
        os.close(descriptor)
