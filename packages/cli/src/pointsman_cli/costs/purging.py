"""Forgetting calls, for good."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from ..as_json import dumps
from ..exits import Exit
from ..listing import say
from ..terminal import is_terminal, out
from . import words
from .choice import moment
from .opening import opened


def purge_calls(url: str | None, before: str, *, yes: bool, as_json: bool) -> None:
    """Ask, unless `yes`, and forget what began before `before`. Raises `click.UsageError` if nobody can be asked."""
    from pointsman import LedgerQuery

    at = moment(before, "--before", datetime.now(UTC))
    if not yes and not is_terminal(sys.stdin):
        raise click.UsageError("nobody is here to be asked: add --yes if they are to be forgotten")
    with opened(url) as place:
        if place.ledger is None:
            forgotten = 0
        else:
            (total,) = place.ledger.totals(LedgerQuery(until=at))
            if total.calls and not yes:
                said = f"{words.of(total.calls, 'call')} before {at:%Y-%m-%d %H:%M} UTC, {words.money(total.cost)}"
                if not click.confirm(f"Forget {said}{place.where}, for good?", err=True):
                    say("Nothing was forgotten.")
                    click.get_current_context().exit(Exit.FAILURE)
            forgotten = place.ledger.purge(at) if total.calls else 0
    if as_json:
        out(dumps({"before": at.isoformat(), "purged": forgotten}))
    else:
        say(
            f"{words.of(forgotten, 'call')} forgotten."
            if forgotten
            else f"No call began before {at:%Y-%m-%d %H:%M} UTC: nothing was forgotten."
        )
