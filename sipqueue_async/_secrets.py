"""Keeps tokens, access keys and cookies out of error texts, tracebacks and logs."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar
from urllib.parse import quote, quote_plus, unquote

from sipqueue_async.errors import SipQueueError

_RUN: Final = 8
"""Any this many consecutive letters and digits of a secret count as a piece of it."""
_SHORTEST: Final = 6
"""A secret with fewer letters and digits cannot be distinguished from an ordinary word, and is not redacted."""
_HIDDEN: Final = "(not shown: it quotes a secret)"
_NOT_ALPHANUMERIC: Final = re.compile(r"[^0-9a-z]+")
_ESCAPE: Final = re.compile(
    r"[\\%]u([0-9a-fA-F]{4})|\\u\{0*([0-9a-fA-F]{1,5})\}|\\U000([0-9a-fA-F]{5})|[\\0]x([0-9a-fA-F]{2})"
    r"|\\(?P<octal>[0-3][0-7]{2})|\\(?P<other>.)",
    re.DOTALL,
)
_TAG: Final = re.compile(r"<[^<>]*>")
# A text that is still encoded after so many rounds of decoding is treated as one that quotes a secret.
_ENCODED_AT_MOST: Final = 12


class Secret:
    """A string whose `repr` and `str` are stars, so that no traceback, log line or debugger shows it."""

    __slots__ = ("_value",)

    _value: str

    def __init__(self, value: object) -> None:
        # Callers may be untyped: hide any other value too, until `check` refuses it.
        self._value = value  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def scrub(self, text: str) -> str:
        """Return `text`, which may quote a server's answer, without the secret.

        Stars replace the secret in its known spellings. If the text still shows a piece of it, in another spelling or
        cut off, a note replaces the whole text.
        """
        for spelling in self._spellings():
            text = text.replace(spelling, "***")
        return _HIDDEN if self._is_in(text) else text

    def scrub_bytes(self, body: bytes) -> bytes:
        """Return `body`, which may quote the request, with stars in place of the secret in the known spellings."""
        for spelling in self._spellings():
            body = body.replace(spelling.encode(), b"***")
        return body

    def check(self, what: str) -> None:
        """Raise an error that names `what`, not its value, unless this can be sent.

        Raises:
            TypeError: It is not a string.
            ValueError: It is empty, or has characters other than printable ASCII.
        """
        if not isinstance(self._value, str):
            raise TypeError(f"{what} must be a string")
        if not self._value.strip():
            raise ValueError(f"{what} is empty")
        if not self._value.isprintable() or not self._value.isascii():
            raise ValueError(f"{what} has characters that are not printable ASCII; was it read from the right place?")

    def weakness(self, what: str) -> str | None:
        """Return a warning that names `what` if the secret is too short to be kept out of error messages."""
        if self._pieces():
            return None
        return (
            f"{what} has fewer than {_SHORTEST} letters and digits: error messages that quote a server's answer "
            "cannot mask it, because it looks like an ordinary word"
        )

    def __repr__(self) -> str:
        return "'***'"

    def _spellings(self) -> list[str]:
        """Return the usual spellings: plain, as in the request's body, in JSON as PHP writes it, in HTML."""
        if not self._pieces():
            return []
        in_json = json.dumps(self._value)[1:-1]
        spellings = {
            self._value,
            quote_plus(self._value),
            quote(self._value),
            in_json,
            in_json.replace("/", "\\/"),
            html.escape(self._value),
        }
        return sorted(spellings, key=len, reverse=True)

    def _pieces(self) -> set[str]:
        """Return what a text without the secret does not have, in letters and digits; none for a short secret."""
        forms, _ = _decodings(self._value)
        pieces = {piece for form in forms if len(form) >= _SHORTEST for piece in _runs(form, _RUN)}
        return pieces | set(self._in_bytes()) if pieces else pieces

    def _in_bytes(self) -> Iterator[str]:
        """Return pieces of the secret as byte dumps show it: in hexadecimal and decimal numbers, and in base64."""
        value = self._value.encode(errors="surrogatepass")
        for run in _runs(value, _RUN):
            yield run.hex()
            yield "".join(map(str, run))
        for spelling in {value, quote(self._value, safe="").encode(), quote_plus(self._value).encode()}:
            for before in range(3):
                # Characters that depend on the bytes before and after the secret are not the secret's.
                encoded = base64.b64encode(bytes(before) + spelling).rstrip(b"=")
                inside = encoded[(8 * before + 5) // 6 : 8 * (before + len(spelling)) // 6]
                yield from _runs(_alphanumeric(inside.decode()), _RUN)

    def _is_in(self, text: str) -> bool:
        pieces = self._pieces()
        if not pieces:
            return False
        forms, is_plain = _decodings(text)
        return not is_plain or any(piece in form for piece in pieces for form in forms)


def scrub(error: SipQueueError, secrets: Iterable[Secret]) -> None:
    """Remove secrets from an error's texts, because the server may have quoted the request."""
    for secret in secrets:
        error.args = tuple(secret.scrub(arg) if isinstance(arg, str) else arg for arg in error.args)
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, secret.scrub(value))


def forget_frames(error: BaseException, callers: BaseException | None) -> None:
    """Remove the tracebacks of an error and of its causes, since local variables in them may quote the request.

    Args:
        error: The error.
        callers: The error that the caller was handling, if any; it keeps its traceback.
    """
    seen = {callers}
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.add(link)
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _decodings(text: str) -> tuple[set[str], bool]:
    """Return the letters and digits of a text, before and after each step of decoding it as HTML, URL and JSON.

    Each step is there with and without what looks like a tag, since tags may break up a secret or contain one.

    Also return whether the decoding reached plain text.
    """
    forms = {_alphanumeric(text)}
    for _ in range(_ENCODED_AT_MOST):
        before = text
        for decode in (html.unescape, unquote, _unescape):
            text = decode(text)
            forms.add(_alphanumeric(text))
            forms.add(_alphanumeric(_TAG.sub("", text)))
        if text == before:
            return forms, True
    return forms, False


def _alphanumeric(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", text).lower())


def _unescape(text: str) -> str:
    def character(escape: re.Match[str]) -> str:
        if escape["other"] is not None:
            return escape["other"]
        if escape["octal"] is not None:
            return chr(int(escape["octal"], 8))
        return chr(int(next(filter(None, escape.groups())), 16))

    return _ESCAPE.sub(character, text)


_Text = TypeVar("_Text", str, bytes)


def _runs(text: _Text, length: int) -> Iterator[_Text]:
    """Return every piece of a text of this length, or the whole of a shorter text."""
    for start in range(max(1, len(text) - length + 1)):
        yield text[start : start + length]
