"""The error for an extra of the package that is not installed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def needed_by(extra: str, name: str) -> Generator[None]:
    """Say how to install what the block cannot import.

    Args:
        extra: The extra, which has the name of the package that needs it.
        name: The name of the distribution that the block imports.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"sipqueue_async.{extra} needs {name}, which is not installed: pip install 'sipqueue_async[{extra}]'",
            name=error.name,
        ) from None
