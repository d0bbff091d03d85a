"""Randomly mutated bodies: the decoder raises only the library's own errors.

`FUZZ_BODIES` sets their number: 200000 for the full size, fewer in the gate.
"""

from __future__ import annotations

import contextlib
import json
import os
import random

import pytest

from sipqueue_async import SipQueueError, Snapshot
from sipqueue_async._wire import SnapshotDecoder, decode_data
from tests.kit.builders import body, error_body, failure_body, record
from tests.kit.decoding import FullDecoder, essence, outcome

pytestmark = pytest.mark.one_python

BODIES = int(os.environ.get("FUZZ_BODIES", "1500"))
# fmt: off
JUNK = [
    b"", b"\x00", b"\xff", b"\xc4\xe3", b"\xef\xbb\xbf", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"-",
    b"1e999", b"NaN",
]
VALUES: list[object] = [
    None, "", 0, -1, 2**63, 2**70, 1.5, True, [], {}, "x", "0", "-7", "1213", "0000-00-00 00:00:00", "\ufdd0", "北",
    "9" * 500,
]
# fmt: on


def seeds() -> list[bytes]:
    """Return the answers to mutate."""
    several = [record(extnumber=str(number), queuename=f"queue-{number % 2}") for number in range(3)]
    return [
        body(*several),
        body(),
        error_body(600, "token invalid"),
        failure_body(1003),
        json.dumps(
            {"ret": 200, "data": {"status": 0, "result": {"1": several[0], "3": several[1]}}, "msg": ""}
        ).encode(),
        b"<br />\n<b>Notice</b>: {\n" + body(several[0]),
        body(record(seatsname="王芳"), ensure=1),
    ]


def mutated(original: bytes, chance: random.Random) -> bytes:
    """Return a body with a few random mutations."""
    if chance.random() < 0.3:
        return with_odd_value(original, chance)
    changed = bytearray(original)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice([0, 1, 1, 5, 40]))
        changed[at:end] = chance.choice([chance.choice(JUNK), bytes([chance.randrange(256)]), bytes(changed[:30])])
    return bytes(changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.1 else changed)


def with_odd_value(original: bytes, chance: random.Random) -> bytes:
    """Return a valid JSON body with one invalid value."""
    at = original.find(b'{"ret"')
    document = json.loads(original[at:])
    place = document
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.2:
            break
        place = inner
    place[key] = chance.choice(VALUES)
    return original[:at] + json.dumps(document).encode()


@pytest.mark.timeout(3600)
def test_only_the_librarys_errors_come_out() -> None:
    """A broken answer is decoded or raises one of the library's errors; a warm and a cold decoder agree."""
    chance = random.Random(20260105)
    originals = seeds()
    incremental, full = SnapshotDecoder(), FullDecoder()
    taken = 0
    for _ in range(BODIES):
        damaged = mutated(chance.choice(originals), chance)
        encoding = chance.choice(["utf-8", "utf-8", "gb18030"])
        read = outcome(incremental, damaged, encoding)
        assert essence(read) == essence(full.outcome(damaged, encoding)), damaged
        taken += isinstance(read, Snapshot)
        with contextlib.suppress(SipQueueError):
            decode_data(damaged, encoding)
    assert BODIES / 20 < taken < BODIES * 19 / 20, "the mutations are too weak or too strong"
