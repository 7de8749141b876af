"""The files of a batch on a real disk. Data and names are synced: a power cut leaves what was promised."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import click

from .source import at_home

_sync = getattr(os, "fdatasync", os.fsync)  # Which spares the time of the last change, where there is one.


class _Reader(io.RawIOBase):
    """Reads on from a place of its own, whoever else reads or writes by the same handle meanwhile."""

    def __init__(self, handle: int, place: Lock, offset: int) -> None:
        self._handle = handle
        self._place = place
        self._offset = offset

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._place:
            os.lseek(self._handle, self._offset, os.SEEK_SET)
            data = os.read(self._handle, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)


class DiskFile:
    """An open file; see `storage.File`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self.size = os.fstat(self._handle).st_size
        self._place = Lock()
        """The handle has one place, be it read or written, in whichever thread: who holds this moves it."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        for line in self._from(offset):
            yield offset, line
            offset += len(line)

    def at(self, offset: int) -> bytes:
        return self._from(offset).readline()

    def _from(self, offset: int) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._handle, self._place, offset))

    def append(self, data: bytes) -> None:
        with self._place:
            os.lseek(self._handle, self.size, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        self.size += len(data)

    def cut(self, size: int) -> None:
        self.size = size
        os.ftruncate(self._handle, size)
        os.fsync(self._handle)

    def sync(self) -> None:
        _sync(self._handle)

    def hold(self) -> bool:
        """Keep other processes from holding it, where the system can; False if one does."""
        try:
            import fcntl
        except ImportError:
            return True
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # A file system without locks: nobody can be kept away.
            return True
        return True

    def close(self) -> None:
        os.close(self._handle)


class DiskFolder:
    """See `storage.Folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def open(self, name: str) -> DiskFile:
        file = DiskFile(self.path / name)
        self._sync()  # Also if it was there: who made it may have been killed before this.
        return file

    def rename(self, name: str, to: str) -> None:
        with suppress(FileNotFoundError):
            os.chmod(self.path / name, stat.S_IMODE(os.stat(self.path / to).st_mode))
        os.replace(self.path / name, self.path / to)
        self._sync()

    def _sync(self) -> None:
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except OSError:  # Windows opens no folder, and does not need it.
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def place_of(output: str) -> tuple[DiskFolder, str]:
    """Where the output is: what a link leads to. Raises `click.UsageError` if no file can be there."""
    path = Path(os.path.realpath(at_home(output)))
    if not path.parent.is_dir():
        raise click.UsageError(f"--output {output}: there is no folder {path.parent}; make it, or name another")
    if path.exists() and not path.is_file():
        raise click.UsageError(f"--output {output}: that is no file, and a batch goes on from its file; name one")
    return DiskFolder(path.parent), path.name


def kept_apart(given: str, *written: str) -> None:
    """Raises `click.UsageError` if one of the files that are `written` is the input, by whatever name."""
    for name in written:
        with suppress(OSError, ValueError):  # One of them is not there, or is stdin.
            if at_home(given).samefile(at_home(name)):
                raise click.UsageError(
                    f"{name} is the file of questions, which nothing is written over: name another --output"
                )
