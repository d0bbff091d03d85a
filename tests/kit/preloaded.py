"""A Python with imported modules that forks to run programs, so that they start at once."""

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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Self

_SERVER = """
import gc, importlib, io, json, os, socket, sys, types

requests = socket.socket(fileno=int(sys.argv[1]))
for name in sys.argv[2:]:
    importlib.import_module(name)
gc.collect()
gc.freeze()
programs = 0
while True:
    message, files, *_ = socket.recv_fds(requests, 1, 5)
    # Reap ended programs, so that their processor time counts as this process's.
    while programs and os.waitpid(-1, os.WNOHANG)[0]:
        programs -= 1
    if not message:
        os._exit(0)
    if os.fork() == 0:
        break
    programs += 1
    for file in files:
        os.close(file)
# A process in between reports the program's id and, later, its exit code.
requests.close()
job, status, *standard = files
if program := os.fork():
    for file in standard:
        os.close(file)
    os.write(status, b"%d\\n" % program)
    os.write(status, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
    os._exit(0)
os.close(status)
for number, file in enumerate(standard):
    os.dup2(file, number)
    os.close(file)
with open(job, encoding="utf-8") as file:
    file.seek(0)
    job = json.load(file)
os.environ.update(job["variables"])
# Open the streams anew: the earlier ones may have been of another kind, such as a seekable file.
sys.stdin = open(0, encoding="utf-8", closefd=False)
if os.environ.get("PYTHONUNBUFFERED"):
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
else:
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
os.chdir(job["directory"])
sys.argv = [job["name"], *job["arguments"]]
main = sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(job["code"], job["name"], "exec"), main.__dict__)
"""


class Program:
    """A program in a forked process."""

    def __init__(
        self, stdin: BinaryIO, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader, status: asyncio.StreamReader
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self._stdin = stdin
        self._status = status
        self.pid = 0
        self._code: int | None = None

    async def _started(self) -> Self:
        self.pid = int(await self._status.readline())
        return self

    def write(self, line: str) -> None:
        """Write a line to its standard input; do nothing if the program has ended."""
        with suppress(BrokenPipeError):
            self._stdin.write(line.encode())

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; do nothing if the program has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for the exit, and return the exit code: negative for a signal."""
        if self._code is None:
            self._code = int(await self._status.read())
            self._stdin.close()
        return self._code

    async def kill(self) -> None:
        """Kill it if it runs, and read its remaining output so that its pipes close."""
        self.send_signal(signal.SIGKILL)
        await asyncio.gather(self.wait(), self.stdout.read(), self.stderr.read())


class Preloaded:
    """An interpreter with these modules imported; it exits at the end of the block.

    Args:
        modules: The modules to import in advance.
        options: The interpreter's command-line options.
    """

    def __init__(self, *modules: str, options: Sequence[str] = ("-W", "error")) -> None:
        self._modules = modules
        self._options = options

    def __enter__(self) -> Self:
        self._requests, served = socket.socketpair()
        with served, ExitStack() as undo:
            # In a quick run, starting a process skips the test by an exception.
            undo.callback(self._requests.close)
            self._process = subprocess.Popen(
                [sys.executable, *self._options, "-c", _SERVER, str(served.fileno()), *self._modules],
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                pass_fds=[served.fileno()],
                start_new_session=True,
            )
            undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._requests.close()
        self._process.wait()
        # Programs still run here only if the test was interrupted.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def start(
        self,
        code: str,
        directory: Path | None = None,
        variables: Mapping[str, str] | None = None,
        *,
        name: str = "<string>",
        arguments: Sequence[str] = (),
        streams: Mapping[int, int] | None = None,
    ) -> Program:
        """Start a program in a directory, with additional environment variables.

        Descriptors in `streams` replace its standard streams 0, 1 and 2, which otherwise are pipes.
        """
        job: dict[str, object] = {"code": code, "name": name, "arguments": arguments}
        job |= {"directory": str(directory or Path.cwd()), "variables": dict(variables or {})}
        there, stdin = os.pipe()
        pipes = [os.pipe() for _ in range(3)]
        stdout, stderr, status = (write for _, write in pipes)
        standard = ({0: there, 1: stdout, 2: stderr} | dict(streams or {})).values()
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            json.dump(job, file)
            file.flush()
            socket.send_fds(self._requests, [b"."], [file.fileno(), status, *standard])
        for end in (there, stdout, stderr, status):
            os.close(end)
        readers = [await _reader(read) for read, _ in pipes]
        return await Program(os.fdopen(stdin, "wb", buffering=0), *readers)._started()


async def _reader(file: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb"))
    return reader
