"""Whatever moment a batch is killed at, on a disk that keeps no more than it has promised: each line is answered once.

The disk is a model. What was not synced may be there after a crash, or be gone, or be there in part, with zeros where a
block was not written; a change of names holds once its folder was synced, and the changes hold in their order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import AtLeast, Exact
from pointsman_cli.batch.disk import DiskFolder
from pointsman_cli.batch.log import JOURNAL, Log
from pointsman_cli.batch.progress import Result
from pointsman_cli.batch.results import made

NAME = "out.jsonl"
IDENTITY = {"input": {"bytes": 1, "sha256": "00"}, "options": {"model": "a/m"}}


class Crash(BaseException):
    """The machine stops here."""


class Inode:
    """A file: what is on disk for certain, and what the system shows."""

    def __init__(self) -> None:
        self.durable = b""
        self.shown = b""


class Disk:
    """Stops at the operation `last`; `random` says what is left then."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names: dict[str, Inode] = {}
        self.durable: dict[str, Inode] = {}
        self.left = -1
        """Operations until the next crash; below 0: none."""

    def step(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1

    def crash(self, *, power: bool) -> None:
        """All processes are gone, and with `power` all that was not synced may be, too."""
        self.left = -1
        if not power:
            return
        if self.random.random() < 0.5:
            self.names = dict(self.durable)
        self.durable = dict(self.names)
        for inode in {id(one): one for one in self.names.values()}.values():
            inode.shown = inode.durable = self._left_of(inode)

    def _left_of(self, inode: Inode) -> bytes:
        if not inode.shown.startswith(inode.durable):  # It was cut, or is another altogether.
            return self.random.choice([inode.durable, inode.shown])
        tail = bytearray(inode.shown[len(inode.durable) :])
        del tail[self.random.randint(0, len(tail)) :]
        if tail and self.random.random() < 0.3:
            start = self.random.randrange(len(tail))
            end = self.random.randint(start, len(tail))
            tail[start:end] = bytes(end - start)
        return inode.durable + bytes(tail)

    # As a folder ---------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        return name in self.names

    def open(self, name: str) -> Handle:
        if name not in self.names:
            self.step()
            self.names[name] = Inode()
        self.step()
        self.durable = dict(self.names)
        return Handle(self, self.names[name])

    def rename(self, name: str, to: str) -> None:
        self.step()
        self.names[to] = self.names.pop(name)
        self.step()
        self.durable = dict(self.names)


class Handle:
    """An open file."""

    def __init__(self, disk: Disk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode
        self.size = len(inode.shown)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        for line in BytesIO(self._inode.shown):
            yield offset, line
            offset += len(line)

    def at(self, offset: int) -> bytes:
        return self._inode.shown[offset:].partition(b"\n")[0] + b"\n"

    def append(self, data: bytes) -> None:
        if self._disk.left == 0:  # It is killed within the write.
            self._inode.shown = self._inode.shown[: self.size] + data[: self._disk.random.randint(0, len(data))]
        self._disk.step()
        self._inode.shown = self._inode.shown[: self.size] + data
        self.size += len(data)

    def cut(self, size: int) -> None:
        self._disk.step()
        self._inode.shown = self._inode.shown[:size]
        self.size = size
        self._disk.step()
        self._inode.durable = self._inode.shown

    def sync(self) -> None:
        self._disk.step()
        self._inode.durable = self._inode.shown

    def close(self) -> None:
        pass


class World:
    """What is true, whoever remembers it: how often a line was sent, and whether its answer was kept."""

    def __init__(self, lines: int) -> None:
        self.lines = lines
        self.sent = Counter[int]()
        self.marked = Counter[int]()
        """Tries to send it, of which a crash may have prevented the last step."""
        self.made: dict[int, list[bytes]] = {}
        """All results that there were, in order; of each line."""
        self.kept: dict[int, bytes] = {}
        """The last of them that was on disk for certain."""

    def run(self, disk: Disk, random: Random, at_once: int, *, fails: float = 0.0, retry: bool = False) -> None:
        """A process, until it is done, or stops with a `Crash`. Of its answers a share `fails`."""
        log = Log.open(disk, NAME, disk.open(NAME + JOURNAL), IDENTITY, self.lines)
        progress = log.progress
        for line, data in self.kept.items():
            assert is_error(data) or not progress.is_open(line), "a result that was synced is there"
        numbers = range(1, self.lines + 1)
        todo = [line for line in numbers if progress.is_open(line) or (retry and progress.failed(line))]
        flying: list[tuple[int, int]] = []
        while todo or flying:
            marks = [self._mark(log, todo.pop(0)) for _ in range(random.randint(0, at_once - len(flying))) if todo]
            random.shuffle(flying)
            ended = [flying.pop() for _ in range(random.randint(0, len(flying)))]
            back = [(line, sent - 1) for line, sent in ended if random.random() < 0.1]
            answers = [answer(*one, random.random() < fails) for one in ended if (one[0], one[1] - 1) not in back]
            for line, _ in back:  # Nobody had begun to answer it.
                self.sent[line] -= 1
                todo.append(line)
            for one in answers:
                self.made.setdefault(one.line, []).append(one.data)
            log.commit(marks + back, answers)
            for line, sent in marks:
                assert line not in self.kept or is_error(self.kept[line]), "what is answered on disk is not sent again"
                self.sent[line] += 1
                flying.append((line, sent))
            self.kept |= {one.line: one.data for one in answers}
        log.finish()

    def _mark(self, log: Log, line: int) -> tuple[int, int]:
        self.marked[line] += 1
        return line, log.progress.sent(line) + 1


def answer(line: int, sent: int, failed: bool) -> Result:
    text = f"{line}\u2028\n\0" + "x" * (line * 7 % 40)
    told = {"reply": None, "error": {"message": text}} if failed else {"reply": {"text": text}, "error": None}
    return made(line, f"id-{line}", sent, Exact("0.25") if sent == 1 else AtLeast("0.5"), **told)


def is_error(data: bytes) -> bool:
    return json.loads(data)["error"] is not None


@example(seed=168540, lines=1, crashes=[7])  # The first line of the journal, with zeros in its middle.
@example(seed=353, lines=2, crashes=[3, 9])  # A file whose name had not been synced when its maker was killed.
@given(seed=st.integers(0, 2**64), lines=st.integers(1, 12), crashes=st.lists(st.integers(0, 60), max_size=6))
def test_each_line_is_answered_once_wherever_it_is_killed(seed: int, lines: int, crashes: list[int]) -> None:
    survive(seed, lines, crashes)


@pytest.mark.parametrize("left", range(40))
def test_each_line_is_answered_once_at_every_point_of_a_small_batch(left: int) -> None:
    """The last points are in the putting in order, and beyond the end. Then the same while errors are sent again."""
    for seed in range(10):
        survive(seed, 4, [left])
        survive(seed, 4, [1_000, left])


def survive(seed: int, lines: int, crashes: list[int]) -> None:
    random = Random(seed)
    disk, world, at_once = Disk(random), World(lines), random.randint(1, 5)
    for left in crashes:
        disk.left = left
        try:
            world.run(disk, random, at_once, fails=0.3, retry=random.random() < 0.5)
        except Crash:
            disk.crash(power=random.random() < 0.7)
    disk.left = -1
    retry = random.random() < 0.5
    world.run(disk, random, at_once, retry=retry)
    said = [json.loads(line) for line in disk.names[NAME].shown.splitlines()]
    assert [one["line"] for one in said] == list(range(1, lines + 1)), "one each, in the order of the input"
    for one in said:
        assert not (retry and one["error"])
        assert one in [json.loads(data) for data in world.made[one["line"]]]
        assert world.sent[one["line"]] <= one["sent"] <= world.marked[one["line"]]
        if kept := world.kept.get(one["line"]):
            assert one["sent"] >= json.loads(kept)["sent"], "that one, or one that came after it"
    assert disk.names[NAME + JOURNAL].shown.count(b"\n") == 1, "the journal says no more than what it is about"
    before = disk.names[NAME].shown
    world.run(disk, random, at_once)
    assert disk.names[NAME].shown == before


def test_a_real_disk_shows_all_results_of_lines_that_have_several(tmp_path: Path) -> None:
    """As after a crash while errors were sent again: the earlier result of a line is looked up while all are read."""
    count = 60

    def opened() -> Log:
        disk = DiskFolder(tmp_path)
        return Log.open(disk, NAME, disk.open(NAME + JOURNAL), IDENTITY, count)

    log = opened()
    for sent in (1, 2, 3):
        log.commit([(line, sent) for line in range(1, count + 1)], [])
        log.commit([], [large(line, sent, failed=sent < 3) for line in range(1, count + 1)])
    log.close()
    log = opened()
    progress = log.progress
    assert (progress.results, progress.errors, progress.reopened(), log.torn) == (count, 0, 0, 0)
    log.finish()
    log.close()
    said = [json.loads(line) for line in (tmp_path / NAME).read_bytes().splitlines()]
    assert [(one["line"], one["sent"]) for one in said] == [(line, 3) for line in range(1, count + 1)]


def large(line: int, sent: int, *, failed: bool) -> Result:
    """So that many do not fit into one block that is read."""
    told = {"reply": None, "error": {}} if failed else {"reply": {"text": "x" * 500}, "error": None}
    return made(line, None, sent, Exact(0), **told)
