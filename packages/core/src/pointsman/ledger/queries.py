"""The statements, with ``?`` for each value: what is written, counted, listed and forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import did_you_mean
from . import DIMENSIONS, Dimension, LedgerQuery, Table
from .past import OF_ATTEMPT, OF_CALL
from .rows import COLUMNS, DAY, clean, day_number, microseconds

_TAG = "tag:"

_OF_CALLS: Mapping[str, str] = {
    "day": f"c.began / {DAY}",
    "task": "c.task",
    "operation": "c.operation",
    "policy": "c.policy",
}
_OF_ATTEMPTS: Mapping[str, str] = {
    "provider": "a.provider",
    "model": "a.provider || '/' || a.model",
    "role": "a.role",
    "outcome": "a.outcome",
}

SUMMED = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost")
"""The columns of attempts that are added up, in two halves of 32 bits: a sum of them may be beyond 64."""

COUNTED: Mapping[str, str] = {
    "attempts": "COUNT(*)",
    "failed": "SUM(CASE WHEN a.outcome <> 'finished' THEN 1 ELSE 0 END)",
    "uncounted": "SUM(CASE WHEN a.input_tokens IS NULL THEN 1 ELSE 0 END)",
    "estimated": "MAX(a.estimated)",
    "inexact": "MAX(1 - a.cost_exact)",
    "unpriced": "MAX(CASE WHEN a.cost_exact = 0 AND a.cost = 0 THEN 1 ELSE 0 END)",
}


class Statement(NamedTuple):
    """SQL, and the values of its question marks."""

    sql: str
    values: tuple[Any, ...]


class Names(NamedTuple):
    """What one database writes differently."""

    prefix: str
    """Before the name of a table."""
    tag: str
    """The tag of a call, with one question mark for its name."""


def written(table: Table, prefix: str) -> str:
    """Adds a row; a call that is there already is left as it is, and counts as no row."""
    columns = COLUMNS[table]
    marks = ", ".join("?" * len(columns))
    unless = " ON CONFLICT (call_id) DO NOTHING" if table == "calls" else ""
    return f"INSERT INTO {prefix}{table} ({', '.join(columns)}) VALUES ({marks}){unless}"  # noqa: S608


def known(ids: Sequence[str], prefix: str) -> Statement:
    """Which of these calls are there."""
    marks = ", ".join("?" * len(ids))
    return Statement(f"SELECT call_id FROM {prefix}calls WHERE call_id IN ({marks})", tuple(ids))  # noqa: S608


def totalled(query: LedgerQuery, by: Sequence[Dimension], names: Names) -> Statement:
    """A row for each group: its key, the number of calls, what `COUNTED` counts, calls that are bounded but not
    unpriced, and the halves of what is `SUMMED`. What an attempt adds is first put together for each call.
    """
    keys = [_dimension(one, names) for one in by]
    where = _conditions(query, names)
    parts = [f"{key.sql} AS k{n}" for n, key in enumerate(keys)]
    parts += [f"{sql} AS {name}" for name, sql in COUNTED.items()]
    halves = [half for name in SUMMED for half in (f"{name}_high", f"{name}_low")]
    for name in SUMMED:
        parts += [f"SUM(a.{name} >> 32) AS {name}_high", f"SUM(a.{name} & 4294967295) AS {name}_low"]
    groups = [str(n + 1) for n in range(len(keys))]
    inner = (
        f"SELECT {', '.join(parts)} FROM {names.prefix}attempts a "  # noqa: S608
        f"JOIN {names.prefix}calls c ON c.call_id = a.call_id{where.sql} GROUP BY {', '.join(['a.call_id', *groups])}"
    )
    outer = [
        *(f"k{n}" for n in range(len(keys))),
        "COUNT(*)",
        *(f"{'MAX' if name in ('estimated', 'inexact') else 'SUM'}({name})" for name in COUNTED),
        "SUM(CASE WHEN inexact = 1 AND unpriced = 0 THEN 1 ELSE 0 END)",
        *(f"SUM({half})" for half in halves),
    ]
    grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
    values = tuple(value for key in keys for value in key.values)
    return Statement(f"SELECT {', '.join(outer)} FROM ({inner}) parts{grouped}", values + where.values)  # noqa: S608


def listed(table: Table, query: LedgerQuery, names: Names, after: Sequence[Any] | None, limit: int) -> Statement:
    """The next rows after one whose key was `after`; each row is its key, then its columns.

    Calls are read in the order of their index, from `after` on. SQLite would rather look through all attempts for each
    page, if they have a condition: ``CROSS JOIN`` keeps it from that, and is a join like any other to PostgreSQL.
    """
    mine = table[0]
    key = ["c.began", "c.call_id", *(["a.attempt"] if table == "attempts" else [])]
    where = _conditions(query, names, table)
    sql, values = where.sql, where.values
    if after is not None:
        sql += f"{' AND' if sql else ' WHERE'} ({', '.join(key)}) > ({', '.join('?' * len(key))})"
        values += tuple(after)
    source = f"{names.prefix}calls c"
    if table == "attempts":
        source += f" CROSS JOIN {names.prefix}attempts a"
        sql = f" WHERE a.call_id = c.call_id{sql.replace(' WHERE', ' AND', 1)}"
    columns = ", ".join([*key, *(f"{mine}.{name}" for name in COLUMNS[table])])
    return Statement(
        f"SELECT {columns} FROM {source}{sql} ORDER BY {', '.join(key)} LIMIT {limit}",  # noqa: S608
        values,
    )


_ENDED = "began + COALESCE(e2e, 0)"
"""As in the index `calls_ended`."""


def ended(since: int, until: int, prefix: str, limit: int) -> Statement:
    """The newest chat calls that ended, or were rated, between those moments, with their attempts."""
    newest = " UNION ".join(
        f"SELECT call_id FROM (SELECT call_id FROM {prefix}calls "  # noqa: S608
        f"WHERE {moment} >= ? AND {moment} < ? AND operation = 'chat' "
        f"ORDER BY {moment} DESC, call_id DESC LIMIT {limit}) {name}"
        for name, moment in (("just_ended", _ENDED), ("just_rated", "rated"))
    )
    sql = (
        f"SELECT {', '.join((*OF_CALL, *OF_ATTEMPT))} FROM ({newest}) newest "  # noqa: S608
        f"JOIN {prefix}calls c ON c.call_id = newest.call_id JOIN {prefix}attempts a ON a.call_id = newest.call_id "
        "ORDER BY 2, 1, a.attempt"
    )
    return Statement(sql, (since, until, since, until))


def rated(prefix: str) -> str:
    """Rates a call: of the values, the call's id is the last."""
    return f"UPDATE {prefix}calls SET rating = ?, rated = ? WHERE call_id = ?"  # noqa: S608


def purged(before: int, prefix: str, limit: int) -> Statement:
    """Forgets so many of the calls that began before that moment, oldest first. Their attempts go with them."""
    oldest = f"SELECT call_id FROM {prefix}calls WHERE began < ? ORDER BY began, call_id LIMIT {limit}"  # noqa: S608
    return Statement(f"DELETE FROM {prefix}calls WHERE call_id IN ({oldest})", (before,))  # noqa: S608


def _dimension(name: Dimension, names: Names) -> Statement:
    if name.startswith(_TAG):
        return Statement(names.tag, (clean(name.removeprefix(_TAG)),))
    if sql := _OF_CALLS.get(name) or _OF_ATTEMPTS.get(name):
        return Statement(sql, ())
    hint = did_you_mean(name, DIMENSIONS)
    raise ValueError(f"no dimension is called {name!r} (there are {', '.join(DIMENSIONS)}, {_TAG}NAME){hint}")


def _conditions(query: LedgerQuery, names: Names, table: Table = "attempts") -> Statement:
    """Which rows of `table` are meant. Of a call it is enough that one of its attempts is as it should be, but its
    outcome is its own.
    """
    wanted, values, of_attempts, their_values = list[str](), list[Any](), list[str](), list[Any]()
    for sign, moment in ((">=", query.since), ("<", query.until)):
        if moment is not None:
            wanted.append(f"c.began {sign} ?")
            values.append(microseconds(moment))
    for name, value in query.where.items():
        sql, own = _dimension(name, names)
        own += (day_number(value) if name == "day" else clean(value),)
        if table == "calls" and name == "outcome":
            sql = "c.outcome"
        elif table == "calls" and name in _OF_ATTEMPTS:
            of_attempts.append(f"{sql} = ?")
            their_values += own
            continue
        wanted.append(f"{sql} = ?")
        values += own
    if of_attempts:
        theirs = " AND ".join(["a.call_id = c.call_id", *of_attempts])
        wanted.append(f"EXISTS (SELECT 1 FROM {names.prefix}attempts a WHERE {theirs})")  # noqa: S608
    return Statement(f" WHERE {' AND '.join(wanted)}" if wanted else "", (*values, *their_values))
