"""What many tasks ask the disk for at once: also where the disk is full, and where who asks is cancelled."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from threading import Event

import anyio
import anyio.lowlevel
import pytest

from pointsman import Exact
from pointsman_cli.batch.committing import Committer
from pointsman_cli.batch.disk import DiskFile, DiskFolder
from pointsman_cli.batch.log import JOURNAL, Log
from pointsman_cli.batch.results import made

pytestmark = pytest.mark.anyio


def opened(folder: Path) -> Log:
    disk = DiskFolder(folder)
    return Log.open(disk, "out", disk.open(f"out{JOURNAL}"), {"input": {}, "options": {}}, last=2)


async def test_who_is_cancelled_while_a_line_is_marked_takes_the_mark_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, syncing, going_on, real = opened(tmp_path), Event(), Event(), DiskFile.sync

    def slow(self: DiskFile) -> None:
        real(self)
        syncing.set()
        going_on.wait()

    monkeypatch.setattr(DiskFile, "sync", slow)
    committer = Committer(log)
    async with anyio.create_task_group() as group:
        group.start_soon(committer.run)
        async with anyio.create_task_group() as asking:
            asking.start_soon(committer.mark, 1, 1)
            await anyio.to_thread.run_sync(syncing.wait)
            asking.cancel_scope.cancel()
        going_on.set()
        await committer.close()
    assert log.progress.sent(1) == 0, "it was not sent"
    log.close()


async def test_a_result_that_finds_no_room_leaves_no_mark_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = opened(tmp_path), DiskFile.append

    def full(self: DiskFile, data: bytes) -> None:
        if b"reply" in data:
            raise OSError(errno.ENOSPC, "full")
        real(self, data)

    committer, result = Committer(log), made(1, None, 1, Exact(0), reply={})
    async with anyio.create_task_group() as group:
        group.start_soon(committer.run)
        await committer.mark(1, 1)
        with monkeypatch.context() as patch:
            patch.setattr(DiskFile, "append", full)
            committer.keep(result)
            with pytest.raises(OSError, match="full"):
                await committer.mark(2, 1)
        await committer.close()
    assert json.loads((tmp_path / "out").read_bytes()) == json.loads(result.data), "there was room again"
    log.close()
    log = opened(tmp_path)
    assert [log.progress.sent(line) for line in (1, 2)] == [1, 0]
    log.close()
