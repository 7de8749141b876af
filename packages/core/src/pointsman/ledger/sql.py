"""A ledger in an SQL database: all of it but what one database does differently, which its `SqlDialect` says."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, TypeVar

from ..errors import StoreError
from ..types import Usage
from . import Dimension, LedgerEntry, LedgerQuery, LedgerRating, LedgerTotal, PastCall, Row, Table, queries
from .past import from_rows
from .rows import LARGEST, attempt_values, call_values, clean, day_name, dollars, exported, microseconds, moment, share
from .schema import STEPS, Step

PAGE = 500
"""Rows that are read, asked about or forgotten at a time: others may write in between."""

T = TypeVar("T")


class SqlCursor(Protocol):
    """Of DB-API 2.0 (PEP 249) what is needed here."""

    @property
    def rowcount(self) -> int: ...

    def executemany(self, sql: Any, values: Sequence[Any], /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class SqlConnection(Protocol):
    """A connection in which each statement stands for itself, unless a transaction was begun by one."""

    def execute(self, sql: Any, values: Any = ..., /) -> Any: ...

    def cursor(self) -> Any: ...

    def close(self) -> None: ...


class SqlDialect(ABC):
    """What one database does differently. Nothing but `connect` opens anything."""

    failures: ClassVar[tuple[type[Exception], ...]]
    """What its driver raises."""
    parameter: ClassVar[str] = "?"
    """Where a value goes in a statement."""
    json: ClassVar[str] = "TEXT"
    """The type of a column with JSON."""
    tag: ClassVar[str]
    """The tag of a call ``c``, with one question mark for its name."""
    prefix: str = ""
    """Before the name of a table."""
    begin_read: str = "BEGIN"
    begin_write: str = "BEGIN"
    begin_migration: str = "BEGIN"
    """No two processes are past this one at the same time."""

    @abstractmethod
    def connect(self) -> SqlConnection:
        """A new connection. Raises what its driver does, or `StoreError`."""

    @abstractmethod
    def version(self, connection: SqlConnection) -> int:
        """Of the tables that are there; 0 if there are none. Raises `StoreError` if what is there is not ours."""

    @abstractmethod
    def set_version(self, connection: SqlConnection, version: int) -> None:
        """Remember it, within the transaction."""

    @abstractmethod
    def explain(self, error: Exception) -> StoreError:
        """What the driver raised as an error that names the place, the cause and the next step."""

    def lost(self, connection: SqlConnection) -> bool:
        """Whether this connection leads nowhere any more, so that another must be made."""
        return False

    def leave(self, connection: SqlConnection) -> None:
        """Close it, lost or not."""
        connection.close()

    def give_back(self, connection: SqlConnection) -> None:  # noqa: B027  (most databases see to it themselves)
        """After calls were forgotten: let others have the space."""

    @abstractmethod
    def __str__(self) -> str:
        """The place, as it may be shown."""


class SqlLedger:
    """A `Ledger` in the database that `dialect` leads to. It is opened, and its tables are brought to this version, at
    once; a connection that was lost, or that another process has opened (after a fork), is opened anew when it is
    needed.
    """

    def __init__(self, dialect: SqlDialect, *, steps: Sequence[Step] = STEPS) -> None:
        self._dialect = dialect
        self._steps = steps
        self._names = queries.Names(dialect.prefix, dialect.tag)
        self._connection: SqlConnection | None = None
        self._process = os.getpid()
        self._closed = False
        with self._explained():
            self._open()

    def __repr__(self) -> str:
        return f"<ledger at {self._dialect}>"

    # The interface ---------------------------------------------------------------------------------------------------

    def write(self, entries: Sequence[LedgerEntry]) -> None:
        given = {
            str(row[0]): (row, attempt_values(entry)) for entry in reversed(entries) if (row := call_values(entry))
        }
        while given:
            with suppress(_Overtaken):
                self._run(self._dialect.begin_write, partial(self._write, given))
                return

    def rate(self, ratings: Sequence[LedgerRating]) -> list[str]:
        return self._run(self._dialect.begin_write, partial(self._rate, ratings)) if ratings else []

    def recent(self, since: datetime, limit: int, until: datetime | None = None) -> list[PastCall]:
        before = LARGEST if until is None else microseconds(until)
        statement = queries.ended(microseconds(since), before, self._names.prefix, limit)
        return from_rows(self._run(self._dialect.begin_read, partial(self._rows, statement)))

    def totals(self, query: LedgerQuery, by: Sequence[Dimension] = ()) -> list[LedgerTotal]:
        statement = queries.totalled(query, by, self._names)
        rows = self._run(self._dialect.begin_read, partial(self._rows, statement))
        totals = [_total(row, by) for row in rows]
        return sorted(totals, key=lambda total: [(value is None, value or "") for value in total.key])

    def rows(self, table: Table, query: LedgerQuery) -> Iterator[Row]:
        """A page at a time, so that nothing is held open: calls that end meanwhile may be among them, or not."""
        width = 2 if table == "calls" else 3
        after: tuple[Any, ...] | None = None
        while True:
            statement = queries.listed(table, query, self._names, after, PAGE)
            page = self._run(self._dialect.begin_read, partial(self._rows, statement))
            for row in page:
                yield exported(table, row[width:])
            if len(page) < PAGE:
                return
            after = tuple(page[-1][:width])

    def purge(self, before: datetime) -> int:
        """A page at a time, so that nobody waits long for it. What was done stays done if a later page fails."""
        statement = queries.purged(microseconds(before), self._names.prefix, PAGE)
        total = 0
        while count := self._run(self._dialect.begin_write, partial(self._count, statement)):
            total += count
        if total:
            with self._explained():
                self._dialect.give_back(self._open())
        return total

    def close(self) -> None:
        """Twice does no harm. What is asked afterwards raises `StoreError`."""
        self._closed = True
        self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Underneath ------------------------------------------------------------------------------------------------------

    def _write(self, given: dict[str, tuple[Any, list[Any]]], connection: SqlConnection) -> None:
        ids, there = list(given), set[str]()
        for first in range(0, len(ids), PAGE):
            statement = queries.known(ids[first : first + PAGE], self._names.prefix)
            there.update(call_id for (call_id,) in self._rows(statement, connection))
        fresh = [given[call_id] for call_id in reversed(ids) if call_id not in there]
        if self._add("calls", [call for call, _ in fresh], connection) < len(fresh):
            raise _Overtaken
        self._add("attempts", [attempt for _, several in fresh for attempt in several], connection)

    def _rate(self, ratings: Sequence[LedgerRating], connection: SqlConnection) -> list[str]:
        sql = queries.rated(self._names.prefix)
        given = [(one.call_id, (share(one.score), moment(one.at), clean(one.call_id))) for one in ratings]
        missing = (call_id for call_id, row in given if not self._count(queries.Statement(sql, row), connection))
        return list(dict.fromkeys(missing))

    def _add(self, table: Table, rows: list[Any], connection: SqlConnection) -> int:
        if not rows:
            return 0
        cursor: SqlCursor = connection.cursor()
        cursor.executemany(self._marked(queries.written(table, self._dialect.prefix)), rows)
        return cursor.rowcount

    def _rows(self, statement: queries.Statement, connection: SqlConnection) -> list[Any]:
        return list(self._execute(statement, connection).fetchall())

    def _execute(self, statement: queries.Statement, connection: SqlConnection) -> SqlCursor:
        cursor: SqlCursor = connection.execute(self._marked(statement.sql), statement.values)
        return cursor

    def _count(self, statement: queries.Statement, connection: SqlConnection) -> int:
        return self._execute(statement, connection).rowcount

    def _marked(self, sql: str) -> str:
        return sql.replace("?", self._dialect.parameter)

    def _run(self, begin: str, work: Callable[[SqlConnection], T]) -> T:
        """Do it in a transaction; once more if the connection turns out to have been lost since it was last used."""
        with self._explained():
            was_open = self._connection
            try:
                return self._transact(begin, work)
            except self._dialect.failures:
                if was_open is None or self._connection is not None:
                    raise
            return self._transact(begin, work)

    def _transact(self, begin: str, work: Callable[[SqlConnection], T]) -> T:
        connection = self._open()
        try:
            return _in_transaction(connection, begin, work)
        except BaseException:
            if self._dialect.lost(connection):
                self._drop()
            raise

    def _open(self) -> SqlConnection:
        if self._closed:
            raise StoreError(f"the ledger at {self._dialect} is closed")
        if self._process != os.getpid():
            _abandoned.append(self._connection)
            self._connection, self._process = None, os.getpid()
        if self._connection is not None and self._dialect.lost(self._connection):
            self._drop()
        if self._connection is None:
            connection = self._dialect.connect()
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _migrate(self, connection: SqlConnection) -> None:
        newest = len(self._steps)
        version = self._dialect.version(connection)
        if version < newest:
            version = _in_transaction(connection, self._dialect.begin_migration, self._step_up)
        if version > newest:
            raise StoreError(
                f"the ledger at {self._dialect} was written by a newer Pointsman (its tables are of version {version}, "
                f"these are of {newest}): upgrade Pointsman here, or set [ledger] url to another place"
            )

    def _step_up(self, connection: SqlConnection) -> int:
        version = self._dialect.version(connection)  # Another process may have been here first.
        if version < len(self._steps):
            for step in self._steps[version:]:
                for sql in step:
                    connection.execute(sql.format(prefix=self._dialect.prefix, json=self._dialect.json))
            version = len(self._steps)
            self._dialect.set_version(connection, version)
        return version

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            with suppress(*self._dialect.failures):
                self._dialect.leave(connection)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except self._dialect.failures as error:
            raise self._dialect.explain(error) from error


class _Overtaken(Exception):
    """Somebody else has written one of these calls since we looked."""


_abandoned: list[object] = []
"""Connections of the process that this one was forked from: closed here, they would be closed there."""


def _in_transaction(connection: SqlConnection, begin: str, work: Callable[[SqlConnection], T]) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # What went wrong before says more.
            connection.execute("ROLLBACK")
        raise
    return result


def _total(row: Sequence[Any], by: Sequence[Dimension]) -> LedgerTotal:
    """From what `queries.totalled` selects, in its order. Sums of nothing are NULL, and some drivers' are decimals."""
    key, numbers = row[: len(by)], [int(value or 0) for value in row[len(by) :]]
    calls, attempts, failed, uncounted, estimated, inexact, unpriced, bounded, *halves = numbers
    sums = [(high << 32) + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    *tokens, cost = sums
    given = dict(zip(queries.SUMMED, tokens, strict=False))
    return LedgerTotal(
        key=tuple(day_name(int(value)) if one == "day" else value for one, value in zip(by, key, strict=True)),
        calls=calls,
        attempts=attempts,
        failed=failed,
        usage=Usage(**given, estimated=bool(estimated)),
        uncounted=uncounted,
        cost=dollars(cost, exact=not inexact),
        unpriced=unpriced,
        bounded=bounded,
    )
