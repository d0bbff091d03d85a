"""Signatures, compared with an independent implementation of Standard Webhooks."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier

from sipqueue_async.cli.forwarding.signature import Signer
from tests.kit.forwarding import SECRET

KEYS = st.binary(min_size=24, max_size=64)


@given(KEYS, KEYS, st.text(max_size=20), st.integers(0, 2**31))
def test_every_signature_is_the_one_of_the_independent_implementation(
    first: bytes, second: bytes, body: str, at: int
) -> None:
    secrets = [f"whsec_{base64.b64encode(key).decode()}" for key in (first, second)]
    headers = Signer(f"{secrets[0]}\n{secrets[1].rstrip('=')}\n").headers("msg_1", at, body.encode())
    moment = datetime.fromtimestamp(at, UTC)
    expected = [Verifier(secret).sign("msg_1", moment, body) for secret in secrets]
    assert headers == {
        "webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": " ".join(expected),
    }  # fmt: skip


@pytest.mark.parametrize(
    "secrets",
    [
        "",
        " \n",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_!",
        f"{SECRET} x",
        "whsec_" + "A" * 88,
    ],
)
def test_an_invalid_secret_is_refused_and_not_quoted(secrets: str) -> None:
    with pytest.raises(ValueError, match=r"write whsec_ and the base64 of 24 to 64 random bytes|empty") as caught:
        Signer(secrets)
    assert "MfKQ" not in str(caught.value)


def test_a_fingerprint_depends_on_the_text_and_on_all_secrets_in_any_order() -> None:
    second = "whsec_" + "A" * 32
    other = Signer(second)
    both = [Signer(f"{SECRET} {second}").fingerprint("a"), Signer(f"{second} {SECRET}").fingerprint("a")]
    assert both[0] == both[1] not in {Signer(SECRET).fingerprint("a"), other.fingerprint("a")}
    assert len({Signer(SECRET).fingerprint("a"), Signer(SECRET).fingerprint("b"), other.fingerprint("a")}) == 3
    assert repr(Signer(SECRET)) == "<Signer>"
