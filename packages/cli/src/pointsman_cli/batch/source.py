"""The file of questions: read once to check all of it, and once more, line by line, to send."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

import click

from .lines import Asked
from .openai_form import WrongLine
from .words import Halt, of

LONGEST = 64 * 1024**2
"""Bytes of a line; a request of more is taken by no vendor, and a file without line breaks must not fill the memory."""
TOLD = 10
"""Wrong lines that are told; the others are counted."""
_BLOCK = 1024**2
_SHELVES = 256
"""Of the hashes of ids: one is sorted at a time, in a list, which takes five times as much room."""

Read = Callable[[bytes], Asked]


class Wrong(NamedTuple):
    """A line that cannot be sent."""

    line: int
    error: WrongLine

    def __str__(self) -> str:
        return f"line {self.line}: {self.error.why}\n  next:  {self.error.advice}"


@dataclass(slots=True)
class Checked:
    """What the whole file came to."""

    bytes: int = 0
    sha256: str = ""
    lines: int = 0
    """Those that are not blank."""
    last: int = 0
    """The number of the last of them, from 1."""
    wrong: int = 0
    first_wrong: list[Wrong] = field(default_factory=list[Wrong])
    again: dict[int, int] = field(default_factory=dict[int, int])
    """Lines that have the id of an earlier one: which."""

    def refuse(self, wrong: Wrong) -> None:
        self.wrong += 1
        self.first_wrong = sorted([*self.first_wrong, wrong], key=attrgetter("line"))[:TOLD]


class Changed(click.ClickException):
    """Somebody has written into the input while it was read."""


class Source:
    """The input, open. `name` is what errors call it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        self._state = self._stat()

    def lines(self, seen: Callable[[bytes], object] = len) -> Iterator[tuple[int, bytes | None]]:
        """Each line that is not blank, with its number from 1; None for one that is too long. `seen` is handed all
        that is read. Raises `Changed`.
        """
        self._file.seek(0)
        number = 0
        while line := self._file.readline(LONGEST + 1):
            number += 1
            seen(line)
            if len(line) > LONGEST:
                while line and not line.endswith(b"\n"):
                    line = self._file.readline(_BLOCK)
                    seen(line)
                yield number, None
                continue
            if self._stat() != self._state:
                raise Changed(f"{self.name} has changed while it was read\n  next:  leave it alone, and begin anew")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.isspace() and line:
                yield number, line

    def check(self, read: Read) -> Checked:
        """Read all of it, and keep nothing but numbers: eight bytes for each id."""
        found, digest = Checked(bytes=self._state[0]), hashlib.sha256()
        hashes = [array("Q") for _ in range(_SHELVES)]
        for number, line in self.lines(digest.update):
            found.lines, found.last = found.lines + 1, number
            try:
                id_ = attempt(read, line).id
            except WrongLine as error:
                found.refuse(Wrong(number, error))
                id_ = error.id
            if id_ is not None:
                hash_ = _hash(id_)
                hashes[hash_ % _SHELVES].append(hash_)
        found.sha256 = digest.hexdigest()
        self._find_twins(read, found, hashes)
        return found

    def _find_twins(self, read: Read, found: Checked, hashes: list[array[int]]) -> None:
        """Lines with an id that an earlier one has; the file is read again only if two seem to have the same."""
        twins = {one for some in hashes for one, other in pairwise(sorted(some)) if one == other}
        first: dict[str, int] = {}
        for number, line in self.lines() if twins else ():
            try:
                id_, wrong = attempt(read, line).id, False
            except WrongLine as error:
                id_, wrong = error.id, True
            if id_ is None or _hash(id_) not in twins:
                continue
            if (earlier := first.setdefault(json.dumps(id_), number)) != number and not wrong:
                found.again[number] = earlier
                found.refuse(Wrong(number, twin(id_, earlier)))

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


def attempt(read: Read, line: bytes | None) -> Asked:
    """`read`, also of a line that is too long. Raises `WrongLine`."""
    if line is None:
        raise WrongLine(f"it is longer than {LONGEST // 1024**2} MiB", "take the line out, or ask for less at once")
    return read(line)


def twin(id_: str | int | None, earlier: int) -> WrongLine:
    """Why a line with the id of an earlier one is wrong."""
    wrong = WrongLine(f"its id {json.dumps(id_)[:60]} is that of line {earlier}", "an id names one line")
    wrong.id = id_
    return wrong


@contextmanager
def opened(given: str, folder: Path) -> Generator[Source]:
    """The file at the path `given`, ``-`` for stdin. What can be read but once is kept in `folder` meanwhile, without
    a name.

    Raises `click.UsageError` for what cannot be read, `Halt` for what cannot be kept.
    """
    with _stdin() if given == "-" else _file(given) as file:
        if given != "-" and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield Source(file, given)
            return
        name = "stdin" if given == "-" else given
        with ExitStack() as stack:
            try:
                kept = stack.enter_context(TemporaryFile(dir=folder))
                while block := file.read(_BLOCK):
                    kept.write(block)
                kept.flush()
            except OSError as error:
                why = f"{name} cannot be kept in {folder} while it is asked: {error.strerror or error}"
                raise Halt(why, "mend that, or name an --output elsewhere; nothing was sent") from error
            yield Source(cast(BinaryIO, kept), name)


def _stdin() -> AbstractContextManager[BinaryIO]:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (as it is where it was closed: <&-)
        raise click.UsageError("stdin is closed: pipe JSON lines in, or name a file of them")
    return nullcontext(sys.stdin.buffer)


def _file(given: str) -> BinaryIO:
    try:
        return at_home(given).open("rb")
    except IsADirectoryError:
        why = "is a folder"
    except FileNotFoundError:
        why = "is not there"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise click.UsageError(f"{given} {why}: name a file of JSON lines, or - for stdin")


def at_home(given: str) -> Path:
    """The path `given`, whose ``~`` is a home. Where there is none, it is a name like any other, as for a shell."""
    with suppress(RuntimeError):
        return Path(given).expanduser()
    return Path(given)


def _hash(id_: str | int) -> int:
    return int.from_bytes(hashlib.blake2b(json.dumps(id_).encode(), digest_size=8).digest())


def told(found: Checked, name: str) -> str:
    """What is wrong with the lines of `name`, for a person."""
    more = found.wrong - len(found.first_wrong)
    return "\n".join(
        [
            f"{of(found.wrong, 'line')} of {name} cannot be sent, so nothing was:",
            *(str(one) for one in found.first_wrong),
            *([f"and {more:,} more"] if more else []),
            "--skip-invalid leaves them unsent, each with its error as its result, and sends the others",
        ]
    )
