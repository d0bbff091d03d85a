"""The static files of the page, which are package data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

import attrs

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
)


@attrs.frozen
class File:
    """One static file."""

    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """A hash of the content."""
        return hashlib.sha256(self.content).hexdigest()[:20]

    def map(self, change: Callable[[str], str]) -> File:
        """Return the file with its text changed."""
        return attrs.evolve(self, content=change(self.content.decode()).encode())

    def with_text(self, placeholder: str, text: str) -> File:
        """Return the file with a placeholder replaced. The text becomes markup: escape what comes from outside."""
        return attrs.evolve(self, content=self.content.replace(placeholder.encode(), text.encode()))


def read_files() -> Mapping[str, File]:
    """Return all static files by name. Only these can be requested: no request path reaches the file system."""
    paths = resources.files("sipqueue_async.wallboard").joinpath("static").iterdir()
    kinds = {path: _TYPES.get(path.name.rpartition(".")[2]) for path in paths}
    return MappingProxyType({path.name: File(path.read_bytes(), kind) for path, kind in kinds.items() if kind})
