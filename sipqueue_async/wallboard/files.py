"""The page's files, which come with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

import attrs

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
)


@attrs.frozen
class File:
    """A file to be served."""

    content: bytes
    content_type: str

    @property
    def etag(self) -> str:
        """Names this content."""
        return hashlib.sha256(self.content).hexdigest()[:20]

    def with_text(self, place: str, text: str) -> File:
        """Return the file with a text of ours, never one from outside, in a place that it has for it."""
        return attrs.evolve(self, content=self.content.replace(place.encode(), text.encode()))


def read_files() -> Mapping[str, File]:
    """Return all of the page's files by name. Nothing else of this machine can be asked for, whatever the path."""
    paths = resources.files("sipqueue_async.wallboard").joinpath("static").iterdir()
    kinds = {path: _TYPES.get(path.name.rpartition(".")[2]) for path in paths}
    return MappingProxyType({path.name: File(path.read_bytes(), kind) for path, kind in kinds.items() if kind})
