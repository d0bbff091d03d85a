"""Secrets are never shown, neither directly nor in a server's quotation."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipqueue_async import ApiError, MalformedResponse
from sipqueue_async._secrets import Secret, scrub

HIDDEN = "s3cr/et+key=&x"
KEY = "q7/R+x2'Zk&91=mNv0=="


def test_a_secret_shows_itself_only_when_asked() -> None:
    """No repr, str, formatting or container's repr shows a secret."""
    secret = Secret(HIDDEN)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr({"token": secret}), "%s" % secret):  # noqa: UP031
        assert HIDDEN not in shown
        assert "***" in shown
    assert secret.reveal() == HIDDEN
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    "quoted", [HIDDEN, "s3cr%2Fet%2Bkey%3D%26x", "s3cr/et%2Bkey%3D%26x", r"s3cr\/et+key=&x", "s3cr/et+key=&amp;x"]
)
def test_a_quoted_secret_is_scrubbed(quoted: str) -> None:
    """A secret is redacted when a server quotes the request or its body, plain or in JSON or HTML."""
    secret = Secret(HIDDEN)
    assert secret.scrub(f"<{quoted}> and <{quoted}>") == "<***> and <***>"
    assert secret.scrub_bytes(f"<{quoted}>".encode()) == b"<***>"
    assert secret.scrub("nothing of it") == "nothing of it"


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("", ValueError, "the token is empty"),
        (" \t", ValueError, "the token is empty"),
        ("a\nb", ValueError, "not printable ASCII"),
        ("schlüssel-hidden", ValueError, "not printable ASCII"),
        (b"hidden", TypeError, "the token must be a string"),
        (None, TypeError, "the token must be a string"),
        (4711, TypeError, "the token must be a string"),
    ],
)
def test_an_impossible_secret_is_refused_without_being_shown(value: Any, kind: type[Exception], words: str) -> None:
    """A value that cannot be a token is refused at once, and the error does not show it."""
    with pytest.raises(kind, match=words) as refusal:
        Secret(value).check("the token")
    assert "hidden" not in str(refusal.value)


# ---- quoted in any encoding ------------------------------------------------------------------------------------------


def _escaped(template: str) -> Callable[[str], str]:
    """Return an encoder that applies a template to all characters except letters and digits."""
    return lambda text: re.sub(r"[^0-9A-Za-z]", lambda found: template.format(ord(found[0])), text)


def _unescaped(pattern: str) -> Callable[[str], str]:
    """Return the inverse of such an encoder; the pattern has one group, of decimal or hexadecimal digits."""
    base = 10 if "[0-9]" in pattern else 16
    return lambda text: re.sub(pattern, lambda found: chr(int(found[1], base)), text)


def _lower_case(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe=""))


ENCODINGS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "a form": (quote_plus, unquote_plus),
    "a form, in lower case": (_lower_case, unquote_plus),
    "encodeURIComponent": (lambda text: quote(text, safe="-_.!~*'()"), unquote_plus),
    "HTML": (html.escape, html.unescape),
    "PHP's HTML": (lambda text: html.escape(text).replace("&#x27;", "&#039;"), html.unescape),
    "HTML in numbers": (_escaped("&#{0};"), _unescaped("&#([0-9]+);")),
    "HTML in hexadecimal numbers": (_escaped("&#x{0:X};"), _unescaped("&#x([0-9A-F]+);")),
    "JSON": (lambda text: json.dumps(text)[1:-1], lambda text: re.sub(r"\\(.)", r"\1", text)),
    "PHP's JSON": (lambda text: json.dumps(text)[1:-1].replace("/", "\\/"), lambda text: re.sub(r"\\(.)", r"\1", text)),
    "JSON in numbers": (_escaped("\\u{0:04x}"), _unescaped(r"\\u([0-9a-f]{4})")),
    "JavaScript": (_escaped("\\x{0:02X}"), _unescaped(r"\\x([0-9A-F]{2})")),
    "octal escapes": (
        _escaped("\\{0:03o}"),
        lambda text: re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text),
    ),
    "addslashes": (lambda text: re.sub(r"(['\"\\])", r"\\\1", text), lambda text: re.sub(r"\\(.)", r"\1", text)),
}
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=40).filter(
    lambda text: len(re.sub("[^0-9A-Za-z]", "", text)) >= 10
)


def _longest_run(secret: str, text: str) -> int:
    """Return the length of the longest run of a secret's letters and digits in a text."""
    secret, text = (re.sub("[^0-9A-Za-z]", "", it) for it in (secret, text))
    runs = (
        end - start
        for start in range(len(secret))
        for end in range(start + 1, len(secret) + 1)
        if secret[start:end] in text
    )
    return max(runs, default=0)


@given(
    secret=SECRETS,
    chain=st.lists(st.sampled_from(list(ENCODINGS)), max_size=4),
    before=st.text(max_size=10),
    after=st.text(max_size=10),
    cut=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
@example(secret=KEY, chain=["PHP's HTML"], before="", after="", cut=(0, 0))
@example(secret=KEY, chain=["a form, in lower case"], before="", after="", cut=(0, 0))
@example(secret=KEY, chain=["encodeURIComponent"], before="", after="", cut=(0, 0))
@example(secret=KEY, chain=["addslashes"], before="", after="", cut=(0, 0))
@example(secret=KEY, chain=["octal escapes"], before="", after="", cut=(0, 0))
@example(secret=KEY, chain=[], before="token=", after="", cut=(0, 3))
def test_no_piece_of_a_secret_is_quoted(
    secret: str, chain: list[str], before: str, after: str, cut: tuple[int, int]
) -> None:
    """However often a server encodes a quotation, and wherever it cuts it, no eight consecutive characters show."""
    quoted = secret
    for name in chain:
        quoted = ENCODINGS[name][0](quoted)
    quoted = quoted[cut[0] : len(quoted) - cut[1]]
    shown = Secret(secret).scrub(before + quoted + after)
    plain = shown
    for name in reversed(chain):
        assert _longest_run(secret, plain) < 8
        plain = ENCODINGS[name][1](plain)
    assert _longest_run(secret, plain) < 8


def _each(template: str) -> Callable[[str], str]:
    """Return an encoder that applies a template to every character."""
    return lambda text: "".join(template.format(character, ord(character)) for character in text)


DUMPS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, one byte after": lambda text: base64.b64encode(b"t" + text.encode() + b"&x").decode(),
    "base64, two bytes after": lambda text: base64.b64encode(b"to" + text.encode() + b"&x").decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of a form": lambda text: base64.b64encode(f"accesskey={quote_plus(text)}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "a hexadecimal dump": lambda text: text.encode().hex(" ").upper(),
    "C's numbers": _each("0x{1:02x}, "),
    "a list of bytes": lambda text: str(list(text.encode())),
    "quoted-printable": _each("={1:02X}"),
    "CSS": _each("\\{1:x} "),
    "JavaScript in braces": _each("\\u{{{1:x}}}"),
    "Python's long escapes": _each("\\U{1:08x}"),
    "JavaScript's escape": _each("%u{1:04x}"),
    "a tag for each character": _each("<b>{0}</b>"),
    "escaped tags": _each("&lt;wbr&gt;{0}"),
    "an attribute": lambda text: f"<a href='?{quote(quote(text))}'>",
    "wide letters": lambda text: "".join(chr(ord(character) + 0xFEE0) for character in text),
    "invisible characters": _each("&ZeroWidthSpace;{0}\u00ad"),
    "two lines": lambda text: f"{text[:9]}\r\n    {text[9:]}",
    "another case": str.swapcase,
}


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("secret", [KEY, "Zt8mQw3LkP0sVx7Yb5NdHr2J", "s3cret"])
def test_a_secret_is_recognized_in_dumps_and_between_tags(secret: str, dump: str) -> None:
    quoted = DUMPS[dump](secret)
    shown = Secret(secret).scrub(f"in <p>{quoted}</p> of it")
    # Some spell this secret as it is.
    assert shown == "(not shown: it quotes a secret)" or ("***" in shown and quoted not in shown)


@pytest.mark.parametrize(
    "plain", [_each("0x{1:02x} "), lambda text: base64.b64encode(text.encode()).decode(), _each("<b>{0}</b>")]
)
def test_other_dumps_are_shown(plain: Callable[[str], str]) -> None:
    """Only dumps of the secret are redacted."""
    text = plain("The quick brown fox jumps over the lazy dog")
    assert Secret(KEY).scrub(text) == text


def test_a_text_encoded_many_times_is_not_shown() -> None:
    """A text that is still encoded after many decoding steps is redacted as if it quoted the secret."""
    assert Secret(KEY).scrub("%" + "25" * 50 + "41") == "(not shown: it quotes a secret)"


@pytest.mark.parametrize("short", ["e", "600", "token", "===&&&===="])
def test_a_short_secret_mangles_no_text(short: str) -> None:
    """A secret as short as a word is not redacted."""
    text = f"the error of token {short}: there were 600"
    assert Secret(short).scrub(text) == text
    assert Secret(short).scrub_bytes(text.encode()) == text.encode()


def test_all_texts_of_an_error_are_scrubbed() -> None:
    """Every secret is redacted from every text of an error; other values stay."""
    error = ApiError(500, f"no {KEY} or {quote(HIDDEN)}")
    scrub(error, [Secret(KEY), Secret(HIDDEN)])
    assert (error.ret, error.msg, error.args) == (500, "no *** or ***", (500, "no *** or ***"))
    malformed = MalformedResponse("odd", _lower_case(KEY))
    scrub(malformed, [Secret(KEY)])
    assert (malformed.reason, malformed.excerpt) == ("odd", "(not shown: it quotes a secret)")
