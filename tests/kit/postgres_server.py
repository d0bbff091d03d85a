"""A real PostgreSQL for tests: a private server on a free port, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.kit.needs import program
from tests.kit.ports import free_port

_SETTINGS: Final = {"fsync": "off", "full_page_writes": "off", "max_connections": "60", "shared_buffers": "32MB"}


class PostgresServer:
    """A PostgreSQL on loopback that trusts every client; tests can stop, kill and restart it.

    PostgreSQL refuses to run as root; as root this class runs it as the user ``postgres`` of Debian's package.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = free_port()

    def database(self, *, folder: Path | None = None) -> str:
        """Create an empty database, with its files in an empty folder if one is given; return its URL."""
        self._databases += 1
        name, place = f"history_{self._databases}", "pg_default"
        if folder is not None:
            place = f"place_{self._databases}"
            shutil.chown(folder, self._user())
            self._sql(f"CREATE TABLESPACE {place} LOCATION '{folder}'")
        self._sql(f"CREATE DATABASE {name} TABLESPACE {place}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        data = self._folder / "data"
        if not data.exists():
            self._initialise(data)
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [program("postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, **self._as_user())
        limit = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
            assert time.monotonic() < limit, "PostgreSQL does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut the server down, which disconnects its clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server at once, like a machine that goes down."""
        self._end(signal.SIGQUIT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _initialise(self, data: Path) -> None:
        shutil.chown(self._folder, self._user())
        options = ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._run("initdb", "-D", str(data), *options)

    def _sql(self, statement: str) -> None:
        options = ["-q", "-X", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        self._run("psql", *options, "-c", statement)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                pass
        except OSError:
            return False
        options = ["-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run([self._program("pg_isready"), *options], check=False).returncode == 0

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(60)

    def _run(self, name: str, *arguments: str) -> None:
        command = [self._program(name), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_user())
        assert result.returncode == 0, result.stderr

    @staticmethod
    def _program(name: str) -> str:
        return str(Path(program("postgres")).resolve().with_name(name))

    @staticmethod
    def _user() -> str | int:
        return "postgres" if os.geteuid() == 0 else os.geteuid()

    @staticmethod
    def _as_user() -> dict[str, Any]:
        return {"user": "postgres", "group": "postgres", "cwd": "/"} if os.geteuid() == 0 else {}
