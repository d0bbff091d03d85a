"""Paging through call records while the list changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import CallDirection, CallMethod, CallRecord, MalformedResponse
from sipqueue_async._wire import CallPage, CallPaging

STARTED = datetime.fromisoformat("2026-01-05 09:00:00")


def records(names: Iterable[object]) -> tuple[CallRecord, ...]:
    """Return records with these numbers."""
    return tuple(
        CallRecord(id=str(name), direction=CallDirection.IN, method=CallMethod.GROUP, started_at=STARTED)
        for name in names
    )


@attrs.define
class Server:
    """A list of records that is served page by page."""

    names: list[int]
    size: int = 3
    says_total: bool = True
    repeats_last: bool = False
    """Whether requests beyond the last page get the last page again."""

    def page(self, number: int) -> CallPage:
        """Return a page."""
        if self.repeats_last:
            number = min(number, max(1, -(-len(self.names) // self.size)))
        shown = self.names[(number - 1) * self.size : number * self.size]
        return CallPage(records(shown), len(self.names) if self.says_total else None)


def walk(server: Server, arrivals: Iterable[tuple[int, ...]] = ()) -> tuple[list[int], int]:
    """Read every page while records arrive between the requests; return the records and the number of requests."""
    paging, found, requests = CallPaging(server.size), list[int](), 0
    waiting = iter(arrivals)
    while paging.page is not None:
        found += [int(record.id) for record in paging.take(server.page(paging.page))]
        requests += 1
        for place in next(waiting, ()):
            server.names.insert(place % (len(server.names) + 1), max(server.names, default=0) + 1)
    return found, requests


@pytest.mark.parametrize(
    ("count", "says_total", "requests"),
    [(0, True, 1), (2, True, 1), (3, True, 2), (4, True, 2), (9, True, 4), (0, False, 1), (3, False, 2), (4, False, 3)],
)
def test_a_list_that_stands_still_is_read_once(count: int, says_total: bool, requests: int) -> None:
    server = Server(list(range(count)), says_total=says_total)
    assert walk(server) == (list(range(count)), requests)


@given(
    count=st.integers(0, 12),
    size=st.integers(1, 4),
    says_total=st.booleans(),
    arrivals=st.lists(st.lists(st.integers(0, 20), max_size=2).map(tuple), max_size=12),
)
def test_records_that_arrive_while_paging_lose_none_and_double_none(
    count: int, size: int, says_total: bool, arrivals: list[tuple[int, ...]]
) -> None:
    """Each record that existed at the beginning is returned exactly once, wherever others are inserted."""
    server = Server(list(range(count)), size, says_total)
    found, _ = walk(server, arrivals)
    assert len(found) == len(set(found))
    assert set(range(count)) <= set(found) <= set(server.names)


@given(size=st.integers(1, 4), count=st.integers(0, 12), place=st.integers(0, 12), after=st.integers(0, 2))
def test_a_record_that_arrives_between_two_pages_is_found_too(size: int, count: int, place: int, after: int) -> None:
    server = Server(list(range(count)), size)
    pages = max(1, -(-count // size))
    found, _ = walk(server, [()] * after + [(place,)])
    if after < pages - 1:
        assert sorted(found) == sorted(server.names)


@pytest.mark.parametrize("says_total", [False, True])
def test_doubles_in_the_servers_own_list_are_dropped(says_total: bool) -> None:
    found, _ = walk(Server([1, 2, 2, 3, 1, 4, 4], 2, says_total))
    assert found == [1, 2, 3, 4]


def test_a_server_that_repeats_its_last_page_ends_the_walk() -> None:
    assert walk(Server([1, 2, 3, 4], says_total=False, repeats_last=True))[0] == [1, 2, 3, 4]


def test_a_list_that_never_rests_ends_the_walk() -> None:
    server = Server([1, 2, 3, 4])
    found, requests = walk(server, [(0,)] * 10_000)
    assert {1, 2, 3, 4} < set(found)
    assert requests < 1000


def test_a_server_that_shows_fewer_records_than_it_counts_is_refused() -> None:
    paging = CallPaging(2)
    assert len(paging.take(CallPage(records("ab"), 5))) == 2
    assert paging.page == 2
    with pytest.raises(
        MalformedResponse, match=r"page 2 of the call records is empty after 2 records, though totalitems says"
    ):
        paging.take(CallPage((), 5))


def test_a_count_that_is_too_low_hides_no_record() -> None:
    paging, server = CallPaging(2), Server([1, 2, 3, 4, 5], size=2)
    found: list[str] = []
    while paging.page is not None:
        found += [record.id for record in paging.take(attrs.evolve(server.page(paging.page), total=2))]
    assert found == ["1", "2", "3", "4", "5"]


def test_a_list_that_becomes_shorter_is_read_again() -> None:
    paging = CallPaging(3)
    assert len(paging.take(CallPage(records("abc"), 6))) == 3
    assert [it.id for it in paging.take(CallPage(records("ef"), 5))] == ["e", "f"]
    assert paging.page == 1
    paging.take(CallPage(records("abd"), 5))
    paging.take(CallPage(records("ef"), 5))
    assert paging.page is None
