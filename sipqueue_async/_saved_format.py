"""The JSON in which snapshots, tallies and alert states are saved: a format name and a version beside the content."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class SavedFormat:
    """One kind of saved document."""

    kind: str
    """What is saved, for messages: "snapshot" gives "the saved snapshot is damaged"."""
    name: str
    """The value of the field ``format``, by which a document of another kind is recognised."""
    version: int
    """The value of the field ``version``: the only one that this release reads."""

    def document(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return content with the format's name and version."""
        return {"format": self.name, "version": self.version, **content}

    def dump(self, content: Mapping[str, Any]) -> bytes:
        """Return content as JSON in UTF-8, with the format's name and version."""
        document = self.document(content)
        # JSON can contain a lone surrogate and UTF-8 cannot; one such name must not lose the other records.
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")

    def load(self, data: bytes | str) -> dict[str, Any]:
        """Return the document that `dump` wrote. Its content is not checked: read it inside `decoding`.

        Raises:
            ValueError: The data is not JSON, or is of another kind or version.
        """
        try:
            document = json.loads(data)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"the saved {self.kind} is not JSON: see line {error.lineno}, column {error.colno}"
            ) from None
        except (ValueError, RecursionError):
            raise ValueError(f"the saved {self.kind} is not JSON") from None
        return self.check(document)

    def check(self, document: object) -> dict[str, Any]:
        """Return a document that is of this kind and version.

        Raises:
            ValueError: It is not.
        """
        found = document.get("format") if isinstance(document, dict) else None
        if not isinstance(document, dict) or found != self.name:
            if isinstance(found, str) and found.startswith("sipqueue"):
                raise ValueError(f'this is not a saved {self.kind}: its "format" is {found!r}, not {self.name!r}')
            raise ValueError(f'this is not a saved {self.kind}: it has no "format": "{self.name}"')
        version = document.get("version")
        if type(version) is not int or version != self.version:
            raise ValueError(
                f"the saved {self.kind} has version {version!r}; this release reads version {self.version}"
            )
        return document

    @contextmanager
    def decoding(self) -> Generator[None]:
        """Translate the errors that damaged content causes inside the block.

        Raises:
            ValueError: The content is damaged.
        """
        try:
            yield
        except DAMAGE as error:
            raise ValueError(f"the saved {self.kind} is damaged: {damage(error)}") from error


DAMAGE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""The errors that decoding damaged JSON can raise."""


def damage(error: BaseException) -> str:
    """Return what is wrong with decoded JSON, for people to read.

    Args:
        error: The error that decoding raised. A ValueError's text is kept; the others have only Python's wording.
    """
    match error:
        case KeyError():
            return f"the field {error.args[0]!r} is missing"
        case ValueError():
            return str(error)
        case _:
            return "a value has the wrong type"
