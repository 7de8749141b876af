"""What the same tokens would have cost at another target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pointsman import ConfigError, Cost, Exact, Price, Target, Usage

from ..as_json import cost as cost_json
from ..models.facts import price_json
from . import words

if TYPE_CHECKING:
    from pointsman import Ledger, LedgerQuery
    from pointsman.engine.roster import Roster

NOTHING = Exact(0)


@dataclass(kw_only=True)
class Elsewhere:
    """The answers of whatever was chosen, by one other target."""

    target: Target
    price: Price
    compared: int = 0
    left_out: int = 0
    """Answers whose tokens nobody has counted."""
    cost: Cost = NOTHING
    """There, of those that are compared."""
    paid: Cost = NOTHING
    """What the same answers did cost."""

    def lines(self) -> list[str]:
        """For a person."""
        if not self.compared:
            return [f"elsewhere: nothing to compare with {self.target}: of no answer are the tokens known"]
        dated = f"of {self.price.as_of}" if self.price.as_of else "without a date"
        left = f"; {self.left_out} left out, whose tokens nobody counted" if self.left_out else ""
        return [
            f"elsewhere: {words.money(self.cost)} at {self.target} for what cost {words.money(self.paid)}: "
            f"{words.of(self.compared, 'answer')} compared{left}",
            f"  at its price {dated}, {self.price.source}. The tokens are those of the models that "
            "answered: another cuts text otherwise, and says more or less. Failed attempts are in neither sum.",
        ]

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "target": str(self.target),
            "price": price_json(self.price),
            "compared": self.compared,
            "left_out": self.left_out,
            "cost": cost_json(self.cost),
            "paid": cost_json(self.paid),
        }


def priced(targets: Sequence[str], roster: Roster) -> list[Elsewhere]:
    """Each of `targets`, with its price of today. Raises `ConfigError` for one that has no price for tokens."""
    found: list[Elsewhere] = []
    for text in dict.fromkeys(targets):
        try:
            target = Target.parse(text)
        except ValueError as error:
            raise ConfigError(f"--if {text}: {error}") from None
        price = roster.prices(target.provider).find(target)
        if price is None:
            raise ConfigError(
                f"--if {target}: nobody knows a price of it, so that nothing can be compared; "
                f'set one as [prices."{target}"], or see pointsman models {target.provider} --offline'
            )
        if price.second:
            raise ConfigError(
                f"--if {target}: it is billed by the second, and how long it would have taken, no count of tokens says"
            )
        found.append(Elsewhere(target=target, price=price))
    return found


def compare(ledger: Ledger, query: LedgerQuery, others: Sequence[Elsewhere]) -> None:
    """Add to each of `others` the answers that `query` means.

    Each answer is priced by itself, since a price may depend on how long the prompt is. Embeddings are no answers,
    unless the query asks for them.
    """
    where = {"outcome": "finished", "operation": "chat", **query.where}
    for row in ledger.rows("attempts", replace(query, where=where)) if others else ():
        usage, paid = counted_usage(row), _cost(row)
        for one in others:
            if usage is None:
                one.left_out += 1
            else:
                one.compared += 1
                one.cost += one.price.of(usage)
                one.paid += paid


def counted_usage(row: Mapping[str, Any]) -> Usage | None:
    """The tokens of an exported row, as its vendor has counted them; None where nobody has."""
    if row["input_tokens"] is None or row["estimated"]:  # A floor of ours: what it would cost is anybody's guess.
        return None
    return Usage(
        input_tokens=row["input_tokens"],
        cached_input_tokens=row["cached_input_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        output_tokens=row["output_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
    )


def _cost(row: Mapping[str, Any]) -> Cost:
    """What was paid for it."""
    return Cost(Decimal(row["cost"] or 0), row["cost_exact"])
