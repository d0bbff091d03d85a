"""`Layout` finds the records that differ between an answer and the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from sipqueue_async._wire.incremental.layout import Frame, Layout

SEPARATORS = pytest.mark.parametrize("between", [b",", b", ", b" ,\n    "])


def objects(*values: object) -> list[bytes]:
    """Return one JSON object for each value."""
    return [json.dumps({"value": value}).encode() for value in values]


def answer(records: list[bytes], between: bytes = b",", *, clock: int = 1) -> bytes:
    """Return an answer with these records."""
    return b'{"result":[' + between.join(records) + f'],"clock":{clock}}}'.encode()


def layout_of(records: list[bytes], between: bytes = b",") -> Layout:
    """Return the layout of an answer with these records."""
    return Layout.of(Frame.of(answer(records, between), records), records)


class Noting:
    """A reader that keeps the records it receives, and reports `of_a_run` changes in each run."""

    def __init__(self, *, knows: bool = True, of_a_run: int | None = None) -> None:
        self.knows = knows
        self.of_a_run = of_a_run
        self.asked: list[dict[int, bytes]] = []
        self.runs: list[tuple[int, int, bytes]] = []

    def read_some(self, changed: Mapping[int, bytes]) -> bool:
        self.asked.append(dict(changed))
        return self.knows

    def read_run(self, first: int, size: int, records: bytes) -> int | None:
        self.runs.append((first, size, records))
        return self.of_a_run

    @property
    def changed(self) -> dict[int, bytes]:
        """The changed records that the layout passed on individually, by place."""
        return {place: record for some in self.asked for place, record in some.items()}


def followed(layout: Layout, body: bytes) -> tuple[dict[int, bytes], list[bytes], bytes, bytes] | None:
    """Return a body's changed records, all records, the head and the tail; None if the layout gave up."""
    noting = Noting()
    found = layout.follow(body, noting)
    return None if found is None else (noting.changed, found.layout.records(), found.head, found.tail)


@SEPARATORS
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 32, 33])
def test_changed_records_are_found_in_their_places(size: int, between: bytes) -> None:
    """Every changed record is found under its number, even at the edge of a page."""
    before = objects(*range(size))
    for place in range(size):
        now = [*before[:place], *objects("long" * place), *before[place + 1 :]]
        found = followed(layout_of(before, between), answer(now, between, clock=2))
        assert found == ({place: now[place]}, now, b'{"result":[', b'],"clock":2}')


@SEPARATORS
def test_all_records_may_differ(between: bytes) -> None:
    """Every record of a body may have changed."""
    now = objects(*(f"{number}!" for number in range(40)))
    found = followed(layout_of(objects(*range(40)), between), answer(now, between))
    assert found is not None
    assert list(found[0].values()) == found[1] == now


def test_an_answer_without_a_change_has_the_same_layout() -> None:
    """A body that repeats the last one keeps the layout."""
    layout = layout_of(objects(*range(20)))
    noting = Noting()
    found = layout.follow(answer(objects(*range(20)), clock=2), noting)
    assert found is not None
    assert (found.layout, noting.changed, noting.runs) == (layout, {}, [])


@pytest.mark.parametrize(
    "now",
    [
        objects(*range(19)),
        objects(*range(21)),
        objects(*range(16)),
        [],
        [*objects(*range(19)), b'{"value":'],
        [*objects(*range(19)), b"19"],
        [b"{}", *objects(*range(1, 19)), b'{"value": 19} '],
    ],
    ids=["one less", "one more", "a page less", "none", "cut off", "no object", "a blank behind"],
)
def test_another_kind_of_answer_is_not_followed(now: list[bytes]) -> None:
    """Longer and shorter lists, and lists of anything but objects, are left to full decoding."""
    assert followed(layout_of(objects(*range(20))), answer(now)) is None


def test_another_head_is_not_followed() -> None:
    """An answer whose head changed, such as a refusal, is decoded as a whole."""
    records = objects(*range(3))
    assert followed(layout_of(records), b" " + answer(records)) is None


def test_another_order_is_noticed_at_once() -> None:
    """The layout gives up a body in another order after the first page that differs."""
    records = objects(*range(40))
    noting = Noting(knows=False)
    backwards = [records[0], *records[:0:-1]]
    assert layout_of(records).follow(answer(backwards), noting) is None
    assert noting.asked == [dict(enumerate(backwards[1:16], 1))]


@SEPARATORS
def test_after_a_page_with_many_changes_records_are_given_in_runs(between: bytes) -> None:
    """After a page in which most records changed, the reader gets the next ones as a whole run."""
    before, now = objects(*range(10, 50)), objects(*range(50, 90))
    noting = Noting(of_a_run=16)
    found = layout_of(before, between).follow(answer(now, between), noting)
    assert found is not None
    assert noting.changed == dict(enumerate(now[:16]))
    assert noting.runs == [(16, 16, between.join(now[16:32])), (32, 8, between.join(now[32:]))]
    assert found.layout.records() == now
    assert followed(found.layout, answer(before, between)) == (dict(enumerate(before)), before, found.head, found.tail)


def test_records_of_a_refused_run_are_given_one_by_one() -> None:
    """If the reader refuses a run, it gets the run's records one by one."""
    before, now = objects(*range(10, 50)), objects(*range(50, 90))
    noting = Noting()
    assert layout_of(before).follow(answer(now), noting) is not None
    assert (len(noting.runs), noting.changed) == (2, dict(enumerate(now)))


@SEPARATORS
@pytest.mark.parametrize("longer", [*range(16, 40)])
def test_a_run_may_be_longer_or_shorter(longer: int, between: bytes) -> None:
    """The end of a run follows from its records, whatever their lengths."""
    before, now = objects(*range(10, 50)), objects(*range(50, 90))
    now[longer], now[39] = b'{"value": 1000}', b"{}"
    noting = Noting(of_a_run=16)
    found = layout_of(before, between).follow(answer(now, between), noting)
    assert found is not None
    assert noting.runs == [(16, 16, between.join(now[16:32])), (32, 8, between.join(now[32:]))]
    assert found.layout.records() == now


def test_a_body_that_ends_within_a_run_is_not_followed() -> None:
    before, now = objects(*range(10, 50)), objects(*range(50, 90))
    for size in range(17, 40):
        assert followed(layout_of(before), answer(now[:size])) is None
        assert followed(layout_of(before), answer(now)[: -15 * size]) is None


def test_after_a_run_with_few_changes_records_are_compared_one_by_one() -> None:
    """After a run with few changes, the next page is compared record by record again."""
    now = objects(*range(50, 66), *range(26, 41), 99, *range(42, 49), 99)
    noting = Noting(of_a_run=1)
    assert layout_of(objects(*range(10, 50))).follow(answer(now), noting) is not None
    assert [first for first, _, _ in noting.runs] == [16]
    assert noting.changed == {**dict(enumerate(now[:16])), 39: now[39]}


def test_a_run_with_blanks_in_other_places_is_not_followed_again() -> None:
    """A run whose records have blanks in other places is left to full decoding the next time."""
    before, now = objects(*range(10, 50)), objects(*range(50, 90))
    text = answer(now).replace(b'{"value": 69},{"value": 70}', b'{"value":69} ,{"value": 70}')
    found = layout_of(before).follow(text, Noting(of_a_run=16))
    assert found is not None
    assert found.layout.records() == []
    assert followed(found.layout, answer(before)) is None
    assert followed(found.layout, text) == ({}, [], found.head, found.tail)


@pytest.mark.parametrize(
    ("text", "found"), [(b'{"a":1},{"b":2}', b'{"a":1}'), (b'{"a":"}"}', b'{"a":"}'), (b"[1,2]", b""), (b"", b"")]
)
def test_the_first_object(text: bytes, found: bytes) -> None:
    """The first object ends at its first brace, which is only a guess."""
    frame = Frame(b"[", b",", b"]")
    assert frame.first_object(b"[" + text) == found
    assert frame.first_object(b" [" + text) == b""
