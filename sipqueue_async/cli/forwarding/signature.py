"""Signs messages as the specification Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # no secret
"""What every secret begins with."""
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret; the specification gives these limits."""


class Signer:
    """Signs with one secret, or with several while receivers change from an old one to a new one.

    Args:
        secrets: The secrets, each ``whsec_`` and base64, separated by whitespace.

    Raises:
        ValueError: A secret is invalid; the message does not quote it.
    """

    __slots__ = ("_keys",)

    def __init__(self, secrets: str) -> None:
        self._keys = tuple(map(_key, secrets.split()))
        if not self._keys:
            raise ValueError("it is empty")

    def headers(self, identity: str, at: int, body: bytes) -> dict[str, str]:
        """Return the headers of a message.

        Args:
            identity: The message's id, the same for every attempt.
            at: The time of the attempt, in seconds since 1970.
            body: The exact bytes that are sent.
        """
        signed = f"{identity}.{at}.".encode() + body
        signatures = [base64.b64encode(_hmac(key, signed)).decode() for key in self._keys]
        return {
            "webhook-id": identity,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(f"v1,{it}" for it in signatures),
        }

    def fingerprint(self, text: str) -> str:
        """Return a digest of a text that does not reveal it: without the secret it cannot be guessed."""
        # All keys count, in any order: a destination whose secrets change is another one.
        return _hmac(b"".join(sorted(self._keys)), b"fingerprint:" + text.encode()).hex()

    def __repr__(self) -> str:
        return "<Signer>"


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if encoded == secret or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"write {SECRET_PREFIX} and the base64 of {_SHORTEST} to {_LONGEST} random bytes")
    return key


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
