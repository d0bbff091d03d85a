"""The file in which a command keeps its state, to resume from after a restart."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.filelock import locked

_LEFT_BEHIND: Final = 600.0
"""Age in seconds of a temporary file that a killed run must have left: a save takes less."""


class Storable(Protocol):
    """A value that can be stored in a state file."""

    def to_json(self) -> bytes:
        """Return the value as JSON."""
        ...


K = TypeVar("K", bound=Storable)


class StateFile(Generic[K]):
    """A snapshot or a tally in a file that is never half-written: a crash leaves the old content or the new one.

    Args:
        path: The file; it need not exist. If it is a symbolic link, its target is written.
        read: Turns the file's content back into the value, or raises a `ValueError` that says what is wrong.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, read: Callable[[bytes], K], *, clock: Callable[[], float] = time.time) -> None:
        self._given = path
        self._read = read
        self._path = path.resolve()
        self._clock = clock
        self._tidy_until = 0.0

    def load(self) -> K | None:
        """Return the saved value, or None if there is no file yet.

        Raises:
            Failure: The file cannot be read, or its content is not such a value.
        """
        try:
            self._check_path()
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"the state file {self._given} cannot be read: {error.strerror or error}") from None
        try:
            return self._read(data)
        except ValueError as error:
            raise Failure(
                f"the state file {self._given} cannot be used: {error}; it is left as it is, "
                "so move it away to start afresh"
            ) from None

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from using the file inside the block. Its lock file, ``.NAME.lock``, stays behind.

        Raises:
            Failure: Another process uses the state file, or the lock file cannot be written.
        """
        try:
            self._check_path()
        except OSError as error:
            raise Failure(f"the state file {self._given} cannot be locked: {error.strerror or error}") from None
        with locked(self._path, self._given):
            yield

    def _check_path(self) -> None:
        # Refuse devices and pipes: saving would replace them by a file.
        if self._path.exists() and not self._path.is_file():
            raise Failure(f"the state file {self._given} is not a regular file: choose another path")
        if not self._path.parent.is_dir():
            raise Failure(
                f"the state file {self._given} cannot be written: its directory does not exist; create it first"
            )

    def save(self, state: K) -> None:
        """Replace the file by one with this value, which only its owner can read.

        Raises:
            Failure: The file cannot be written.
        """
        try:
            self._replace(state.to_json())
        except OSError as error:
            raise Failure(
                f"the state file {self._given} cannot be written: {error.strerror or error}", FAILED
            ) from None
        now = self._clock()
        if now >= self._tidy_until:
            # Again later: the files of a run killed just before this one are still too young at the first save.
            self._tidy_until = now + _LEFT_BEHIND
            self._remove_left_behind(now)

    def _replace(self, data: bytes) -> None:
        # Use the same directory: a rename is atomic only within one file system. mkstemp creates it with mode 0600.
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def _remove_left_behind(self, now: float) -> None:
        """Remove the temporary files of runs that were killed while saving."""
        names = re.compile(rf"\.{re.escape(self._path.name)}\.[a-z0-9_]{{8}}")
        with contextlib.suppress(OSError):
            for path in self._path.parent.iterdir():
                if names.fullmatch(path.name) and _is_left_behind(path.lstat(), now):
                    path.unlink()


def _is_left_behind(status: os.stat_result, now: float) -> bool:
    """Return whether a file can only be one that `mkstemp` made for this user, long ago."""
    is_private = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == stat.S_IRUSR | stat.S_IWUSR
    return is_private and status.st_uid == os.geteuid() and now - status.st_mtime > _LEFT_BEHIND
