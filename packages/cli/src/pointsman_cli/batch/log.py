"""The output and its journal: written in an order in which a crash at any moment loses no result and hides no sending.

The output has a line for each result, in the order in which they came; once no line is open, in that of the input. The
journal stands beside it. Its first line says which input and which options it is about; each further line, how often a
line of the input has been sent. It is on disk before the line is sent. A result counts once it is on disk.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from operator import gt
from threading import Lock
from typing import Any, TypeGuard

from .progress import Progress, Result, mark, read_mark
from .storage import File, Folder
from .words import Halt

VERSION = 1
JOURNAL = ".journal"
DRAFT = ".part"
_BEGINNING = b'{"pointsman": "batch", '
"""Of each journal."""
_BLOCK = 1024**2


class Log:
    """Safe to use from several threads."""

    def __init__(self, folder: Folder, name: str, journal: File, results: File, progress: Progress) -> None:
        self._folder = folder
        self._name = name
        self._journal = journal
        self._results = results
        self._lock = Lock()
        self._header = 0
        """Bytes of the journal's first line."""
        self._written = 0
        """Lines of the output, also those that count no more."""
        self.progress = progress
        self.torn = 0
        """Lines that a crash had torn, and that were dropped."""

    @classmethod
    def open(
        cls, folder: Folder, name: str, journal: File, identity: Mapping[str, Any], last: int, *, restart: bool = False
    ) -> Log:
        """Go on where the files end, or begin. `journal` is open, and nobody else's meanwhile.

        Raises `Halt` if they are about something else, and `OSError`.
        """
        found = next((data for _, data in journal.lines()), b"")
        if any(
            had and had != wanted for had, wanted in zip(found, _BEGINNING, strict=False)
        ):  # What is torn has zeros.
            why = f"{name}{JOURNAL} is not the journal of a batch, and would be written over"
            raise Halt(why, "move it away, or name another --output")
        if restart:
            _put_away(folder, name, journal)
            found = b""
        header = json.dumps({"pointsman": "batch", "version": VERSION, **identity}).encode() + b"\n"
        results = folder.open(name)
        try:
            if found.endswith(b"\n") and b"\0" not in found:  # Else it was torn, before any line was sent.
                _compare(json.loads(header), found, name)
            elif results.size:
                raise Halt(
                    f"{name} is there already, and no journal beside it says what it is the result of",
                    "name another --output; or --restart, which keeps it under another name",
                )
            else:
                journal.cut(0)
                journal.append(header)
                journal.sync()
            log = cls(folder, name, journal, results, Progress(last))
            log._read()
            return log
        except BaseException:
            results.close()
            raise

    def _read(self) -> None:
        """What is on disk. What is torn is dropped: it was not synced, so nobody has relied on it."""
        end = 0
        for offset, data in self._results.lines():
            result = Result.read(data)
            if data.endswith(b"\n"):
                end = offset + len(data)
                self._written += 1
            if result is None or not self.progress.knows(result.line):
                self.torn += 1
            else:
                self.progress.note(result, offset, self.before(result.line))
        if end < self._results.size:
            self._results.cut(end)
        for offset, data in self._journal.lines():
            if data.endswith(b"\n"):
                end = offset + len(data)
            if not offset:
                self._header = end
            elif (read := read_mark(data)) and self.progress.knows(read[0]):
                self.progress.marked(*read)
        if end < self._journal.size:
            self._journal.cut(end)

    def before(self, line: int) -> Result | None:
        """The result that a line has so far."""
        where = self.progress.where_is(line)
        return None if where is None else Result.read(self._results.at(where))

    # While it runs -------------------------------------------------------------------------------------------------

    def commit(self, marks: Sequence[tuple[int, int]], results: Sequence[Result]) -> None:
        """Return once these are on disk: `marks` are lines, with how often they will have been sent by then.

        Raises `OSError`; then none of `results` counts, and they may be handed in again.
        """
        with self._lock:
            if marks:
                _write(self._journal, b"".join(mark(*one) for one in marks))
                for line, sent in marks:
                    self.progress.marked(line, sent)
            if results:
                where = self._results.size
                _write(self._results, b"".join(one.data for one in results))
                for one in results:
                    self.progress.note(one, where, self.before(one.line))
                    where += len(one.data)
                self._written += len(results)

    def finish(self) -> None:
        """Put the results in the order of the input, once no line is open; of a line with several, only the last.

        Raises `OSError`; then all is as it was.
        """
        with self._lock:
            wanted = array("q", filter(_is_somewhere, map(self.progress.where_is, range(self.progress.last + 1))))
            if self._written != len(wanted) or any(map(gt, wanted, wanted[1:])):
                self._results = _rewritten(self._folder, self._name, self._results, wanted)
                self._written = len(wanted)
            if self._journal.size > self._header:
                self._journal.cut(self._header)  # What it says is in the results, too.

    def close(self) -> None:
        self._results.close()
        self._journal.close()


def _write(file: File, data: bytes) -> None:
    whole = file.size
    try:
        file.append(data)
        file.sync()
    except OSError:
        with suppress(OSError):
            file.cut(whole)
        raise


def _is_somewhere(where: int | None) -> TypeGuard[int]:
    return where is not None


def _rewritten(folder: Folder, name: str, results: File, wanted: Iterable[int]) -> File:
    draft = folder.open(name + DRAFT)
    try:
        draft.cut(0)
        block = bytearray()
        for where in wanted:
            block += results.at(where)
            if len(block) > _BLOCK:
                draft.append(bytes(block))
                block.clear()
        draft.append(bytes(block))
        draft.sync()
        folder.rename(name + DRAFT, name)
    except BaseException:
        draft.close()
        raise
    results.close()
    return draft


def _put_away(folder: Folder, name: str, journal: File) -> None:
    """Keep the results that are there under another name, and forget what the journal says of them."""
    if folder.has(name):
        number = next(one for one in count(1) if not folder.has(f"{name}.{one}"))
        folder.rename(name, f"{name}.{number}")
    journal.cut(0)


def _compare(wanted: Mapping[str, Any], found: bytes, name: str) -> None:
    """Raises `Halt` if the journal's first line is about something else."""
    try:
        header: Any = json.loads(found)
        kind, version = header["pointsman"], header["version"]
        options, input_ = dict(header["options"]), header["input"]
    except (ValueError, KeyError, TypeError):
        kind = version = None
        options, input_ = {}, None
    again = "--restart begins anew, and keeps what is there under another name; or name another --output"
    if kind != "batch" or version != VERSION:
        raise Halt(f"{name}{JOURNAL} is the journal of another version of pointsman", again)
    if input_ != wanted["input"]:
        raise Halt(f"the input is not the one that {name} was begun with: it has changed since", again)
    differs = [key for key in {**options, **wanted["options"]} if options.get(key) != wanted["options"].get(key)]
    if differs:
        was = ", ".join(f"{key} was {json.dumps(options.get(key))}" for key in sorted(differs))
        raise Halt(f"{name} was begun with other options: {was}", f"give the same as then; or {again}")
