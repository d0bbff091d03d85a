"""`ScriptedSource`: a source that plays a script."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from sipqueue_async import TransportError
from sipqueue_async.testing import ScriptedSource, make_agent, make_snapshot


async def test_each_poll_gives_the_next_answer_and_the_last_one_stays() -> None:
    empty, joined = make_snapshot(), make_snapshot(make_agent(), at=1)
    source = ScriptedSource([empty, TransportError("no route"), joined])
    assert repr(source) == "<ScriptedSource after 0 polls, 3 answers left>"
    assert await source() is empty
    with pytest.raises(TransportError, match="no route"):
        await source()
    assert [await source(), await source()] == [joined, joined]
    assert source.polls == len(source.polled_at) == 4
    assert repr(source) == "<ScriptedSource after 4 polls, 1 answers left>"


@pytest.mark.virtual_time
async def test_a_poll_takes_as_long_as_asked_for() -> None:
    source = ScriptedSource([make_snapshot()], takes=2.5)
    begun = asyncio.get_running_loop().time()
    poll = asyncio.create_task(source())
    await asyncio.sleep(1)
    assert source.running == 1
    await poll
    assert asyncio.get_running_loop().time() - begun == pytest.approx(2.5)
    assert source.running == 0


async def test_two_polls_at_once_are_an_error() -> None:
    source = ScriptedSource([make_snapshot()], takes=60)
    poll = asyncio.create_task(source())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two polls at once"):
        await source()
    poll.cancel()


def test_a_script_that_cannot_be_played_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ScriptedSource([])
    with pytest.raises(TypeError, match="not 'nobody'"):
        ScriptedSource([make_snapshot(), cast("Any", "nobody")])
    with pytest.raises(TypeError, match="TransportError"):
        ScriptedSource([cast("Any", TransportError)])
    for lone in (make_snapshot(), TransportError("no route")):
        with pytest.raises(TypeError, match="answers must be a list"):
            ScriptedSource(cast("Any", lone))


async def test_an_exception_that_stays_is_raised_as_if_for_the_first_time() -> None:
    source = ScriptedSource([TransportError("no route")])
    for _ in range(3):
        with pytest.raises(TransportError) as caught:
            await source()
        assert len(caught.traceback) == 2
