"""The price book, printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from pointsman import Quote, Target

from ..as_json import dumps
from ..context import debugging
from ..exits import Exit, gravest
from ..listing import say, wrapped
from ..log import log_to_stderr
from ..models import facts
from ..terminal import harmless, is_terminal, out, show, styled
from .book import age, read, same

WHO = {
    "user": "your settings",
    "live": "the vendor's list",
    "table": "the package's table",
    "package": "the package",
}
"""Layer -> who that is."""


def show_prices(names: Sequence[str], *, as_json: bool) -> None:
    """Print them. Exits."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    book = read(names)
    tell_failed(book.failed)
    if as_json:
        prices = [_as_json(target, quotes) for target, quotes in book.entries.items()]
        out(dumps({"prices": prices, "failed": failed_json(book.failed)}))
    else:
        for target, quotes in book.entries.items():
            _show(target, quotes)
        if not book.entries and not book.failed:
            say("No price is known. Where vendors say theirs, pointsman prices update asks them.")
    ctx.exit(Exit.OK if book.entries or not book.failed else gravest(code for _, _, code in book.failed))


def tell_failed(failed: Iterable[tuple[str, str, Exit]]) -> None:
    """Who cannot be looked at, and why."""
    for name, why, _ in failed:
        say(f"✗ {name}: {why}")


def failed_json(failed: Iterable[tuple[str, str, Exit]]) -> list[dict[str, Any]]:
    """The same for `--json`."""
    return [{"provider": name, "message": why, "exit_code": int(code)} for name, why, code in failed]


def dated(quote: Quote) -> str:
    """``the package's table, 2026-10-07 (53 days ago): SambaNova's price page``."""
    days, day = age(quote.price), quote.price.as_of
    when = "without a date" if days is None else f"{day} ({'today' if not days else _ago(days)})"
    return f"{WHO[quote.layer]}, {when}: {quote.price.source}"


def _ago(days: int) -> str:
    return f"{days} day{'s' if days > 1 else ''} ago"


def _show(target: Target, quotes: Sequence[Quote]) -> None:
    """Two lines, and two for each that says otherwise; into a pipe one line a price, divided by tabs."""
    if not is_terminal(sys.stdout):
        cells = (
            [str(target), facts.price(quotes[0].price), dated(quotes[0])] if quotes else [str(target), facts.UNKNOWN]
        )
        out(harmless("\t".join(cells)))
        return
    show(styled(harmless(str(target)), sys.stdout, bold=True) + "\n")
    if not quotes:
        out(wrapped(facts.UNKNOWN, "    "))
    for place, quote in enumerate(quotes):
        if place and same(quote.price, quotes[0].price):
            continue
        out(wrapped(harmless(f"{'not ' if place else ''}{facts.price(quote.price)}"), "    ", " " * 6))
        show(styled(wrapped(harmless(dated(quote)), " " * 6), sys.stdout, dim=True) + "\n")


def _as_json(target: Target, quotes: Sequence[Quote]) -> dict[str, Any]:
    first = quotes[0] if quotes else None
    return {
        "target": str(target),
        "price": facts.price_json(first.price if first else None),
        "layer": first.layer if first else None,
        "age_days": age(first.price) if first else None,
        "others": [
            {"price": facts.price_json(one.price), "layer": one.layer, "age_days": age(one.price)} for one in quotes[1:]
        ],
    }
