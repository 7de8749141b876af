"""What stands in the tables, column by column: from a call to rows, and from a row to what is exported.

A database holds whole numbers and text only. Money is pico-dollars (1e-12 USD), a moment is microseconds since 1970
(UTC), a duration is microseconds, a share (from 0 to 1) is millionths, a flag is 0 or 1, and what has
parts is JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias, cast

from ..cost import price_as_json
from ..telemetry import AttemptRecord
from ..types import Cost, Target, Usage
from ..types.usage import MONEY
from . import LedgerEntry, Row, Table
from .decisions import decided

LARGEST = 2**63 - 1
"""The largest number that a column holds: as money, 9.2 million USD."""
DAY = 86_400_000_000
"""Microseconds of a day."""

Value: TypeAlias = int | str | None
Values: TypeAlias = tuple[Value, ...]


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    COUNT = "count"
    FLAG = "flag"
    MONEY = "money"
    MOMENT = "moment"
    DURATION = "duration"
    SHARE = "share"
    JSON = "json"


_USED = {
    "input_tokens": Kind.COUNT,
    "cached_input_tokens": Kind.COUNT,
    "cache_write_tokens": Kind.COUNT,
    "output_tokens": Kind.COUNT,
    "reasoning_tokens": Kind.COUNT,
    "estimated": Kind.FLAG,
}
"""As in `Usage`; null where no usage is known."""

_COST = {"cost": Kind.MONEY, "cost_exact": Kind.FLAG}

COLUMNS: Mapping[Table, Mapping[str, Kind]] = {
    "calls": {
        "call_id": Kind.TEXT,
        "began": Kind.MOMENT,
        "operation": Kind.TEXT,
        "outcome": Kind.TEXT,
        "provider": Kind.TEXT,
        "model": Kind.TEXT,
        "policy": Kind.TEXT,
        "task": Kind.TEXT,
        "tags": Kind.JSON,
        "finish_reason": Kind.TEXT,
        "ttft": Kind.DURATION,
        "tpot": Kind.DURATION,
        "e2e": Kind.DURATION,
        **_USED,
        **_COST,
        "prompt": Kind.TEXT,
        "answer": Kind.TEXT,
        "propensity": Kind.SHARE,
        "policy_hash": Kind.TEXT,
        "decision": Kind.JSON,
        "rating": Kind.SHARE,
        "rated": Kind.MOMENT,
    },
    "attempts": {
        "call_id": Kind.TEXT,
        "attempt": Kind.COUNT,
        "began": Kind.MOMENT,
        "provider": Kind.TEXT,
        "model": Kind.TEXT,
        "served": Kind.TEXT,
        "outcome": Kind.TEXT,
        "role": Kind.TEXT,
        "probe": Kind.FLAG,
        "breaker": Kind.TEXT,
        "error_type": Kind.TEXT,
        "error": Kind.TEXT,
        "first_output": Kind.DURATION,
        "duration": Kind.DURATION,
        "server": Kind.JSON,
        **_USED,
        **_COST,
        "price": Kind.JSON,
        "held": Kind.DURATION,
    },
}
"""The columns of each table, in the order of its rows."""

# Into the tables -----------------------------------------------------------------------------------------------------


def call_values(entry: LedgerEntry) -> Values:
    """The row of a call."""
    call = entry.call
    return (
        clean(call.call_id),
        moment(call.at),
        clean(call.operation),
        clean(call.outcome),
        *_target(call.target),
        clean(call.decision.policy),
        clean(call.task),
        as_json(dict(call.tags)),
        clean(call.finish_reason),
        _duration(call.timings.ttft),
        _duration(call.timings.tpot),
        _duration(call.timings.e2e),
        *_usage(call.usage),
        *picodollars(call.cost),
        clean(entry.prompt),
        clean(entry.answer),
        share(call.decision.propensity),
        clean(call.decision.policy_hash) or None,
        as_json(decided(call.decision)),
        None,  # Nobody has rated it yet.
        None,
    )


def attempt_values(entry: LedgerEntry) -> list[Values]:
    """The rows of its attempts. Raises `ValueError` if two have the same number: one of them would be lost."""
    attempts = entry.call.attempts
    if len({attempt.attempt for attempt in attempts}) < len(attempts):
        raise ValueError(f"the call {entry.call.call_id} has two attempts of the same number")
    keeps_texts = entry.prompt is not None or entry.answer is not None
    return [_attempt(entry, attempt, keeps_texts) for attempt in attempts]


def _attempt(entry: LedgerEntry, attempt: AttemptRecord, keeps_texts: bool) -> Values:
    first = attempt.first_output
    return (
        clean(entry.call.call_id),
        attempt.attempt,
        moment(entry.call.at + attempt.started - entry.call.started),
        *_target(attempt.target),
        clean(attempt.served),
        clean(attempt.outcome),
        clean(attempt.role),
        int(attempt.probe),
        clean(attempt.breaker),
        clean(attempt.error_type),
        clean(attempt.error) if keeps_texts else None,  # Its message may quote what was asked.
        None if first is None else _duration(first - attempt.started),
        _duration(attempt.ended - attempt.started),
        as_json(attempt.server and asdict(attempt.server)),
        *_usage(attempt.usage),
        *picodollars(attempt.cost),
        as_json(attempt.price and price_as_json(attempt.price)),
        _duration(attempt.held),
    )


_UNFIT = re.compile("[\0\ud800-\udfff]")
"""What is no text in UTF-8, and what PostgreSQL's cannot hold."""


def clean(text: str | None) -> str | None:
    """`text` as any database can hold it."""
    return text and _UNFIT.sub("\ufffd", text)


def as_json(value: Any) -> str | None:
    """`value` in JSON, as any database can hold it."""
    return None if value is None else json.dumps(_said(value), ensure_ascii=False)


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        parts = cast(dict[Any, Any], value)
        return {clean(str(name)): _said(one) for name, one in parts.items()}
    if isinstance(value, list | tuple):
        return [_said(one) for one in cast(Sequence[Any], value)]
    return clean(value) if isinstance(value, str) else value


def _target(target: Target | None) -> Values:
    return (None, None) if target is None else (clean(target.provider), clean(target.model))


def _usage(usage: Usage | None) -> Values:
    if usage is None:
        return (None,) * len(_USED)
    counts = (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
    if max(counts) > LARGEST:  # No request has so many: nobody has counted.
        return _usage(None)
    return (*counts, int(usage.estimated))


def picodollars(cost: Cost) -> tuple[int, int]:
    """What is known to be owed in whole pico-dollars, and 1 if that is all. Nobody bills less than that, so what is
    finer is rounded; but a lower bound is rounded down, and what does not fit becomes one.
    """
    rounding = ROUND_HALF_EVEN if cost.complete else ROUND_FLOOR
    if cost.known.adjusted() > 20:  # Far beyond what fits, and perhaps beyond what can be rounded.
        return LARGEST, 0
    pico = int(MONEY.scaleb(cost.known, 12).to_integral_value(rounding, MONEY))
    return (pico, int(cost.complete)) if pico <= LARGEST else (LARGEST, 0)


def dollars(pico: int, exact: bool) -> Cost:
    """What `picodollars` has written down, or a sum of it."""
    return Cost(MONEY.scaleb(Decimal(pico), -12), exact)


def share(part: float | None) -> int | None:
    """A number from 0 to 1 in millionths."""
    return None if part is None or not isfinite(part) else _within(part, 0, 1)


def moment(seconds: float) -> int:
    """Clocks that are wrong are so within the years that a calendar has."""
    return _within(seconds, 0, 253_402_300_799) if isfinite(seconds) else 0


def _duration(seconds: float | None) -> int | None:
    return None if seconds is None or not isfinite(seconds) else _within(seconds, 0, 10**12)


def _within(seconds: float, least: int, most: int) -> int:
    return round(min(max(seconds, least), most) * 1_000_000)


# Out of them ---------------------------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """A moment as the tables have it. Raises `ValueError` if it does not say in which time zone it is."""
    if moment.utcoffset() is None:
        raise ValueError(
            f"{moment.isoformat()} says no time zone: days of a ledger are UTC's, so use datetime.now(UTC)"
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def day_number(day: str) -> int:
    """A day, ``2026-11-23``, in days since 1970. Raises `ValueError` for what is none."""
    try:
        return (date.fromisoformat(day) - _EPOCH.date()).days
    except ValueError:
        raise ValueError(f"a day is written 2026-11-23, not {day!r}") from None


def day_name(number: int) -> str:
    """The reverse of `day_number`."""
    return (_EPOCH.date() + timedelta(days=number)).isoformat()


def exported(table: Table, values: Sequence[Any]) -> Row:
    """A row of a table as a reader gets it. A cost of which nothing is known is None: it is not 0."""
    row = {name: _shown(kind, value) for (name, kind), value in zip(COLUMNS[table].items(), values, strict=True)}
    if not row["cost_exact"] and row["cost"] == "0":
        row["cost"] = None
    return row


def _shown(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case Kind.FLAG:
            return bool(value)
        case Kind.MONEY:
            return _plain(dollars(int(value), exact=True).known)
        case Kind.MOMENT:
            return (_EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case Kind.DURATION | Kind.SHARE:
            return value / 1_000_000
        case Kind.JSON:
            return json.loads(value)
        case Kind.TEXT | Kind.COUNT:
            return value


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def names(table: Table) -> Iterable[str]:
    """The columns of a table, in the order of its rows."""
    return COLUMNS[table].keys()
