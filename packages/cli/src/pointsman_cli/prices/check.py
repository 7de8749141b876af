"""What is missing from the price book, what is old in it, and where it contradicts itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from pointsman import Quote, Target
from pointsman.pricebook import EVERY

from ..as_json import dumps
from ..context import debugging
from ..exits import Exit, gravest
from ..listing import say, show_states
from ..log import log_to_stderr
from ..models import facts
from ..terminal import harmless, is_terminal, out
from .book import Book, age, read, same
from .show import WHO, dated, failed_json, tell_failed


class Finding(NamedTuple):
    """Something that wants a look."""

    target: Target
    kind: str
    message: str

    def as_json(self) -> dict[str, Any]:
        return {"target": str(self.target), "kind": self.kind, "message": self.message}


def check_prices(
    names: Sequence[str], *, older_than: int, kinds: Sequence[str], max_findings: int | None, as_json: bool
) -> None:
    """Print what there is to find. Exits: with 7 if that is more than `max_findings`."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    book = read(names)
    found = [one for one in findings(book, older_than) if not kinds or one.kind in kinds]
    tell_failed(book.failed)
    if as_json:
        checked = {"checked": len(book.entries), "findings": [one.as_json() for one in found]}
        out(dumps({**checked, "failed": failed_json(book.failed)}))
    else:
        _show(found)
        say(
            f"{len(found)} found in {len(book.entries)} targets."
            if found
            else f"All well: {len(book.entries)} targets."
        )
    if max_findings is not None and len(found) > max_findings:
        ctx.exit(Exit.THRESHOLD)
    ctx.exit(gravest(code for _, _, code in book.failed) if book.failed and not book.entries else Exit.OK)


def findings(book: Book, older_than: int) -> Iterator[Finding]:
    """Target by target."""
    for target, quotes in book.entries.items():
        if not quotes:
            if target in book.suggested:
                yield Finding(target, "unpriced", f"nobody knows its price: set one under {_setting(target)}")
            continue
        first, *others = quotes
        if (days := age(first.price)) is not None and days > older_than:
            yield Finding(target, "stale", f"its price is {days} days old ({dated(first)}){_remedy(first)}")
        for other in others:
            if other.layer != "package" and not same(first.price, other.price):
                yield Finding(target, "differing", _differing(first, other))


def _setting(target: Target) -> str:
    return f'[prices."{target.provider if target.model == EVERY else target}"]'


def _remedy(quote: Quote) -> str:
    match quote.layer:
        case "user":
            return ": look it up, and set as_of"
        case "live":
            return ": pointsman prices update"
        case _:
            return ": a newer version of the package may know a newer one; pointsman prices update asks the vendor"


def _differing(first: Quote, other: Quote) -> str:
    return (
        f"{WHO[first.layer]}, which holds, says {facts.price(first.price)}; "
        f"{dated(other)}, says {facts.price(other.price)}"
    )


def _show(found: Sequence[Finding]) -> None:
    if is_terminal(sys.stdout):
        show_states((str(one.target), one.kind, [one.message]) for one in found)
        return
    for one in found:
        out(harmless("\t".join((str(one.target), one.kind, one.message))))
