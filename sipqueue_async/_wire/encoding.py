"""The encoding of a body: UTF-8 according to the standard, sometimes GBK, sometimes invalid."""

from __future__ import annotations

import codecs
import re
from typing import Final

# Replaces bytes that are not text in the body's encoding. Unicode reserves this code point for a program's own use, so
# no name contains it.
LOST: Final = "\ufdd0"
_REPLACE_LOST: Final = "sipqueue_async.lost"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# An escape of JSON: a surrogate pair, a surrogate alone, or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _replace_lost(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return LOST, error.end


codecs.register_error(_REPLACE_LOST, _replace_lost)

# Servers send these by default, whatever the encoding is. Ignore them: JSON is UTF-8.
_MEANINGLESS_CHARSETS: Final = frozenset({"ascii", "iso8859-1", "cp1252"})
# Texts labelled gb2312 or gbk often contain characters of gb18030, a superset of both.
_WIDER_CHARSETS: Final = {"gb2312": "gb18030", "gbk": "gb18030"}


class Body(bytes):
    """The bytes of an answer, with a `repr` that shows their number only: the answer to a login contains the token."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


def text_encoding(label: str) -> str:
    """Return the codec for an encoding that the user names.

    Raises:
        ValueError: Python does not know the encoding, or it is not a text encoding.
    """
    try:
        # Refuse names that are not ASCII here: Python would print a warning first.
        label.encode("ascii")
        # Try to decode, because some codecs do not return text, and some ignore the error handler.
        b"\xff".decode(label, _REPLACE_LOST)
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        raise ValueError(f"{label!r} is not a text encoding that Python knows") from None
    return _WIDER_CHARSETS.get(name, name)


def body_encoding(charset: str | None) -> str:
    """Return the codec for a body whose ``Content-Type`` names `charset`; UTF-8 if it names none or a default one."""
    try:
        name = text_encoding(charset or "utf-8")
    except ValueError:
        return "utf-8"
    return "utf-8" if name in _MEANINGLESS_CHARSETS else name


def without_mark(body: bytes) -> bytes:
    """Return a body without a byte order mark."""
    # Unlike `removeprefix`, this copies a `Body` only if it has one.
    return body[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body  # noqa: FURB188


def as_utf8(body: bytes, encoding: str) -> Body:
    """Return a body as valid UTF-8 without a byte order mark, with `LOST` in place of bytes that are not text."""
    body = Body(without_mark(body))
    if encoding != "utf-8" or not is_utf8(body):
        # Some codecs return surrogates, which are not characters.
        text = body.decode(encoding, _REPLACE_LOST)
        body = Body(_SURROGATES.sub(LOST, text).encode())
    return body


def without_lone_surrogates(body: bytes) -> Body:
    """Return JSON with `LOST` in place of each escape that is half of a surrogate pair.

    PHP writes such an escape if a name was cut in the middle of an emoji. JSON parsers refuse it.
    """
    lost = LOST.encode()
    return Body(_ESCAPE.sub(lambda escape: lost if escape[1] else escape[0], body))


def is_utf8(body: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def trouble(error: Exception) -> str:
    """Return a readable reason why JSON was refused."""
    # Python's own text for this error differs between versions.
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def excerpt(body: bytes) -> str:
    """Return the beginning of a body or a record, as readable text."""
    return bytes(body[:1024]).decode(errors="replace").replace(LOST, "\N{REPLACEMENT CHARACTER}").strip()
