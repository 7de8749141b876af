"""A ledger in a file of SQLite, which several processes may write at once; or in memory, for tests."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from ..errors import ConfigError, StoreError, did_you_mean
from ..home import expanded
from . import Ledger
from .sql import SqlConnection, SqlDialect, SqlLedger

APPLICATION = 0x506F696E
"""``application_id`` of our files: the first letters of the name."""
BUSY = 10.0
"""Seconds to wait while another process writes. Each of ours writes for milliseconds."""
_SYNC = {"normal": "NORMAL", "full": "FULL"}
_FREED = 500
"""Pages that are given back in one transaction."""


class SqliteDialect(SqlDialect):
    """SQLite, of a file, or in memory if there is none.

    With WAL and ``synchronous=NORMAL`` what is written survives the end of any process, however it ends; a power
    failure may cost the last of it, which FULL prevents (sqlite.org/pragma.html#pragma_synchronous).
    """

    failures = (sqlite3.Error,)
    tag = "pointsman_tag(c.tags, ?)"
    begin_write = "BEGIN IMMEDIATE"
    begin_migration = "BEGIN IMMEDIATE"

    def __init__(self, path: Path | None, *, sync: str = "normal", busy: float = BUSY) -> None:
        self._path = path
        self._sync = _SYNC[sync]
        self._busy = busy
        self._identity: tuple[int, int] | None = None

    def __str__(self) -> str:
        return "memory:" if self._path is None else str(self._path)

    def connect(self) -> SqlConnection:
        if self._path is not None:
            _make(self._path)
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=self._busy, isolation_level=None, check_same_thread=False
        )
        try:
            connection.create_function("pointsman_tag", 2, _tag, deterministic=True)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if self._path is not None:
            self._identity = _identity(self._path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous={self._sync}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # What is forgotten is overwritten.
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # It writes, whatever it was before.
        until = time.monotonic() + self._busy
        while self._path is not None and connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # Two that change it at once could wait for each other for ever, so that SQLite does not wait, but gives up.
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def version(self, connection: SqlConnection) -> int:
        # In one statement, since another process may make the tables between two.
        sql = "SELECT * FROM (SELECT COUNT(*) FROM sqlite_master), pragma_application_id, pragma_user_version"
        tables, application, version = connection.execute(sql).fetchone()
        if application == APPLICATION:
            return int(version)
        if application or version or tables:
            raise StoreError(f"{self} is the database of another program: set [ledger] url to another file")
        return 0

    def set_version(self, connection: SqlConnection, version: int) -> None:
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={version}")

    def lost(self, connection: SqlConnection) -> bool:
        """The file was moved away or deleted: what is written to it now, nobody will find."""
        return self._path is not None and _identity(self._path) != self._identity

    def leave(self, connection: SqlConnection) -> None:
        """SQLite leaves what is in the log there if the file was moved, where nobody would look for it."""
        with suppress(sqlite3.Error):
            if self.lost(connection):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        connection.close()

    def give_back(self, connection: SqlConnection) -> None:
        assert isinstance(connection, sqlite3.Connection)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        for _ in range(0, free, _FREED):
            connection.executescript(f"PRAGMA incremental_vacuum({_FREED})")  # `execute` would free one page, and stop.

    def explain(self, error: Exception) -> StoreError:
        step = _NEXT.get(_code(error))
        return StoreError(f"the ledger at {self} cannot be used: {error}{f'; {step}' if step else ''}")


def _code(error: Exception) -> int:
    """SQLite's primary result code (sqlite.org/rescode.html); the reason of its reason is in the higher bytes."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


_WRITABLE = "let this user write the file and its folder, or set [ledger] url to another file"
_BUSY = "another process has been writing to it for long; end that one, or try again"
_NEXT = {
    sqlite3.SQLITE_NOTADB: "it is no database of SQLite; move it away, or set [ledger] url to another file",
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged; move it away, and a new one is begun (`sqlite3 FILE .recover` saves what can be read)"
    ),
    sqlite3.SQLITE_FULL: "free some space on that disk, or set [ledger] url to a file on another",
    sqlite3.SQLITE_IOERR: "the disk failed, or is full; WAL needs a local one, not a network's (sqlite.org/wal.html)",
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
}


def _make(path: Path) -> None:
    """The folder and an empty file, both for their owner only. SQLite gives its other files the same mode."""
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _begin(path)
        if path.is_dir():
            raise StoreError(f"the ledger cannot be {path}: that is a folder; name a file in it")
    except (FileExistsError, NotADirectoryError) as error:
        wrong = next((one for one in path.parents if one.exists() and not one.is_dir()), path.parent)
        raise StoreError(
            f"the ledger at {path} cannot be made: {wrong} is no folder; set [ledger] url to another file"
        ) from error
    except OSError as error:
        raise StoreError(
            f"the ledger at {path} cannot be made: {error.strerror or error}; "
            "let this user write that folder, or set [ledger] url to another file"
        ) from error


def _begin(path: Path) -> None:
    """An empty file. Where one was moved away, others may still write to that one, in files beside it that have kept
    their names: the new one must have its own, or what they write is lost.
    """
    with _alone_in(path.parent):
        if not path.exists():
            for beside in ("-wal", "-shm"):
                Path(f"{path}{beside}").unlink(missing_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """No two processes are in here at once; where there are no such locks (Windows), no open file can be moved."""
    lock = None
    with suppress(OSError, ImportError):
        from fcntl import LOCK_EX, flock

        lock = os.open(folder, os.O_RDONLY)
        flock(lock, LOCK_EX)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _tag(tags: str, name: str) -> str | None:
    """A name may hold what a path of SQLite's own JSON functions cannot say."""
    value = json.loads(tags).get(name)
    return None if value is None else str(value)


def sqlite_ledger(url: str) -> Ledger:
    """The ledger at ``sqlite:PATH`` (relative), ``sqlite:///PATH`` or ``sqlite:~/PATH``, with ``?sync=full`` if not
    even a power failure may cost anything. Raises `ConfigError` for a URL that is none of these, `StoreError` if the
    file cannot be used now.
    """
    file, sync = sqlite_file(url)
    return SqlLedger(SqliteDialect(file, sync=sync))


def sqlite_file(url: str) -> tuple[Path, str]:
    """The file that such a URL names, and its ``sync``. Raises `ConfigError`."""
    rest = url.partition(":")[2]
    path, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        path = f"/{path.lstrip('/')}" if slash else ""
        if host:
            raise ConfigError(f"{url!r} names a host, {host!r}: write sqlite:///PATH, or sqlite:PATH if it is relative")
    if not path.strip("/"):
        raise ConfigError(f"{url!r} names no file: write sqlite:///PATH, or sqlite:PATH if it is relative")
    if unknown := options.keys() - {"sync"}:
        name = min(unknown)
        raise ConfigError(f"{url!r}: there is no option {name!r}, only 'sync'{did_you_mean(name, ['sync'])}")
    sync = options.get("sync", "normal")
    if sync not in _SYNC:
        raise ConfigError(f"{url!r}: sync is 'normal' or 'full', not {sync!r}")
    name = unquote(path, errors="surrogateescape")
    if "\0" in name:
        raise ConfigError(f"{url!r} names no file: there is a null character in it")
    return expanded(name, "the ledger").absolute(), sync


def memory_ledger(url: str) -> Ledger:
    """The ledger ``memory:``, which is empty, and gone when it is closed. Raises `ConfigError` for any other URL."""
    if url.partition(":")[2].strip("/"):
        raise ConfigError(f"{url!r}: memory: names no place and has no options")
    return SqlLedger(SqliteDialect(None))
