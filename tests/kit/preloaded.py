"""A Python with its modules already imported, which forks to run programs: they start at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

_SERVER = """
import gc, importlib, json, os, signal, socket, sys, types

requests = socket.socket(fileno=int(sys.argv[1]))
for name in sys.argv[2:]:
    importlib.import_module(name)
gc.collect()
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    message, files, *_ = socket.recv_fds(requests, 1, 4)
    if not message:
        os._exit(0)
    if os.fork() == 0:
        break
    for file in files:
        os.close(file)
# Between this interpreter and the program, a process that tells the program's id and, later, its exit code.
requests.close()
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
job, output, errors, status = files
if program := os.fork():
    os.close(output)
    os.close(errors)
    os.write(status, b"%d\\n" % program)
    os.write(status, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
    os._exit(0)
os.close(status)
os.dup2(output, 1)
os.dup2(errors, 2)
os.close(output)
os.close(errors)
with open(job, encoding="utf-8") as file:
    file.seek(0)
    job = json.load(file)
os.chdir(job["directory"])
os.environ.update(job["variables"])
sys.argv = [job["name"]]
main = sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(job["code"], job["name"], "exec"), main.__dict__)
"""


class Program:
    """A program that runs in a process of its own."""

    def __init__(
        self, output: asyncio.StreamReader, errors: asyncio.StreamReader, status: asyncio.StreamReader
    ) -> None:
        self.stdout = output
        self.stderr = errors
        self._status = status
        self._pid = 0

    async def _started(self) -> Self:
        self._pid = int(await self._status.readline())
        return self

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; a program that has ended gets none."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)

    async def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        return int(await self._status.read())


class Preloaded:
    """An interpreter with these modules imported; it ends with the block.

    Args:
        modules: What the programs will import.
        warnings: What Python's `-W` takes.
    """

    def __init__(self, *modules: str, warnings: Sequence[str] = ("error",)) -> None:
        self._modules = modules
        self._warnings = warnings

    def __enter__(self) -> Self:
        self._requests, served = socket.socketpair()
        flags = [word for it in self._warnings for word in ("-W", it)]
        with served:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "dev", *flags, "-c", _SERVER, str(served.fileno()), *self._modules],
                # Not development mode's allocator, which is slow and looks for errors of C code only.
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONMALLOC": "default"},
                stdin=subprocess.DEVNULL,
                pass_fds=[served.fileno()],
                start_new_session=True,
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._requests.close()
        self._process.wait()
        # Programs are left only if the test was interrupted.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def start(self, code: str, directory: Path, variables: Mapping[str, str], name: str = "<string>") -> Program:
        """Start a program in a directory, with more environment variables."""
        pipes = [os.pipe() for _ in range(3)]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as job:
            json.dump({"code": code, "name": name, "directory": str(directory), "variables": dict(variables)}, job)
            job.flush()
            socket.send_fds(self._requests, [b"."], [job.fileno(), *(write for _, write in pipes)])
        for _, write in pipes:
            os.close(write)
        return await Program(*[await _reader(read) for read, _ in pipes])._started()


async def _reader(file: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb"))
    return reader
