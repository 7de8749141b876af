"""What the kit says of a ledger that does one thing wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from pointsman import Cost, LedgerEntry, LedgerQuery, LedgerTotal
from pointsman.ledger import Table
from pointsman_testing.kit.facts import facts_of
from pointsman_testing.kit.ledgers import LedgerConformance, ReferenceLedger, walk


class Honest(ReferenceLedger):
    def close(self) -> None:
        self.calls.clear()


class Overwrites(Honest):
    def write(self, entries: Sequence[LedgerEntry]) -> None:
        self.calls.update({entry.call.call_id: entry for entry in entries})


class LosesAnAttempt(Honest):
    def write(self, entries: Sequence[LedgerEntry]) -> None:
        super().write([replace(one, call=replace(one.call, attempts=one.call.attempts[:2])) for one in entries])


class TakesWholeDays(Honest):
    def purge(self, before: datetime) -> int:
        return super().purge(before.replace(hour=0))


class ForgetsTheBound(Honest):
    def purge(self, before: datetime) -> int:
        return super().purge(before + timedelta(microseconds=1))


class EndsWithTheBound(Honest):
    def totals(self, query: LedgerQuery, by: Sequence[str] = ()) -> list[LedgerTotal]:
        until = query.until and query.until + timedelta(microseconds=1)
        return super().totals(replace(query, until=until), by)


class CountsAttempts(Honest):
    def totals(self, query: LedgerQuery, by: Sequence[str] = ()) -> list[LedgerTotal]:
        return [replace(one, calls=one.attempts) for one in super().totals(query, by)]


class IsAlwaysSure(Honest):
    def totals(self, query: LedgerQuery, by: Sequence[str] = ()) -> list[LedgerTotal]:
        return [replace(one, cost=Cost(one.cost.known, complete=True)) for one in super().totals(query, by)]


class LeavesOutNothingSaid(Honest):
    def totals(self, query: LedgerQuery, by: Sequence[str] = ()) -> list[LedgerTotal]:
        return [one for one in super().totals(query, by) if None not in one.key]


class NewestFirst(Honest):
    def rows(self, table: Table, query: LedgerQuery) -> Iterator[dict[str, Any]]:
        yield from reversed(list(super().rows(table, query)))


class PaysNothingForTheUnknown(Honest):
    def rows(self, table: Table, query: LedgerQuery) -> Iterator[dict[str, Any]]:
        yield from ({**row, "cost": row["cost"] or "0"} for row in super().rows(table, query))


class SaysWhatWentWrong(Honest):
    def write(self, entries: Sequence[LedgerEntry]) -> None:
        super().write([replace(one, prompt=one.prompt or "") for one in entries])


def try_out(kind: type[Honest]) -> None:
    for seed in range(6):
        walk(kind, Random(seed), 12, lasting=False)  # type: ignore[arg-type]


def test_the_reference_is_what_the_reference_says() -> None:
    try_out(Honest)


@pytest.mark.parametrize("kind", Honest.__subclasses__())
def test_what_a_ledger_does_wrong_is_noticed(kind: type[Honest]) -> None:
    with pytest.raises(AssertionError, match=r"should be|forgot"):
        try_out(kind)


class Kept(LedgerConformance):
    scheme = "memory"


def test_a_card_says_that_it_is_a_ledgers() -> None:
    facts = facts_of(Kept)
    assert (facts["kind"], facts["name"], facts["package"]) == ("ledger", "memory", "pointsman")
