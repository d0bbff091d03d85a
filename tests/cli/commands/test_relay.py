"""``sipqueue relay``."""

from __future__ import annotations

import asyncio
import logging
import signal

import pytest

from sipqueue_async import AuthError, SeatFilter, SipQueueClient
from sipqueue_async.cli.commands.relay import RelayTarget, relay
from sipqueue_async.cli.exits import USAGE, Failure
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.redis import RedisFeed
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Paper, Stderr, environment, sipqueue
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

SECRET = "a-password-that-nobody-may-see"


def target(url: str, prefix: str = "sipqueue", lease: float = 10.0) -> RelayTarget:
    """Return the place where the relay publishes."""
    return RelayTarget(redis=url, prefix=prefix, lease=lease)


async def test_readers_get_the_chosen_seats(redis_server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Readers of the prefix get only the chosen seats; stderr reports an outage of Redis."""
    paper = Paper()
    log = logging.getLogger("sipqueue_async")
    before = (log.level, list(log.handlers))
    async with Simulator(BUSY, speed=0) as simulator, RedisFeed(redis_server.url, prefix="north") as feed:
        work = relay(
            client_of(simulator),
            paper.output(),
            target=target(redis_server.url, "north"),
            seats=SeatFilter(["queue-2", "queue-9"], ["100002", "100004"]),
            interval=0.1,
        )
        task = asyncio.ensure_future(work)
        known = await feed.ready(timeout=60)
        assert known
        assert set(known.queues) == {"queue-2"}
        assert paper.lines == [
            f"the relay publishes to Redis at 127.0.0.1:{redis_server.port}, keys {{north}}:* until Ctrl-C"
        ]
        stderr = Stderr(capsys)
        await until(
            lambda: "no queue named 'queue-9'; there are queue-1, queue-2; still watching for it" in stderr.text
        )
        redis_server.kill()
        await until(lambda: "sipqueue: the relay cannot publish: " in stderr.text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (log.level, log.handlers) == before


async def test_refused_credentials_end_it(redis_server: RedisServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The error appears once on stderr."""
    async with Simulator(BUSY, speed=0) as simulator:
        client = SipQueueClient(simulator.url, "a-wrong-token")
        with pytest.raises(AuthError):
            await asyncio.wait_for(relay(client, Paper().output(), target=target(redis_server.url)), 60)
    said = capsys.readouterr().err
    assert "sipqueue: the relay leads (term 1), after publication 0\n" in said
    assert "the relay ends" not in said


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (target(f"http://user:{SECRET}@127.0.0.1"), "the Redis URL must be redis://, rediss:// or unix://"),
        (target(f"redis://:{SECRET}@127.0.0.1", prefix="{}"), "prefix must be a name without braces"),
        (target("redis://127.0.0.1?foo=bar"), "the Redis URL must be redis://"),
        (target("rediss://127.0.0.1?ssl_cert_reqs=foo"), "the Redis URL must be redis://"),
        (target("redis://[::1"), "the Redis URL must be redis://"),
    ],
)
async def test_an_invalid_redis_is_a_usage_error(where: RelayTarget, message: str) -> None:
    """The message shows no password."""
    with pytest.raises(Failure, match=message) as failure:
        await relay(SipQueueClient("http://127.0.0.1:9", "token"), Paper().output(), target=where)
    assert failure.value.code == USAGE
    assert SECRET not in str(failure.value)


@pytest.mark.usefixtures("without_redis")
async def test_a_missing_extra_is_said() -> None:
    with pytest.raises(Failure, match=r"pip install 'sipqueue_async\[redis\]'"):
        await relay(SipQueueClient("http://127.0.0.1:9", "token"), Paper().output(), target=target("redis://127.0.0.1"))


async def test_a_signal_ends_it() -> None:
    """A signal also works while Redis is away; the password appears nowhere."""
    port = free_port()
    async with Simulator(BUSY, speed=0) as simulator:
        env = environment(simulator, SIPQUEUE_REDIS_URL=f"redis://:{SECRET}@127.0.0.1:{port}")
        async with sipqueue("relay", env=env) as program:
            assert await program.line() == (
                f"the relay publishes to Redis at 127.0.0.1:{port}, keys {{sipqueue}}:* until Ctrl-C"
            )
            await asyncio.sleep(0.3)
            program.send(signal.SIGTERM)
            ended, out, err = await program.rest()
    assert (ended, out) == (143, "")
    assert err.startswith(
        f"sipqueue: the relay waits: Redis is away: Connection refused (Redis at 127.0.0.1:{port}, keys"
    )
    assert SECRET not in err
    assert len(err.splitlines()) == 1
