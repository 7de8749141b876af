"""What a batch asks of a disk, so that a model of one can stand in its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class File(Protocol):
    """An open file. All but `lines` and `at` raise `OSError`, for a full disk for one."""

    size: int
    """Bytes, as far as all that was appended came whole."""

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its offset; the last may be torn."""
        ...

    def at(self, offset: int) -> bytes:
        """The line that begins there."""
        ...

    def append(self, data: bytes) -> None: ...

    def cut(self, size: int) -> None:
        """Drop what follows the first `size` bytes, for good."""
        ...

    def sync(self) -> None:
        """Return once all of it is on disk."""
        ...

    def close(self) -> None: ...


class Folder(Protocol):
    """Where the files are."""

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> File:
        """Open it, empty if it was not there; its name is on disk then."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, in place of what has it. The new name is on disk then."""
        ...
