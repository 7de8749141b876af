"""What PostgreSQL is for: a server that goes and comes back, and others that use it."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from hypothesis import settings

import pointsman_store_postgres.ledger as room
from pointsman import ConfigError, LedgerEntry, LedgerQuery, Plugins, SqlLedger, StoreError, open_ledger
from pointsman_store_postgres.ledger import PostgresDialect, postgres_ledger
from pointsman_testing.kit.ledgers.crash import expect_all_there, killed_while_writing, writers
from pointsman_testing.kit.ledgers.entries import entry

ALL = LedgerQuery()
SECRET = "correct%20horse"
ROUNDS = 1 if settings().max_examples < 1_000 else 20


def some(*ids: str) -> list[LedgerEntry]:
    return [entry(Random(2), call_id) for call_id in ids]


def schema_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["schema"][0]


def ids(url: str) -> list[str]:
    with open_ledger(url) as ledger:
        return sorted(row["call_id"] for row in ledger.rows("calls", ALL))


def failing(url: str) -> str:
    """What is said: the place, a cause, a next step, and no password, however one looks at it."""
    with pytest.raises((StoreError, ConfigError)) as caught:
        open_ledger(url)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not re.search("correct.{1,3}horse", shown)
    return str(caught.value)


@pytest.fixture
def url(server: Any) -> str:
    return str(server.new_schema())


def test_importing_it_loads_no_driver() -> None:
    code = "import sys, pointsman_store_postgres; assert 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Its URL -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_schemes_open_the_same(url: str, scheme: str) -> None:
    with open_ledger(url) as ledger:
        ledger.write(some("a"))
    assert ids(url.replace("postgres:", f"{scheme}:")) == ["a"]


def test_each_schema_is_a_ledger_of_its_own_beside_other_tables(server: Any, url: str) -> None:
    server.execute("CREATE TABLE IF NOT EXISTS calls (somebody text)")
    other = server.new_schema()
    for one, name in ((url, "a"), (other, "b")):
        with open_ledger(one) as ledger:
            ledger.write(some(name))
    assert (ids(url), ids(other)) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("url", "said"),
    {
        f"postgres://u:{SECRET}%zz@host/d": "percent-encode what is special in user, password and database (@ is %40",
        f"postgres://u:{SECRET}@host/d?colour=red": 'invalid URI query parameter: "colour"',
        "postgres://u@host/d?schema=Robert'); DROP": "is no name of a schema here: use small letters, digits and",
    }.items(),
)
def test_a_url_that_cannot_be_read_says_why(url: str, said: str) -> None:
    assert said in failing(url)


def test_without_the_package_it_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"needs the package pointsman-store-postgres: pip install pointsman-store-p"):
        open_ledger(f"postgres://u:{SECRET}@host/d", plugins=Plugins.of())


# Who may not -------------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_named() -> None:
    said = failing(f"postgres://u:{SECRET}@127.0.0.1:1/d")
    assert "the ledger at postgres://u@127.0.0.1:1/d cannot be used" in said
    assert "see that the server runs and can be reached from here" in said


def test_who_is_not_let_in_is_told_what_to_look_at(server: Any) -> None:
    server.execute("CREATE ROLE locked LOGIN PASSWORD 'correct horse'; GRANT CREATE ON DATABASE postgres TO locked")
    assert "see that user and password in [ledger] url are right" in failing(server.url(user=f"locked:{SECRET}X"))
    assert "put the password into [ledger] url, PGPASSWORD or ~/.pgpass" in failing(server.url(user="locked"))
    assert 'role "nobody" does not exist; create that user' in failing(server.url(user=f"nobody:{SECRET}"))
    assert '"nowhere" does not exist; create that database (createdb)' in failing(server.url("nowhere"))
    with open_ledger(f"{server.url(user=f'locked:{SECRET}')}?schema=theirs") as ledger:
        assert "horse" not in repr(ledger)
        ledger.write(some("a"))


@pytest.mark.parametrize(
    ("said", "step"),
    {
        "FATAL: the database system is starting up": "the server is starting or stopping: wait for it",
        "FATAL: the database system is not yet accepting connections": "the server is starting or stopping",
        "FATAL: sorry, too many clients already": "allow the server more connections",
        "FATAL: remaining connection slots are reserved": "allow the server more connections",
        "timeout expired": "see that the server runs and can be reached from here",
    }.items(),
)
def test_what_cannot_be_shown_here_has_its_next_step_too(said: str, step: str) -> None:
    """The server's words while a connection is made, as postgres.c and postmaster.c of 15 have them."""
    assert step in str(PostgresDialect({}).explain(psycopg.OperationalError(said)))


def test_who_may_make_no_schema_can_be_given_one(server: Any, url: str) -> None:
    name = schema_of(url)
    server.execute(f"CREATE ROLE low_{name} LOGIN")
    theirs = url.replace("app@", f"low_{name}@")
    assert "let this user make a schema (GRANT CREATE ON DATABASE), or make one for it" in failing(theirs)
    server.execute(f"CREATE SCHEMA {name} AUTHORIZATION low_{name}")
    with open_ledger(theirs) as ledger:
        ledger.write(some("a"))
    assert ids(theirs) == ["a"]


def test_tables_of_another_program_are_left_alone(server: Any, url: str) -> None:
    name = schema_of(url)
    server.execute(f"CREATE SCHEMA {name}; CREATE TABLE {name}.attempts (somebody text)")
    for _ in range(2):
        assert "the schema holds tables of another program: choose another with ?schema=NAME" in failing(url)
    assert server.execute(f"SELECT to_regclass('{name}.calls')") == [(None,)]


def test_every_text_is_kept_whatever_a_database_or_a_client_is_in_by_default(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``initdb`` in the C locale makes a database in SQL_ASCII, whose texts the driver takes for bytes."""
    server.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    url, (one,) = server.url("plain"), some("☃")
    with open_ledger(url) as ledger:
        for _ in range(2):
            ledger.write([replace(one, call=replace(one.call, task="日本", tags={"ü": "☃"}))])
        assert [total.key for total in ledger.totals(ALL, ["task", "tag:ü"])] == [("日本", "☃")]
    assert ids(url) == ["☃"]


def test_a_database_that_cannot_hold_every_text_is_refused(server: Any) -> None:
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    assert "its database is in LATIN1, which cannot hold every text; create one in UTF-8" in failing(
        server.url("latin")
    )


def test_who_locks_the_tables_is_not_waited_for_for_ever(
    server: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LOCK_SECONDS", 0.02)
    with postgres_ledger(url) as ledger, psycopg.connect(server.url()) as other:
        other.execute(f"LOCK TABLE {schema_of(url)}.calls")
        with pytest.raises(StoreError, match="somebody has locked the ledger's tables for long: see pg_stat_activity"):
            ledger.write(some("a"))
        other.rollback()
        ledger.write(some("a"))


def test_a_question_that_takes_too_long_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STATEMENT_SECONDS", 0.001)
    with postgres_ledger(url) as ledger, pytest.raises(StoreError, match=r"ask for less at once"):
        while True:
            ledger.write(some("a"))
            ledger.totals(ALL, ["day"])


# It goes, and comes back ---------------------------------------------------------------------------------------------

USES: dict[str, Callable[[Any], object]] = {
    "write": lambda ledger: ledger.write(some("b")),
    "totals": lambda ledger: ledger.totals(ALL),
    "rows": lambda ledger: list(ledger.rows("calls", ALL)),
}


@pytest.mark.parametrize("use", USES)
def test_a_connection_that_was_lost_is_made_anew(server: Any, url: str, use: str) -> None:
    with open_ledger(url) as ledger:
        ledger.write(some("a"))
        assert isinstance(ledger, SqlLedger)
        pid: Any = ledger._open()
        server.execute(f"SELECT pg_terminate_backend({pid.info.backend_pid}, 5000)")
        USES[use](ledger)
    assert ids(url) == (["a", "b"] if use == "write" else ["a"])


def test_a_server_that_was_killed_has_all_that_was_written_when_it_is_back(server: Any, url: str) -> None:
    with open_ledger(url) as ledger:
        for number in range(ROUNDS):
            written = killed_while_writing(url, [f"{number} killed"], Random(number), most=5)
            with writers(url, [f"{number} {who}" for who in range(3)]) as running:
                for one in running:
                    assert one.stdout is not None
                    written += [one.stdout.readline().strip() for _ in range(10)]
                server.kill()
                try:
                    with pytest.raises(StoreError, match="see that the server runs and can be reached from here"):
                        ledger.write(some("a"))
                finally:
                    server.start()
                for one in running:
                    assert one.stdout is not None
                    written += [line for line in one.stdout.read().split("\n") if line]
            expect_all_there(lambda: open_ledger(url), written)
        ledger.write(some("a"))
    assert "a" in ids(url)


def test_a_process_that_was_forked_has_a_connection_of_its_own(url: str) -> None:
    code = """
import os, pickle, sys
from dataclasses import replace
from pointsman import LedgerQuery, open_ledger
one = pickle.load(sys.stdin.buffer)
def called(call_id):
    return replace(one, call=replace(one.call, call_id=call_id))
with open_ledger(sys.argv[1]) as ledger:
    ledger.write([called("parent")])
    child = os.fork()
    for number in range(5):
        ledger.write([called(f"{'parent' if child else 'child'} {number}")])
    if not child:
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
    ledger.write([called("last")])
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, url], input=pickle.dumps(some("x")[0]), check=True, timeout=60
    )
    assert len(ids(url)) == 1 + 2 * 5 + 1


def test_who_is_overtaken_leaves_the_call_as_it_is(server: Any, url: str) -> None:
    """Both looked, and neither saw it: the later one waits for the earlier, and must not add its attempts to it."""
    name = schema_of(url)
    full = next(one for one in (entry(Random(n), "x") for n in range(99)) if one.call.attempts)
    with open_ledger(url) as ledger, psycopg.connect(server.url()) as first:
        first.execute(
            f"INSERT INTO {name}.calls (call_id, began, operation, outcome, policy, tags, cost, cost_exact) "
            "VALUES ('x', 0, 'chat', 'finished', 'first', '{}', 0, 1)"
        )
        second = threading.Thread(target=ledger.write, args=([*some("y"), full],))
        second.start()
        until = time.monotonic() + 30
        while time.monotonic() < until and not server.execute(
            f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{name}%'"
        ):
            time.sleep(0.01)
        first.commit()
        second.join(30)
    with open_ledger(url) as ledger:
        assert {row["call_id"]: row["policy"] for row in ledger.rows("calls", ALL)}["x"] == "first"
        assert "x" not in [row["call_id"] for row in ledger.rows("attempts", ALL)]
    assert ids(url) == ["x", "y"]


# From version to version ---------------------------------------------------------------------------------------------


def test_tables_of_a_newer_version_are_left_alone(url: str) -> None:
    with open_ledger(url) as ledger:
        assert isinstance(ledger, SqlLedger)
        SqlLedger(ledger._dialect, steps=[*ledger._steps, ["ALTER TABLE {prefix}calls ADD COLUMN mood TEXT"]]).close()
        newer = len(ledger._steps) + 1
    assert f"tables are of version {newer}, these are of {newer - 1}): upgrade Pointsman here" in failing(url)


def test_a_step_that_fails_leaves_the_version_before(server: Any, url: str) -> None:
    good, bad = ["ALTER TABLE {prefix}calls ADD COLUMN mood TEXT"], ["UPDATE {prefix}calls SET no_such_column = 1"]
    with open_ledger(url) as ledger:
        assert isinstance(ledger, SqlLedger)
        ledger.write(some("a"))
        with pytest.raises(StoreError, match="no_such_column"):
            SqlLedger(ledger._dialect, steps=[*ledger._steps, good, bad])
        ledger.write(some("b"))
        with SqlLedger(ledger._dialect, steps=[*ledger._steps, good]) as newer:
            newer.write(some("c"))
            assert len(list(newer.rows("calls", ALL))) == 3
    assert server.execute(f"SELECT COUNT(*) - COUNT(mood) FROM {schema_of(url)}.calls") == [(3,)]
