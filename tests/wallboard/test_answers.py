"""Answers from the history: made one at a time, and kept a moment."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async.wallboard.answers import KEPT_FOR, MOST_WAITING, Answers, BusyError

pytestmark = pytest.mark.virtual_time


class Slow:
    """Makes answers that take a second, and counts them."""

    def __init__(self) -> None:
        self.made = 0
        self.at_once = 0

    async def __call__(self) -> bytes:
        self.at_once += 1
        assert self.at_once == 1
        await asyncio.sleep(1)
        self.at_once -= 1
        self.made += 1
        return b"%d" % self.made


async def test_equal_questions_share_an_answer_for_a_moment() -> None:
    answers, slow = Answers(), Slow()
    assert await asyncio.gather(*(answers.get("a", slow) for _ in range(5))) == [b"1"] * 5
    assert await answers.get("b", slow) == b"2"
    assert await answers.get("a", slow) == b"1"
    await asyncio.sleep(KEPT_FOR)
    assert await answers.get("a", slow) == b"3"


async def test_too_many_waiting_requests_are_refused_and_an_abandoned_one_stops() -> None:
    answers, slow = Answers(kept_for=0), Slow()
    waiting = [asyncio.ensure_future(answers.get(number, slow)) for number in range(MOST_WAITING)]
    await asyncio.sleep(0.5)
    with pytest.raises(BusyError):
        await answers.get("one more", slow)
    for task in waiting[1:]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert slow.made == 1
    assert await answers.get("one more", slow) == b"2"


async def test_the_oldest_answer_is_forgotten_first() -> None:
    answers, slow = Answers(kept_for=1000), Slow()
    for number in range(40):
        await answers.get(number, slow)
    assert await answers.get(39, slow) == b"40"
    assert await answers.get(0, slow) == b"41"
