"""A ledger is used in any order, and after each step it says what the reference says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import get_args

from pointsman import Ledger, LedgerQuery, LedgerRating
from pointsman.ledger import DIMENSIONS, Table
from pointsman.telemetry import Operation, Outcome, Role

from ..speech import expect
from .entries import BEGINNING, DAYS, TAGS, TARGETS, entry
from .reference import ReferenceLedger

START = datetime.fromtimestamp(BEGINNING, UTC)

VALUES: dict[str, Sequence[str]] = {
    "day": [(START + timedelta(days=number)).date().isoformat() for number in range(DAYS)],
    "provider": ["acme", "other"],
    "model": [*map(str, TARGETS), "acme"],
    "task": ["code", "it's; --", ""],
    "operation": get_args(Operation),
    "outcome": get_args(Outcome),
    "policy": ["in_order", "cheapest"],
    "role": get_args(Role),
    **{f"tag:{name}": ["x", "y", ""] for name in TAGS},
}


def walk(open_ledger: Callable[[], Ledger], dice: Random, steps: int, *, lasting: bool) -> None:
    """Take so many steps, with a ledger that `open_ledger` gives: `lasting` if a second one has the same in it."""
    reference, ledgers = ReferenceLedger(), [open_ledger()]
    try:
        if lasting:
            ledgers.append(open_ledger())
        for step in range(steps):
            here = dice.randrange(len(ledgers))
            match dice.choice(("write", "write", "again", "rate", "purge", "reopen")):
                case "write":
                    fresh = [entry(dice, f"call {step}-{number}") for number in range(dice.randrange(1, 5))]
                    ledgers[here].write(fresh)
                    reference.write(fresh)
                case "again":
                    again = [entry(dice, call_id) for call_id in reference.calls if dice.randrange(2)]
                    again += [entry(dice, f"call {step}") for _ in range(2)]
                    ledgers[here].write(again)
                    reference.write(again)
                case "rate":
                    ratings = [rating(dice, call_id) for call_id in [*reference.calls, "nobody's"] if dice.randrange(2)]
                    missing, absent = ledgers[here].rate(ratings), reference.rate(ratings)
                    expect(
                        missing == absent, f"rate({ratings}) says that {missing} are not there, and {absent} are not"
                    )
                case "purge":
                    before = _moment(dice, reference)
                    seen, due = ledgers[here].purge(before), reference.purge(before)
                    expect(seen == due, f"purge({before}) says that it forgot {seen} calls, and there were {due}")
                case _ if lasting:
                    ledgers[here].close()
                    ledgers[here] = open_ledger()
                case _:
                    pass
            asked = ledgers[dice.randrange(len(ledgers))]
            compare(asked, reference, question(dice, reference), dimensions(dice))
            compare_recent(asked, reference, _moment(dice, reference), dice.choice((1, 3, 100)))
    finally:
        for ledger in ledgers:
            ledger.close()


def rating(dice: Random, call_id: str) -> LedgerRating:
    """Some rating of a call."""
    return LedgerRating(call_id=call_id, score=dice.choice((0.0, 0.25, 1.0)), at=BEGINNING + dice.randrange(99) / 64)


def question(dice: Random, reference: ReferenceLedger) -> LedgerQuery:
    """Some query."""
    names = [name for name in VALUES if dice.randrange(10) == 0]
    first, last = sorted(_moment(dice, reference) for _ in range(2))
    return LedgerQuery(
        since=dice.choice((None, None, first)),
        until=dice.choice((None, None, last)),
        where={name: dice.choice(VALUES[name]) for name in names},
    )


def _moment(dice: Random, reference: ReferenceLedger) -> datetime:
    """Some moment; half of them are a call's own, which is where bounds are got wrong."""
    began = [entry.call.at for entry in reference.calls.values()]
    if began and dice.randrange(2):
        return datetime.fromtimestamp(dice.choice(began), UTC)
    return START + timedelta(hours=dice.randrange(24 * DAYS))


def dimensions(dice: Random) -> list[str]:
    """Some dimensions, or none."""
    known = [*DIMENSIONS, *(f"tag:{name}" for name in TAGS), "tag:nobody has it"]
    return [dice.choice(known) for _ in range(dice.choice((0, 1, 1, 2, 3)))]


def compare_recent(ledger: Ledger, reference: ReferenceLedger, since: datetime, limit: int) -> None:
    """What it tells of calls gone by must be what the reference tells."""
    for until in (None, since + timedelta(hours=36)):
        seen, due = ledger.recent(since, limit, until), reference.recent(since, limit, until)
        expect(seen == due, f"recent({since}, {limit}, {until}) are\n  {seen}, and should be\n  {due}")


def compare(ledger: Ledger, reference: ReferenceLedger, query: LedgerQuery, by: Sequence[str]) -> None:
    """All that a ledger says to a query must be what the reference says."""
    seen, due = ledger.totals(query, by), reference.totals(query, by)
    expect(seen == due, f"totals({query}, {by}) are\n  {seen}, and should be\n  {due}")
    for table in get_args(Table):
        rows, expected = list(ledger.rows(table, query)), list(reference.rows(table, query))
        ids, due_ids = [row["call_id"] for row in rows], [row["call_id"] for row in expected]
        expect(ids == due_ids, f"rows({table!r}, {query}) are those of {ids}, and should be those of {due_ids}")
        for row, wanted in zip(rows, expected, strict=True):
            differ = {name: (row.get(name), value) for name, value in wanted.items() if row.get(name) != value}
            expect(not differ, f"in rows({table!r}), what is said first should be what is said second: {differ}")
            more = sorted(row.keys() - wanted.keys())
            expect(not more, f"rows({table!r}) have columns that nobody knows: {', '.join(more)}")
