"""What PostgreSQL does differently from SQLite: its URLs, its locks, and how it fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import TextLoader

from pointsman import ConfigError, Ledger, SqlConnection, SqlDialect, SqlLedger, StoreError

SCHEMA = "pointsman"
"""Where the tables are, unless the URL says ``?schema=NAME``."""
STATEMENT_SECONDS = 60
LOCK_SECONDS = 20
MIGRATION_LOCK = 0x506F696E74736D61
"""The key of the advisory lock under which tables are made and changed."""

NETWORK: Mapping[str, Any] = {
    "application_name": "pointsman",
    "connect_timeout": 10,  # seconds, for each address
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
"""So that a server which is no longer there is noticed within half a minute. What the URL says goes before."""

logging.getLogger("psycopg").addHandler(logging.NullHandler())
"""What it says of a lost connection, our error says; without a handler Python would print it, too."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresDialect(SqlDialect):
    """One database, and in it one schema.

    Nothing of a session is relied upon, neither settings nor prepared statements, so that a pooler may stand between
    (pgbouncer in its transaction mode).
    """

    failures = (psycopg.Error,)
    parameter = "%s"
    json = "JSONB"
    tag = "c.tags ->> CAST(? AS TEXT)"

    def __init__(self, address: Mapping[str, Any], schema: str = SCHEMA) -> None:
        self._address: dict[str, Any] = {**NETWORK, **address, "client_encoding": "UTF8"}
        self._schema = schema
        self.prefix = f"{schema}."
        limits = f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"
        self.begin_read = f"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {limits}"
        self.begin_write = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {limits}"
        self.begin_migration = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"SET LOCAL lock_timeout = '{STATEMENT_SECONDS}s'; "
            f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); "
            # Without asking first, who may not make a schema could not use the one that was made for them.
            f"DO $$ BEGIN IF to_regnamespace('{schema}') IS NULL THEN CREATE SCHEMA {schema}; END IF; END $$"
        )

    def __str__(self) -> str:
        user = f"{self._address['user']}@" if self._address.get("user") else ""
        port = f":{self._address['port']}" if self._address.get("port") else ""
        host = self._address.get("host") or self._address.get("hostaddr") or ""
        return f"postgres://{user}{host}{port}/{self._address.get('dbname', '')}"

    def connect(self) -> SqlConnection:
        connection = psycopg.connect(make_conninfo(**self._address), autocommit=True, prepare_threshold=None)
        connection.adapters.register_loader("jsonb", TextLoader)
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in ("UTF8", "SQL_ASCII"):  # The latter takes bytes as they are.
            connection.close()
            raise StoreError(
                f"the ledger at {self} cannot be used: its database is in {encoding}, which cannot hold every text; "
                "create one in UTF-8 (createdb -E UTF8 -T template0 NAME), and name that in [ledger] url"
            )
        return connection

    def version(self, connection: SqlConnection) -> int:
        (table,) = connection.execute(f"SELECT to_regclass('{self.prefix}version')").fetchone()
        if table is None:
            return 0
        found = connection.execute(f"SELECT MAX(version) FROM {self.prefix}version").fetchone()  # noqa: S608
        return int(found[0] or 0)

    def set_version(self, connection: SqlConnection, version: int) -> None:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {self.prefix}version (version BIGINT PRIMARY KEY)")
        connection.execute(f"INSERT INTO {self.prefix}version VALUES ({version})")  # noqa: S608

    def lost(self, connection: SqlConnection) -> bool:
        return bool(getattr(connection, "closed", False))

    def explain(self, error: Exception) -> StoreError:
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if password := self._address.get("password"):
            said = said.replace(password, "[redacted]")
        return StoreError(f"the ledger at {self} cannot be used: {said}{self._next(error, said)}")

    def _next(self, error: Exception, said: str) -> str:
        """What to do about it. While a connection is made there are no codes, only words, in the server's language."""
        code = getattr(error, "sqlstate", None)
        steps = _BY_CODE.get(code or "") or next(
            (step for words, step in _BY_WORDS.items() if re.search(words, said)), None
        )
        if steps is None and isinstance(error, psycopg.OperationalError):
            steps = "see that the server runs and can be reached from here"
        return f"; {steps}" if steps else ""


_BY_CODE = {  # postgresql.org/docs/current/errcodes-appendix.html
    "25006": "this is a replica, or a read-only database: name the primary in [ledger] url",
    "28000": "see that user and password in [ledger] url are right",
    "28P01": "see that user and password in [ledger] url are right",
    "3D000": "create that database (createdb), or name another in [ledger] url",
    "42501": "let this user make a schema (GRANT CREATE ON DATABASE), or make one for it and say ?schema=NAME",
    "42P07": "the schema holds tables of another program: choose another with ?schema=NAME",
    "53100": "free some space on the server's disk",
    "53300": "allow the server more connections, or let processes share them by a pooler",
    "55P03": "somebody has locked the ledger's tables for long: see pg_stat_activity",
    "57014": f"it took more than {STATEMENT_SECONDS} s: ask for less at once, or see what else the server does",
}
_BY_WORDS = {
    r"authentication failed": _BY_CODE["28P01"],
    r"no password supplied": "put the password into [ledger] url, PGPASSWORD or ~/.pgpass",
    r'role ".*" does not exist': "create that user (createuser), or name another in [ledger] url",
    r'database ".*" does not exist': _BY_CODE["3D000"],
    r"the database system is": "the server is starting or stopping: wait for it",
    r"too many|connection slots": _BY_CODE["53300"],
}


def postgres_ledger(url: str) -> Ledger:
    """The ledger at ``postgres://USER:PASSWORD@HOST:PORT/DATABASE``, or any other URL that libpq knows. What it leaves
    open, libpq's variables and files say (``PGHOST``, ``PGPASSWORD``, ``~/.pgpass``); ``?schema=NAME`` is ours.

    Raises `ConfigError` for what is no such URL, `StoreError` if the server, the database or the tables cannot be used
    now. Neither shows the password.
    """
    place, mark, query = url.partition("?")
    options = query.split("&") if mark else []
    schema = next((one.partition("=")[2] for one in reversed(options) if one.startswith("schema=")), SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ConfigError(f"schema={schema!r} is no name of a schema here: use small letters, digits and underscores")
    rest = "&".join(one for one in options if not one.startswith("schema="))
    try:
        address = conninfo_to_dict(f"{place}?{rest}" if rest else place)
    except psycopg.Error as error:
        said = str(error).strip()
        if not said.startswith("invalid URI query parameter"):  # Others may quote what looks like a password.
            said = "percent-encode what is special in user, password and database (@ is %40, / is %2F)"
        raise ConfigError(f"the ledger's {url.partition(':')[0]}: URL cannot be read: {said}") from None
    return SqlLedger(PostgresDialect(address, schema))
