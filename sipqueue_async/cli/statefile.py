"""The file in which a command keeps what it knows, to go on from there after a restart."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sipqueue_async.cli.exits import FAILED, Failure


class Keepable(Protocol):
    """What can be kept in a file."""

    def to_json(self) -> bytes:
        """Return what is to be kept."""
        ...


K = TypeVar("K", bound=Keepable)


class StateFile(Generic[K]):
    """A snapshot or a tally in a file that is whole at any moment: a crash leaves the old one or the new one.

    Args:
        path: The file; it need not exist. A symbolic link stays one, and the file that it points to is written.
        read: What turns the file's content back into what was kept, or raises a `ValueError` that says what is wrong.
    """

    def __init__(self, path: Path, read: Callable[[bytes], K]) -> None:
        self._given = path
        self._read = read
        self._path = path.resolve()

    def load(self) -> K | None:
        """Return what was saved, or None where there is no file yet.

        Raises:
            Failure: The file cannot be read, or holds something else.
        """
        try:
            # Anything else would be replaced by a file: a device, for one, had better stay.
            if self._path.exists() and not self._path.is_file():
                raise Failure(f"the state file {self._given} is no file: choose another path")
            if not self._path.parent.is_dir():
                raise Failure(f"the state file {self._given} cannot be written: there is no such directory")
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

    def save(self, state: K) -> None:
        """Put a new state in the file's place, readable by its owner only.

        Raises:
            Failure: It cannot be written.
        """
        try:
            self._replace(state.to_json())
        except OSError as error:
            raise Failure(
                f"the state file {self._given} cannot be written: {error.strerror or error}", FAILED
            ) from None

    def _replace(self, data: bytes) -> None:
        # In the same directory, because a rename is atomic only within one file system. mkstemp's mode is 0600.
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
