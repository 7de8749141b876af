"""What the same tokens would have cost at another target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pointsman import ConfigError, Cost, Exact, Price, Target, Usage

from ..as_json import cost as cost_json
from ..models.facts import price_json
from . import words

if TYPE_CHECKING:
    from pointsman import Ledger, LedgerQuery


@dataclass(kw_only=True)
class Elsewhere:
    """The answers of whatever was chosen, by one other target."""

    target: Target
    price: Price
    compared: int = 0
    left_out: int = 0
    """Answers whose tokens nobody has counted."""
    cost: Cost = Exact(0)
    """There, of those that are compared."""
    paid: Cost = Exact(0)
    """What the same answers did cost."""

    def lines(self) -> list[str]:
        """For a person."""
        if not self.compared:
            return [f"elsewhere: nothing to compare with {self.target}: of no answer are the tokens known"]
        left = f"; {self.left_out} left out, whose tokens nobody counted" if self.left_out else ""
        return [
            f"elsewhere: {words.money(self.cost)} at {self.target} for what cost {words.money(self.paid)}: "
            f"{words.of(self.compared, 'answer')} compared{left}",
            f"  at its price of {self.price.as_of}, {self.price.source}. The tokens are those of the models that answered: "
            "another cuts text otherwise, and says more or less. Failed attempts are in neither sum.",
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
