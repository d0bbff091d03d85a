"""Where records lie in an answer, and which of them differ in the next one."""

from __future__ import annotations

import json

import pytest

from sipqueue_async._wire.layout import Frame, Layout

SEPARATORS = pytest.mark.parametrize("between", [b",", b", ", b" ,\n    "])


def objects(*values: object) -> list[bytes]:
    """Return JSON objects, one for each value."""
    return [json.dumps({"value": value}).encode() for value in values]


def answer(records: list[bytes], between: bytes = b",", *, clock: int = 1) -> bytes:
    """Return an answer with these records."""
    return b'{"result":[' + between.join(records) + f'],"clock":{clock}}}'.encode()


def layout_of(records: list[bytes], between: bytes = b",") -> Layout:
    """Return the layout that an answer with these records has."""
    return Layout.of(Frame.of(answer(records, between), records), records)


def followed(layout: Layout, body: bytes) -> tuple[dict[int, bytes], list[bytes], bytes, bytes] | None:
    """Return which records have changed, all the records, and the two ends of an answer, if it could be followed."""
    found = layout.follow(body, lambda place, record: True)
    return None if found is None else (found.changed, list(found.layout.records()), found.head, found.tail)


@SEPARATORS
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 32, 33])
def test_changed_records_are_found_in_their_places(size: int, between: bytes) -> None:
    """A changed record is overlooked, or taken for another one's, at the edge of a page for instance."""
    before = objects(*range(size))
    for place in range(size):
        now = [*before[:place], *objects("long" * place), *before[place + 1 :]]
        found = followed(layout_of(before, between), answer(now, between, clock=2))
        assert found == ({place: now[place]}, now, b'{"result":[', b'],"clock":2}')


@SEPARATORS
def test_all_records_may_differ(between: bytes) -> None:
    """Only so many changes are found."""
    now = objects(*(f"{number}!" for number in range(40)))
    found = followed(layout_of(objects(*range(40)), between), answer(now, between))
    assert found is not None
    assert list(found[0].values()) == found[1] == now


def test_an_answer_without_a_change_has_the_same_layout() -> None:
    """An answer that repeats the last one costs memory."""
    layout = layout_of(objects(*range(20)))
    found = layout.follow(answer(objects(*range(20)), clock=2), lambda place, record: False)
    assert found is not None
    assert (found.layout, found.changed) == (layout, {})


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
    """A list that is longer or shorter, or no list of objects, passes for one with a few changes."""
    assert followed(layout_of(objects(*range(20))), answer(now)) is None


def test_another_head_is_not_followed() -> None:
    """An answer that begins otherwise, such as a refusal, passes for the same."""
    records = objects(*range(3))
    assert followed(layout_of(records), b" " + answer(records)) is None


def test_another_order_is_noticed_at_once() -> None:
    """An answer whose order is another one is gone through to its end for nothing."""
    records = objects(*range(40))
    asked: list[tuple[int, bytes]] = []

    def refuse(place: int, record: bytes) -> bool:
        asked.append((place, record))
        return False

    assert layout_of(records).follow(answer([records[0], *records[:0:-1]]), refuse) is None
    assert asked == [(1, records[-1])]


@pytest.mark.parametrize(
    ("text", "found"),
    [(b'{"a":1},{"b":2}', b'{"a":1}'), (b'{"a":"}"}', b'{"a":"}'), (b"[1,2]", b""), (b"", b"")],
)
def test_the_first_object(text: bytes, found: bytes) -> None:
    """What is only looked at as text is taken to be more than that: an object that holds a brace is cut off."""
    frame = Frame(b"[", b",", b"]")
    assert frame.first_object(b"[" + text) == found
    assert frame.first_object(b" [" + text) == b""
