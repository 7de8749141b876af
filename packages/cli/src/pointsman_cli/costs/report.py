"""What calls cost: a picture where a person looks, a table, and the total with what is not in it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ..as_json import cost as cost_json
from ..as_json import dumps
from ..as_json import usage as usage_json
from ..listing import say, wrapped
from ..terminal import colours, is_terminal, out, show, width
from . import words
from .choice import shown
from .elsewhere import Elsewhere, compare, priced
from .opening import Place, known_here, opened
from .picture import Bar, Line, draw
from .table import show_table

if TYPE_CHECKING:
    from pointsman import Ledger, LedgerQuery, LedgerTotal

DEFAULT_BY = ("model",)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that is said."""

    query: LedgerQuery
    by: Sequence[str]
    groups: Sequence[LedgerTotal]
    total: LedgerTotal
    outcomes: Sequence[LedgerTotal]
    days: Sequence[LedgerTotal]
    """By day and what the picture is stacked by; none if there is to be no picture."""
    elsewhere: Sequence[Elsewhere]


def report_costs(
    url: str | None, query: LedgerQuery, by: Sequence[str], targets: Sequence[str], *, as_json: bool
) -> None:
    """Read the ledger, and print what is in it."""
    pictured = not as_json and is_terminal(sys.stdout)
    roster = known_here()
    others = priced(targets, roster)
    with opened(url, roster) as place:
        if place.ledger is None:
            report = _nothing(query, by or DEFAULT_BY, others)
        else:
            report = _gathered(place.ledger, query, by, others, pictured=pictured)
        if as_json:
            out(dumps(_json(report)))
        elif report.total.attempts:
            _show(report, pictured=pictured)
        if not report.total.attempts:
            _tell_why(place, query)


def _gathered(
    ledger: Ledger, query: LedgerQuery, by: Sequence[str], others: Sequence[Elsewhere], *, pictured: bool
) -> Report:
    stacked = next((one for one in by if one != "day"), "provider")
    (total,) = ledger.totals(query)
    compare(ledger, query, others)
    groups = ledger.totals(query, by or DEFAULT_BY)
    return Report(
        query=query,
        by=by or DEFAULT_BY,
        groups=groups if "day" in by else sorted(groups, key=lambda one: -one.cost.known),
        total=total,
        outcomes=ledger.totals(query, ["outcome"]),
        days=ledger.totals(query, ["day", stacked]) if pictured and total.attempts else [],
        elsewhere=others,
    )


def _nothing(query: LedgerQuery, by: Sequence[str], others: Sequence[Elsewhere]) -> Report:
    """Of no ledger at all."""
    from pointsman import Exact, LedgerTotal, Usage

    none = LedgerTotal(
        key=(), calls=0, attempts=0, failed=0, usage=Usage(), uncounted=0, cost=Exact(0), unpriced=0, bounded=0
    )
    return Report(query=query, by=by, groups=[], total=none, outcomes=[], days=[], elsewhere=others)


def _tell_why(place: Place, query: LedgerQuery) -> None:
    """Nothing is there: what to do about it."""
    from pointsman import LedgerQuery

    everything = place.ledger.totals(LedgerQuery())[0] if place.ledger else None
    if not everything or not everything.calls:
        say(f"No call is recorded yet{place.where}. {place.advice}")
        return
    assert place.ledger is not None
    say(f"None of {words.of(everything.calls, 'call')} in the ledger fits {_said(query)}.")
    for name, wanted in query.where.items():
        from pointsman.errors import did_you_mean

        there = [one.key[0] for one in place.ledger.totals(LedgerQuery(), [name]) if one.key[0] is not None]
        if wanted not in there:
            listed = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
            say(f"  {name}: there {'is' if len(there) == 1 else 'are'} {listed or 'none'}{did_you_mean(wanted, there)}")
    if not query.where:
        say("  --since all shows everything.")


def _said(query: LedgerQuery) -> str:
    return ", ".join([shown(query.since, query.until), *(f"{name} {value}" for name, value in query.where.items())])


# For a person ---------------------------------------------------------------------------------------------------------


def _show(report: Report, *, pictured: bool) -> None:
    if pictured:
        out(wrapped(f"Costs {_said(report.query)} (days are UTC's)", "", "  "))
        lines = picture(report.days, report.query, width(most=100))
        if lines:
            show("\n")
            for line in lines:
                show("".join(_painted(piece.text, piece.colour) for piece in line) + "\n")
        show("\n")
    show_table(report.by, report.groups)
    if pictured:
        show("\n")
    said = [*words.summary(report.total, report.outcomes), *(line for one in report.elsewhere for line in one.lines())]
    for text in map(words.sayable, said):
        out(wrapped(text, "", "  ") if pictured else text)


def _painted(text: str, colour: str | None) -> str:
    return click.style(text, fg=colour) if colour and text.strip() else text


def picture(days: Sequence[LedgerTotal], query: LedgerQuery, columns: int) -> list[Line]:
    """Bars of what was spent on each day, as stdout takes them."""
    dated: dict[date, list[LedgerTotal]] = {}
    for one in days:
        dated.setdefault(date.fromisoformat(one.key[0] or ""), []).append(one)
    if not dated:
        return []
    bars: Mapping[date, Bar] = {
        day: Bar(
            {words.value(one.key[1]): one.cost.known for one in several},
            any(not one.cost.complete for one in several),
        )
        for day, several in dated.items()
    }
    first = query.since.date() if query.since else min(bars)
    last = (query.until - timedelta(microseconds=1)).date() if query.until else max(*bars, datetime.now(UTC).date())
    return draw(bars, first, last, width=columns, colour=colours(sys.stdout), unicode=words.unicode())


# For a program --------------------------------------------------------------------------------------------------------


def _json(report: Report) -> dict[str, Any]:
    query = report.query
    return {
        "since": query.since.isoformat() if query.since else None,
        "until": query.until.isoformat() if query.until else None,
        "where": dict(query.where),
        "by": list(report.by),
        "groups": [_total(report.by, one) for one in report.groups],
        "total": _total((), report.total),
        "outcomes": [_total(("outcome",), one) for one in report.outcomes],
        "elsewhere": [one.json() for one in report.elsewhere],
    }


def _total(by: Sequence[str], total: LedgerTotal) -> dict[str, Any]:
    return {
        "key": dict(zip(by, total.key, strict=True)),
        "calls": total.calls,
        "attempts": total.attempts,
        "failed": total.failed,
        "usage": usage_json(total.usage),
        "uncounted": total.uncounted,
        "cost": cost_json(total.cost),
        "unpriced": total.unpriced,
        "bounded": total.bounded,
    }
