"""A PostgreSQL of the tests' own: a throw-away cluster on a free port of this machine, started once a process.

What another server holds is never touched. Where there is no `initdb` the tests say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest


def programs() -> Path | None:
    """Where `initdb` and `postgres` are: Debian's packages keep them out of PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path()).parent if DEBIAN.exists() else None


DEBIAN = Path("/usr/lib/postgresql")


class Server:
    """A cluster that can be stopped, killed and started again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._as_other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # It refuses to run as root.
        if self._as_other:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "app", "-N", "--locale=C.UTF-8")
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def url(self, database: str = "postgres", user: str = "app") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"t{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_schema(self) -> str:
        """The URL of a schema that is not there yet, which is made in a tenth of the time of a database."""
        return f"{self.url()}?schema=s{uuid4().hex}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", str(self._folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """With SIGKILL: every process of it, so that none is there to write anything down."""
        with suppress(FileNotFoundError):
            first = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
            children = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True, check=False
            )
            for pid in [first, *map(int, children.stdout.split())]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            until = time.monotonic() + 10
            while Path(f"/proc/{first}").exists() and time.monotonic() < until:
                time.sleep(0.01)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_other, str(self._programs / program), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            check=False, timeout=60, cwd=self._folder,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = programs()
    if found is None or not (found / "initdb").exists():
        pytest.skip("PostgreSQL is not on this machine (apt-get install postgresql)")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL refuses to run as root, and there is no runuser")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # A path of a socket has at most 107 characters.
    try:
        running = Server(found, folder)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server: Server) -> str:
    """An empty database."""
    return server.new_database()
