"""Trouble that is real: a disk that is full, a folder that is somebody else's, processes that are killed."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman import LedgerQuery, open_ledger

BEGIN = """
import asyncio, logging, os, sys
import pointsman
from pointsman_testing import ScriptedProvider
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)

def client(url, **ledger):
    plugins = pointsman.Plugins.of(providers={"a": ScriptedProvider("a", default="well, well, well")})
    return pointsman.AsyncClient(settings=pointsman.Settings.of({"ledger": {"url": url, **ledger}}), plugins=plugins)
"""


def child(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", BEGIN + code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def calls(file: Path) -> int:
    with open_ledger(f"sqlite:{file}") as ledger:
        (total,) = ledger.totals(LedgerQuery())
    assert total.attempts == total.calls
    return total.calls


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "small"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


FULL = """
async def main(disk):
    asked = 0
    async with client(f"sqlite:{disk}/ledger.db", texts=True) as one:
        while True:
            assert (await one.chat("some kilobytes of " + "prompt " * 600)).text == "well, well, well"
            asked += 1
            try:
                await one.flush()
            except pointsman.StoreError as error:
                break
        for _ in range(20):
            assert (await one.chat("and answers go on")).text
            asked += 1
        try:
            await one.flush()
        except pointsman.StoreError as error:
            print("still", type(error).__name__)
        os.remove(f"{disk}/filler")
        await one.flush()
    print(asked)

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_is_said_once_and_what_waited_is_written_when_there_is_room(small: Path) -> None:
    (small / "filler").write_bytes(b"x" * 100 * 1024)
    process = child(FULL, small)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    still, asked = said.splitlines()
    assert still == "still StoreError"
    (line,) = errors.splitlines()
    assert line.startswith("ERROR")
    assert all(words in line for words in (str(small / "ledger.db"), "full", "free some space")), line
    assert calls(small / "ledger.db") == int(asked) > 20


OTHERS = """
async def ask(url):
    async with client(url) as one:
        print((await one.chat("hi")).text)

asyncio.run(ask("memory:"))  # Whatever is imported on the way may be in a folder of root's.
import sqlite3, pointsman.ledger.sqlite
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
asyncio.run(ask(f"sqlite:{sys.argv[1]}"))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize("where", ["mine/ledger.db", "mine/deeper/ledger.db", "ledger.db"])
def test_a_folder_of_somebody_else_costs_no_answer(tmp_path: Path, where: str) -> None:
    """The folder is closed to others, or the file is there and may only be read."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    file = tmp_path / where
    if where == "ledger.db":
        open_ledger(f"sqlite:{file}").close()
        file.chmod(0o644)
    process = child(OTHERS, file)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said.split()) == (0, ["well,", "well,", "well"] * 2), errors
    first, last = errors.splitlines()
    assert first.startswith("ERROR")
    assert str(file) in first
    assert "let this user write" in first
    assert "1 call is missing" in last


KILLED = """
async def main(file):
    async with client(f"sqlite:{file}") as one:
        print("begun", flush=True)
        asked = 0

        async def ask():
            nonlocal asked
            while True:
                await one.chat("hi")
                asked += 1

        async def flush():
            while True:
                before = asked
                await one.flush()
                print(before, flush=True)

        await asyncio.gather(*(ask() for _ in range(4)), flush())

asyncio.run(main(sys.argv[1]))
"""

ROUNDS = int(os.environ.get("KILL_ROUNDS") or 2)


def test_what_was_flushed_is_there_whenever_the_process_is_killed(tmp_path: Path) -> None:
    """Two at once, so that one may be killed while the other waits for it."""
    file, acknowledged = tmp_path / "ledger.db", 0
    for number in range(ROUNDS):
        both = [child(KILLED, file) for _ in range(2)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
        seen = 0
        while number % 2 and not seen:  # Else they may be killed before they have written anything.
            assert both[0].stdout is not None
            seen = int(both[0].stdout.readline())
        time.sleep(random.uniform(0.05, 0.4))
        for process in both:
            process.kill()
            said, errors = process.communicate(timeout=60)
            assert errors == ""
            whole = [int(line) for line in said.splitlines(keepends=True) if line.strip() and line.endswith("\n")]
            acknowledged += max([seen if process is both[0] else 0, *whole])
        assert calls(file) >= acknowledged
    assert acknowledged > 0
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
