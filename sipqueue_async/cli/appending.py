"""Standard streams that append to files: a line that an earlier run left unfinished, and writes that stop short."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from pathlib import Path
from typing import TextIO


def ends_within_a_line(stream: TextIO) -> bool:
    """Return whether a stream appends to a regular file whose last line has no end."""
    # Windows lacks the module, a stream may have no descriptor, and this process may not be allowed to read the file.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import fcntl  # noqa: PLC0415

        descriptor = stream.fileno()
        appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
        if appends and stat.S_ISREG(os.fstat(descriptor).st_mode):
            # The descriptor is open for writing only, so open the file again.
            with Path(f"/dev/fd/{descriptor}").open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read() != b"\n"
    return False


def written_whole(stream: TextIO) -> TextIO:
    """Return a stream that raises an error unless everything is written, which an unbuffered one does not.

    With PYTHONUNBUFFERED, text goes straight to the file, and Python ignores that a nearly full disk takes only a part.
    """
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(stream.buffer, io.RawIOBase):
        return stream
    # Another object for the same descriptor: closing it must not close the process's own stream.
    file = io.BufferedWriter(io.FileIO(stream.fileno(), "wb", closefd=False))
    return io.TextIOWrapper(file, encoding=stream.encoding, errors=stream.errors, line_buffering=True)
