"""Processes beside the benchmark's own: each does its work and answers questions until its connection closes."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, Final

_IMPORTED: Final = ("sipqueue_async.client", "sipqueue_async.watcher", "sipqueue_async.redis")


def processes() -> ForkServerContext:
    """Return the context that starts processes: without this process's memory, with modules imported once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


@contextmanager
def beside(work: Callable[..., None], *arguments: object) -> Generator[Connection]:
    """Run a function in a separate process with one end of a connection; yield the other end."""
    context = processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(60)


async def attend(parent: Connection, answers: Mapping[str, Callable[[], Any]]) -> None:
    """Answer the questions from the connection until its other end is closed."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def answer() -> None:
        try:
            parent.send(answers[parent.recv()]())
        except (EOFError, OSError):
            closed.set()

    loop.add_reader(parent.fileno(), answer)
    await closed.wait()
    loop.remove_reader(parent.fileno())


def ask(member: Connection, question: str) -> Any:
    """Ask a process a question, and return its answer."""
    member.send(question)
    return member.recv()
