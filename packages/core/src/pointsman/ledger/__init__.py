"""What every attempt and every call cost, kept: the interface that all backends share.

A ledger is synchronous and is used by one thread at a time; `Bookkeeper` is what stands between it and an event loop.
Its rows are divided by call: one row for the call, and one for each of its attempts, written together or not at all.
Money is kept in whole pico-dollars, moments in microseconds since 1970 (UTC); days are UTC's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

from ..telemetry import CallRecord
from ..types import Cost, Usage
from .past import PastAttempt, PastCall

__all__ = [
    "DIMENSIONS",
    "Dimension",
    "Ledger",
    "LedgerEntry",
    "LedgerQuery",
    "LedgerRating",
    "LedgerTotal",
    "PastAttempt",
    "PastCall",
    "Row",
    "Table",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A call with its attempts, to be written. Texts are there only if they are to be kept."""

    call: CallRecord
    prompt: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRating:
    """How good the answer of a call was."""

    call_id: str
    score: float
    """From 0 to 1."""
    at: float
    """When it was rated, in seconds since 1970 (UTC)."""


Dimension: TypeAlias = str
"""What totals are divided by: ``day``, ``provider``, ``model`` (``provider/model``), ``task``, ``operation``,
``outcome``, ``policy``, ``role``, or ``tag:NAME``."""

DIMENSIONS = ("day", "provider", "model", "task", "operation", "outcome", "policy", "role")
"""All of them but tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerQuery:
    """Which calls are meant. Those that began from `since` on and before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[Dimension, str] = field(default_factory=dict[Dimension, str])
    """Only what has these values, dimension by dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotal:
    """What a group of attempts adds up to."""

    key: tuple[str | None, ...]
    """Its value in each dimension that was asked for; None where nothing was said (no such tag, no task)."""
    calls: int
    """Calls with at least one attempt in the group: a call with two providers is counted at both."""
    attempts: int
    failed: int
    """Attempts that did not end with an answer."""
    usage: Usage
    """Of all attempts whose usage is known; `estimated` if any of it is."""
    uncounted: int
    """Attempts of which no usage is known, by the vendor's word or by ours."""
    cost: Cost
    unpriced: int
    """Calls with an attempt in the group of whose cost nothing is known."""
    bounded: int
    """Calls of which a lower bound is all that is known, but no attempt in the group is wholly unpriced."""


Row: TypeAlias = Mapping[str, Any]
"""A row as it is exported: column -> a JSON value. Money is a decimal string in USD, a moment is ISO 8601 in UTC."""
Table: TypeAlias = Literal["calls", "attempts"]


class Ledger(Protocol):
    """A backend. All methods may do I/O, and raise `StoreError` where it fails; after that it may be used again."""

    def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Keep all of `entries`, or none. Returns once they would survive the end of this process. A call that is
        there already is left as it is, so that a write may be repeated.
        """
        ...

    def rate(self, ratings: Sequence[LedgerRating]) -> list[str]:
        """Keep them with their calls, where the last of a call counts. The ids of the calls that are not there: of
        those nothing is kept.
        """
        ...

    def recent(self, since: datetime, limit: int, until: datetime | None = None) -> list[PastCall]:
        """The newest `limit` chat calls that ended from `since` on (and before `until`), and as many that were rated
        then: in the order in which they ended (then of their ids), each with its attempts in order, and only those that
        have any.
        """
        ...

    def totals(self, query: LedgerQuery, by: Sequence[Dimension] = ()) -> list[LedgerTotal]:
        """One total for each group, in order of its key; without dimensions exactly one, which may be of nothing."""
        ...

    def rows(self, table: Table, query: LedgerQuery) -> Iterator[Row]:
        """Every row, oldest first, read as they are consumed."""
        ...

    def purge(self, before: datetime) -> int:
        """Forget the calls that began before that moment, with their attempts. How many calls it were."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
