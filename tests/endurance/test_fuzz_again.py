"""Successive answers with random changes: a warm decoder reads the same as one without memory.

`FUZZ_STEPS` sets the number of answers: 200000 for the full size, fewer in the gate.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sipqueue_async import Snapshot
from sipqueue_async._wire import SnapshotDecoder
from tests.kit.builders import RECORD
from tests.kit.decoding import FullDecoder, essence, outcome

pytestmark = pytest.mark.one_python

STEPS = int(os.environ.get("FUZZ_STEPS", "1500"))
SIZES = [0, 1, 2, 2, 3, 15, 16, 17, 33, 40]
# fmt: off
NAMES = [
    None, "", "王芳", "Agent 7", '"', "\\", "\\\\", "}", "},{", '"},{"', "}]", '}],"result":[', '"result":[1]', "{",
    "]}", "\ufdd0", "\ud800", "\u2028", "\x00", "a" * 300, 7, 1.5, True, [], {}, [{"a": 1}, {"b": 2}], {"result": [1]},
]
VALUES: list[Any] = [0, 1, "1", "", None, -1, "x", 2**63, 2**70, 1.5, [], {}, "0000-00-00 00:00:00", "2026-13-01"]
JUNK = [
    b"", b"\xff", b"\xc4\xe3", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b" ", b"1", b"},{", b"}]", b"\xef\xbb\xbf",
]
# fmt: on
TWICE = [
    (b'"state"', b'"state":1,"state"'),
    (b'"state"', b'"x":[{"a":1},{"b":2}],"state"'),
    (b'"rsptime"', b'"result":[],"rsptime"'),
    (b'"rsptime"', b'"result":[1],"rsptime"'),
    (b'"status"', b'"result":[1],"status"'),
    (b'"ret"', b'"ret":500,"ret"'),
    (b'"msg"', b'"data":{},"msg"'),
    (b'"msg"', b'"data":{"result":[1]},"msg"'),
    (b"},{", b"},{},{"),
]


class Platform:
    """Sends successive answers, each a little different from the previous one."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.records = [self.record(number) for number in range(40)]
        self.separators = (",", ":")
        self.is_ascii = True
        self.notice = b""
        self.ends: dict[str, Any] = {}
        self.clock = 1581488746
        self._events: list[tuple[int, Callable[[], object]]] = [
            (50, self.change),
            (20, self.change_all),
            (5, self.join),
            (5, self.leave),
            (3, self.reorder),
            (2, self.send_twice),
            (2, self.be_another_size),
            (1, self.be_written_otherwise),
        ]

    def record(self, number: int) -> dict[str, Any]:
        """Return a random agent's record."""
        return {**RECORD, "queuename": f"queue-{number % 3}", "extnumber": str(100000 + number)}

    def step(self) -> None:
        """Apply a random change: mostly a common one, to a few agents."""
        weights, events = zip(*self._events, strict=True)
        self.chance.choices(events, weights)[0]()
        self.clock += self.chance.choice([0, 1, 1, 10**9])

    def change(self) -> None:
        """Change some records, a few of them to values that no platform should send."""
        for _ in range(self.chance.choice([0, 1, 1, 2, 2, 5, 40]) if self.records else 0):
            record = self.chance.choice(self.records)
            odd = self.chance.random()
            if odd < 0.85:
                record["state"] = self.chance.choice([1213, 1214, 1215, "1201", 4711])
                record["callsanswered"] = self.chance.choice([7, 9, 10, 99, 100, 100, 100, None])
            elif odd < 0.95:
                record["seatsname"] = self.chance.choice(NAMES)
            else:
                record[self.chance.choice(list(RECORD))] = self.chance.choice(VALUES)

    def change_all(self) -> None:
        """Change all records to valid values, with other lengths; names may stay invalid."""
        for number, record in enumerate(self.records):
            name = record["seatsname"] if self.chance.random() < 0.5 else "王芳"
            record.update({**self.record(number), "seatsname": name})
            record["state"] = self.chance.choice([1213, 1214, 1215])
            record["callsanswered"] = self.chance.choice([7, 9, 10, 99, 100])
            record["externalcallscount"] = self.clock

    def join(self) -> None:
        """Let an agent sign in at any position of the list; the agent may already be in it."""
        self.records.insert(self.chance.randint(0, len(self.records)), self.record(self.chance.randrange(60)))

    def leave(self) -> None:
        """Let an agent sign out."""
        if self.records:
            self.records.pop(self.chance.randrange(len(self.records)))

    def reorder(self) -> None:
        """Shuffle the records."""
        self.chance.choice([self.chance.shuffle, list.reverse])(self.records)

    def send_twice(self) -> None:
        """Send a record twice. The copies may later differ, or have equal values in another notation."""
        if self.records:
            at = self.chance.choice([0, self.chance.randrange(len(self.records))])
            copy = dict(self.records[at])
            if self.chance.random() < 0.3:
                copy["lastanswertime"] = self.chance.choice(["x", None, "0000-00-00 00:00:00"])
            self.records.insert(self.chance.choice([at, at + 1, len(self.records)]), copy)

    def be_another_size(self) -> None:
        """Make all records valid again, with another number of agents."""
        self.records = [self.record(number) for number in range(self.chance.choice(SIZES))]

    def be_written_otherwise(self) -> None:
        """Change the layout of the same data, as an update of the platform might."""
        self.separators = self.chance.choice([(",", ":"), (", ", ": "), (" , ", ":")])
        self.is_ascii = self.chance.random() < 0.5
        self.notice = self.chance.choice([b"", b"", b"\xef\xbb\xbf", b"<br />\n<b>Notice</b>: {\n"])
        self.ends = self.chance.choice(
            [{}, {"desc": "王"}, {"result": [1]}, {"ret": 500}, {"rsptime": "x"}, {"tail": "x" * 700}]
        )

    def body(self) -> bytes:
        """Return an answer, sometimes a damaged one."""
        data: dict[str, Any] = {"status": 0, "result": self.records, "rsptime": self.clock}
        document = {"ret": 200, "data": {**data, **self.ends}, "msg": "\u6210\u529f"}
        text = json.dumps(document, ensure_ascii=self.is_ascii, separators=self.separators)
        whole = self.notice + text.encode(errors="surrogatepass")
        return self.damaged(whole) if self.chance.random() < 0.1 else whole

    def damaged(self, body: bytes) -> bytes:
        """Return a damaged body. Some are still JSON, with a repeated name in an object."""
        at = self.chance.randrange(len(body) + 1)
        kind = self.chance.random()
        if kind < 0.2:
            return body[:at]
        if kind < 0.5:
            return body.replace(*self.chance.choice(TWICE), 1)
        return body[:at] + self.chance.choice(JUNK) + body[at + self.chance.choice([0, 1, 5]) :]


@pytest.mark.timeout(3600)
def test_incremental_and_full_decoding_agree() -> None:
    """A warm decoder reads the same as a cold one, except for blank counters."""
    chance = random.Random(20261122)
    platform = Platform(chance)
    warm, full = SnapshotDecoder(), FullDecoder()
    ways: Counter[str] = Counter()
    for _ in range(STEPS):
        platform.step()
        body = platform.body()
        encoding = "gb18030" if chance.random() < 0.03 else "utf-8"
        found = outcome(warm, body, encoding)
        assert essence(found) == essence(full.outcome(body, encoding)), body
        is_read = isinstance(found, Snapshot)
        layout = warm._last._layout
        ways["refused" if not is_read else "full" if layout is None else "incremental"] += 1
        ways["in runs"] += bool(is_read and layout and not all(page.ends for page in layout._pages))
    assert min(ways[way] for way in ("refused", "full", "incremental")) > STEPS / 20, ways
    assert ways["in runs"] > STEPS / 50, ways
