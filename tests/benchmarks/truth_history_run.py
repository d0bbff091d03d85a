"""A recorder that is killed, loses its database and fills its disk, while it records a simulated call centre.

The recorder runs in a forked process and polls as fast as it can; the model's clock decides what it sees. It logs each
poll in a file before the history can know of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Final, NoReturn, Protocol
from zlib import crc32

import attrs

from sipqueue_async import Snapshot, StatusWatcher, TransportError
from sipqueue_async.history import History, Recorder
from sipqueue_async.history.history import store_of
from sipqueue_async.simulator import CallCentre, Plan
from sipqueue_async.simulator.commands import CommandError
from tests.kit.postgres_server import PostgresServer
from tests.kit.simulated_updates import Polled

BEGAN: Final = datetime(2026, 10, 19, 8, tzinfo=UTC)
"""Model second 0. Berlin's clocks change six days later."""
DAY: Final = 86_400
SHIFT: Final = 12
"""Hours of a shift: all agents work from 8:00 to 20:00 UTC, so that the counters are reset while all are away."""

_LOGGED: Final = struct.Struct("<IB")
_TROUBLED: Final = 8
"""A bit of a logged poll: the last write had failed."""
_ENOUGH: Final = 40
"""Updates that may wait for a database that works; a platform that is polled every ten seconds would wait too."""
_MOST_PENDING: Final = 60
_WITHOUT_DATABASE: Final = 0.01
"""Real seconds between polls while the database is away."""


class Answer(IntEnum):
    """How a poll was answered."""

    GOOD = 0
    FAILED = 1
    EMPTY = 2
    """Without any agent, by mistake."""
    OLD = 3
    """From a cache, with the server's time of then."""
    NONE = 4
    """No poll: what is logged is that writing failed, or works again."""


@attrs.frozen(kw_only=True)
class Size:
    """The size of a run."""

    days: float = 14.0
    agents: int = 25
    interval: int = 10
    kills: int = 50
    restarts: int = 10
    full_disks: int = 10
    disk: int = 384
    """Megabytes of the small disk."""
    seed: int = 1


class Office:
    """A simulated call centre whose agents also sign out of single queues now and then."""

    def __init__(self, size: Size) -> None:
        plan = Plan(
            start=BEGAN.replace(tzinfo=None),
            queues=3,
            agents=size.agents,
            several_queues=0.2,
            calls_per_hour=size.agents * 2.5,
            short_calls=0.15,
            shift_hours=SHIFT,
            off_hours=24 - SHIFT,
            staggered=False,
            counter_reset=True,
            breaks_per_hour=0.5,
        )
        self._polled = Polled(plan, size.seed, began=BEGAN)
        chance = random.Random(size.seed)
        keys = sorted(seat.key for seat in self.centre.seats())
        self._commands: list[tuple[int, str, str, str]] = []
        for day in range(int(size.days) + 1):
            for _ in range(size.agents // 4):
                key, at = chance.choice(keys), day * DAY + chance.randrange(600, (SHIFT - 2) * 3600)
                self._commands.append((at, "sign_out", key.queue, key.extension))
                self._commands.append((at + chance.randrange(300, 3000), "sign_in", key.queue, key.extension))
        self._commands.sort(reverse=True)

    @property
    def centre(self) -> CallCentre:
        """The model."""
        return self._polled.centre

    def run_until(self, at: int) -> None:
        """Let time pass."""
        while self._commands and self._commands[-1][0] <= at:
            moment, command, queue, extension = self._commands.pop()
            self.centre.run_until(moment)
            with suppress(CommandError):
                getattr(self.centre, command)(queue, extension)
        self.centre.run_until(at)

    def poll(self) -> Snapshot:
        """Return the present status."""
        return self._polled.poll()


class Weather:
    """Which polls fail, and how."""

    def __init__(self, size: Size) -> None:
        chance = random.Random(size.seed + 1)
        self._outages: list[tuple[int, int]] = []
        for day in range(int(size.days) + 1):
            # None lasts from an evening to the next morning: nobody could know of calls before the reset then.
            for _ in range(4):
                begin = day * DAY + chance.randrange(1200, (SHIFT - 1) * 3600)
                self._outages.append((begin, begin + chance.randrange(20, 3000)))
            night = day * DAY + chance.randrange((SHIFT + 1) * 3600, 20 * 3600)
            self._outages.append((night, night + chance.randrange(20, 7200)))
        self._seed = size.seed

    def at(self, moment: int) -> Answer:
        """Return how a poll at a moment is answered."""
        if any(begin <= moment < end for begin, end in self._outages):
            return Answer.FAILED
        luck = crc32(f"{self._seed} {moment}".encode()) % 1000
        return Answer.FAILED if luck < 8 else Answer.EMPTY if luck < 12 else Answer.OLD if luck < 17 else Answer.GOOD


# ---- the recorder's process ------------------------------------------------------------------------------------------


class _Recording:
    """Polls an office into a history until the end.

    Args:
        office: The office, at the moment of the first poll.
        size: The size of the run.
        log: The file of polls.
    """

    def __init__(self, office: Office, size: Size, log: int) -> None:
        self._office = office
        self._size = size
        self._weather = Weather(size)
        self._log = log
        self._next = int(office.centre.now)
        self._recorder: Recorder | None = None
        self._last: Snapshot | None = None
        self._troubled = False
        self._ended = asyncio.Event()

    async def run(self, url: str) -> None:
        async with History(url) as history:
            watcher = StatusWatcher(self._poll, interval=0.0005, max_backoff=0.0005, baseline=await history.baseline())
            self._recorder = Recorder(history, watcher, max_pending=_MOST_PENDING, close_timeout=120)
            async with self._recorder, watcher:
                ends = [asyncio.ensure_future(self._ended.wait()), asyncio.ensure_future(self._recorder.wait())]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                ends[0].cancel()

    async def _poll(self) -> Snapshot:
        recorder = self._recorder
        assert recorder is not None
        while self._is_to_wait(recorder):
            self._note_trouble(recorder)
            await asyncio.sleep(0.001)
        if self._note_trouble(recorder):
            await asyncio.sleep(_WITHOUT_DATABASE)
        if self._next > self._size.days * DAY:
            self._ended.set()
            await asyncio.Event().wait()
        now, self._next = self._next, self._next + self._size.interval
        self._office.run_until(now)
        answer = self._weather.at(now)
        os.write(self._log, _LOGGED.pack(now, answer | self._troubled * _TROUBLED))
        if answer is Answer.FAILED:
            raise TransportError("the network is down")
        polled, last = self._office.poll(), self._last
        if answer is Answer.EMPTY:
            return Snapshot((), observed_at=polled.observed_at, server_time=polled.server_time)
        if answer is Answer.OLD and last is not None:
            old = last.observed_at - timedelta(seconds=1)
            return last.with_changes({}, observed_at=polled.observed_at, server_time=old)
        self._last = polled
        return polled

    def _note_trouble(self, recorder: Recorder) -> bool:
        """Return whether the last write failed; log it if that is new."""
        troubled = bool(recorder.health.failures_in_a_row)
        if troubled != self._troubled:
            self._troubled = troubled
            os.write(self._log, _LOGGED.pack(self._next, Answer.NONE | troubled * _TROUBLED))
        return troubled

    def _is_to_wait(self, recorder: Recorder) -> bool:
        if not recorder.health.failures_in_a_row:
            # The first answer is recorded before there is another one.
            is_first = self._last is not None and recorder.health.recorded_until is None
            return is_first or recorder.pending > _ENOUGH
        # A difference from one day to the next would not tell the calls before the reset.
        return self._next % DAY > (SHIFT - 1) * 3600


def _record(office: Office, size: Size, url: str, log: int) -> NoReturn:
    code = 1
    try:
        asyncio.run(_Recording(office, size, log).run(url))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


# ---- the databases ---------------------------------------------------------------------------------------------------


class Place(Protocol):
    """A database and its disk."""

    url: str
    disk: Path

    def interrupt(self, number: int) -> Callable[[], None]:
        """Take the database away; return a function that gives it back."""
        ...


class SqlitePlace:
    """A file on a small disk. It has no server that could restart, so its disk gets full instead."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.url = f"sqlite:///{disk}/history.db"

    def interrupt(self, number: int) -> Callable[[], None]:
        """Fill the disk, sometimes with a little space left."""
        return fill(self.disk, whole=bool(number % 2))


class PostgresPlace:
    """A database whose files are on a small disk, on a server that is shut down or killed."""

    def __init__(self, server: PostgresServer, disk: Path) -> None:
        self._server = server
        self.disk = disk
        self.url = server.database(folder=_folder(disk))

    def interrupt(self, number: int) -> Callable[[], None]:
        """Kill the server, or shut it down."""
        if number % 2:
            self._server.kill()
        else:
            self._server.stop()
        return self._server.start


def _folder(disk: Path) -> Path:
    folder = disk / "database"
    folder.mkdir()
    return folder


def fill(disk: Path, *, whole: bool = True) -> Callable[[], None]:
    """Fill a disk, up to a few pages unless as a whole; return a function that makes space again."""
    filler = disk / "filler"
    left = 0 if whole else 200_000
    with filler.open("wb") as file:
        while True:
            try:
                os.posix_fallocate(file.fileno(), 0, max(4096, shutil.disk_usage(disk).free - left))
            except OSError:
                # The recorder took some of it meanwhile.
                left += 4096
            else:
                return filler.unlink


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Generator[Path]:
    """Mount a small file system in memory, which only root may do."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# ---- the run ---------------------------------------------------------------------------------------------------------


@attrs.define
class Life:
    """One process of the recorder."""

    polls: list[tuple[int, Answer]]
    """The polls that it logged: the model seconds, and the answers."""
    recorded_until: datetime
    """What was recorded when it ended."""


@attrs.define
class Played:
    """What happened to the recorders."""

    office: Office
    lives: list[Life] = attrs.field(factory=list)
    kills: int = 0
    restarts: int = 0
    full_disks: int = 0
    failed_writes: int = 0
    """Interruptions in which a write failed."""
    seconds: float = 0.0


@attrs.define
class _Plan:
    """What happens at which model second: `kill`, `interrupt` or `fill`."""

    events: list[tuple[int, str]]

    @classmethod
    def of(cls, size: Size, *, restarts: int) -> _Plan:
        chance = random.Random(size.seed + 2)
        kinds = ["kill"] * size.kills + ["interrupt"] * restarts + ["fill"] * size.full_disks
        chance.shuffle(kinds)
        step = 0.8 * size.days * DAY / (len(kinds) + 1)
        moments = [int(step * (number + chance.uniform(0.6, 1.4))) for number in range(len(kinds))]
        # Troubles of the database happen by day, when there is much to write.
        return cls([(_by_day(at) if kind != "kill" else at, kind) for at, kind in zip(moments, kinds, strict=True)])


def _by_day(at: int) -> int:
    into = at % DAY
    return at if into < (SHIFT - 3) * 3600 else at - into + into * (SHIFT - 3) // 24


class _Log:
    """The file of polls, read by the parent."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._at = 0

    def last(self) -> tuple[int, bool]:
        """Return the model second of the last poll, and whether the last write had failed then."""
        size = os.fstat(self.file).st_size // _LOGGED.size
        if size <= self._at:
            return -1, False
        at, answer = _LOGGED.unpack(os.pread(self.file, _LOGGED.size, (size - 1) * _LOGGED.size))
        return at, bool(answer & _TROUBLED)

    def take(self) -> list[tuple[int, Answer]]:
        """Return the polls since the last call."""
        size = os.fstat(self.file).st_size // _LOGGED.size
        rows = os.pread(self.file, (size - self._at) * _LOGGED.size, self._at * _LOGGED.size)
        self._at = size
        polls = ((at, Answer(answer & ~_TROUBLED)) for at, answer in _LOGGED.iter_unpack(rows))
        return [poll for poll in polls if poll[1] is not Answer.NONE]


class Stage:
    """Plays a run.

    Args:
        place: The database.
        size: The size of the run.
        log: A file for the polls.
        tell: Called with a line now and then.
    """

    def __init__(self, place: Place, size: Size, log: Path, tell: Callable[[str], object]) -> None:
        self._place = place
        self._size = size
        self._log = _Log(log)
        self._tell = tell
        self._chance = random.Random(size.seed + 3)
        self.played = Played(Office(size))

    def play(self) -> Played:
        """Record until the end, with all troubles."""
        began = time.monotonic()
        events = _Plan.of(self._size, restarts=self._size.restarts).events
        while self._live(events):
            self._tell(f"{self._log_day():.2f} days, {self.played.kills} kills, {time.monotonic() - began:.0f} s")
        self.played.office.run_until(max(int(self.played.office.centre.now), int(self._size.days * DAY)))
        self.played.seconds = time.monotonic() - began
        return self.played

    def _log_day(self) -> float:
        return self.played.lives[-1].polls[-1][0] / DAY if self.played.lives[-1].polls else -1.0

    def _live(self, events: list[tuple[int, str]]) -> bool:
        """Let one process record until it is killed or the end; return whether it was killed."""
        played = self.played
        child = os.fork()
        if child == 0:
            _record(played.office, self._size, self._place.url, self._log.file)
        restore: Callable[[], None] | None = None
        killed = False
        while events:
            at, kind = events[0]
            if not self._reached(child, at):
                break
            del events[0]
            if kind == "kill":
                time.sleep(self._chance.uniform(0, 0.3))
                os.kill(child, signal.SIGKILL)
                killed = True
                played.kills += 1
                break
            restore = self._trouble(kind)
            if events and events[0][1] == "kill" and self._chance.random() < 0.4:
                # It is killed in the middle of the trouble.
                events[0] = (at, "kill")
                continue
            self._until(child, lambda: self._log.last()[1])
            time.sleep(self._chance.uniform(0.2, 1.5))
            restore()
            restore = None
            self._until(child, lambda: not self._log.last()[1])
        _, status = os.waitpid(child, 0)
        if restore is not None:
            restore()
        assert killed == os.WIFSIGNALED(status), status
        assert killed or not status, status
        polls = self._log.take()
        until = asyncio.run(_recorded_until(self._place.url))
        assert until is not None
        played.lives.append(Life(polls, until))
        if killed:
            pause = self._chance.choice([0, self._size.interval, 60, 600, 1800])
            start = max(int(played.office.centre.now), polls[-1][0] if polls else 0) + self._size.interval + pause
            played.office.run_until(start)
        return killed

    def _trouble(self, kind: str) -> Callable[[], None]:
        if kind == "fill":
            self.played.full_disks += 1
            return fill(self._place.disk)
        self.played.restarts += 1
        return self._place.interrupt(self.played.restarts)

    def _reached(self, child: int, at: int) -> bool:
        """Wait until a poll at a moment was made; return False if the process ended first."""
        return self._until(child, lambda: self._log.last()[0] >= at)

    def _until(self, child: int, is_so: Callable[[], bool]) -> bool:
        limit = time.monotonic() + 1800
        while not is_so():
            assert time.monotonic() < limit, "the recorder does not go on"
            # Without reaping it.
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return False
            time.sleep(0.002)
        return True


async def _recorded_until(url: str) -> datetime | None:
    async with History(url) as history:
        return await store_of(history).recorded_until()


def second_of(moment: datetime) -> int:
    """Return the model second of a moment; rows may be a microsecond later than their poll."""
    seconds, rest = divmod(moment - BEGAN, timedelta(seconds=1))
    assert rest < timedelta(milliseconds=1), moment
    return seconds


async def coalesced(url: str) -> Sequence[tuple[int, int]]:
    """Return the spans between a coalesced update and the update before it, in model seconds."""
    found: list[tuple[int, int]] = []
    before = 0
    async with History(url) as history:
        async for update in history.updates(BEGAN, BEGAN + timedelta(days=400)):
            assert update.snapshot is not None
            now = second_of(update.snapshot.observed_at)
            if update.coalesced:
                found.append((before, now))
            before = now
    return found
