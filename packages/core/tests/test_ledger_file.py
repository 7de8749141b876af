"""A ledger in a file: who may read it, what may be wrong with it, and what is said then."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from pointsman import ConfigError, LedgerQuery, LedgerRating, SqlLedger, StoreError, open_ledger
from pointsman.ledger.queries import Names, ended, listed
from pointsman.ledger.schema import STEPS
from pointsman.ledger.sqlite import SqliteDialect
from pointsman_testing.kit.ledgers.entries import entry

ALL = LedgerQuery()


def some(*ids: str) -> list:
    return [entry(Random(2), call_id) for call_id in ids]


def ids(file: Path) -> list[str]:
    with open_ledger(f"sqlite:{file}") as ledger:
        return sorted(row["call_id"] for row in ledger.rows("calls", ALL))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger that holds two calls."""
    file = tmp_path / "ledger.db"
    with open_ledger(f"sqlite:{file}") as ledger:
        ledger.write(some("a", "b"))
    return file


def failing(file: Path) -> str:
    """What is said when it is opened or used: the file, a cause, a next step."""
    with pytest.raises(StoreError) as caught, open_ledger(f"sqlite:{file}") as ledger:
        ledger.write(some("c"))
    assert str(file) in str(caught.value)
    return str(caught.value)


# Its URL -------------------------------------------------------------------------------------------------------------


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    with open_ledger(f"sqlite://{tmp_path}/new/folder/ledger.db") as ledger:
        ledger.write(some("a"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new/folder").iterdir()}
        assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert (tmp_path / "new/folder").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["x.db", "./x.db", "~/x.db", "{folder}/x.db", "//{folder}/x.db", "////{folder}/x.db"])
def test_a_path_is_relative_absolute_or_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    open_ledger(f"sqlite:{path.format(folder=tmp_path)}").close()
    assert (tmp_path / "x.db").exists()


def test_what_is_special_in_a_path_is_percent_encoded(tmp_path: Path) -> None:
    open_ledger(f"sqlite:{tmp_path}/what%3F%20%25.db").close()
    assert (tmp_path / "what? %.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    {
        "ledger.db": "begins with sqlite:, memory: or",
        "sqlite:": "names no file: write sqlite:///PATH",
        "sqlite:///": "names no file: write sqlite:///PATH",
        "sqlite://ledger.db": "names a host, 'ledger.db': write sqlite:///PATH, or sqlite:PATH if it is relative",
        "sqlite:x.db?synk=full": "there is no option 'synk', only 'sync'; did you mean 'sync'?",
        "sqlite:x.db?sync=off": "sync is 'normal' or 'full', not 'off'",
        "sqlite:~nobody-has-this-name/x.db": "nobody knows the folder ~nobody-has-this-name: write the whole path",
        "sqlite:/a%00b.db": "names no file: there is a null character in it",
        "memory:x": "memory: names no place and has no options",
        "sqlit:x.db": "did you mean 'sqlite'?",
    }.items(),
)
def test_a_url_that_is_none_says_what_to_write(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        open_ledger(url)


@pytest.mark.parametrize(("option", "level"), [("", 1), ("?sync=normal", 1), ("?sync=full", 2)])
def test_sync_says_what_a_power_failure_may_cost(tmp_path: Path, option: str, level: int) -> None:
    """sqlite.org/pragma.html: 1 is NORMAL, 2 is FULL."""
    with open_ledger(f"sqlite:{tmp_path}/x.db{option}") as ledger:
        assert isinstance(ledger, SqlLedger)
        assert ledger._open().execute("PRAGMA synchronous").fetchone() == (level,)
        assert ledger._open().execute("PRAGMA journal_mode").fetchone() == ("wal",)


# What may be wrong with it -------------------------------------------------------------------------------------------


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Buy milk.\n" * 1_000)
    assert "is no database of SQLite; move it away, or set [ledger] url to another file" in failing(notes)
    assert notes.read_text() == "Buy milk.\n" * 1_000


@pytest.mark.parametrize("made", ["CREATE TABLE calls (id)", "PRAGMA user_version=3", "PRAGMA application_id=5"])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, made: str) -> None:
    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        connection.execute(made)
    connection.close()
    assert "is the database of another program: set [ledger] url to another file" in failing(tmp_path / "theirs.db")


def test_a_damaged_file_says_how_to_go_on(file: Path) -> None:
    with file.open("r+b") as bytes_of:
        bytes_of.seek(4096)
        bytes_of.write(b"\xff" * (file.stat().st_size - 4096))
    assert "it is damaged; move it away, and a new one is begun" in failing(file)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "that is a folder; name a file in it" in failing(tmp_path)


def test_a_file_is_no_folder(file: Path) -> None:
    for path in (file / "ledger.db", file / "new" / "ledger.db"):
        assert f"{file} is no folder; set [ledger] url to another file" in failing(path)


def test_a_file_of_a_newer_version_is_left_alone(file: Path) -> None:
    newer = SqlLedger(SqliteDialect(file), steps=[*STEPS, ["ALTER TABLE calls ADD COLUMN mood TEXT"]])
    newer.close()
    before = file.read_bytes()
    said = failing(file)
    assert f"tables are of version {len(STEPS) + 1}, these are of {len(STEPS)}" in said
    assert "upgrade Pointsman here, or set [ledger] url to another place" in said
    assert file.read_bytes() == before


@contextmanager
def nobody() -> Iterator[Path]:
    """A folder, in which this process has no rights that its modes do not give: root has all."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    root = os.geteuid() == 0
    folder.chmod(0o755)
    try:
        if root:
            os.seteuid(65_534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_named() -> None:
    with nobody() as folder:
        if os.getuid() != 0:
            folder.chmod(0o555)
        for file in (folder / "ledger.db", folder / "new" / "ledger.db"):
            assert "Permission denied; let this user write that folder" in failing(file)


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_file_that_may_not_be_written_is_named(mode: int) -> None:
    with nobody() as folder:
        if os.getuid() == 0:
            os.seteuid(0)
        file = folder / "ledger.db"
        open_ledger(f"sqlite:{file}").close()
        file.chmod(mode)
        if os.getuid() == 0:
            os.seteuid(65_534)
        assert "let this user write the file and its folder, or set [ledger] url to another file" in failing(file)


def test_a_full_disk_loses_nothing_that_was_written_and_may_become_free(file: Path) -> None:
    ledger = SqlLedger(SqliteDialect(file))
    connection = ledger._open()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = [replace(one, prompt="x" * 100_000) for one in some("c", "d")]
    with pytest.raises(StoreError, match="full; free some space on that disk, or set"):
        ledger.write(big)
    assert ids(file) == ["a", "b"]
    connection.execute("PRAGMA max_page_count=100000")
    ledger.write(big)
    ledger.close()
    assert ids(file) == ["a", "b", "c", "d"]


def test_who_only_opens_a_ledger_writes_nothing(file: Path) -> None:
    before = file.read_bytes()
    ids(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("where", [{}, {"outcome": "finished", "operation": "chat"}, {"provider": "a", "tag:t": "x"}])
def test_each_page_of_rows_begins_where_the_last_one_ended(file: Path, where: dict[str, str]) -> None:
    """Whatever is wanted of them: else a long ledger takes a time that grows with the square of its length."""
    dialect = SqliteDialect(file)
    query = LedgerQuery(since=datetime(2026, 1, 1, tzinfo=UTC), where=where)
    page = listed("attempts", query, Names(dialect.prefix, dialect.tag), (0, "a", 1), 500)
    connection = dialect.connect()
    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {page.sql}", page.values)]
    connection.close()
    assert plan[0].startswith("SEARCH c USING")
    assert "calls_began" in plan[0]
    assert plan[1].startswith("SEARCH a USING")


def test_what_is_recent_is_found_by_indexes(file: Path) -> None:
    """Else each client would read the whole ledger every half minute."""
    dialect = SqliteDialect(file)
    asked = ended(0, 1, dialect.prefix, 500)
    connection = dialect.connect()
    plan = "\n".join(step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {asked.sql}", asked.values))
    connection.close()
    assert "SEARCH calls USING INDEX calls_ended" in plan
    assert "SEARCH calls USING INDEX calls_rated" in plan
    assert not re.search("^SCAN (calls|c|a)$", plan, re.MULTILINE), plan


def test_another_that_writes_for_long_is_not_waited_for_for_ever(file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with SqlLedger(SqliteDialect(file, busy=0.01)) as ledger:
        assert ledger.totals(ALL)[0].calls, "who reads waits for nobody"
        with pytest.raises(StoreError, match="is locked; another process has been writing to it for long"):
            ledger.write(some("c"))
        other.execute("COMMIT")
        other.close()
        ledger.write(some("c"))
    assert ids(file) == ["a", "b", "c"]


def test_a_call_with_two_attempts_of_one_number_is_refused(file: Path) -> None:
    twice = next(one for one in (entry(Random(n), "c") for n in range(99)) if len(one.call.attempts) == 2)
    first = twice.call.attempts[0]
    wrong = replace(twice, call=replace(twice.call, attempts=(first, first)))
    with open_ledger(f"sqlite:{file}") as ledger, pytest.raises(ValueError, match="the call c has two attempts of the"):
        ledger.write([*some("d"), wrong])
    assert ids(file) == ["a", "b"], "all of it is written, or none"


# While it is used ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["unlink", "rename"])
def test_after_the_file_was_taken_away_a_new_one_is_begun(file: Path, how: str) -> None:
    with open_ledger(f"sqlite:{file}") as ledger:
        if how == "unlink":
            file.unlink()
        else:
            file.rename(file.with_name("old.db"))
        ledger.write(some("c"))
        assert ids(file) == ["c"]


def test_a_file_that_is_moved_while_several_write_to_it_keeps_what_they_wrote(file: Path) -> None:
    """Who has not noticed yet writes on into the old one, whose log had the name that the new one's has."""
    with open_ledger(f"sqlite:{file}") as first, open_ledger(f"sqlite:{file}") as second:
        first.write(some("c"))
        second.write(some("d"))
        file.rename(file.with_name("old.db"))
        first.write(some("e"))
        first.write(some("f"))
        second.write(some("g"))
    assert ids(file) == ["e", "f", "g"]
    assert ids(file.with_name("old.db")) == ["a", "b", "c", "d"]


def test_a_process_that_was_forked_has_a_connection_of_its_own(file: Path) -> None:
    code = """
import os, pickle, sys
from dataclasses import replace
from pointsman import LedgerQuery, open_ledger
one = pickle.load(sys.stdin.buffer)
def called(call_id):
    return replace(one, call=replace(one.call, call_id=call_id))
with open_ledger(f"sqlite:{sys.argv[1]}") as ledger:
    ledger.write([called("parent")])
    child = os.fork()
    for number in range(5):
        ledger.write([called(f"{'parent' if child else 'child'} {number}")])
    if not child:
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    assert ledger.totals(LedgerQuery(), ["policy"])
"""
    subprocess.run([sys.executable, "-c", code, str(file)], input=pickle.dumps(some("x")[0]), check=True, timeout=60)
    assert len(ids(file)) == 2 + 1 + 2 * 5


def test_what_is_forgotten_is_gone_and_its_room_is_given_back(file: Path) -> None:
    secret = "a secret that nobody wrote down elsewhere " * 200
    with open_ledger(f"sqlite:{file}") as ledger:
        ledger.write([replace(one, prompt=secret) for one in some(*map(str, range(200)))])
    large = file.stat().st_size
    with open_ledger(f"sqlite:{file}") as ledger:
        assert ledger.purge(datetime(2030, 1, 1, tzinfo=UTC)) == 202
    assert b"nobody wrote down" not in file.read_bytes()
    assert file.stat().st_size < large / 10


# From version to version ---------------------------------------------------------------------------------------------

ROWS = {
    1: [
        """INSERT INTO calls (call_id, began, operation, outcome, provider, model, policy, task, tags, e2e, cost,
            cost_exact, prompt) VALUES ('old', 1796083200000000, 'chat', 'finished', 'acme', 'm', 'in_order', NULL,
            '{"team": "x"}', 1500000, 250000000000, 1, NULL)""",
        """INSERT INTO attempts (call_id, attempt, began, provider, model, outcome, role, probe, duration, input_tokens,
            cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, cost, cost_exact)
            VALUES ('old', 1, 1796083200000000, 'acme', 'm', 'finished', 'first', 0, 1500000, 7, 1, 0, 2, 0, 0,
            250000000000, 1)""",
    ],
    2: [
        """INSERT INTO calls (call_id, began, operation, outcome, provider, model, policy, task, tags, e2e, cost,
            cost_exact, propensity, policy_hash, decision, rating, rated) VALUES ('old', 1796083200000000, 'chat',
            'finished', 'acme', 'm', 'scored', 'code', '{"team": "x"}', 1500000, 250000000000, 1, 900000, 'c0ffee',
            '{"order": ["acme/m"]}', 750000, 1796083300000000)""",
        """INSERT INTO attempts (call_id, attempt, began, provider, model, outcome, role, probe, duration, held,
            input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, cost,
            cost_exact) VALUES ('old', 1, 1796083200000000, 'acme', 'm', 'finished', 'first', 0, 1500000, 0, 7, 1, 0, 2,
            0, 0, 250000000000, 1)""",
    ],
}
"""A call as each version had it, to be written into tables of that version. A new step needs one of its own."""


@pytest.mark.parametrize("version", range(1, len(STEPS) + 1))
def test_a_ledger_of_every_version_is_brought_to_this_one(tmp_path: Path, version: int) -> None:
    file = tmp_path / "ledger.db"
    with SqlLedger(SqliteDialect(file), steps=STEPS[:version]) as old:
        for sql in ROWS[version]:
            old._open().execute(sql)
    with open_ledger(f"sqlite:{file}") as ledger:
        (total,) = ledger.totals(ALL, ["day", "tag:team"])
        assert (total.key, total.calls, total.attempts) == (("2026-12-01", "x"), 1, 1)
        assert (str(total.cost), total.usage.input_tokens) == ("$0.25", 7)
        (told,) = ledger.recent(datetime(2026, 12, 1, tzinfo=UTC), 9)
        assert (told.ended, told.rating) == (1_796_083_201.5, {1: None, 2: 0.75}[version])
        assert (told.attempts[0].output_tokens, told.attempts[0].held) == (2, 0.0)
        assert ledger.rate([LedgerRating(call_id="old", score=1.0, at=1_796_083_400.0)]) == []
        ledger.write(some("new"))
    assert ids(file) == ["new", "old"]


def test_a_file_that_another_process_begins_meanwhile_is_no_other_programs(tmp_path: Path) -> None:
    dialect = SqliteDialect(tmp_path / "ledger.db")
    connection = dialect.connect()

    class Slow:
        def execute(self, sql: str) -> object:
            cursor = connection.execute(sql)
            open_ledger(f"sqlite:{tmp_path}/ledger.db").close()
            return cursor

    assert dialect.version(cast(Any, Slow())) == 0
    assert dialect.version(connection) == len(STEPS)
    connection.close()


@pytest.mark.parametrize("size", [0, None])
def test_an_empty_file_is_a_ledger_without_calls(tmp_path: Path, size: int | None) -> None:
    file = tmp_path / "ledger.db"
    if size is not None:
        file.write_bytes(b"")
    assert ids(file) == []


def test_a_step_that_fails_leaves_the_version_before(file: Path) -> None:
    good, bad = "ALTER TABLE calls ADD COLUMN mood TEXT", "UPDATE calls SET no_such_column = 1"
    before = file.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError, match="no such column"):
            SqlLedger(SqliteDialect(file), steps=[*STEPS, [good], [good.replace("mood", "face"), bad]])
    assert file.read_bytes() == before
    with SqlLedger(SqliteDialect(file), steps=[*STEPS, [good]]) as ledger:
        ledger.write(some("c"))
        assert ledger._open().execute("SELECT COUNT(mood) FROM calls").fetchone() == (0,)
    with SqlLedger(SqliteDialect(file), steps=[*STEPS, [good], ["UPDATE calls SET mood = 'good'"]]) as ledger:
        assert ledger._open().execute("SELECT mood FROM calls").fetchall() == [("good",)] * 3
