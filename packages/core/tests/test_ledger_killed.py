"""Processes that write one file are killed at any point. What they acknowledged is there, and nothing is to repair."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings

from pointsman import open_ledger
from pointsman_testing.kit.ledgers.crash import expect_all_there, killed_while_writing

DEEP = settings().max_examples >= 1_000
ROUNDS = 100 if DEEP else 2


@pytest.mark.parametrize("sync", ["normal", "full"] if DEEP else ["normal"])
def test_eight_processes_are_killed_while_they_write(tmp_path: Path, sync: str) -> None:
    url = f"sqlite:{tmp_path}/ledger.db?sync={sync}"
    written: list[str] = []
    for number in range(ROUNDS):
        written += killed_while_writing(url, [f"{number} {who}" for who in range(8)], Random(f"{sync} {number}"))
        expect_all_there(lambda: open_ledger(url), written)
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
